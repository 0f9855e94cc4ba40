"""What converters have in common: their errors fixed at fabrication, one of each per line, and the lines they serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from device_models.errors import InputError
from device_models.parameters import FloatPair, Parameters, RuleBroken, Spread
from device_models.streams import Streams
from device_models.window import Array

Bits = Field(ge=1, le=16, description="bits")


class Converter(Parameters):
    """What all converters share. Spreads are standard deviations over rows or columns, drawn once per chip."""

    bits: int = Bits
    gain_spread: Spread = 0.0
    offset_spread: Spread = 0.0
    noise: Spread = 0.0


def check_order(limits: FloatPair | None, unit: str) -> None:
    """Raise `RuleBroken` for a range whose ends are exchanged."""
    if limits is not None and limits[0] >= limits[1]:
        raise RuleBroken(f"range must be (low, high) with low < high ({unit})", "exchange them", str(limits))


@dataclass(frozen=True)
class LineErrors:
    """Standard normal numbers fixed at fabrication, one pair per row (DAC) or column (ADC); spreads multiply them.

    `streams` name what else was fabricated with them, drawn when a kind of converter asks for it: an error that is
    switched off moves no other draw, and another ADC on the same chip has the same gains and offsets.
    """

    gain: Array
    offset: Array
    streams: Streams | None = None

    @classmethod
    def draw(cls, n: int, streams: Streams, role: str) -> LineErrors:
        """Fabricate the converters of n lines."""
        gain, offset = streams.rng(role).standard_normal((2, n)).astype(np.float32)
        return cls(gain, offset, streams.at(role))

    def normal(self, role: str, shape: tuple[int, ...]) -> np.ndarray:
        """Further standard normal numbers of these very converters, float64, on the host."""
        if self.streams is None:
            raise InputError("LineErrors", "have no streams to draw from", role, "make them by LineErrors.draw")
        return self.streams.rng(role).standard_normal(shape)

    def moved(self, move: Callable[[Array], Array]) -> LineErrors:
        """The same errors with their arrays passed through `move`."""
        return replace(self, gain=move(self.gain), offset=move(self.offset))


def shared_lines(arrays: int, columns: int, share: int) -> np.ndarray:
    """The number of the converter of each bit line, `(arrays * columns,)`, where `share` neighbours have one.

    Neighbours lie in one array: each array's last converter serves the columns that are left.
    """
    each = -(-columns // share)
    return (np.arange(arrays)[:, None] * each + np.arange(columns) // share).ravel()
