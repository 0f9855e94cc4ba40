from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from device_models.cards import load
from device_models.errors import InputError, ParameterError
from device_models.programming import PolynomialError, SaturatingError, SpanError, WriteVerify, Written
from device_models.streams import Streams
from device_models.window import CellLimits, Window
from tests.device_models.laws import (
    assert_counts,
    assert_distributed,
    assert_independent,
    assert_normal,
    assert_rate,
    assert_same_law,
)

N = 40_000
WINDOW = Window(g_min=0.0, g_max=100e-6)
STATE = PolynomialError(coefficients=(1e-6, 4e-6, -3e-6), g_ref=100e-6, valid=(0.0, 100e-6))


def write(law: Any, g_target: np.ndarray, window: Any = WINDOW) -> Written:
    written: Written = law.write(g_target, window, Streams(0).rng("programming"))
    return written


def at(microsiemens: float, n: int = N) -> np.ndarray:
    return np.full(n, microsiemens * 1e-6)


def within(law: WriteVerify, microsiemens: float) -> float:
    """Chance that one landing is within tolerance, no window end near."""
    sigma = law.error.sigma(at(microsiemens, 1), WINDOW)[0]
    return float(2 * stats.norm.cdf(law.tolerance / sigma) - 1)


# --- one shot ---


def test_saturating_error_rises_from_0_to_its_plateau() -> None:
    law = SaturatingError(plateau=0.2e-6, g_rise=2e-6)
    expected = 0.2e-6 * (1 - np.exp(-np.array([0.0, 2.0, 16.0]) / 2))
    np.testing.assert_allclose(law.sigma(np.array([0.0, 2e-6, 16e-6]), WINDOW), expected, rtol=1e-12)
    assert_normal(write(law, at(16)).g, 16e-6, expected[2])


def test_span_error_is_the_same_share_of_the_span_everywhere() -> None:
    g = write(SpanError(error=0.02), np.repeat([30e-6, 70e-6], N)).g
    assert_normal(g[:N], 30e-6, 0.02 * 100e-6)
    assert_normal(g[N:], 70e-6, 0.02 * 100e-6)
    assert_independent(g[:N], g[N:])


def test_span_error_follows_each_cells_own_span() -> None:
    limits = CellLimits(np.zeros(2 * N), np.repeat([50e-6, 200e-6], N))
    g = write(SpanError(error=0.02), at(25, 2 * N), limits).g
    assert_normal(g[:N], 25e-6, 1e-6)
    assert_normal(g[N:], 25e-6, 4e-6)


@pytest.mark.parametrize(("microsiemens", "sigma"), [(0, 1e-6), (50, 2.25e-6), (100, 2e-6)])
def test_polynomial_error_has_the_sigma_of_its_coefficients(microsiemens: float, sigma: float) -> None:
    np.testing.assert_allclose(STATE.sigma(at(microsiemens, 3), WINDOW), sigma, rtol=1e-12)
    if microsiemens:
        assert_normal(write(STATE, at(microsiemens)).g, microsiemens * 1e-6, sigma)


@pytest.mark.parametrize(("x", "sigma"), [(0, 0.263), (0.25, 0.681), (0.5, 0.953), (0.75, 1.077), (1, 1.055)])
def test_phase_change_memory_is_written_with_the_published_error(x: float, sigma: float) -> None:
    device = load("pcm-joshi-2020")
    assert isinstance(device.programming, PolynomialError)
    assert device.programming.sigma(at(25 * x, 1), device.window)[0] * 1e6 == pytest.approx(sigma, abs=6e-4)


def test_no_conductance_is_negative() -> None:
    g = write(SpanError(error=0.02), at(1)).g
    assert g.min() == 0.0
    assert_rate(g == 0.0, stats.norm.cdf(-0.5))


