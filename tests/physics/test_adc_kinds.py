"""Rule 4.4 of the design for converters that are not ideal: the sine test and the code-density test of each kind.

Both are those of IEEE Std 1241-2010: the noise a full-scale sine meets, and the codes that a ramp meets, whose shares
are their widths. Errors of transitions add their mean square to that of ideal codes, whatever their cause: of an
interval whose ends are moved by a and b codes, the mean square is 1/12 + (b - a)/4 + (a^2 + b^2)/2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from cimsim.crossbar.converters import ADC, AdcBank, AnyADC, FlashADC, LineErrors, LogADC, RampADC, SarADC
from cimsim.kernels import noise
from device_models.streams import Streams
from tests.device_models.laws import assert_normal

FULL = 1e-6  # amperes
COLUMNS = 400


def bank(adc: AnyADC, columns: int = COLUMNS, seed: int = 0) -> AdcBank:
    errors = LineErrors.draw(columns, Streams(seed), "adc")
    return AdcBank.make(adc, np.float64(-FULL), np.float64(FULL), errors)


def converted(adcs: AdcBank, i: np.ndarray) -> np.ndarray:
    """Currents `(n,)` through every column's converter: `(n, columns)`, float64."""
    y = np.repeat(i[:, None], adcs.step.size, axis=1).astype(np.float32)
    adcs.convert(y, noise(y, Streams(0), "adc"))
    return y.astype(np.float64)


def codes(adcs: AdcBank, i: np.ndarray) -> np.ndarray:
    return np.rint((converted(adcs, i) - adcs.first) / adcs.step).astype(np.int64)


def widths(adc: AnyADC, each: int = 32, columns: int = COLUMNS) -> np.ndarray:
    """The code-density test: widths of codes, in ideal ones, `(columns, 2^bits)`, from a ramp over the range."""
    adcs, n = bank(adc, columns), each * 2**adc.bits
    seen = codes(adcs, FULL * (2 * (np.arange(n) + 0.5) / n - 1))
    return np.stack([np.bincount(column, minlength=2**adc.bits) for column in seen.T]) / each


def over_a_sine(f: Callable[[float], float]) -> float:
    """Mean of a function of the share of the range, 0 to 1, over the values of a full-scale sine."""
    return float(integrate.quad(lambda phase: f((1 + np.sin(phase)) / 2), -np.pi / 2, np.pi / 2)[0] / np.pi)


def bow(droop: float) -> Callable[[float], float]:
    """How far a drooping ramp is from a straight one, as a share of the range."""
    return lambda u: float(np.expm1(-droop * u) / np.expm1(-droop) - u)


# Mean square of the error of a transition, in codes, at a share u of the range, over columns.
SPREAD: list[tuple[AnyADC, Callable[[float], float]]] = [
    (ADC(bits=8), lambda u: 0.0),
    (ADC(bits=8, dnl=0.1), lambda u: 0.1**2 * 2**8 * u * (1 - u)),
    (ADC(bits=8, inl=1.5), lambda u: (1.5 * 4 * u * (1 - u)) ** 2),
    (SarADC(bits=8), lambda u: 0.0),
    (SarADC(bits=8, mismatch=0.05), lambda u: 0.05**2 * 2**8 * u * (1 - u)),
    (RampADC(bits=8, droop=0.05), lambda u: (2**8 * bow(0.05)(u)) ** 2),
    (FlashADC(bits=6, comparator_offset=0.15 / 2**6), lambda u: 0.15**2),
]


@pytest.mark.parametrize(
    ("adc", "mean_square"), SPREAD, ids=lambda value: str(value) if isinstance(value, AnyADC) else ""
)
def test_noise_of_a_sine_is_that_of_ideal_codes_and_of_the_moved_transitions(
    adc: AnyADC, mean_square: Callable[[float], float]
) -> None:
    sine = FULL * (1 - 2.0**-adc.bits) * np.sin(2 * np.pi * (np.arange(5003) * 997 + 0.5) / 5003)
    ideal = np.mean((converted(bank(ADC(bits=adc.bits), 1), sine)[:, 0] - sine) ** 2)
    error = np.mean((converted(bank(adc), sine) - sine[:, None]) ** 2)
    step = 2 * FULL / 2**adc.bits
    assert error == pytest.approx(ideal + over_a_sine(mean_square) * step**2, rel=0.08)


