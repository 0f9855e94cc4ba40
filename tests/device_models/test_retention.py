from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models.cards import load
from device_models.errors import ParameterError
from device_models.retention import LogTimeRelaxation, PowerLawDrift, Retention
from device_models.streams import Streams
from tests.device_models.laws import assert_normal

N = 20_000
DAY = 86400.0
WAN = load("hfox-wan-2022").retention
JOSHI = load("pcm-joshi-2020").retention


def drawn(law: Retention, g: np.ndarray) -> np.ndarray:
    return np.asarray(law.draw(g, Streams(0).rng("retention")))


# --- power-law drift ---


@given(st.floats(-0.2, 0.2), st.floats(1e-3, 1e3), st.floats(0, 1e9))
def test_drift_is_the_power_law(nu: float, t0: float, seconds: float) -> None:
    law = PowerLawDrift(nu=nu, t0=t0)
    g = np.array([1e-6, 20e-6])
    expected = g * (seconds / t0) ** -nu if seconds > t0 else g
    np.testing.assert_allclose(law.apply(g, drawn(law, g), np.asarray(seconds)), expected, rtol=1e-12)


def test_nothing_drifts_before_t0() -> None:
    law = PowerLawDrift(nu=0.1, spread=0.05, t0=20.0)
    g = np.linspace(0, 25e-6, 50)
    for seconds in (0.0, 1.0, 20.0):
        np.testing.assert_array_equal(law.apply(g, drawn(law, g), np.asarray(seconds)), g)


def test_each_device_keeps_its_own_exponent() -> None:
    law = PowerLawDrift(nu=0.05, spread=0.02)
    g = np.full(N, 10e-6)
    sample = drawn(law, g)
    decade = [np.log(law.apply(g, sample, np.asarray(10.0**k)) / g) / np.log(10.0**k) for k in (1, 4, 8)]
    for exponent in decade:
        np.testing.assert_allclose(exponent, -sample[0], rtol=0, atol=1e-12)
    assert_normal(sample, 0.05, 0.02)


# Joshi 2020, Methods: mean clip(0.0244 - 0.0155 ln x, 0.049, 0.1), sigma clip(-0.0059 - 0.0125 ln x, 0.008, 0.045).
@pytest.mark.parametrize(
    ("x", "nu", "spread"),
    [(0.0, 0.1, 0.045), (1e-3, 0.1, 0.045), (0.1, 0.0600901, 0.0228823), (0.25, 0.049, 0.0114287), (1.0, 0.049, 0.008)],
)
def test_exponents_follow_the_state_within_their_bounds(x: float, nu: float, spread: float) -> None:
    assert isinstance(JOSHI, PowerLawDrift)
    g = np.full(N, x * 25e-6)
    np.testing.assert_allclose([law[0] for law in JOSHI.law(g)], [nu, spread], rtol=1e-5)
    assert_normal(drawn(JOSHI, g), *(law[0] for law in JOSHI.law(g)))


def test_without_slopes_every_state_drifts_alike() -> None:
    law = PowerLawDrift(nu=0.05, spread=0.0)
    np.testing.assert_array_equal(drawn(law, np.array([0.0, 1e-9, 1e-4]))[0], [0.05, 0.05, 0.05])


# --- relaxation in log time ---

TWO_STEPS = LogTimeRelaxation(times=(1.0, 100.0), sigma=((1e-6,), (3e-6,)), g_ref=40e-6, t0=0.01)


@pytest.mark.parametrize(
    ("seconds", "sigma"),
    [
        (1.0, [0.35, 1.56, 2.26, 2.02, 1.53, 1.10]),
        (DAY, [0.70, 2.45, 3.72, 3.91, 3.37, 2.65]),
        (2 * DAY, [0.78, 2.41, 3.66, 3.93, 3.37, 2.68]),
        (3650 * DAY, [0.78, 2.41, 3.66, 3.93, 3.37, 2.68]),
    ],
)
def test_wan_2022_spreads_as_published(seconds: float, sigma: list[float]) -> None:
    assert isinstance(WAN, LogTimeRelaxation)
    g = np.array([0, 0.1, 0.25, 0.5, 0.75, 1]) * 40e-6
    np.testing.assert_allclose(WAN.spread(g, np.asarray(seconds)) * 1e6, sigma, atol=5.1e-3)


