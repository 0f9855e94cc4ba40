"""DAC and ADC: what the periphery of a tile does to voltages and currents.

An ADC's range is measured on the chip: `choose_range` finds it from currents, and an ADC without one refuses to
convert. A sweep of bits at a fixed wrong range would measure the range, not the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.crossbar.draws import normals
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


def word_line_volts(dac: DAC | None, x: Array, scale: InputScale, v_read: float, errors: LineErrors, rng: Any) -> Array:
    """Word-line voltages `(batch, rows)`, float32, for inputs; an ideal DAC (None) only scales.

    `scale.full` gives `v_read` volts. `rng` is drawn from only where the DAC has noise.
    """
    if dac is None:
        return x * np.float32(v_read / scale.full)
    top = max(2 ** (dac.bits - scale.signed) - 1, 1)
    u = x * np.float32(top / scale.full)
    np.rint(u, out=u)
    np.clip(u, -top if scale.signed else 0, top, out=u)
    u *= np.float32(v_read / top)
    if dac.gain_spread or dac.offset_spread:
        u *= 1 + np.float32(dac.gain_spread) * errors.gain
        u += np.float32(dac.offset_spread * v_read) * errors.offset
    if dac.noise:
        u += np.float32(dac.noise * v_read) * normals(rng, u.shape)
    return u


@dataclass(frozen=True)
class AdcBank:
    """The ADCs of one tile's columns: code = floor(scale i + shift) held to 0..top.

    All arrays have one value per column. A code stands for the current `first + code * step` (amperes), the middle of
    the currents that give it.
    """

    scale: Array
    shift: Array
    first: Array
    step: Array
    top: int
    noise: float

    @classmethod
    def make(cls, adc: ADC, low: np.ndarray, high: np.ndarray, errors: LineErrors) -> AdcBank:
        """Converters with ranges `low` to `high` amperes (one for all or one per column), and each column's errors."""
        step = (high - low) / 2**adc.bits
        gain = 1 + adc.gain_spread * errors.gain
        offset = adc.offset_spread * errors.offset * (high - low)
        scale, shift = gain / step, (offset - low) / step
        arrays = {"scale": scale, "shift": shift, "first": low + step / 2, "step": step}
        columns = {name: np.broadcast_to(x, scale.shape).astype(np.float32) for name, x in arrays.items()}
        return cls(**columns, top=2**adc.bits - 1, noise=adc.noise * 2**adc.bits)

    def codes(self, i: Array, rng: Any) -> Array:
        """Codes of currents in amperes, `(batch, columns)`, as float32 whole numbers."""
        u = i * self.scale
        u += self.shift
        if self.noise:
            u += np.float32(self.noise) * normals(rng, u.shape)
        np.floor(u, out=u)
        return np.clip(u, 0, self.top, out=u)

    def convert(self, i: Array, rng: Any) -> Array:
        """Currents as the digital side sees them, amperes."""
        u = self.codes(i, rng)
        u *= self.step
        u += self.first
        return u

    def moved(self, move: Callable[[Array], Array]) -> AdcBank:
        """The same ADCs with their arrays passed through `move`."""
        arrays = {name: move(getattr(self, name)) for name in ("scale", "shift", "first", "step")}
        return replace(self, **arrays)

    def clipped(self, i: Array) -> float:
        """Share of currents outside the range, noise of the converter aside."""
        u = i * self.scale + self.shift
        return float(((u < 0) | (u >= self.top + 1)).mean())


def choose_range(adc: ADC, currents: np.ndarray) -> tuple[float, float]:
    """The range in amperes that an ADC takes after seeing `currents`.

    A range that spans 0 is shifted by less than a code so that 0 A falls on the middle of one: no current, no output.
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
    """Shrink the full range towards its centre (0 if inside) to the least mean squared error of the codes."""
    sample = currents[:: max(1, currents.size // CALIBRATION_SAMPLES)].astype(np.float64)
    centre = 0.0 if low <= 0 <= high else float(np.median(sample))
    shares = np.geomspace(1.0, 0.05, 60)
    ranges = [(centre + s * (low - centre), centre + s * (high - centre)) for s in shares if high > low]
    errors = [_mse(sample, *_zero_on_a_code(adc.bits, *r), adc.bits) for r in ranges]
    return ranges[int(np.argmin(errors))] if ranges else (low, high)


def _mse(i: np.ndarray, low: float, high: float, bits: int) -> float:
    step = (high - low) / 2**bits
    codes = np.clip(np.floor((i - low) / step), 0, 2**bits - 1)
    return float(np.mean((low + (codes + 0.5) * step - i) ** 2))


def _zero_on_a_code(bits: int, low: float, high: float) -> tuple[float, float]:
    if not low < 0 < high or bits == 1:
        return low, high
    step = (high - low) / 2**bits
    below = min(max(round(-low / step - 0.5), 0), 2**bits - 1)
    return -(below + 0.5) * step, (2**bits - below - 0.5) * step
