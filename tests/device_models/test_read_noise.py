from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from device_models.cards import load, parse
from device_models.checks import check_device
from device_models.device import Device
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict
from device_models.read_noise import (
    AbsoluteNoise,
    OneOverFNoise,
    PolynomialNoise,
    ProportionalNoise,
    ReadNoise,
    SaturatingNoise,
    SumOfNoise,
    TelegraphNoise,
)
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import (
    assert_distributed,
    assert_independent,
    assert_normal,
    assert_rate,
)
from tests.foreign import ForeignArray

N = 20_000
ABSOLUTE = AbsoluteNoise(std=0.5e-6)
PROPORTIONAL = ProportionalNoise(relative=0.02)
POLYNOMIAL = PolynomialNoise(coefficients=(0.1e-6, 1e-6, 2e-6), g_ref=100e-6)
ONE_OVER_F = OneOverFNoise(q=0.01, exponent=0.65, g_ref=25e-6)


def sigma(law: ReadNoise, g: Any, seconds: float = 100.0) -> np.ndarray:
    return np.asarray(law.sigma(np.asarray(g, dtype=float), np.asarray(seconds)))


@pytest.mark.parametrize("law", [ABSOLUTE, PROPORTIONAL, POLYNOMIAL, ONE_OVER_F], ids=lambda law: type(law).__name__)
def test_reads_scatter_with_the_declared_sigma_and_anew_each_time(law: ReadNoise) -> None:
    assert law.gaussian
    rng, g = Streams(0).rng("read"), np.full(N, 20e-6)
    first, second = law.read(g, rng, 100.0), law.read(g, rng, 100.0)
    assert_normal(first, 20e-6, sigma(law, g))
    assert_independent(first, second)


def test_reads_are_not_clipped_at_zero() -> None:
    reads = ProportionalNoise(relative=2.0).read(np.full(N, 1e-6), Streams(0).rng("read"))
    assert_normal(reads, 1e-6, 2e-6)
    assert reads.min() < 0


def test_proportional_noise() -> None:
    np.testing.assert_allclose(sigma(PROPORTIONAL, [0.0, 5e-6, 100e-6]), [0.0, 0.1e-6, 2e-6], rtol=1e-15)


def test_polynomial_noise_and_never_below_zero() -> None:
    np.testing.assert_allclose(sigma(POLYNOMIAL, [0.0, 50e-6, 100e-6]), [0.1e-6, 1.1e-6, 3.1e-6], rtol=1e-12)
    falling = PolynomialNoise(coefficients=(1e-6, -2e-6), g_ref=100e-6)
    np.testing.assert_allclose(sigma(falling, [0.0, 50e-6, 100e-6]), [1e-6, 0.0, 0.0], atol=1e-20)
    assert sigma(PolynomialNoise(coefficients=(1e-6,), g_ref=1e-6), [0.0, 1e-4]).tolist() == [1e-6, 1e-6]


@pytest.mark.parametrize("microsiemens", [0.5, 5.0, 25.0])
@pytest.mark.parametrize("seconds", [1e-3, 1.0, 86400.0, 3.15e8])
def test_one_over_f_noise_in_closed_form(microsiemens: float, seconds: float) -> None:
    # Joshi 2020, Methods: Q = min(0.0088 / x^0.65, 0.2), sigma = g Q sqrt(ln((t + 250 ns) / 500 ns)).
    law = load("pcm-joshi-2020").read_noise
    assert isinstance(law, OneOverFNoise)
    q = min(0.0088 / (microsiemens / 25) ** 0.65, 0.2)
    expected = microsiemens * 1e-6 * q * math.sqrt(math.log((seconds + 250e-9) / 500e-9))
    assert sigma(law, microsiemens * 1e-6, seconds) == pytest.approx(expected, rel=1e-12)


