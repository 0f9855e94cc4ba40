"""Calibration of ADC ranges. Rule 4.4 itself is in `physics/test_adc.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar

from cimsim.crossbar.converters import (
    ADC,
    AdcBank,
    LineErrors,
    LogADC,
    choose_range,
    choose_ranges,
    shared_lines,
    tile_ranges,
)
from cimsim.kernels import noise
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams

CALIBRATIONS = ["minmax", "percentile", "mse"]
IDEAL = LineErrors(np.zeros(1, np.float32), np.zeros(1, np.float32))

# Step over sigma and mean squared error over variance of the best uniform quantiser of a Gaussian:
# Max, IRE Trans. Inf. Theory 6, 7 (1960), Table II.
MAX_1960 = {2: (0.9957, 0.1188), 3: (0.5860, 0.03744), 4: (0.3352, 0.01154), 5: (0.1881, 0.003490)}

amperes = st.floats(1e-9, 1e-4)


def converted(i: np.ndarray, adc: ADC, limits: tuple[float, float]) -> np.ndarray:
    """Currents of any shape through one ideal ADC."""
    bank = AdcBank.make(adc, np.float64(limits[0]), np.float64(limits[1]), IDEAL)
    y = np.array(i, np.float32).reshape(-1, 1)
    bank.convert(y, noise(y, Streams(0), "adc"))
    return y.reshape(np.shape(i)).astype(np.float64)


def mse(i: np.ndarray, adc: ADC) -> float:
    return float(np.mean((converted(i, adc, choose_range(adc, i)) - i) ** 2))


def gaussian(n: int = 40_000) -> np.ndarray:
    """Quantiles of the standard normal law."""
    return stats.norm.ppf((np.arange(n) + 0.5) / n)


def laws() -> dict[str, np.ndarray]:
    """Currents as tiles give them: around 0, at one side of it, with tails, with many zeros."""
    q = (np.arange(20_000) + 0.5) / 20_000
    signed, positive = stats.norm.ppf(q), stats.expon.ppf(q)
    return {
        "around 0": signed * 1e-6,
        "beside a common mode": (signed + 30) * 1e-6,
        "at one side of 0": positive * 1e-6,
        "below 0": -positive * 1e-6,
        "a tail beside a common mode": (positive + 5) * 1e-6,
        "Laplace": stats.laplace.ppf(q) * 1e-6,
        "uniform": q * 1e-6,
        "mostly 0": np.where(np.arange(q.size) % 10, 0.0, positive) * 1e-6,
    }


@given(st.integers(2, 16), amperes, amperes, st.sampled_from(CALIBRATIONS))
def test_no_current_gives_no_output_where_the_range_holds_0(bits: int, below: float, above: float, how: Any) -> None:
    adc = ADC(bits=bits, calibration=how)
    limits = choose_range(adc, np.linspace(-below, above, 50))
    assume(limits[0] <= 0 <= limits[1])
    assert converted(np.zeros(3), adc, limits).tolist() == [0.0, 0.0, 0.0]


@given(st.integers(1, 16), st.floats(-1e-4, 1e-4), amperes)
def test_minmax_covers_every_current_to_half_a_code(bits: int, low: float, width: float) -> None:
    adc, i = ADC(bits=bits, calibration="minmax"), np.linspace(low, low + width, 200).astype(np.float32)
    limits = choose_range(adc, i)
    step = (limits[1] - limits[0]) / 2**bits
    assert np.abs(converted(i, adc, limits) - i).max() <= 0.5 * step + 3e-7 * np.abs(i).max()


@given(st.integers(2, 10), amperes, amperes)
def test_no_narrower_range_covers_the_currents_with_0_on_a_code(bits: int, below: float, above: float) -> None:
    low, high = choose_range(ADC(bits=bits, calibration="minmax"), np.array([-below, above]))
    k, n = np.arange(2**bits), 2**bits  # the code of 0 A
    steps = np.maximum(below / (k + 0.5), above / (n - k - 0.5))
    assert (high - low) / n == pytest.approx(steps.min(), rel=1e-9)
    assert high - low <= (below + above) * (1 + 2 / (n - 1))


@pytest.mark.parametrize("share", [60.0, 90.0, 99.0, 100.0])
def test_percentile_covers_the_declared_share_and_as_much_at_either_side(share: float) -> None:
    i = 10 + gaussian()
    low, high = choose_range(ADC(bits=8, calibration="percentile", percentile=share), i)
    assert np.mean((i >= low) & (i <= high)) == pytest.approx(share / 100, abs=1e-4)
    assert np.mean(i < low) == pytest.approx(np.mean(i > high), abs=1e-4)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("law", laws())
def test_mse_leaves_no_more_error_than_the_other_calibrations(law: str, bits: int) -> None:
    minmax, percentile, best = (mse(laws()[law], ADC(bits=bits, calibration=how)) for how in CALIBRATIONS)
    assert best <= 1.02 * min(minmax, percentile)


@pytest.mark.parametrize("bits", MAX_1960)
def test_mse_finds_the_best_uniform_quantiser_of_a_gaussian(bits: int) -> None:
    """Away from 0, where no code has to stand for 0 A. The range is sought in steps of 5 %."""
    adc, i = ADC(bits=bits), 10 + gaussian()
    low, high = choose_range(adc, i)
    step, error = MAX_1960[bits]
    assert (high - low) / 2**bits == pytest.approx(step, rel=0.04)
    assert mse(i, adc) == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize("bits", MAX_1960)
def test_mse_finds_the_best_quantiser_with_a_code_for_0(bits: int) -> None:
    """Around 0 one half has a code more than the other; its best step is found here by search."""
    i, adc = gaussian(), ADC(bits=bits)

    def error(step: float) -> float:
        codes = np.clip(np.rint(i / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return float(np.mean((codes * step - i) ** 2))

    best = minimize_scalar(error, bounds=(0.05, 2.0), method="bounded")
    low, high = choose_range(adc, i)
    assert (high - low) / 2**bits == pytest.approx(best.x, rel=0.06)
    assert mse(i, adc) == pytest.approx(best.fun, rel=0.03)


def test_the_cost_of_a_code_for_0_vanishes_with_the_bits() -> None:
    excess = [mse(gaussian(), ADC(bits=bits)) / error - 1 for bits, (_, error) in MAX_1960.items()]
    assert excess == sorted(excess, reverse=True)
    assert excess[0] == pytest.approx(0.28, abs=0.03)
    assert excess[-1] < 0.03


@pytest.mark.parametrize("how", CALIBRATIONS)
def test_the_order_of_the_currents_does_not_matter(how: Any) -> None:
    """Also with far more currents than the search looks at, in columns of very different size."""
    rng = Streams(1).rng("currents")
    i = rng.standard_normal((2000, 128)) * np.geomspace(1e-8, 1e-5, 128)
    adc = ADC(bits=5, calibration=how)
    assert choose_range(adc, i) == choose_range(adc, rng.permutation(i.ravel()))


@given(st.integers(1, 12), st.floats(1e-9, 1e6), st.sampled_from(CALIBRATIONS))
def test_the_range_scales_with_the_currents(bits: int, factor: float, how: Any) -> None:
    adc, i = ADC(bits=bits, calibration=how), 1e-6 * (gaussian(101) + 1)
    np.testing.assert_allclose(choose_range(adc, factor * i), factor * np.array(choose_range(adc, i)), rtol=1e-9)


@pytest.mark.parametrize("how", CALIBRATIONS)
@pytest.mark.parametrize("value", [0.0, 3e-6, -2e-5])
def test_currents_that_never_change_are_converted_to_themselves(value: float, how: Any) -> None:
    adc, i = ADC(bits=4, calibration=how), np.full(20, value)
    np.testing.assert_allclose(converted(i, adc, choose_range(adc, i)), i, rtol=2e-6, atol=1e-12)


def test_a_given_range_is_taken_as_it_is() -> None:
    assert choose_range(ADC(bits=6, range=(-1e-6, 3e-6)), np.array([5.0])) == (-1e-6, 3e-6)


def test_currents_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match=r"calibration: currents must be finite \(amperes\), got NaN or inf; check"):
        choose_range(ADC(bits=6), np.array([1e-6, np.nan]))


def test_clipping_counts_both_ends_and_only_what_is_beyond_them() -> None:
    bank = AdcBank.make(ADC(bits=4), np.float64(-1e-6), np.float64(1e-6), IDEAL)
    i = np.array([[-1.1], [-0.99], [0.0], [0.99], [1.1], [5.0]], np.float32) * np.float32(1e-6)
    assert bank.clipped(i) == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bits": 0}, r"ADC\.bits: must be greater than or equal to 1 \(bits\), got 0"),
        ({"bits": 17}, r"ADC\.bits: must be less than or equal to 16 \(bits\), got 17"),
        ({"bits": 6.5}, r"ADC\.bits: must be a valid integer"),
        (
            {"bits": 6, "range": (1e-6, -1e-6)},
            r"range must be \(low, high\) with low < high \(amperes\), got .*exchange",
        ),
        ({"bits": 6, "per": "chip"}, r"ADC\.per: must be 'layer', 'tile' or 'column', got 'chip'"),
        ({"bits": 6, "percentil": 99.0}, "unknown name, got 'percentil'; did you mean 'percentile'"),
        ({"bits": 6, "percentile": 50.0}, r"ADC\.percentile: must be greater than 50"),
        ({"bits": 6, "noise": -0.1}, r"ADC\.noise: must be greater than or equal to 0"),
        ({}, r"ADC\.bits: is required"),
    ],
)
def test_impossible_converters_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ADC(**values)


@pytest.mark.parametrize("how", CALIBRATIONS)
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_many_converters_at_once_get_the_ranges_they_get_one_by_one(how: Any, bits: int) -> None:
    """Around 0, beside it, of very different size, and some that never change."""
    rng = Streams(2).rng("currents")
    i = rng.standard_normal((12, 400)) * np.geomspace(1e-9, 1e-5, 12)[:, None] + np.linspace(-1e-6, 1e-6, 12)[:, None]
    i[3], i[7] = 0.0, 2e-6
    adc = ADC(bits=bits, calibration=how)
    np.testing.assert_array_equal(np.transpose(choose_ranges(adc, i)), [choose_range(adc, one) for one in i])


@pytest.mark.parametrize("how", CALIBRATIONS)
def test_a_shared_converter_takes_the_range_of_all_its_columns(how: Any) -> None:
    i = Streams(3).rng("currents").standard_normal((200, 10)) * np.geomspace(1e-8, 1e-6, 10)
    adc, lines = ADC(bits=6, calibration=how, per="column", share=4), shared_lines(2, 5, 4)
    assert lines.tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2, 3]
    (low, high) = tile_ranges(adc, {(0, 0): i}, {(0, 0): lines})[0, 0]
    for k, columns in enumerate((slice(0, 4), slice(4, 5), slice(5, 9), slice(9, 10))):
        assert (low[k], high[k]) == pytest.approx(choose_range(adc, i[:, columns]), rel=1e-12)


@pytest.mark.parametrize("how", ["minmax", "percentile"])
def test_a_logarithmic_converter_takes_its_range_as_seen(how: Any) -> None:
    i = gaussian() * 1e-6
    low, high = choose_range(LogADC(bits=6, calibration=how, percentile=99.0), i)
    tail = 0 if how == "minmax" else 0.5
    assert (low, high) == pytest.approx(tuple(np.percentile(i, [tail, 100 - tail])), rel=1e-12)
