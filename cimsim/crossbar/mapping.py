"""How signed weights become conductances, and how currents become weighted sums again.

A scheme turns weights in [-1, 1] into the targets of one or more arrays of cells, says which arrays are summed or
subtracted as currents before they are converted (`analog`), and how the converted signals make outputs (`worths`).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import RuleBroken, Variant
from device_models.window import Array, Window

Subtraction = Literal["analog", "digital"]  # of currents, or of what ADCs make of them
MOST_BITS = 52  # of a sliced weight: float64 holds whole numbers up to here


class Reading(Protocol):
    """How the arrays of a tile are read: from either side."""

    @property
    def reference(self) -> bool:
        """Whether the last sensed line of a tile is subtracted from the others digitally."""

    @property
    def driven_reference(self) -> bool:
        """Whether the last driven line of a tile is a reference: it takes no input and is read by itself."""

    def analog(self) -> np.ndarray:
        """Signals from arrays, `(signals, arrays)`: +1, -1 or a mirror's factor where currents are added, else 0."""

    def worths(self) -> tuple[float, ...]:
        """What each signal counts in an output."""

    def collect(self, signals: Array) -> Array:
        """Outputs from converted signals."""


class WeightScheme(Variant):
    """Family of weight schemes. A tile of `c` physical columns holds `data_columns(c)` outputs."""

    @abc.abstractmethod
    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """Targets in siemens, `(arrays, rows, physical columns)`, of weights in [-1, 1], `(rows, columns)`."""

    @abc.abstractmethod
    def analog(self) -> np.ndarray:
        """Signals from arrays, `(signals, arrays)`: +1, -1 or a mirror's factor where currents are added, else 0."""

    @abc.abstractmethod
    def worths(self) -> tuple[float, ...]:
        """What each signal counts in an output; the current of a cell that spans the window counts 1 in full scale."""

    @property
    def reference(self) -> bool:
        """Whether the last column of a tile is subtracted from the others digitally."""
        return False

    @property
    def driven_reference(self) -> bool:
        """Whether the last word line is a reference: none is."""
        return False

    def collect(self, signals: Array) -> Array:
        """Outputs `(batch, columns)` from converted signals `(batch, signals, physical columns)`: shift and add."""
        return _collected(signals, self)

    def pulses(self, n: Array, room: Array) -> Array:
        """Signed pulses of every cell, `(arrays, rows, physical columns)`, that move weights by `n` steps.

        `n` holds signed whole numbers of pulses per weight; `room`, shape of the result, how many pulses each cell is
        above the bottom of its window.
        """
        rule = "has no rule for pulsing its cells"
        raise InputError(type(self).__name__, rule, "", "train on the chip with DifferentialPair or OffsetColumn")

    def cell_worth(self) -> float:
        """Change of a weight in [-1, 1] when one of its cells crosses the whole window."""
        return 1.0

    def data_columns(self, physical: int) -> int:
        """Outputs that fit on a number of physical columns."""
        return physical - self.reference

    def check(self, window: Window) -> None:
        """Raise `InputError` where the window cannot carry the scheme."""


class DifferentialPair(WeightScheme):
    """One cell each for the positive and the negative part: w = (G+ - G-) / span, the other cell at g_min.

    `subtract` says whether the two currents are subtracted before one ADC ("analog") or after one ADC each ("digital").
    """

    subtract: Subtraction = "analog"

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """Two arrays, plus and minus."""
        return window.quantise(window.g_min + np.stack([np.maximum(w, 0), np.maximum(-w, 0)]) * window.span)

    def analog(self) -> np.ndarray:
        """One signal G+ - G-, or both arrays apart."""
        return np.array([[1.0, -1.0]]) if self.subtract == "analog" else np.eye(2)

    def pulses(self, n: Array, room: Array) -> Array:
        """Lower the opposite cell while it is above its bottom, then raise the weight's own: pairs keep their range."""
        wanted = np.stack([np.maximum(n, 0), np.maximum(-n, 0)])
        lowered = np.minimum(wanted, room[::-1])
        return (wanted - lowered - lowered[::-1]).astype(np.int64)

    def worths(self) -> tuple[float, ...]:
        """The signal itself, or plus less minus."""
        return (1.0,) if self.subtract == "analog" else (1.0, -1.0)