def test_one_over_f_noise_starts_at_the_read_time_and_only_grows() -> None:
    seconds = np.array([0.0, 1e-7, 250e-9, 1e-6, 1.0, 1e3, 1e9])
    grown = ONE_OVER_F.sigma(np.full(7, 20e-6), seconds)
    np.testing.assert_array_equal(grown[:3], 0.0)
    assert (np.diff(grown[2:]) > 0).all()


def test_one_over_f_noise_of_low_states_is_bounded() -> None:
    growth = math.sqrt(math.log((100 + 250e-9) / 500e-9))
    np.testing.assert_allclose(sigma(ONE_OVER_F, [0.0, 1e-12, 1e-9]), np.array([0.0, 1e-12, 1e-9]) * 0.2 * growth)


def test_absolute_noise() -> None:
    np.testing.assert_array_equal(sigma(ABSOLUTE, [0.0, 5e-6, 100e-6]), 0.5e-6)


# --- random telegraph noise ---

TELEGRAPH = TelegraphNoise(amplitude=0.1, exponent=0.5, max_amplitude=0.4, g_ref=20e-6, tau_high=2e-3, tau_low=6e-3)
RATE = 1 / 2e-3 + 1 / 6e-3  # Machlup 1954: the correlation falls at the sum of both rates


def seen(law: ReadNoise, g: float, times: np.ndarray, cells: int) -> np.ndarray:
    return np.asarray(law.series(np.full(cells, g), times, Streams(0).rng("read")))


def test_telegraph_noise_has_two_values_a_share_of_time_each_and_the_written_mean() -> None:
    g = np.full(N, 20e-6)
    reads = TELEGRAPH.read(g, Streams(0).rng("read"))
    low, high = np.unique(reads)
    assert high - low == pytest.approx(0.1 * 20e-6, rel=1e-12)
    assert 0.25 * high + 0.75 * low == pytest.approx(20e-6, rel=1e-12)
    assert_rate(reads == high, 0.25)


@pytest.mark.parametrize(("g", "relative"), [(80e-6, 0.05), (20e-6, 0.1), (5e-6, 0.2), (1e-6, 0.4), (0.0, 0.4)])
def test_its_amplitude_grows_towards_low_conductance_up_to_a_limit(g: float, relative: float) -> None:
    assert TELEGRAPH.gap(np.array(g)) == pytest.approx(relative * g, rel=1e-12)
    assert sigma(TELEGRAPH, g) == pytest.approx(relative * g * math.sqrt(0.25 * 0.75), rel=1e-12)


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.floats(1e-3, 2), st.floats(1e-9, 1e-4))
def test_its_sigma_is_that_of_two_points_and_neither_is_negative(up: float, low: float, size: float, g: float) -> None:
    law = TelegraphNoise(amplitude=size, tau_high=up, tau_low=low)
    p, gap = up / (up + low), min(size, 1.0) * g
    states = g + gap * (np.array([1.0, 0.0]) - p)
    variance = p * (states[0] - g) ** 2 + (1 - p) * (states[1] - g) ** 2
    assert sigma(law, g) == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert states[1] >= -1e-12 * g


def test_successive_reads_keep_the_law_and_forget_at_the_sum_of_both_rates() -> None:
    times = np.array([0.0, 1e-4, 1e-3, 1e-3, 3e-3, 1e-2])
    x = (seen(TELEGRAPH, 20e-6, times, 10 * N) - 20e-6) / sigma(TELEGRAPH, 20e-6)
    for one in x:
        assert_rate(one > 0, 0.25)
    np.testing.assert_array_equal(x[2], x[3])
    for k, t in enumerate(times):
        assert (x[0] * x[k]).mean() == pytest.approx(math.exp(-t * RATE), abs=5 / math.sqrt(10 * N))


