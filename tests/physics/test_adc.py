"""Rule 4.4 of the design: what a uniform converter does to currents, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cimsim.crossbar.converters import ADC, AdcBank, LineErrors
from cimsim.kernels import noise
from device_models.streams import Streams
from tests.device_models.laws import assert_normal, assert_rate

FULL = 1e-6  # amperes


def ideal_lines(n: int) -> LineErrors:
    return LineErrors(np.zeros(n, np.float32), np.zeros(n, np.float32))


def bank(adc: ADC, errors: LineErrors | None = None, low: float = -FULL, high: float = FULL) -> AdcBank:
    return AdcBank.make(adc, np.float64(low), np.float64(high), errors or ideal_lines(1))


def converted(adcs: AdcBank, i: np.ndarray, seed: int = 0) -> np.ndarray:
    """Currents `(n,)` or `(n, columns)` through the converters, float64."""
    y = np.array(i[:, None] if i.ndim == 1 else i, np.float32)
    adcs.convert(y, noise(y, Streams(seed), "adc"))
    return y.reshape(i.shape).astype(np.float64)


def codes(adcs: AdcBank, i: np.ndarray) -> np.ndarray:
    """Codes of currents `(n,)` of one converter, counted from what a current far below its range gives."""
    lowest = converted(adcs, np.array([-1.0]))[0]
    return np.rint((converted(adcs, i) - lowest) / float(adcs.step[0])).astype(np.int64)


def sine(amplitude: float, n: int = 100_003) -> np.ndarray:
    """A sine over a whole number of periods, prime to the number of samples: every phase is met once."""
    return amplitude * np.sin(2 * np.pi * (np.arange(n) * 997 + 0.5) / n)


def decibels(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def sine_to_noise(bits: int) -> float:
    """Exact signal to noise of a full-scale sine, dB, from the arcsine law of its values."""
    edges = np.linspace(-1, 1, 2**bits + 1)
    middle, share = (edges[1:] + edges[:-1]) / 2, np.diff(np.arcsin(edges)) / np.pi
    mean = -np.diff(np.sqrt(np.clip(1 - edges**2, 0, 1))) / np.pi  # integral of x over each code
    return decibels(0.5 / (0.5 - 2 * middle @ mean + middle**2 @ share))


@pytest.mark.parametrize("bits", range(1, 13))
def test_signal_to_noise_of_a_full_scale_sine_is_exactly_that_of_the_arcsine_law(bits: int) -> None:
    i = sine(FULL)
    error = converted(bank(ADC(bits=bits)), i) - i
    assert decibels(np.mean(i**2) / np.mean(error**2)) == pytest.approx(sine_to_noise(bits), abs=0.01)


@pytest.mark.parametrize("bits", range(4, 13))
def test_noise_of_sines_within_a_code_of_full_scale_is_that_of_6_02_bits_plus_1_76_db(bits: int) -> None:
    """The formula takes the error as uniform. A single full-scale sine dwells at the outermost code's edge, which
    costs up to 0.53 dB at 4 bits; over amplitudes spread within the last code the formula holds.
    """
    step = 2 * FULL / 2**bits
    amplitudes = FULL - step * (np.arange(20) + 0.5) / 20
    error = [np.mean((converted(bank(ADC(bits=bits)), sine(a, 20_011)) - sine(a, 20_011)) ** 2) for a in amplitudes]
    assert decibels(FULL**2 / 2 / np.mean(error)) == pytest.approx(6.0206 * bits + 1.7609, abs=0.1)


@pytest.mark.parametrize("bits", range(9, 13))
def test_from_9_bits_the_formula_holds_for_the_full_scale_sine_itself(bits: int) -> None:
    assert sine_to_noise(bits) == pytest.approx(6.0206 * bits + 1.7609, abs=0.1)


def test_below_9_bits_a_full_scale_sine_falls_short_of_the_formula_by_the_root_of_the_codes() -> None:
    short = [6.0206 * bits + 1.7609 - sine_to_noise(bits) for bits in range(4, 13)]
    assert short[0] == pytest.approx(0.53, abs=0.005)
    np.testing.assert_allclose(np.divide(short[:-1], short[1:]), np.sqrt(2), rtol=0.03)


@given(st.integers(1, 16), st.lists(st.floats(-2 * FULL, 2 * FULL), min_size=2, max_size=50))
def test_codes_rise_with_the_current(bits: int, currents: list[float]) -> None:
    assert (np.diff(converted(bank(ADC(bits=bits)), np.sort(currents))) >= 0).all()


@pytest.mark.parametrize("bits", [1, 3, 8, 12])
def test_a_ramp_over_the_range_meets_every_code_equally_often(bits: int) -> None:
    each, n = 16, 16 * 2**bits
    ramp = FULL * (2 * (np.arange(n) + 0.5) / n - 1)
    assert (np.bincount(codes(bank(ADC(bits=bits)), ramp), minlength=2**bits) == each).all()


@given(st.integers(1, 16), st.floats(-FULL, FULL))
def test_inside_the_range_the_error_is_at_most_half_a_code(bits: int, current: float) -> None:
    step = 2 * FULL / 2**bits
    assert abs(converted(bank(ADC(bits=bits)), np.array([current]))[0] - current) <= step / 2 + 2e-7 * FULL


def test_beyond_the_range_the_outermost_codes_answer() -> None:
    y = converted(bank(ADC(bits=3)), np.array([-10, -1.001, 1.001, 10]) * FULL)
    np.testing.assert_allclose(y / FULL, [-7 / 8, -7 / 8, 7 / 8, 7 / 8], rtol=1e-6)


@pytest.mark.parametrize(("gain", "offset"), [(0.1, 0.0), (0.0, 0.05), (-0.2, 0.03)])
def test_gain_and_offset_shift_every_transition_as_declared(gain: float, offset: float) -> None:
    """Code k begins where (1 + gain) i + offset * range reaches the k-th edge."""
    line = LineErrors(np.array([gain / 0.1], np.float32), np.array([offset / 0.1], np.float32))
    adcs = bank(ADC(bits=4, gain_spread=0.1, offset_spread=0.1), line)
    edges = -FULL + np.arange(1, 16) * (2 * FULL / 16)
    transitions = (edges - offset * 2 * FULL) / (1 + gain)
    below, above = codes(adcs, transitions - 1e-4 * FULL), codes(adcs, transitions + 1e-4 * FULL)
    assert (below == np.arange(15)).all()
    assert (above == np.arange(1, 16)).all()


@pytest.mark.parametrize(("gain", "offset"), [(0.02, 0.0), (0.0, 0.01), (0.02, 0.01)])
def test_errors_over_columns_are_normal_with_the_declared_spread(gain: float, offset: float) -> None:
    n, i = 5000, 0.5 * FULL
    errors = LineErrors.draw(n, Streams(1), "adc")
    adcs = bank(ADC(bits=16, gain_spread=gain, offset_spread=offset), errors)
    seen = converted(adcs, np.full((1, n), i))
    assert_normal(seen, i, np.hypot(gain * i, offset * 2 * FULL))


def test_noise_of_the_converter_is_normal_with_the_declared_share_of_the_range() -> None:
    seen = converted(bank(ADC(bits=14, noise=0.01)), np.full(5000, 0.3 * FULL), seed=3)
    assert_normal(seen, 0.3 * FULL, 0.01 * 2 * FULL)


def test_converter_noise_and_rounding_add_as_variances() -> None:
    bits, share = 6, 0.01
    i = np.linspace(-0.9, 0.9, 40_000) * FULL
    step = 2 * FULL / 2**bits
    error = converted(bank(ADC(bits=bits, noise=share)), i, seed=4) - i
    assert np.var(error) == pytest.approx((share * 2 * FULL) ** 2 + step**2 / 12, rel=0.03)


@pytest.mark.parametrize("sigmas", [1.0, 2.0, 3.0])
def test_share_of_gaussian_currents_that_clip(sigmas: float) -> None:
    i = Streams(5).rng("currents").standard_normal((100_000, 1)) * (FULL / sigmas)
    clipped = bank(ADC(bits=8)).clipped(i.astype(np.float32))
    assert_rate(np.arange(i.size) < round(clipped * i.size), 2 * stats.norm.sf(sigmas))
