"""Kinds of ADC as parameters. What they do to currents is in `physics/test_adc.py` and `physics/test_adc_kinds.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.chip import ChipSpec
from cimsim.crossbar.converters import ADC, AdcBank, AnyADC, FlashADC, LineErrors, LogADC, RampADC, SarADC
from cimsim.crossbar.converters.adc import with_zero_on_a_code
from cimsim.kernels import noise
from device_models.errors import InputError
from device_models.parameters import ParameterError, to_dict
from device_models.streams import Streams
from tests.foreign import ForeignArray

KINDS: list[AnyADC] = [
    ADC(bits=6),
    ADC(bits=6, dnl=0.2, inl=0.5),
    SarADC(bits=6, mismatch=0.1),
    RampADC(bits=6, droop=0.5),
    FlashADC(bits=6, comparator_offset=0.01),
    LogADC(bits=6),
]


@pytest.mark.parametrize("adc", KINDS, ids=lambda adc: type(adc).__name__)
def test_every_kind_is_written_and_read_by_its_name(adc: AnyADC) -> None:
    written = to_dict(adc)
    assert written["kind"] == type(adc).__name__
    assert ChipSpec(device="generic-rram", adc=written).adc == adc


def test_a_table_without_kind_is_a_uniform_converter() -> None:
    assert ChipSpec(device="generic-rram", adc={"bits": 6}).adc == ADC(bits=6)
    assert ChipSpec(device="generic-rram", back_adc={"bits": 5}).back_adc == ADC(bits=5)
    with pytest.raises(ParameterError, match=r"ChipSpec\.adc: unknown name, got 'bit'; did you mean 'bits'"):
        ChipSpec(device="generic-rram", adc={"bit": 6})
    with pytest.raises(ParameterError, match=r"ChipSpec\.adc: unknown 'kind', got SARADC; did you mean 'SarADC'"):
        ChipSpec(device="generic-rram", adc={"kind": "SARADC", "bits": 6})


def test_the_schema_takes_what_the_model_takes() -> None:
    from jsonschema import Draft202012Validator

    schema = Draft202012Validator(ChipSpec.model_json_schema())
    device = to_dict(ChipSpec(device="generic-rram").device)
    for adc in ({"bits": 6}, {"kind": "ADC", "bits": 6}, {"kind": "FlashADC", "bits": 4, "share": 8}):
        schema.validate({"device": device, "adc": adc})
    for adc in ({"kind": "FlashADC"}, {"bits": 6, "mismatch": 0.1}, {"kind": "Sar", "bits": 6}):
        assert not schema.is_valid({"device": device, "adc": adc})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SarADC, {"bits": 13, "mismatch": 0.01}, "SarADC: bits must be at most 12 where every transition has an error"),
        (FlashADC, {"bits": 16, "comparator_offset": 0.1}, "FlashADC: bits must be at most 12 where every transition"),
        (ADC, {"bits": 14, "dnl": 0.1}, r"ADC: bits must be at most 12 .*, got 14; use fewer bits, or a plain ADC"),
        (LogADC, {"bits": 13}, "LogADC: bits must be at most 12"),
        (LogADC, {"bits": 8, "calibration": "mse"}, "LogADC.calibration: must be 'percentile' or 'minmax', got 'mse'"),
        (ADC, {"bits": 8, "share": 0}, r"ADC.share: must be greater than or equal to 1 \(columns\), got 0"),
        (RampADC, {"bits": 8, "droop": -1.0}, "RampADC.droop: must be greater than or equal to 0"),
        (SarADC, {"bits": 8, "comparator_offset": 0.1}, "SarADC: unknown name, got 'comparator_offset'"),
    ],
)
def test_impossible_kinds_are_refused(kind: type[AnyADC], values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(**values)


@pytest.mark.parametrize("adc", KINDS, ids=lambda adc: type(adc).__name__)
def test_another_library_converts_to_the_same_numbers_to_the_bit(adc: AnyADC) -> None:
    errors = LineErrors.draw(7, Streams(1), "adc")
    bank = AdcBank.make(adc, np.float64(-1e-6), np.float64(1.5e-6), errors, np.arange(7) // 2)
    i = np.random.default_rng(0).normal(0, 1e-6, (50, 7)).astype(np.float32)
    theirs = ForeignArray(i)
    bank.moved(ForeignArray).convert(theirs, noise(theirs, Streams(0), "adc"))
    bank.convert(i, noise(i, Streams(0), "adc"))
    np.testing.assert_array_equal(theirs.get(), i)


@pytest.mark.parametrize("adc", KINDS, ids=lambda adc: type(adc).__name__)
def test_columns_that_share_a_converter_convert_alike(adc: AnyADC) -> None:
    adc = adc.replace(gain_spread=0.05, offset_spread=0.02)
    lines = np.array([0, 0, 0, 1, 1])
    bank = AdcBank.make(adc, np.float64(-1e-6), np.float64(1e-6), LineErrors.draw(5, Streams(1), "adc"), lines)
    i = np.repeat(np.linspace(-1e-6, 1e-6, 300, dtype=np.float32)[:, None], 5, axis=1)
    bank.convert(i, noise(i, Streams(0), "adc"))
    np.testing.assert_array_equal(i[:, :3], i[:, :1].repeat(3, axis=1))
    np.testing.assert_array_equal(i[:, 3], i[:, 4])
    assert (i[:, 0] != i[:, 4]).mean() > 0.3


def test_switching_one_error_off_moves_no_other() -> None:
    errors = LineErrors.draw(20, Streams(1), "adc")
    both, bow = ADC(bits=6, dnl=0.2, inl=1.0), ADC(bits=6, inl=1.0)
    u = np.arange(1, 64) / 64
    heights = (bow.transitions(errors, 20) - u)[:, 31] * 64
    np.testing.assert_allclose(heights, errors.normal("inl", (20, 1))[:, 0], rtol=1e-9)
    uneven = ADC(bits=6, dnl=0.2).transitions(errors, 20)
    expected = uneven + heights[:, None] / 64 * 4 * uneven * (1 - uneven)
    np.testing.assert_allclose(both.transitions(errors, 20), np.sort(expected, axis=1), rtol=1e-9)


def test_errors_without_a_source_say_so() -> None:
    none = LineErrors(np.zeros(2), np.zeros(2))
    with pytest.raises(InputError, match=r"LineErrors: have no streams to draw from, got dnl; make them by"):
        ADC(bits=4, dnl=0.1).transitions(none, 2)


@given(st.integers(2, 12), st.floats(1e-9, 1.0), st.floats(1e-9, 1.0))
def test_the_narrowest_range_with_0_in_the_middle_of_a_code(bits: int, below: float, above: float) -> None:
    low, high = with_zero_on_a_code(bits, np.array([-below]), np.array([above]))
    code = -low[0] / (high[0] - low[0]) * 2**bits
    assert code % 1 == pytest.approx(0.5, abs=1e-6)
    assert low[0] <= -below * (1 - 1e-12)
    assert high[0] >= above * (1 - 1e-12)