@pytest.mark.parametrize("mu", [10.0, 255.0])
@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.01])
def test_noise_of_a_sine_through_a_logarithmic_converter_is_that_of_its_local_steps(
    mu: float, amplitude: float
) -> None:
    """A twelfth of the square of the local step, 2 ln(1 + mu) (1/mu + |x|) / 2^bits of full scale: Smith (1957)."""
    adc, sine = LogADC(bits=10, mu=mu), np.sin(2 * np.pi * (np.arange(5003) * 997 + 0.5) / 5003)
    x = np.concatenate([amplitude * a * sine for a in np.linspace(0.8, 1, 40)])  # no dwelling at one code's edge
    error = converted(bank(adc, 1), FULL * x)[:, 0] / FULL - x
    steps = 2 * np.log1p(mu) * (1 / mu + np.abs(x)) / 2**10
    assert np.mean(error**2) == pytest.approx(np.mean(steps**2) / 12, rel=0.03)


def test_a_logarithmic_converter_keeps_its_signal_to_noise_over_two_decades_where_a_uniform_one_loses_40_db() -> None:
    def decibels(adc: AnyADC, amplitude: float) -> float:
        x = amplitude * FULL * np.sin(2 * np.pi * (np.arange(20_011) * 997 + 0.5) / 20_011)
        return float(10 * np.log10(np.mean(x**2) / np.mean((converted(bank(adc, 1), x)[:, 0] - x) ** 2)))

    lost = [decibels(adc, 1.0) - decibels(adc, 0.01) for adc in (ADC(bits=10), LogADC(bits=10, mu=1e4))]
    assert lost[0] == pytest.approx(40, abs=1.5)
    assert lost[1] < 2


def test_widths_of_a_uniform_converter_spread_as_declared_about_one() -> None:
    n = 2**7
    seen = widths(ADC(bits=7, dnl=0.2), each=64)
    rounding = 2 / 12 / 64**2  # both ends of a code, counted in samples
    assert seen.mean() == pytest.approx(1, rel=1e-12)
    assert seen.std() == pytest.approx(np.sqrt(0.2**2 * (1 - 1 / n) + rounding), rel=0.02)
    assert_normal(seen.sum(axis=0)[1:-1] / COLUMNS, 1.0, np.sqrt((0.2**2 + rounding) / COLUMNS))


def test_integral_nonlinearity_from_widths_wanders_as_a_bridge() -> None:
    """Sums of independent widths with both ends held: variance dnl^2 k (1 - k/n) after k of n codes."""
    n, k = 2**7, np.array([16, 64, 100])
    inl = np.cumsum(widths(ADC(bits=7, dnl=0.2)), axis=1)[:, k - 1] - k
    np.testing.assert_allclose(inl.std(axis=0), 0.2 * np.sqrt(k * (1 - k / n)), rtol=0.12)