def test_times_spent_in_each_state_are_exponential_with_their_means() -> None:
    times = np.arange(20_000) * 4e-5
    for state, tau in ((True, 2e-3), (False, 6e-3)):
        spent = np.concatenate([_dwells(cell, state) for cell in seen(TELEGRAPH, 20e-6, times, 12).T > 20e-6]) * 4e-5
        assert spent.size > 400
        # Seen every 40 us: a geometric number of reads, and dwells cut off at the ends were left out.
        assert spent.mean() == pytest.approx(tau, rel=5 / math.sqrt(spent.size))
        assert spent.std() == pytest.approx(tau, rel=10 / math.sqrt(spent.size))


def _dwells(high: np.ndarray, state: bool) -> np.ndarray:
    """Lengths of the whole runs of a state, in reads."""
    edges = np.flatnonzero(np.diff(high)) + 1
    lengths, which = np.diff(edges), high[edges[:-1]]
    return np.asarray(lengths[which == state])


def test_the_spectrum_is_machlups_lorentzian() -> None:
    dt = 1e-4
    f, power = spectrum(seen(TELEGRAPH, 20e-6, np.arange(4096) * dt, 200), dt)
    tau, variance = 1 / RATE, float(sigma(TELEGRAPH, 20e-6)) ** 2
    kept = math.exp(
        -dt / tau
    )  # Sampled every dt: the sum over the correlations kept^|k|, the Lorentzian for dt << tau.
    exact = 2 * dt * variance * (1 - kept**2) / (1 + kept**2 - 2 * kept * np.cos(2 * np.pi * f * dt))
    low = f < 0.05 / dt
    lorentzian = 4 * variance * tau / (1 + (2 * np.pi * f[low] * tau) ** 2)
    np.testing.assert_allclose(exact[low], lorentzian, rtol=0.02)
    ratio = power / exact
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert ratio.std() < 2 / math.sqrt(200)


def spectrum(x: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """One-sided power spectrum of series `(times, cells)`, averaged over cells: frequencies above 0, siemens^2 / Hz."""
    from scipy import signal

    f, power = signal.periodogram(x, 1 / dt, axis=0, window="hann", detrend="constant")
    return f[3:-1], power[3:-1].mean(axis=1)


# --- successive reads of the other laws ---


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.21, 1.5])
def test_the_spectrum_of_successive_reads_falls_as_f_to_the_gamma(gamma: float) -> None:
    dt, n = 1e-3, 4096
    law = OneOverFNoise(q=0.01, g_ref=25e-6, t_read=dt / 2, gamma=gamma)
    f, power = spectrum(seen(law, 25e-6, np.arange(n) * dt + n * dt, 60), dt)
    middle = (f > 10 / (n * dt)) & (f < 0.05 / dt)
    slope = np.polyfit(np.log(f[middle]), np.log(power[middle]), 1)[0]
    assert -slope == pytest.approx(gamma, abs=0.08)


def test_one_over_f_reads_have_the_published_power_at_every_frequency() -> None:
    # S(f) = (g Q)^2 / f in the band whose integral is sigma^2.
    dt, n, written = 1e-3, 4096, 1e3
    law = OneOverFNoise(q=0.01, g_ref=25e-6, t_read=dt / 2)
    x = np.asarray(law.series(np.full(60, 25e-6), np.arange(n) * dt, Streams(0).rng("read"), written))
    f, power = spectrum(x, dt)
    middle = (f > 5 / (n * dt)) & (f < 0.02 / dt)
    level = (power * f)[middle].mean() / (0.01 * 25e-6) ** 2
    assert level == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, 1e3])
def test_each_of_successive_one_over_f_reads_has_the_sigma_of_its_time(seconds: float) -> None:
    times = np.array([1e-7, 1e-3, 1.0, 1.0, 1.0 + 1e-4, 100.0])
    g = np.full(N, 20e-6)
    reads = np.asarray(ONE_OVER_F.series(g, times, Streams(0).rng("read"), seconds))
    np.testing.assert_array_equal(reads[2], reads[3])
    if seconds == 0:
        np.testing.assert_array_equal(reads[0], g)
    for t, read in zip(times[1:], reads[1:], strict=True):
        assert_normal(read, 20e-6, ONE_OVER_F.sigma(20e-6, seconds + t))
    low = seconds + 100.0  # The share of the band, in log f, that 100 us do not wipe out: its cosine is 1 below 1/t.
    kept = (math.log(low / (2 * math.pi * 1e-4)) - np.euler_gamma) / math.log(low / (2 * 250e-9))
    assert np.corrcoef(reads[3], reads[4])[0, 1] == pytest.approx(kept, abs=0.04)