def test_one_shot_takes_one_pulse_and_never_gives_up() -> None:
    written = write(STATE, at(50, 6).reshape(2, 3))
    np.testing.assert_array_equal(written.pulses, np.ones((2, 3)))
    assert not written.failed.any()
    assert written.g.shape == (2, 3)


@pytest.mark.parametrize("target", [19e-6, 81e-6])
def test_a_target_outside_the_measured_range_raises(target: float) -> None:
    law = STATE.replace(valid=(20e-6, 80e-6))
    write(law, np.array([20e-6, 80e-6]))
    with pytest.raises(InputError) as caught:
        write(law, np.array([50e-6, target]))
    low, high = sorted([50, target * 1e6])
    assert str(caught.value) == (
        "PolynomialError.valid: holds for targets from 2e-05 to 8e-05 siemens, "
        f"got {low * 1e-6:.3g} to {high * 1e-6:.3g}; narrow the window, or measure further and widen it"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"coefficients": (0.1, 1.0)}, ": coefficients must be in siemens, got (0.1, 1.0); did you give microsiemens?"),
        ({"coefficients": (1e-6, -2e-6)}, ": sigma(g) must not be negative inside 'valid' (siemens), got -1e-06"),
        ({"g_ref": 0.0}, ".g_ref: must be greater than 0 (siemens), got 0.0"),
        ({"valid": (0.0, 25.0)}, ".valid.1: must be in siemens, 0 or between 1e-12 and 0.1, got 25.0; "),
        ({"valid": (1e-4, 0.0)}, ".valid: the first must be below the second, got (0.0001, 0.0); exchange them"),
        ({"coefficients": ()}, ".coefficients: "),
    ],
)
def test_a_law_that_cannot_be_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        STATE.replace(**values)
    assert str(caught.value).startswith("PolynomialError" + text)


# --- write-verify ---

VERIFY = WriteVerify(error=SpanError(error=0.05), tolerance=1.5e-6, max_pulses=12)


def test_pulses_follow_a_truncated_geometric_law() -> None:
    p, n = within(VERIFY, 50), VERIFY.max_pulses
    written = write(VERIFY, at(50))
    shares = p * (1 - p) ** np.arange(n)
    shares[-1] = (1 - p) ** (n - 1)
    assert_counts(np.bincount(written.pulses, minlength=n + 1)[1:], shares)
    assert written.pulses.mean() == pytest.approx((1 - (1 - p) ** n) / p, rel=0.02)


def test_cells_fail_when_every_landing_misses() -> None:
    written = write(VERIFY, at(50))
    assert_rate(written.failed, (1 - within(VERIFY, 50)) ** VERIFY.max_pulses)
    assert (written.pulses[written.failed] == VERIFY.max_pulses).all()


def test_accepted_cells_land_in_a_normal_cut_at_the_tolerance() -> None:
    written = write(VERIFY, at(50))
    z = (written.g[~written.failed] - 50e-6) / 5e-6
    assert np.abs(z).max() <= 0.3
    assert_distributed(z, stats.truncnorm(-0.3, 0.3).cdf)


def test_a_cell_given_up_keeps_its_nearest_landing() -> None:
    law = VERIFY.replace(max_pulses=3)
    written = write(law, at(50))
    miss = np.abs(written.g[written.failed] - 50e-6) / 5e-6
    beyond = stats.norm.sf(0.3)  # the nearest of three that all miss: P(miss > x) = (sf(x) / sf(tolerance))^3
    assert_distributed(miss, lambda x: 1 - (stats.norm.sf(x) / beyond) ** 3)


def test_each_target_is_verified_with_the_error_of_its_state() -> None:
    law = WriteVerify(error=STATE, tolerance=0.5e-6, max_pulses=100)
    written = write(law, np.repeat([20e-6, 60e-6], N))
    for pulses, target in ((written.pulses[:N], 20), (written.pulses[N:], 60)):
        p = within(law, target)
        assert pulses.mean() == pytest.approx(1 / p, abs=5 * np.sqrt(1 - p) / p / np.sqrt(N))