class OffsetColumn(WeightScheme):
    """One cell per weight around the middle of the window: w = 2 (G - G_mid) / span.

    Every tile has one more column, all cells at G_mid, whose converted current is subtracted digitally from the others.
    """

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """One array, with the reference column last."""
        middle = window.g_min + window.span / 2
        reference = np.full((w.shape[0], 1), middle)
        return window.quantise(np.concatenate([middle + w * (window.span / 2), reference], axis=1))[None]

    def analog(self) -> np.ndarray:
        """One signal, the array's own current."""
        return np.eye(1)

    def pulses(self, n: Array, room: Array) -> Array:
        """The weight's one cell takes them all; the reference column is left alone."""
        return np.concatenate([n, np.zeros_like(n[:, :1])], axis=1)[None].astype(np.int64)

    def cell_worth(self) -> float:
        """The window stands for the range from -1 to 1."""
        return 2.0

    def worths(self) -> tuple[float, ...]:
        """Half the window stands for a weight of 1."""
        return (2.0,)

    @property
    def reference(self) -> bool:
        """The last column, for weights of 0."""
        return True


class BitSlices(WeightScheme):
    """Weights cut into `slices` digits of `bits` bits, each digit on a differential pair of its own.

    |w| is rounded to slices x bits bits; digit s has weight 2^(bits s). Slices are added by weight behind an ADC
    each ("digital"), or as currents scaled by mirrors before one ADC for all ("analog": Xue et al., ISSCC 2019, 24.1).
    """

    slices: int = Field(default=4, ge=1, le=16)
    bits: int = Field(default=2, ge=1, le=8)
    subtract: Subtraction = "analog"
    add: Subtraction = "digital"

    @model_validator(mode="after")
    def _in_whole_numbers(self) -> Self:
        if self.slices * self.bits > MOST_BITS:
            got = f"{self.slices} x {self.bits}"
            raise RuleBroken(f"slices x bits must be at most {MOST_BITS} bits", "use fewer slices", value=got)
        return self

    @property
    def top(self) -> int:
        """The largest whole number the slices hold."""
        return int(2 ** (self.slices * self.bits) - 1)

    @property
    def radix(self) -> int:
        """Digits run from 0 to radix - 1."""
        return int(2**self.bits)

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """Arrays in the order slice 0 plus, slice 0 minus, slice 1 plus, ... from the least significant."""
        whole = np.rint(np.stack([np.maximum(w, 0), np.maximum(-w, 0)]) * self.top).astype(np.int64)
        digits = np.concatenate([(whole >> (self.bits * s)) % self.radix for s in range(self.slices)])
        return window.quantise(window.g_min + digits * (window.span / (self.radix - 1)))

    def analog(self) -> np.ndarray:
        """One signal per slice, or per slice and sign; of slices added as currents one in all, or one per sign."""
        pair = np.array([[1.0, -1.0]]) if self.subtract == "analog" else np.eye(2)
        mirrors = np.array([[self._worth(s) for s in range(self.slices)]])
        return np.kron(np.eye(self.slices) if self.add == "digital" else mirrors, pair)

    def worths(self) -> tuple[float, ...]:
        """2^(bits s) for slice s, over the largest whole number; the minus side of a pair counts less than 0."""
        signs = (1.0,) if self.subtract == "analog" else (1.0, -1.0)
        worths = [self._worth(s) for s in range(self.slices)] if self.add == "digital" else [1.0]
        return tuple(sign * worth for worth in worths for sign in signs)

    def check(self, window: Window) -> None:
        """A slice needs as many levels as its digit has values."""
        if window.levels is not None and window.levels < self.radix:
            rule = f"digits of {self.bits} bits need {self.radix} levels"
            raise InputError("BitSlices.bits", rule, f"{window.levels} levels", "use fewer bits per slice")

    def _worth(self, s: int) -> float:
        return float(self.radix**s * (self.radix - 1) / self.top)


@dataclass(frozen=True)
class Transposed:
    """A scheme seen from its bit lines: the same signals, of word lines.

    A reference column is a line that is driven here, by itself: there is no column to subtract.
    """

    of: WeightScheme
    reference: ClassVar[bool] = False

    @property
    def driven_reference(self) -> bool:
        """Whether the last bit line is a reference column."""
        return self.of.reference

    def analog(self) -> np.ndarray:
        """As the scheme's: currents of word lines are added and subtracted as those of bit lines are."""
        return self.of.analog()

    def worths(self) -> tuple[float, ...]:
        """As the scheme's."""
        return self.of.worths()

    def collect(self, signals: Array) -> Array:
        """Sums of converted signals `(batch, signals, word lines)`: `(batch, word lines)`."""
        return _collected(signals, self)


def _collected(signals: Array, reading: Reading) -> Array:
    """Shift and add, and subtract the reference column."""
    worths = [np.float32(worth) for worth in reading.worths()]
    total = signals[:, 0] * worths[0]
    for s in range(1, len(worths)):
        total = total + signals[:, s] * worths[s]
    return total[:, :-1] - total[:, -1:] if reading.reference else total