@pytest.mark.parametrize("law", [ABSOLUTE, PROPORTIONAL, POLYNOMIAL], ids=lambda law: type(law).__name__)
def test_successive_reads_of_white_laws_are_independent(law: ReadNoise) -> None:
    first, second = seen(law, 20e-6, np.array([0.0, 0.0]), N)
    for one in (first, second):
        assert_normal(one, 20e-6, sigma(law, 20e-6))
    assert_independent(first, second)


# --- several laws at once ---

SUM = SumOfNoise(parts=(PROPORTIONAL, ABSOLUTE))
MIXED = SumOfNoise(parts=(ABSOLUTE.replace(std=0.05e-6), TELEGRAPH))


def test_variances_add_and_a_sum_is_gaussian_only_if_every_part_is() -> None:
    np.testing.assert_allclose(sigma(SUM, [0.0, 100e-6]), [0.5e-6, math.hypot(0.5e-6, 2e-6)], rtol=1e-12)
    assert SUM.gaussian
    assert not MIXED.gaussian
    assert not SumOfNoise(parts=(MIXED,)).gaussian
    assert_normal(SUM.read(np.full(N, 100e-6), Streams(0).rng("read")), 100e-6, math.hypot(0.5e-6, 2e-6))


def test_reads_of_a_telegraph_in_gaussian_noise_have_two_bells() -> None:
    reads = MIXED.read(np.full(N, 20e-6), Streams(0).rng("read"))
    high, low = 20e-6 + 2e-6 * 0.75, 20e-6 - 2e-6 * 0.25
    assert_distributed(reads, lambda x: sum(p * stats.norm.cdf(x, m, 0.05e-6) for p, m in ((0.25, high), (0.75, low))))


def test_the_parts_of_successive_reads_are_correlated_as_each_is() -> None:
    first, second = seen(MIXED, 20e-6, np.array([0.0, 1e-3]), 5 * N) - 20e-6
    covariance = float(sigma(TELEGRAPH, 20e-6)) ** 2 * math.exp(-1e-3 * RATE)
    assert (first * second).mean() == pytest.approx(covariance, rel=0.02)


# --- what all laws share ---

LAWS = [ABSOLUTE, PROPORTIONAL, POLYNOMIAL, ONE_OVER_F, TELEGRAPH, SUM, MIXED]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_reads_have_the_declared_mean_and_standard_deviation(law: ReadNoise) -> None:
    for g in (2e-6, 20e-6):
        reads, s = law.read(np.full(10 * N, g), Streams(0).rng("read"), 100.0), float(sigma(law, g))
        assert reads.mean() == pytest.approx(g, abs=5 * s / math.sqrt(10 * N))
        assert reads.std() == pytest.approx(s, rel=0.02)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_a_device_with_the_law_keeps_every_promise(law: ReadNoise) -> None:
    device = Device(name="noisy", window=Window(g_min=1e-6, g_max=1e-4), read_noise=law)
    check_device(device)
    assert parse(to_dict(device), "card") == device


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_the_law_is_the_same_in_another_library(law: ReadNoise) -> None:
    g, times = np.full((40, 50), 20e-6), np.array([0.0, 1e-3, 1.0])
    assert_equal_arrays(law.sigma(ForeignArray(g), ForeignArray(g * 1e7)), law.sigma(g, g * 1e7))
    theirs = law.series(ForeignArray(g), times, ForeignArray.__generator__([1]), ForeignArray(np.asarray(5.0)))
    ours = law.series(g, times, Streams(0).rng("read"), np.asarray(5.0))
    assert isinstance(theirs, ForeignArray)
    assert theirs.shape == ours.shape == (3, 40, 50)
    read = law.read(ForeignArray(g), ForeignArray.__generator__([2]), 5.0)
    for reads, at in ((theirs.get()[0], 5.0), (theirs.get()[2], 6.0), (read.get(), 5.0)):
        s = float(law.sigma(np.asarray(20e-6), np.asarray(at)))
        assert reads.mean() == pytest.approx(20e-6, abs=5 * s / math.sqrt(2000))
        assert reads.std() == pytest.approx(s, rel=0.1)