def test_a_target_beyond_a_cells_own_window_fails_near_its_end() -> None:
    limits = CellLimits(np.array([0.0, 0.0]), np.array([20e-6, 49e-6]))
    written = write(VERIFY, at(50, 2), limits)
    assert written.failed.tolist() == [True, False]
    assert written.g[0] == pytest.approx(20e-6, abs=20e-6)
    assert written.pulses[0] == VERIFY.max_pulses


def test_a_target_at_the_end_of_the_window_scatters_as_one_inside() -> None:
    law, window = VERIFY.replace(error=SpanError(error=0.01)), Window(g_min=20e-6, g_max=100e-6)
    for end in (20, 100):
        at_end, inside = write(law, at(end), window), write(law, at(50), window)
        assert_same_law(at_end.g - end * 1e-6, inside.g - 50e-6)
        assert at_end.pulses.mean() == pytest.approx(inside.pulses.mean(), rel=0.05)


@pytest.mark.parametrize(("target", "tolerance"), [(1, 1), (1, 2.5), (0, 1)])
def test_accepted_cells_near_0_land_in_a_mirrored_normal(target: float, tolerance: float) -> None:
    """No landing is below 0, and none piles up at 0, where a tolerance as large as the target would accept it."""
    law = WriteVerify(error=SpanError(error=0.05), tolerance=tolerance * 1e-6, max_pulses=1000)
    mirrored, end = stats.foldnorm(target / 5).cdf, (target + tolerance) / 5
    written = write(law, at(target))
    assert not written.failed.any()
    assert len(np.unique(written.g)) == N
    below = float(mirrored(max(target - tolerance, 0) / 5))
    assert written.pulses.mean() == pytest.approx(1 / (mirrored(end) - below), rel=0.05)
    assert_distributed(written.g / 5e-6, lambda z: (mirrored(z) - below) / (mirrored(end) - below))


def test_without_error_one_pulse_is_enough() -> None:
    target = np.linspace(0, 100e-6, 11)
    written = write(WriteVerify(error=SpanError(error=0.0), tolerance=0.0), target)
    np.testing.assert_array_equal(written.g, target)
    assert (written.pulses == 1).all()
    assert not written.failed.any()


def test_a_wide_tolerance_leaves_the_one_shot_law() -> None:
    verified = write(VERIFY.replace(tolerance=1e-4), at(50))
    assert (verified.pulses == 1).all()
    assert_same_law(verified.g, SpanError(error=0.05).write(at(50), WINDOW, Streams(1).rng("programming")).g)


def test_any_shape_is_written() -> None:
    for shape in ((0, 4), (1,), (2, 3, 4)):
        written = write(VERIFY, np.full(shape, 50e-6))
        assert written.g.shape == written.pulses.shape == written.failed.shape == shape


def test_wan_2022_is_verified_in_eight_and_a_half_pulses_and_one_percent_fails() -> None:
    device = load("hfox-wan-2022")
    assert isinstance(device.programming, WriteVerify)
    written = write(device.programming, at(20.5), device.window)
    assert written.pulses.mean() == pytest.approx(8.5, abs=0.15)
    assert written.failed.mean() == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"tolerance": 1.5}, ".tolerance: must be in siemens, 0 or between 1e-12 and 0.1, got 1.5; did you mean 1.5e"),
        ({"max_pulses": 0}, ".max_pulses: must be greater than or equal to 1, got 0"),
        ({"error": {"kind": "WriteVerify"}}, ".error: unknown 'kind', got WriteVerify; known: SpanError, "),
        ({"error": {"kind": "SpanError", "error": -0.1}}, ".error.error: must be greater than or equal to 0 (relative"),
    ],
)  # fmt: skip
def test_a_verify_that_cannot_be_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        VERIFY.replace(**values)
    assert str(caught.value).startswith("WriteVerify" + text)
