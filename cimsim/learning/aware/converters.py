"""A layer's converters as training sees them: codes forwards, straight through backwards, ranges that are learned.

The gradient of a rounding is taken as 1, that of a limit as 0 beyond it (the straight-through estimator: Bengio,
Leonard and Courville, arXiv:1308.3432 (2013)). A converter whose range is scaled by r gives r Q(i / r), so by the same
rule the derivative by ln r is Q(i) - i inside the range and Q(i) outside: that of LSQ (Esser et al., ICLR 2020, eq. 3)
and, where it clips, of PACT (Choi et al., arXiv:1805.06085 (2018)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeVar

import numpy as np

from cimsim.crossbar.converters import AdcBank, InputScale, LineErrors, choose_range
from cimsim.crossbar.converters.dac import passes
from cimsim.crossbar.converters.lines import Converter
from cimsim.crossbar.matrix import Design
from cimsim.crossbar.side import UNMADE
from cimsim.kernels import kernels_for
from cimsim.network.network import LayerRanges
from device_models.parameters import FloatPair

_Kind = TypeVar("_Kind", bound=Converter)
# What differs from converter to converter or from use to use: training sees the designed one.
ERRORS = ("gain_spread", "offset_spread", "noise", "dnl", "inl", "mismatch", "comparator_offset")
UNKNOWN, MADE_WELL = InputScale(1.0, signed=True), LineErrors(np.zeros(1), np.zeros(1))


class Converted(NamedTuple):
    """What a converter made of numbers: `y`, the gradient of it by them, 0 or 1, and by the logarithm of its range."""

    y: np.ndarray
    inside: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Converters:
    """DAC and ADC of a layer, one range each.

    Attributes:
        design: that of the chip, with converters as designed.
        inputs: full scale of the inputs.
        sums: range of the ADC, in the layer's units; None without one.
    """

    design: Design
    inputs: InputScale = UNKNOWN
    sums: FloatPair | None = None

    @classmethod
    def of(cls, design: Design, *, converting: bool = True) -> Self:
        """Those of a design, or none at all, not calibrated yet."""
        dac, adc = (design.dac, design.adc) if converting else (None, None)
        dac = None if dac is None else _ideal(dac).replace(signed="differential")
        return cls(replace(design, dac=dac, adc=None if adc is None else _ideal(adc)))

    @property
    def free(self) -> tuple[bool, bool]:
        """Whether there is a range of inputs and one of sums that the design leaves open."""
        dac, adc = self.design.dac, self.design.adc
        return dac is not None and dac.range is None, adc is not None and adc.range is None

    def scaled(self, log_inputs: float, log_sums: float) -> Self:
        """The converters with both ranges scaled, by logarithms of factors."""
        full, factor = self.inputs.full * math.exp(log_inputs), math.exp(log_sums)
        sums = None if self.sums is None else (self.sums[0] * factor, self.sums[1] * factor)
        return replace(self, inputs=replace(self.inputs, full=full), sums=sums)

    def for_inputs(self, x: np.ndarray) -> Self:
        """The converters with the input range that a chip takes for inputs `x`."""
        dac = self.design.dac
        given = (float(x.min()), float(x.max())) if dac is None or dac.range is None else dac.range
        return replace(self, inputs=InputScale.of(*given))

    def for_sums(self, i: np.ndarray, weight_scale: float) -> Self:
        """The converters with the ADC range that a chip takes for sums `i` of weights of which the largest is given."""
        adc = self.design.adc
        if adc is None:
            return self
        ampere = weight_scale / self.design.full_scale * self.inputs.full  # in the layer's units
        low, high = choose_range(adc, i) if adc.range is None else (end * ampere for end in adc.range)
        return replace(self, sums=(low, high))

    @property
    def ranges(self) -> LayerRanges:
        """The ranges as a network keeps them."""
        return LayerRanges((-self.inputs.full if self.inputs.signed else 0.0, self.inputs.full), self.sums)

    def drives(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
        """What the cells are given pass by pass, in units of `x`, and its worth."""
        design, device = self.design, self.design.device
        if design.dac is None and device.ohmic:
            yield x, 1.0
            return
        unit = np.float32(self.inputs.full / float(device.drive(np.asarray(design.v_read))))
        for volts, worth in passes(design.dac, x, self.inputs, design.v_read, UNMADE, None):
            dac = design.dac
            yield (device.drive(volts) if dac is None else dac.ohmic_volts(volts, device, design.v_read)) * unit, worth

    def entered(self, x: np.ndarray, given: np.ndarray) -> Converted:
        """Inputs `x` behind the DAC, which made `given` of them."""
        if self.design.dac is None:
            return Converted(given, np.ones(1, x.dtype), np.zeros(1, x.dtype))
        inside = (np.abs(x) <= self.inputs.full).astype(x.dtype)
        if not self.inputs.signed:
            inside *= x >= 0
        return Converted(given, inside, given - x * inside)

    def bank(self, lines: int) -> AdcBank | None:
        """The ADCs of so many lines, all alike; None without ADCs."""
        if self.design.adc is None or self.sums is None:
            return None
        low, high = (np.array([end]) for end in self.sums)
        return AdcBank.make(self.design.adc, low, high, MADE_WELL, np.zeros(lines, np.int64))

    def left(self, i: np.ndarray, bank: AdcBank) -> Converted:
        """Sums `i` behind the ADCs."""
        assert self.sums is not None
        y, (low, high) = i.copy(), self.sums
        kernels_for(y).convert(y, bank.law)
        inside = ((i >= low) & (i <= high)).astype(i.dtype)
        return Converted(y, inside, y - i * inside)


def _ideal(converter: _Kind) -> _Kind:
    """A converter without what is drawn for each."""
    return converter.replace(**{name: 0.0 for name in ERRORS if name in type(converter).model_fields})
