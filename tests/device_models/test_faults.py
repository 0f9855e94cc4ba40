from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from device_models.errors import ParameterError
from device_models.faults import STUCK_HRS, STUCK_LRS, WORKING, CellFaults, Fabricated
from device_models.streams import Streams
from tests.device_models.laws import assert_independent, assert_normal, assert_rate

SHAPE = (300, 400)


def made(faults: CellFaults, shape: tuple[int, ...] = SHAPE) -> Fabricated:
    return faults.draw(shape, Streams(0).rng("faults"))


@pytest.mark.parametrize(("lrs", "hrs"), [(0.01, 0.0), (0.0, 0.01), (0.001, 0.004), (0.3, 0.6)])
def test_cells_stick_at_the_rates_asked_for(lrs: float, hrs: float) -> None:
    stuck = made(CellFaults(stuck_lrs=lrs, stuck_hrs=hrs)).stuck
    assert stuck.dtype == np.int8
    assert_rate(stuck == STUCK_LRS, lrs)
    assert_rate(stuck == STUCK_HRS, hrs)


@pytest.mark.parametrize(
    ("lrs", "hrs", "states"),
    [(0.0, 0.0, {WORKING}), (1.0, 0.0, {STUCK_LRS}), (0.0, 1.0, {STUCK_HRS}), (0.5, 0.5, {STUCK_LRS, STUCK_HRS})],
)
def test_rates_of_none_and_all_are_exact(lrs: float, hrs: float, states: set[int]) -> None:
    assert set(np.unique(made(CellFaults(stuck_lrs=lrs, stuck_hrs=hrs)).stuck)) == states


def test_stuck_cells_lie_anywhere() -> None:
    stuck = made(CellFaults(stuck_lrs=0.05)).stuck != WORKING
    for per_line in (stuck.sum(axis=0), stuck.sum(axis=1)):
        dispersion = ((per_line - per_line.mean()) ** 2).sum() / (per_line.mean() * 0.95)
        assert 1e-3 < stats.chi2.cdf(dispersion, per_line.size - 1) < 1 - 1e-3


@pytest.mark.parametrize("spread", [0.05, 0.5])
def test_window_ends_spread_lognormally_around_the_nominal_one(spread: float) -> None:
    fab = made(CellFaults(spread_g_min=spread, spread_g_max=2 * spread))
    for factor, s in ((fab.min_factor, spread), (fab.max_factor, 2 * spread)):
        assert_normal(np.log(factor), -(s**2) / 2, s)
        relative = np.sqrt(np.expm1(s**2))
        assert factor.mean() == pytest.approx(1.0, abs=5 * relative / np.sqrt(factor.size))
        assert factor.std() == pytest.approx(relative, rel=0.05)
    assert_independent(fab.min_factor, fab.max_factor)


def test_without_spread_every_window_is_the_nominal_one() -> None:
    fab = made(CellFaults(stuck_lrs=0.1))
    assert (fab.min_factor == 1.0).all()
    assert (fab.max_factor == 1.0).all()


def test_each_effect_is_drawn_whatever_the_others_are() -> None:
    both = CellFaults(stuck_lrs=0.1, stuck_hrs=0.1, spread_g_min=0.1, spread_g_max=0.2)
    for name in ("stuck_lrs", "stuck_hrs", "spread_g_min", "spread_g_max"):
        all_on, one_off = made(both), made(both.replace(**{name: 0.0}))
        state = {"stuck_lrs": STUCK_LRS, "stuck_hrs": STUCK_HRS}.get(name)
        kept = all_on.stuck != state if state else np.ones(SHAPE, dtype=bool)
        np.testing.assert_array_equal(one_off.stuck[kept], all_on.stuck[kept])
        if name != "spread_g_min":
            np.testing.assert_array_equal(one_off.min_factor, all_on.min_factor)
        if name != "spread_g_max":
            np.testing.assert_array_equal(one_off.max_factor, all_on.max_factor)


def test_more_cells_stick_where_the_rate_is_higher_the_same_ones_among_them() -> None:
    few, many = (made(CellFaults(stuck_lrs=rate)).stuck for rate in (0.01, 0.02))
    assert (many[few == STUCK_LRS] == STUCK_LRS).all()


def test_rates_above_one_are_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        CellFaults(stuck_lrs=0.7, stuck_hrs=0.4)
    text = "CellFaults: stuck_lrs + stuck_hrs must not exceed 1 (fractions of all cells), got 0.7 + 0.4"
    assert str(caught.value) == text


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), "0.1"])
def test_a_rate_is_a_fraction(rate: object) -> None:
    with pytest.raises(ParameterError, match=r"^CellFaults.stuck_lrs: must be .* \(fraction, 0 to 1\), got "):
        CellFaults(stuck_lrs=rate)  # type: ignore[arg-type]