def assert_equal_arrays(theirs: Any, ours: np.ndarray) -> None:
    assert isinstance(theirs, ForeignArray)
    np.testing.assert_array_equal(theirs.get(), ours)


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([], "times: must be a list of at least one time (seconds), got shape (0,)"),
        (1.0, "times: must be a list of at least one time (seconds), got shape ()"),
        ([1.0, 0.5], "times: must be 0 or more and not fall (seconds), got [1. 0.5]; sort them"),
        ([-1.0, 0.5], "times: must be 0 or more and not fall (seconds), got [-1. 0.5]; sort them"),
        ([0.0, np.nan], "times: must be 0 or more and not fall (seconds), got [ 0. nan]; sort them"),
    ],
)
@pytest.mark.parametrize("law", [PROPORTIONAL, ONE_OVER_F, TELEGRAPH], ids=lambda law: type(law).__name__)
def test_impossible_times_are_refused(law: ReadNoise, times: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        law.series(np.ones(2), times, Streams(0).rng("read"))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("law", "values", "text"),
    [
        (PROPORTIONAL, {"relative": -0.1}, "ProportionalNoise.relative: must be greater than or equal to 0 (relative"),
        (
            POLYNOMIAL,
            {"coefficients": (0.1, 1.0)},
            "PolynomialNoise: coefficients must be in siemens, got (0.1, 1.0); ",
        ),
        (POLYNOMIAL, {"coefficients": ()}, "PolynomialNoise.coefficients: "),
        (
            ABSOLUTE,
            {"std": 0.5},
            "AbsoluteNoise.std: must be in siemens, 0 or between 1e-12 and 0.1, got 0.5; did you mea",
        ),
        (ONE_OVER_F, {"gamma": 2.0}, "OneOverFNoise.gamma: must be less than 2, got 2.0"),
        (TELEGRAPH, {"tau_low": 0.0}, "TelegraphNoise.tau_low: must be greater than 0 (seconds), got 0.0"),
        (TELEGRAPH, {"max_amplitude": 1.5}, "TelegraphNoise.max_amplitude: must be less than or equal to 1 (fraction"),
        (SUM, {"parts": ()}, "SumOfNoise.parts: "),
        (SUM, {"parts": [{"kind": "AbsoluteNoise", "std": 3.0}]}, "SumOfNoise.parts.0.std: must be in siemens, 0 or b"),
        (ONE_OVER_F, {"t_read": 0.0}, "OneOverFNoise.t_read: must be greater than 0 (seconds), got 0.0"),
        (ONE_OVER_F, {"q": "0.1"}, "OneOverFNoise.q: must be a valid number (relative standard deviation, 0 or more)"),
    ],
)
def test_an_impossible_noise_is_refused(law: ReadNoise, values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        law.replace(**values)
    assert str(caught.value).startswith(text)


def test_saturating_noise_rises_from_0_to_its_plateau() -> None:
    law = SaturatingNoise(plateau=0.13e-6, g_rise=2e-6)
    g = np.array([0.0, 2e-6, 16e-6])
    np.testing.assert_allclose(law.sigma(g, 0.0), 0.13e-6 * (1 - np.exp(-g / 2e-6)), rtol=1e-12)
    assert law.gaussian
