"""DAC and ADC: what the periphery of a tile does to voltages and currents.

An ADC's range is measured on the chip: `choose_range` finds it from currents, and an ADC without one refuses to
convert. A sweep of bits at a fixed wrong range would measure the range, not the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.kernels import Noise, kernels_for
from device_models.errors import InputError
from device_models.parameters import FloatPair, Parameters, RuleBroken, Spread
from device_models.window import Array

Bits = Field(ge=1, le=16, description="bits")
CALIBRATION_SAMPLES = 50_000  # values an MSE search looks at: its optimum is flat, more change nothing


class _Converter(Parameters):
    """What both converters share. Spreads are standard deviations over rows or columns, drawn once per chip."""

    bits: int = Bits
    gain_spread: Spread = 0.0
    offset_spread: Spread = 0.0
    noise: Spread = 0.0


class DAC(_Converter):
    """Digital-to-analogue converter of each word line.

    `range` is the lowest and highest input it takes, None to measure it by calibration. Inputs that are never
    negative use all codes for 0..range; signed ones use 2^(bits-1) - 1 codes each way. `offset_spread` and `noise`
    are fractions of the full-scale voltage.
    """

    range: FloatPair | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.range, "inputs")
        return self


class ADC(_Converter):
    """Uniform analogue-to-digital converter of each column.

    `range` in amperes, None to measure it by calibration: "percentile" covers the central `percentile` % of the
    currents seen, "minmax" all of them, "mse" the share that minimises the mean squared error of the codes. One range
    serves a whole layer, a tile or a column (`per`). `offset_spread` and `noise` are fractions of the range.
    """

    range: FloatPair | None = Field(default=None, description="amperes")
    calibration: Literal["percentile", "minmax", "mse"] = "mse"
    percentile: float = Field(default=99.9, gt=50, le=100)
    per: Literal["layer", "tile", "column"] = "layer"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.range, "amperes")
        return self


def _check_order(limits: FloatPair | None, unit: str) -> None:
    if limits is not None and limits[0] >= limits[1]:
        raise RuleBroken(f"range must be (low, high) with low < high ({unit})", "exchange them", str(limits))


@dataclass(frozen=True)
class InputScale:
    """The inputs a layer takes: full scale, and whether they may be negative."""

    full: float
    signed: bool

    @classmethod
    def of(cls, low: float, high: float) -> InputScale:
        """The scale of inputs between `low` and `high`; inputs that are all 0 get full scale 1."""
        return cls(max(abs(low), abs(high)) or 1.0, low < 0)


@dataclass(frozen=True)
class LineErrors:
    """Standard normal numbers fixed at fabrication, one pair per row (DAC) or column (ADC); spreads multiply them."""

    gain: Array
    offset: Array

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> LineErrors:
        """Fabricate the converters of n lines."""
        gain, offset = rng.standard_normal((2, n)).astype(np.float32)
        return cls(gain, offset)

    def moved(self, move: Callable[[Array], Array]) -> LineErrors:
        """The same errors with their arrays passed through `move`."""
        return LineErrors(move(self.gain), move(self.offset))


def word_line_volts(
    dac: DAC | None, x: Array, scale: InputScale, v_read: float, errors: LineErrors, noise: Noise
) -> Array:
    """Word-line voltages `(batch, rows)`, float32, for inputs; an ideal DAC (None) only scales.

    An input of `scale.full` gives `v_read` volts.
    """
    if dac is None:
        return x * np.float32(v_read / scale.full)
    if dac.bits == 1 and scale.signed:
        rule, remedy = "must be 2 or more for inputs that may be negative", "use more bits, or inputs of 0 and more"
        raise InputError("DAC.bits", rule, dac.bits, remedy)
    top = 2 ** (dac.bits - scale.signed) - 1
    v = kernels_for(x).quantise(x, top / scale.full, -top if scale.signed else 0, top, v_read / top)
    if dac.gain_spread or dac.offset_spread:
        v *= 1 + np.float32(dac.gain_spread) * errors.gain
        v += np.float32(dac.offset_spread * v_read) * errors.offset
    if dac.noise:
        noise.add(v, np.full_like(errors.gain, (dac.noise * v_read) ** 2))
    return v


@dataclass(frozen=True)
class AdcBank:
    """The ADCs of one tile's columns: code = floor(scale i + shift) held to 0..top.

    All arrays have one value per column. A code stands for the current `first + code * step` (amperes), the middle of
    the currents that give it. `variance` is that of the converters' noise, amperes^2 at their input, None without any.
    """

    scale: Array
    shift: Array
    first: Array
    step: Array
    top: int
    variance: Array | None

    @classmethod
    def make(cls, adc: ADC, low: np.ndarray, high: np.ndarray, errors: LineErrors) -> AdcBank:
        """Converters with ranges `low` to `high` amperes (one for all or one per column), and each column's errors."""
        step = (high - low) / 2**adc.bits
        gain = 1 + adc.gain_spread * errors.gain
        offset = adc.offset_spread * errors.offset * (high - low)
        scale, shift = gain / step, (offset - low) / step
        # A whole number of rounded steps, where 0 A is on a code: then that code stands for exactly 0 A in float32.
        first = np.round(low / step + 0.5, 6).astype(np.float32) * np.float32(step)
        arrays = {"scale": scale, "shift": shift, "first": first, "step": step}
        columns = {name: np.broadcast_to(x, scale.shape).astype(np.float32) for name, x in arrays.items()}
        variance = np.square(adc.noise * step * 2**adc.bits * np.ones_like(scale)).astype(np.float32)
        return cls(**columns, top=2**adc.bits - 1, variance=variance if adc.noise else None)

    def convert(self, i: Array, noise: Noise) -> None:
        """Turn currents `(batch, columns)` in amperes, in place, into what the digital side takes them for."""
        if self.variance is not None:
            noise.add(i, self.variance)
        kernels_for(i).convert(i, self.scale, self.shift, self.top, self.step, self.first)

    def codes(self, converted: Array) -> Array:
        """Codes of converted currents, float32 whole numbers."""
        return np.rint((converted - self.first) / self.step)

    def moved(self, move: Callable[[Array], Array]) -> AdcBank:
        """The same ADCs with their arrays passed through `move`."""
        arrays = {name: move(getattr(self, name)) for name in ("scale", "shift", "first", "step")}
        return replace(self, **arrays, variance=None if self.variance is None else move(self.variance))

    def clipped(self, i: Array) -> float:
        """Share of currents outside the range, noise of the converter aside."""
        u = i * self.scale + self.shift
        return float(((u < 0) | (u >= self.top + 1)).mean())


