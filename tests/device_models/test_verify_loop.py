"""Write-verify on the device's own pulses: the simulated loop, and its shortcut drawn from tables."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from device_models.cards import load, save
from device_models.device import Cells, Device, WriteReport
from device_models.errors import InputError, ParameterError
from device_models.faults import CellFaults
from device_models.programming import VerifyLoop, VerifyShortcut, shortcut
from device_models.retention import PowerLawDrift
from device_models.streams import Streams
from device_models.update import ExponentialUpdate, LinearUpdate, SoftBoundsUpdate, Update
from device_models.window import Window
from tests.device_models.laws import assert_distributed

STREAMS = Streams(seed=2)
WINDOW = Window(g_min=10e-6, g_max=110e-6)
NOISY = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
EXACT = LinearUpdate(step_size=1e-6)
LOOP = VerifyLoop(tolerance=2e-6, max_pulses=300)
N = 20_000
EITHER = "needs either 'tolerance' (siemens) or 'tolerance_share' (of the span)"


def device(loop: Any = LOOP, update: Update | None = NOISY, **slots: Any) -> Device:
    return Device(name="loop", window=WINDOW, programming=loop, update=update, **slots)


def write(
    kind: Device, target: np.ndarray, start: Cells | None = None, role: str = "write"
) -> tuple[Cells, WriteReport]:
    cells = kind.fabricate(target.shape, STREAMS) if start is None else start
    return kind.program(cells, target, STREAMS.at(role))


def spread_targets(n: int = N, low: float = 10e-6, high: float = 110e-6) -> np.ndarray:
    return STREAMS.rng("targets").uniform(low, high, n)


# --- the loop ---


def test_every_cell_ends_within_the_tolerance() -> None:
    target = spread_targets()
    cells, report = write(device(), target)
    assert np.abs(cells.g - target).max() <= 2e-6
    assert report.failed == 0


def test_a_share_of_the_span_is_the_same_tolerance_in_siemens() -> None:
    share = VerifyLoop(tolerance_share=0.02, max_pulses=300)
    np.testing.assert_array_equal(*(write(device(loop), spread_targets())[0].g for loop in (LOOP, share)))


@given(target=st.floats(10e-6, 110e-6), coarse=st.integers(1, 200))
@settings(max_examples=60)
def test_exact_steps_take_the_way_to_the_edge_of_the_tolerance(target: float, coarse: int) -> None:
    loop = LOOP.replace(coarse=coarse)
    cells, report = write(device(loop, EXACT), np.array([target]))
    way = (target - 10e-6) / 1e-6
    assert np.abs(cells.g[0] - target) <= 2e-6
    assert way - 2 - 1e-6 <= report.pulses <= way + 0.5


def test_single_pulses_stop_at_the_edge_they_come_from() -> None:
    target = spread_targets(low=15e-6, high=105e-6)
    loop = LOOP.replace(coarse=1)
    up, rose = write(device(loop, EXACT), target)
    assert_distributed((up.g - target) / 1e-6, stats.uniform(-2, 1).cdf)
    np.testing.assert_array_equal(up.pulses, np.ceil((target - 12e-6) / 1e-6))
    top = write(device(loop, EXACT), np.full(N, 110e-6))[0]
    down, fell = write(device(loop, EXACT), target, start=top)
    assert_distributed((down.g - target) / 1e-6, stats.uniform(1, 1).cdf)
    assert (rose.failed, fell.failed) == (0, 0)


def test_far_cells_take_coarse_steps_and_near_ones_single_pulses() -> None:
    calls: list[np.ndarray] = []

    class Watched(LinearUpdate):
        def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
            calls.append(np.array(n))
            return super().pulse(g, n, window, rng, variation)

    loop = VerifyLoop(tolerance=0.6e-6, coarse=10)
    cells, report = write(device(loop, Watched(step_size=1e-6)), np.array([10e-6 + 23.2e-6]))
    assert [int(n[0]) for n in calls if n.size] == [10, 10, 3]
    assert report.pulses == 23
    assert cells.g[0] == pytest.approx(33e-6)


def test_a_cell_that_stands_at_its_target_takes_no_pulse() -> None:
    target = np.full(10, 11e-6)
    assert write(device(), target)[1].pulses == 0
    cells, _ = write(device(), spread_targets(100))
    again, report = write(device(), cells.g, start=cells)
    assert report.pulses == 0
    np.testing.assert_array_equal(again.g, cells.g)


def test_the_budget_is_never_overrun_and_who_exceeds_it_is_flagged() -> None:
    target = spread_targets()
    cells, report = write(device(LOOP.replace(max_pulses=40), EXACT), target)
    way = (target - 10e-6) / 1e-6
    assert cells.pulses.max() == 40
    assert report.failed == (way > 42).sum()
    np.testing.assert_allclose(cells.g[way > 42], 50e-6)


def test_the_last_step_is_cut_to_what_the_budget_leaves() -> None:
    cells, report = write(device(VerifyLoop(tolerance=1e-9, max_pulses=25, coarse=10), EXACT), np.full(3, 110e-6))
    assert report == (3, 75, 3, 0, 0.0, 0.0)
    np.testing.assert_allclose(cells.g, 35e-6)


def test_pulses_cost_energy_and_time() -> None:
    loop = LOOP.replace(pulse_energy=2e-12, pulse_seconds=5e-8)
    faulty = device(loop, faults=CellFaults(stuck_hrs=0.3))
    cells, report = write(faulty, spread_targets(500))
    assert report.stuck > 100
    assert report.energy == pytest.approx(report.pulses * 2e-12, rel=1e-12)
    assert report.seconds == pytest.approx(report.pulses * 5e-8, rel=1e-12)
    assert cells.pulses.sum() == report.pulses


def test_a_noisy_verify_read_accepts_cells_beyond_the_tolerance() -> None:
    target = spread_targets(low=20e-6, high=100e-6)
    loop = VerifyLoop(tolerance=1e-6, read_sigma=0.5e-6, max_pulses=1000)
    error = write(device(loop), target)[0].g - target
    assert 0.01 < (np.abs(error) > 1e-6).mean() < 0.3
    assert np.abs(error).max() < 1e-6 + 5.5 * 0.5e-6


def test_cells_start_from_their_drifted_conductance_and_go_either_way() -> None:
    kind = device(LOOP, EXACT, retention=PowerLawDrift(nu=0.05, spread=0.0))
    cells, _ = write(kind, np.full(100, 100e-6))
    old = kind.age(cells, 1e6)
    now = kind.conductance(old)
    again, report = write(kind, np.full(100, 100e-6), start=old)
    assert now.max() < 60e-6
    assert (np.abs(again.g - 100e-6) <= 2e-6).all()
    assert report.pulses >= 100 * 38


def test_each_cell_is_pulsed_by_its_own_parameters_in_its_own_window() -> None:
    law = LinearUpdate(step_size=1e-6, spread_step_size=0.3)
    kind = device(VerifyLoop(tolerance=1.5e-6, coarse=1), law, faults=CellFaults(spread_g_min=0.1, spread_g_max=0.1))
    fresh = kind.fabricate((N,), STREAMS)
    assert fresh.variation is not None
    target = np.full(N, 60e-6)
    cells, _ = write(kind, target, start=fresh)
    step = fresh.variation[0]
    expected = np.ceil((target - 1.5e-6 - fresh.limits.g_min) / step - 1e-9)
    plain = (fresh.limits.g_max > 62e-6) & (step < 2.5e-6)
    np.testing.assert_array_equal(cells.pulses[plain], expected[plain])


def test_targets_beyond_a_cells_own_window_fail() -> None:
    kind = device(LOOP, EXACT, faults=CellFaults(spread_g_max=0.1))
    target = np.full(2000, 110e-6)
    cells, report = write(kind, target)
    beyond = cells.limits.g_max < 108e-6
    assert report.failed == beyond.sum() > 500
    np.testing.assert_array_equal(cells.g[beyond], cells.limits.g_max[beyond])


def test_without_an_update_slot_pulses_are_ideal() -> None:
    target = spread_targets()
    cells, report = write(device(update=None), target)
    np.testing.assert_array_equal(cells.g, target)
    assert report.pulses == N


def test_any_shape_is_written() -> None:
    for shape in ((0, 4), (1,), (2, 3, 4)):
        cells, _ = write(device(), np.full(shape, 50e-6))
        assert cells.g.shape == cells.pulses.shape == shape


def test_a_loop_without_cells_says_what_it_needs() -> None:
    with pytest.raises(InputError) as caught:
        LOOP.write(np.zeros(3), WINDOW, STREAMS.rng("write"))
    text = "VerifyLoop: writes by pulses and needs the cells that take them, got none; write through Device.program"
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"tolerance": None}, f"VerifyLoop: {EITHER}, got neither; give one of them"),
        ({"tolerance_share": 0.1}, f"VerifyLoop: {EITHER}, got both; give one of them"),
        ({"tolerance": 2.0}, "VerifyLoop.tolerance: must be in siemens, 0 or between 1e-12 and 0.1, got 2.0; did you"),
        ({"coarse": 0}, "VerifyLoop.coarse: must be greater than or equal to 1"),
        ({"pulse_energy": 1.0}, "VerifyLoop.pulse_energy: must be less than or equal to 0.001 (joules), got 1.0"),
    ],
)  # fmt: skip
def test_a_loop_that_cannot_be_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        LOOP.replace(**values)
    assert str(caught.value).startswith(text)


# --- the shortcut ---

SPREAD = NOISY.replace(spread_nl_up=0.5, spread_pulses_up=0.2, spread_pulses_down=0.2)
HARD = VerifyLoop(tolerance=0.8e-6, max_pulses=110, coarse=8)
PAIRS = [(LOOP, NOISY), (LOOP.replace(coarse=1), SPREAD), (HARD, NOISY), (LOOP, SoftBoundsUpdate(rate=0.05, c2c=0.005))]
FAR = 0.03  # largest distance of two cumulative distributions; the sampling of N cells and of the tables takes 0.02


@cache
def fitted(loop: VerifyLoop, update: Update) -> VerifyShortcut:
    return shortcut(loop, update, WINDOW)


@pytest.mark.parametrize(
    ("loop", "update", "low", "high"),
    [(*pair, 15e-6, 95e-6) for pair in PAIRS] + [(*p, 59e-6, 61e-6) for p in PAIRS[:3]],
)
def test_the_shortcut_agrees_with_the_loop_in_distribution(
    loop: VerifyLoop, update: Update, low: float, high: float
) -> None:
    target = spread_targets(low=low, high=high)
    slow, said = write(device(loop, update), target)
    fast, drew = write(device(fitted(loop, update), update), target, role="again")
    assert stats.ks_2samp(slow.g - target, fast.g - target).statistic < FAR
    assert stats.ks_2samp(slow.pulses, fast.pulses).statistic < FAR
    assert drew.pulses == pytest.approx(said.pulses, rel=0.01)
    assert drew.failed == pytest.approx(said.failed, rel=0.1, abs=5 * np.sqrt(said.failed + 1))


def test_the_shortcut_fails_the_same_unreachable_targets() -> None:
    faults = CellFaults(spread_g_max=0.1)
    target = np.full(5000, 105e-6)
    reports = [
        write(device(law, NOISY, faults=faults), target)[1] for law in (LOOP, shortcut(LOOP, NOISY, WINDOW, targets=9))
    ]
    assert reports[1].failed == pytest.approx(reports[0].failed, rel=0.05)
    assert reports[0].failed > 1000


def test_the_shortcut_costs_what_its_pulses_cost() -> None:
    loop = LOOP.replace(pulse_energy=2e-12, pulse_seconds=5e-8)
    _, report = write(device(shortcut(loop, NOISY, WINDOW, targets=9, cells=500)), spread_targets())
    assert report.energy == pytest.approx(report.pulses * 2e-12, rel=1e-12)
    assert report.seconds == pytest.approx(report.pulses * 5e-8, rel=1e-12)


def test_a_shortcut_survives_its_card_and_repeats(tmp_path: Any) -> None:
    fast = shortcut(HARD, NOISY, WINDOW, targets=9, cells=500)
    assert fast == shortcut(HARD, NOISY, WINDOW, targets=9, cells=500)
    kind = device(fast)
    assert load(save(kind, tmp_path / "card.toml")) == kind


@pytest.mark.parametrize(
    ("loop", "values", "text"),
    [
        (LOOP.replace(read_sigma=1e-6), {},
         "shortcut: needs a loop with an exact verify read, got 1e-06; set read_sigma=0"),
        (LOOP, {"targets": 1}, "shortcut: needs 2 targets and 100 cells or more, got 1 and 4000; give more"),
        (LOOP, {"cells": 99}, "shortcut: needs 2 targets and 100 cells or more, got 65 and 99; give more"),
    ],
)  # fmt: skip
def test_a_shortcut_that_cannot_be_fitted_says_why(loop: VerifyLoop, values: dict[str, int], text: str) -> None:
    with pytest.raises(InputError) as caught:
        shortcut(loop, NOISY, WINDOW, **values)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"errors": ((0.0, 1e-6),)}, "VerifyShortcut: errors needs a row of quantiles for each of failures, got 1"),
        ({"failures": (0.0, 1.5)}, "VerifyShortcut: failures must be fractions, 0 to 1, got (0.0, 1.5)"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(values: dict[str, Any], text: str) -> None:
    rows = ((0.0, 1e-6), (0.0, 1e-6))
    tables: dict[str, Any] = {"errors": rows, "pulses": rows, "failures": (0.0, 0.0), "failed_errors": rows}
    with pytest.raises(ParameterError) as caught:
        VerifyShortcut(tolerance=1e-6, max_pulses=9, window=WINDOW, **{**tables, **values})
    assert str(caught.value).startswith(text)
