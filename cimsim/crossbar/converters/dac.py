"""DAC: how inputs become word-line drives, in one pass or in several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.crossbar.converters.lines import Converter, LineErrors, check_order
from cimsim.kernels import Noise, kernels_for
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import FloatPair, RuleBroken
from device_models.window import Array


class DAC(Converter):
    """Digital-to-analogue converter of each word line.

    `range` is the lowest and highest input it takes, None to measure it by calibration. Inputs that are never
    negative use all codes for 0..range; signed ones use 2^(bits-1) - 1 codes each way. `offset_spread` and `noise`
    are fractions of full scale, drawn at every pass.

    `slice_bits` is the number of bits of a pass: None takes all at once, 1 is bit-serial, as in ISAAC (Shafiee et al.,
    ISCA 2016). Every pass is a read of the cells and a conversion of its own; codes are shifted and added digitally.

    `encoding`: a digit d of s bits drives its line with `v_read` d / (2^s - 1) volts ("voltage"), or with `v_read` for
    that share of the time ("pulse-width"). A pulse leaves no nonlinear I-V law in the sum, and its charge over the
    full time is what an ADC sees. The noise of a cell is taken as constant over one pulse.

    `signed`, for inputs that may be negative: a line is driven both ways around the columns' potential
    ("differential"); the positive parts are sent first, then the negative ones, and subtracted digitally ("two-pass");
    or half the range is added to every input ("offset"), and what the columns give for inputs of 0 is subtracted
    digitally. That word is measured at calibration, through the converters, read noise averaged out, and kept until
    the next one or until cells are pulsed: it does not follow drift.
    """

    range: FloatPair | None = None
    slice_bits: int | None = Field(default=None, ge=1, le=16, description="bits per pass")
    encoding: Literal["voltage", "pulse-width"] = "voltage"
    signed: Literal["differential", "two-pass", "offset"] = "differential"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_order(self.range, "inputs")
        if self.slice_bits is not None and self.slice_bits > self.bits:
            rule = f"slice_bits must be at most the {self.bits} bits of an input"
            raise RuleBroken(rule, "use fewer bits per pass, or None for one pass", str(self.slice_bits))
        if self.bits == 1 and self.range is not None and self.range[0] < 0:
            raise RuleBroken("bits must be 2 or more for a range with negative inputs", "use more bits", "1")
        return self

    def top(self, scale: InputScale) -> int:
        """The code of an input of full scale."""
        return int(2 ** (self.bits - scale.signed) - 1)

    def _bits(self, scale: InputScale) -> int:
        """Bits of what is sent for an input."""
        return self.bits if self.shifts(scale) else self.bits - scale.signed

    def _width(self, scale: InputScale) -> int:
        """Bits of one pass."""
        bits = self._bits(scale)
        return bits if self.slice_bits is None else min(self.slice_bits, bits)

    def shifts(self, scale: InputScale) -> bool:
        """Whether half the range is added to inputs of this scale."""
        return self.signed == "offset" and scale.signed

    def turns(self, scale: InputScale) -> int:
        """Passes that one input takes."""
        bits, parts = self._bits(scale), 2 if self.signed == "two-pass" and scale.signed else 1
        return parts * -(-bits // self._width(scale))

    def ohmic_volts(self, v: Array, device: Device, v_read: float) -> Array:
        """What drives ohmic cells as the drives `v` (volts, or pulses of `v_read` as mean volts) drive the device's."""
        if self.encoding == "voltage":
            return device.drive(v)
        return v * np.float32(float(device.drive(np.asarray(v_read))) / v_read)


@dataclass(frozen=True)
class InputScale:
    """The inputs a layer takes: full scale, and whether they may be negative."""

    full: float
    signed: bool

    @classmethod
    def of(cls, low: float, high: float) -> InputScale:
        """The scale of inputs between `low` and `high`; inputs that are all 0 get full scale 1."""
        return cls(max(abs(low), abs(high)) or 1.0, low < 0)


class Pass(NamedTuple):
    """One drive of all word lines: mean volts `(batch, rows)` float32, and what `v_read` on a line counts for.

    An input is the sum over passes of `worth * volts / v_read`, in units of full scale.
    """

    volts: Array
    worth: float


def passes(
    dac: DAC | None, x: Array, scale: InputScale, v_read: float, errors: LineErrors, noise: Noise | None
) -> Iterator[Pass]:
    """The drives of inputs `(batch, rows)`, one after the other; an ideal DAC (None) only scales.

    Raises `InputError` where the DAC has too few bits for signed inputs.
    """
    if dac is None:
        yield Pass(x * np.float32(v_read / scale.full), 1.0)
        return
    for turn, (volts, worth) in enumerate(_digits(dac, x, scale, v_read)):
        if dac.gain_spread or dac.offset_spread:
            volts *= 1 + np.float32(dac.gain_spread) * errors.gain
            volts += np.float32(dac.offset_spread * v_read) * errors.offset
        if dac.noise and noise is not None:
            noise.add(volts, np.full_like(errors.gain, (dac.noise * v_read) ** 2), turn)
        yield Pass(volts, worth)


def codes(dac: DAC, x: Array, scale: InputScale, unit: float = 1.0) -> Array:
    """`unit` times the whole number that stands for each input, float32; negative ones keep their sign."""
    top = _checked(dac, scale).top(scale)
    return kernels_for(x).quantise(x, top / scale.full, -top if scale.signed else 0, top, unit)


def _checked(dac: DAC, scale: InputScale) -> DAC:
    if dac.bits == 1 and scale.signed:
        rule, remedy = "must be 2 or more for inputs that may be negative", "use more bits, or inputs of 0 and more"
        raise InputError("DAC.bits", rule, dac.bits, remedy)
    return dac


def taken(dac: DAC | None, x: Array, scale: InputScale) -> Array:
    """The inputs over full scale, `(batch, rows)`, as the DAC takes them."""
    if dac is None:
        return x * np.float32(1 / scale.full)
    return codes(dac, x, scale) * np.float32(1 / dac.top(scale))


def _digits(dac: DAC, x: Array, scale: InputScale, v_read: float) -> Iterator[tuple[Array, float]]:
    """Digits of the inputs' whole numbers as volts, least significant first, and the worth of each."""
    bits, width = _checked(dac, scale)._bits(scale), dac._width(scale)
    highest = 2**width - 1
    unit = v_read / highest
    if dac.turns(scale) == 1 and not dac.shifts(scale):
        yield codes(dac, x, scale, unit), 1.0
        return
    for part, sign in _parts(dac, codes(dac, x, scale), scale):
        for shift in range(0, bits, width):
            volts = part * np.float32(unit) if width == bits else kernels_for(part).digits(part, shift, width, unit)
            yield volts, sign * highest * 2**shift / dac.top(scale)


def _parts(dac: DAC, whole: Array, scale: InputScale) -> list[tuple[Array, int]]:
    """What is sent in place of signed numbers, and the sign that each part counts with."""
    if dac.shifts(scale):
        return [(whole + np.float32(2 ** (dac.bits - 1)), 1)]
    if dac.signed == "two-pass" and scale.signed:
        return [(np.maximum(whole, 0), 1), (np.maximum(-whole, 0), -1)]
    return [(whole, 1)]
