"""Calibration of ADC ranges, and what DACs make of inputs. Rule 4.4 itself is in `physics/test_adc.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar

from cimsim.crossbar.converters import ADC, DAC, AdcBank, InputScale, LineErrors, choose_range, word_line_volts
from cimsim.kernels import noise
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams
from tests.device_models.laws import assert_normal

CALIBRATIONS = ["minmax", "percentile", "mse"]
IDEAL = LineErrors(np.zeros(1, np.float32), np.zeros(1, np.float32))
V_READ = 0.2

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


def volts(x: Any, dac: DAC | None, scale: InputScale, errors: LineErrors | None = None, seed: int = 0) -> np.ndarray:
    """Word-line voltages over the voltage of full scale."""
    x = np.atleast_2d(np.asarray(x, np.float32))
    lines = errors or LineErrors(np.zeros(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32))
    return word_line_volts(dac, x, scale, V_READ, lines, noise(x, Streams(seed), "dac")).astype(np.float64) / V_READ


@pytest.mark.parametrize("bits", [1, 2, 5, 8, 16])
def test_a_dac_of_unsigned_inputs_has_a_level_for_every_code_from_0_to_full_scale(bits: int) -> None:
    seen = np.unique(volts(np.linspace(0, 3.0, 2**bits * 8), DAC(bits=bits), InputScale(3.0, signed=False)))
    np.testing.assert_allclose(seen, np.arange(2**bits) / (2**bits - 1), rtol=1e-6)


def test_a_dac_of_one_bit_takes_no_signed_inputs() -> None:
    message = (
        "DAC.bits: must be 2 or more for inputs that may be negative, got 1; use more bits, or inputs of 0 and more"
    )
    with pytest.raises(InputError, match=message):
        volts([0.0, -1.0], DAC(bits=1), InputScale(1.0, signed=True))


@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_a_dac_of_signed_inputs_has_levels_each_way_and_0(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    seen = np.unique(volts(np.linspace(-3.0, 3.0, 2**bits * 8), DAC(bits=bits), InputScale(3.0, signed=True)))
    np.testing.assert_allclose(seen, np.arange(-top, top + 1) / top, rtol=1e-6)


@given(st.integers(2, 16), st.booleans(), st.floats(1e-3, 1e3), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_a_dac_rounds_to_half_a_code_and_holds_inputs_to_its_range(
    bits: int, signed: bool, full: float, inputs: list[float]
) -> None:
    x, top = np.array(inputs), 2 ** (bits - signed) - 1
    seen = volts(2 * full * x, DAC(bits=bits), InputScale(full, signed=signed))[0]
    assert np.abs(seen - np.clip(2 * x, -1 if signed else 0, 1)).max() <= 0.5 / top + 1e-6


@pytest.mark.parametrize("signed", [False, True])
def test_0_is_0_volts_and_full_scale_is_the_read_voltage(signed: bool) -> None:
    for dac in (None, DAC(bits=8)):
        seen = volts([0.0, 5.0], dac, InputScale(5.0, signed=signed))[0]
        assert seen[0] == 0
        assert seen[1] == pytest.approx(1.0, rel=1e-7)


def test_without_a_dac_inputs_are_only_scaled() -> None:
    np.testing.assert_allclose(volts([-7.0, 0.3, 7.0], None, InputScale(5.0, signed=False))[0], [-1.4, 0.06, 1.4])


@pytest.mark.parametrize(("gain", "offset"), [(0.02, 0.0), (0.0, 0.01), (0.02, 0.01)])
def test_errors_over_rows_are_normal_with_the_declared_spread(gain: float, offset: float) -> None:
    errors = LineErrors.draw(5000, Streams(1).rng("dac"))
    dac = DAC(bits=16, gain_spread=gain, offset_spread=offset)
    seen = volts(np.full(5000, 0.5), dac, InputScale(1.0, signed=False), errors)
    assert_normal(seen, 0.5, np.hypot(0.5 * gain, offset))


def test_noise_of_a_dac_is_normal_with_the_declared_share_of_full_scale() -> None:
    seen = volts(np.full((50, 100), 1.0), DAC(bits=8, noise=0.01), InputScale(1.0, signed=False), seed=2)
    assert_normal(seen, 1.0, 0.01)


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0.0, 4.0, InputScale(4.0, signed=False)),
        (-3.0, 1.0, InputScale(3.0, signed=True)),
        (0.0, 0.0, InputScale(1.0, signed=False)),
    ],
)
def test_the_full_scale_of_inputs_is_their_largest_size(low: float, high: float, scale: InputScale) -> None:
    assert InputScale.of(low, high) == scale