def choose_range(adc: ADC, currents: np.ndarray) -> tuple[float, float]:
    """The range in amperes that an ADC takes after seeing `currents`.

    A range that holds 0 is widened by less than two codes, so that 0 A is in the middle of one: no current, no output.
    """
    if adc.range is not None:
        return adc.range
    if not np.isfinite(currents).all():
        raise InputError("calibration", "currents must be finite (amperes)", "NaN or inf", "check weights and inputs")
    low, high = float(currents.min()), float(currents.max())
    if adc.calibration == "percentile":
        tail = (100 - adc.percentile) / 2
        low, high = (float(q) for q in np.percentile(currents, [tail, 100 - tail]))
    elif adc.calibration == "mse":
        low, high = _least_error(adc, currents.ravel(), low, high)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-12):  # one value only: any range that holds it will do
        margin = 1e-6 * max(abs(low), 1e-9)
        low, high = low - margin, high + margin
    return _zero_on_a_code(adc.bits, low, high)


def _least_error(adc: ADC, currents: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Draw in the high end of the full range, then the low one, to the least mean squared error of the codes."""
    picked = np.linspace(0, currents.size - 1, min(currents.size, CALIBRATION_SAMPLES)).astype(np.int64)
    sample = np.sort(currents)[picked].astype(np.float64)  # by rank: the same law whatever the order of the columns
    shares = np.geomspace(1.0, 0.05, 60)

    def error(limits: tuple[float, float]) -> float:
        return _mse(sample, *_zero_on_a_code(adc.bits, *limits), adc.bits)

    if high > low:
        high = min(((low, low + s * (high - low)) for s in shares), key=error)[1]
        low = min(((high + s * (low - high), high) for s in shares), key=error)[0]
    return low, high


def _mse(i: np.ndarray, low: float, high: float, bits: int) -> float:
    step = (high - low) / 2**bits
    codes = np.clip(np.floor((i - low) / step), 0, 2**bits - 1)
    return float(np.mean((low + (codes + 0.5) * step - i) ** 2))


def _zero_on_a_code(bits: int, low: float, high: float) -> tuple[float, float]:
    """The narrowest range of 2^bits codes that covers the given one and has 0 in the middle of a code."""
    if not low <= 0 <= high or bits == 1:
        return low, high
    codes = 2**bits
    below = int(-low / (high - low) * codes - 0.5)
    tried = (min(below + k, codes - 1) for k in (0, 1))
    step, below = min((max(-low / (k + 0.5), high / (codes - k - 0.5)), k) for k in tried)
    return -(below + 0.5) * step, (codes - below - 0.5) * step