def test_integral_nonlinearity_of_a_bow_is_the_declared_parabola_in_every_column() -> None:
    n, k = 2**7, np.arange(1, 2**7)
    inl = np.cumsum(widths(ADC(bits=7, inl=2.0), each=64), axis=1)[:, :-1] - k
    middle = inl[:, n // 2 - 1]
    np.testing.assert_allclose(inl, middle[:, None] * 4 * (k / n) * (1 - k / n), atol=0.05)
    assert_normal(middle, 0.0, 2.0)


def test_capacitors_of_a_sar_converter_widen_the_codes_where_many_switch() -> None:
    """At a transition where bit j and all below it change, 2^(j+1) - 1 units do: DNL = mismatch sqrt(2^(j+1) - 1)."""
    seen = widths(SarADC(bits=7, mismatch=0.03), each=64)
    rounding = 2 / 12 / 64**2
    for j in range(7):
        expected = np.sqrt(0.03**2 * (2 ** (j + 1) - 1) + rounding)
        assert seen[:, 2**j - 1].std() == pytest.approx(expected, rel=0.15)


def test_a_sar_converter_with_bad_capacitors_misses_codes_but_never_falls() -> None:
    adcs = bank(SarADC(bits=8, mismatch=0.3))
    seen = codes(adcs, np.linspace(-FULL, FULL, 4001))
    assert (np.diff(seen, axis=0) >= 0).all()
    missing = [256 - np.unique(column).size for column in seen.T]
    assert np.mean(missing) > 5


def test_a_sar_converter_decides_bit_after_bit_by_its_capacitors() -> None:
    """An independent search with the sums themselves."""
    adc, errors = SarADC(bits=6, mismatch=0.4), LineErrors.draw(COLUMNS, Streams(0), "adc")
    sums = adc.transitions(errors, COLUMNS)
    i = np.random.default_rng(1).uniform(-FULL, FULL, 50)
    seen = codes(bank(adc), i)
    for column in range(0, COLUMNS, 40):
        for current, code in zip(i, seen[:, column], strict=True):
            tried = 0
            for bit in (32, 16, 8, 4, 2, 1):
                share = (np.float32(current) + FULL) / (2 * FULL)
                tried += bit if share >= sums[column, tried + bit - 1] else 0
            assert tried == code


def test_widths_of_a_flash_converter_differ_by_two_comparators() -> None:
    sigma = 0.1
    seen = widths(FlashADC(bits=6, comparator_offset=sigma / 2**6), each=64)[:, 1:-1]
    assert seen.std() == pytest.approx(np.sqrt(2 * sigma**2 + 2 / 12 / 64**2), rel=0.03)
    neighbours = np.mean((seen[:, 1:] - 1) * (seen[:, :-1] - 1)) / seen.var()
    assert neighbours == pytest.approx(-0.5, abs=0.03)


def test_the_code_of_a_flash_converter_is_the_number_of_comparators_that_fire() -> None:
    adc, errors = FlashADC(bits=5, comparator_offset=0.1), LineErrors.draw(COLUMNS, Streams(0), "adc")
    drawn = adc.even() + 0.1 * errors.normal("comparators", (COLUMNS, 31))
    i = np.random.default_rng(1).uniform(-FULL, FULL, 200)
    fire = (i[:, None, None] / FULL + 1) / 2 >= drawn
    assert np.mean(codes(bank(adc), i) == fire.sum(axis=2)) > 0.9999


def test_a_ramp_bows_all_columns_alike_and_has_one_gain() -> None:
    each, n = 64, 2**7
    seen = widths(RampADC(bits=7, droop=1.0), each, columns=5)
    ramp = np.expm1(-np.arange(n + 1) / n) / np.expm1(-1.0)
    np.testing.assert_allclose(seen, np.tile(n * np.diff(ramp), (5, 1)), atol=1.01 / each)
    gains = bank(RampADC(bits=7, gain_spread=0.1)).scale
    assert np.ptp(gains) == 0
    assert np.ptp(bank(RampADC(bits=7, offset_spread=0.1)).shift) > 0


def test_widths_of_a_logarithmic_converter_grow_by_the_same_factor() -> None:
    """Away from 0 a code is wider than the one before by (1 + mu)^(2 / 2^bits)."""
    adcs = bank(LogADC(bits=6, mu=255.0), 1)
    edges = adcs.table.edges[0].astype(np.float64)
    x = edges[edges > 0.2 * FULL] / FULL
    np.testing.assert_allclose(np.diff(x)[1:] / np.diff(x)[:-1], 256 ** (2 / 64), rtol=2e-2)


@pytest.mark.parametrize("adc", [adc for adc, _ in SPREAD] + [LogADC(bits=8)], ids=str)
def test_no_current_gives_no_output_from_a_converter_without_errors(adc: AnyADC) -> None:
    """The range holds 0 in the middle of a code, as calibration leaves it."""
    ideal = type(adc)(bits=adc.bits)
    n = 2**adc.bits
    errors = LineErrors.draw(3, Streams(0), "adc")
    adcs = AdcBank.make(ideal, np.float64(-(n / 2 + 0.5) * 1e-8), np.float64((n / 2 - 0.5) * 1e-8), errors)
    assert converted(adcs, np.zeros(2)).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize(
    "adc", [ADC(bits=6, dnl=0.3), SarADC(bits=6, mismatch=0.1), FlashADC(bits=6, comparator_offset=0.002)], ids=str
)
def test_gain_offset_and_noise_come_on_top_of_any_kind(adc: AnyADC) -> None:
    """Transitions move by the same gains and offsets, drawn from streams of their own."""
    plain, moved = bank(adc), bank(adc.replace(gain_spread=0.05, offset_spread=0.02))
    errors = LineErrors.draw(COLUMNS, Streams(0), "adc")
    gain, offset = 1 + 0.05 * errors.gain[:, None], 0.02 * 2 * FULL * errors.offset[:, None]
    np.testing.assert_allclose(moved.table.edges, (plain.table.edges - offset) / gain, atol=3e-7 * FULL)
    noisy = bank(adc.replace(noise=0.01))
    seen = converted(noisy, np.full(3000, 0.3 * FULL)) - converted(plain, np.full(1, 0.3 * FULL))
    step = 2 * FULL / 64
    assert seen.std(axis=0).mean() == pytest.approx(np.hypot(0.01 * 2 * FULL, step / np.sqrt(12)), rel=0.05)


def test_converters_of_one_die_are_independent_and_of_two_dies_too() -> None:
    first, other = (bank(FlashADC(bits=6, comparator_offset=0.003), seed=s).table.edges for s in (0, 1))
    limit = 4.5 / np.sqrt(first.size)
    centred = [e - e.mean(axis=0) for e in (first, other)]
    assert abs(np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1]) < limit
    assert abs(np.corrcoef(centred[0][1:].ravel(), centred[0][:-1].ravel())[0, 1]) < limit
    assert stats.kstest(centred[0].ravel() / centred[0].std(), "norm").pvalue > 1e-3
