"""DACs: what they make of inputs, in one pass or several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.crossbar.converters import DAC, InputScale, LineErrors
from cimsim.crossbar.converters.dac import codes, passes, taken
from cimsim.kernels import noise
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_independent, assert_normal
from tests.foreign import ForeignArray

V_READ = 0.2
SIGNED = ["differential", "two-pass", "offset"]


def volts(x: Any, dac: DAC | None, scale: InputScale, errors: LineErrors | None = None, seed: int = 0) -> np.ndarray:
    """Word-line voltages over the voltage of full scale."""
    x = np.atleast_2d(np.asarray(x, np.float32))
    lines = errors or LineErrors(np.zeros(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32))
    (only,) = passes(dac, x, scale, V_READ, lines, noise(x, Streams(seed), "dac"))
    assert only.worth == 1.0
    return only.volts.astype(np.float64) / V_READ


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
    errors = LineErrors.draw(5000, Streams(1), "dac")
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


# Passes

dacs = st.builds(
    lambda bits, width, how: DAC(bits=bits, slice_bits=None if width is None else min(width, bits), signed=how),
    st.integers(2, 16),
    st.none() | st.integers(1, 16),
    st.sampled_from(SIGNED),
)


def sent(dac: DAC, x: np.ndarray, scale: InputScale) -> list[Any]:
    lines = LineErrors(np.zeros(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32))
    return list(passes(dac, x, scale, V_READ, lines, noise(x, Streams(0), "dac")))


@given(dacs, st.booleans(), st.lists(st.floats(-1.25, 1.25, width=32), min_size=1, max_size=8))
def test_passes_add_up_to_the_code(dac: DAC, signed: bool, inputs: list[float]) -> None:
    scale, x = InputScale(1.0, signed), np.array([inputs], np.float32)
    total = sum(np.float64(p.worth) * p.volts.astype(np.float64) / V_READ for p in sent(dac, x, scale))
    offset = 2 ** (dac.bits - 1) / dac.top(scale) if dac.shifts(scale) else 0.0
    np.testing.assert_allclose(total - offset, codes(dac, x, scale) / dac.top(scale), atol=5e-7)
    np.testing.assert_allclose(taken(dac, x, scale), codes(dac, x, scale) / dac.top(scale), rtol=1e-6)


@given(dacs, st.booleans())
def test_every_pass_drives_digits_between_rest_and_the_read_voltage(dac: DAC, signed: bool) -> None:
    scale = InputScale(1.0, signed)
    x = np.linspace(-1 if signed else 0, 1, 300, dtype=np.float32)[None]
    width = min(dac.slice_bits or 16, dac.bits - (signed and dac.signed != "offset"))
    for p in sent(dac, x, scale):
        digits = np.abs(p.volts) / V_READ * (2**width - 1)
        np.testing.assert_allclose(digits, np.rint(digits), atol=2**width * 1e-6)
        assert digits.max() <= 2**width - 1 + 1e-2
        assert p.volts.min() >= 0 or (signed and dac.signed == "differential")


@pytest.mark.parametrize(
    ("dac", "signed", "number"),
    [
        (DAC(bits=8), True, 1),
        (DAC(bits=8, slice_bits=1), False, 8),
        (DAC(bits=8, slice_bits=1), True, 7),
        (DAC(bits=8, slice_bits=1, signed="offset"), True, 8),
        (DAC(bits=8, slice_bits=1, signed="two-pass"), True, 14),
        (DAC(bits=8, slice_bits=3), False, 3),
        (DAC(bits=8, signed="two-pass"), True, 2),
        (DAC(bits=8, signed="two-pass"), False, 1),
    ],
    ids=str,
)
def test_number_of_passes(dac: DAC, signed: bool, number: int) -> None:
    assert len(sent(dac, np.ones((1, 2), np.float32), InputScale(1.0, signed))) == number
    assert dac.turns(InputScale(1.0, signed)) == number


def test_one_bit_passes_are_the_binary_digits_least_significant_first() -> None:
    """5 = 101 in binary; a negative number drives its digits the other way."""
    x = np.array([[5.0, -5.0]], np.float32)
    seen = [(p.volts / V_READ).tolist() for p in sent(DAC(bits=4, slice_bits=1), x, InputScale(7.0, signed=True))]
    assert seen == [[[1, -1]], [[0, 0]], [[1, -1]]]
    half = [
        (p.volts / V_READ).tolist() for p in sent(DAC(bits=4, slice_bits=1, signed="offset"), x, InputScale(7.0, True))
    ]
    assert half == [[[1, 1]], [[0, 1]], [[1, 0]], [[1, 0]]]  # 13 = 1101, 3 = 0011


def test_noise_of_a_dac_is_new_in_every_pass() -> None:
    x = np.ones((50, 40), np.float32)
    dac, lines = DAC(bits=2, slice_bits=1, noise=0.01), LineErrors(np.zeros(40, np.float32), np.zeros(40, np.float32))
    first, second = passes(dac, x, InputScale(1.0, False), V_READ, lines, noise(x, Streams(0), "dac"))
    assert_normal(first.volts / V_READ, 1.0, 0.01)
    assert_independent(first.volts, second.volts)


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("slice_bits", [None, 1, 3])
def test_passes_of_another_library_are_the_same_to_the_bit(signed: Any, slice_bits: int | None) -> None:
    dac, x = DAC(bits=7, signed=signed, slice_bits=slice_bits), np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 20)
    ours, lines = sent(dac, x, InputScale(1.0, True)), LineErrors(*ForeignArray(np.zeros((2, 20), np.float32)))
    theirs = passes(dac, ForeignArray(x), InputScale(1.0, True), V_READ, lines, None)
    for a, b in zip(ours, theirs, strict=True):
        assert a.worth == b.worth
        np.testing.assert_array_equal(b.volts.get(), a.volts)


def test_pulses_leave_a_nonlinear_law_out_of_the_sum() -> None:
    """Mean current over a pulse of v_read is in proportion to its length; a voltage feels the law at each level."""
    device = Device(name="d", window=Window(g_min=1e-6, g_max=1e-4), conduction=Sinh(v0=0.1))
    v = V_READ * np.linspace(-1, 1, 9, dtype=np.float32)
    full = 0.1 * np.sinh(V_READ / 0.1)
    pulses = DAC(bits=8, encoding="pulse-width").ohmic_volts(v, device, V_READ)
    np.testing.assert_allclose(pulses, full * np.linspace(-1, 1, 9), rtol=1e-6)
    levels = DAC(bits=8).ohmic_volts(v, device, V_READ)
    np.testing.assert_allclose(levels, 0.1 * np.sinh(v.astype(np.float64) / 0.1), rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bits": 4, "slice_bits": 5}, r"DAC: slice_bits must be at most the 4 bits of an input, got 5; use fewer"),
        ({"bits": 4, "slice_bits": 0}, r"DAC\.slice_bits: must be greater than or equal to 1 \(bits per pass\), got 0"),
        ({"bits": 4, "encoding": "time"}, r"DAC\.encoding: must be 'voltage' or 'pulse-width', got 'time'"),
        ({"bits": 4, "signed": "yes"}, r"DAC\.signed: must be 'differential', 'two-pass' or 'offset', got 'yes'"),
        ({"bits": 1, "range": (-1.0, 1.0)}, r"DAC: bits must be 2 or more for a range with negative inputs, got 1;"),
        ({"bits": 4, "range": (1.0, 0.0)}, r"DAC: range must be \(low, high\) with low < high \(inputs\), got"),
    ],
)
def test_impossible_dacs_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DAC(**values)