@pytest.mark.parametrize(
    ("seconds", "sigma"),
    [(0, 0), (0.01, 0), (0.1, 0.5), (1, 1), (10, 2), (10**1.5, 2.5), (100, 3), (1e9, 3)],
)
def test_sigma_is_linear_in_log_time_between_the_table(seconds: float, sigma: float) -> None:
    spread = TWO_STEPS.spread(np.array([0.0, 40e-6]), np.asarray(float(seconds)))
    np.testing.assert_allclose(spread, sigma * 1e-6, rtol=1e-9, atol=1e-20)


@given(st.floats(0, 1), st.floats(-6, 9))
def test_sigma_is_that_of_numpys_interpolation(x: float, decade: float) -> None:
    assert isinstance(WAN, LogTimeRelaxation)
    g = np.array([x * 40e-6])
    table = [0.0, *(max(float(np.polynomial.Polynomial(row)(x)), 0.0) for row in WAN.sigma)]
    expected = np.interp(np.log(10**decade), np.log([WAN.t0, *WAN.times]), table)
    np.testing.assert_allclose(WAN.spread(g, np.asarray(10**decade)), expected, rtol=1e-9, atol=1e-16)


def test_shifts_are_normal_and_a_device_keeps_its_place_among_them() -> None:
    g = np.full(N, 30e-6)
    sample = drawn(TWO_STEPS, g)
    z = [(TWO_STEPS.apply(g, sample, np.asarray(t)) - g) / s for t, s in ((1.0, 1e-6), (100.0, 3e-6))]
    assert_normal(z[0], 0.0, 1.0)
    np.testing.assert_allclose(z[0], z[1], atol=1e-9)


def test_no_conductance_becomes_negative() -> None:
    g = np.full(N, 1e-6)
    later = TWO_STEPS.apply(g, drawn(TWO_STEPS, g), np.asarray(100.0))
    assert later.min() == 0.0
    assert 0.3 < (later == 0.0).mean() < 0.45  # P(z < -1/3) = 0.37


def test_a_negative_polynomial_means_no_spread() -> None:
    law = TWO_STEPS.replace(sigma=((1e-6, -4e-6), (3e-6,)))
    np.testing.assert_allclose(law.spread(np.array([0.0, 40e-6]), np.asarray(1.0)), [1e-6, 0.0], atol=1e-20)


@pytest.mark.parametrize("law", [WAN, JOSHI, TWO_STEPS], ids=["wan", "joshi", "two steps"])
def test_clocks_may_differ_from_cell_to_cell(law: Retention) -> None:
    g = np.linspace(1e-6, 25e-6, 6).reshape(2, 3)
    seconds = np.array([[0.0, 1.0, 50.0], [1e3, DAY, 1e7]])
    sample = drawn(law, g)
    assert sample.shape[1:] == g.shape
    each = [[law.apply(g, sample, np.asarray(t))[i, j] for j, t in enumerate(row)] for i, row in enumerate(seconds)]
    np.testing.assert_allclose(law.apply(g, sample, seconds), each, rtol=1e-12)


# --- what is refused ---


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"times": (1.0,)}, ": needs one polynomial per time, got 2 for 1 times"),
        ({"times": (5.0, 5.0)}, ": times must rise, the first above t0 (seconds), got (5.0, 5.0)"),
        ({"times": (0.001, 5.0)}, ": times must rise, the first above t0 (seconds), got (0.001, 5.0)"),
        ({"sigma": ((1.0,), (3.0,))}, ": sigma must be in siemens, got ((1.0,), (3.0,)); did you give microsiemens?"),
        ({"g_ref": 0.0}, ".g_ref: must be greater than 0 (siemens), got 0.0"),
    ],
)
def test_an_impossible_relaxation_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        TWO_STEPS.replace(**values)
    assert str(caught.value).startswith("LogTimeRelaxation" + text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nu": 2.0}, ".nu: must be less than or equal to 1, got 2.0"),
        (
            {"nu_bounds": (0.1, 0.049)},
            ".nu_bounds: the first must be below the second, got (0.1, 0.049); exchange them",
        ),
        ({"spread_bounds": (-0.1, 0.1)}, ": spread_bounds must be 0 or more (a standard deviation), got (-0.1, 0.1)"),
        ({"t0": 0.0}, ".t0: must be greater than 0 (seconds), got 0.0"),
    ],
)
def test_an_impossible_drift_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        PowerLawDrift(**{"nu": 0.05, **values})
    assert str(caught.value) == "PowerLawDrift" + text
