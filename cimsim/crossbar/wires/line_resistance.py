"""Resistance of the wires of a crossbar, and what a wire solution asks of its conductances and voltages."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from cimsim.backend import is_array
from device_models.errors import InputError
from device_models.parameters import Ohms, Parameters
from device_models.window import Array


class Wires(Parameters):
    """Uniform wire resistance of an array, in ohms; any of them may be 0, which joins the nodes exactly.

    Word lines are driven at their left end (column 0), bit lines are sensed at their bottom end (last row) into
    virtual ground. One word segment lies in front of every cell, also the first; one bit segment after every cell,
    also the last. `source` and `sense` are in series with the driven and the sensed ends:

        driver --source--word--+--word--+-- ...
                               |        |
                              cell     cell
                               |        |
                               +        +
                              bit      bit
                               |        |
                              ...      ... --sense-- virtual ground

    Driven from both ends, a word line has one more segment and one more `source` at its right end, to the same driver.
    """

    word: Ohms = 0.0
    """Resistance of one word-line segment, ohm."""
    bit: Ohms = 0.0
    """Resistance of one bit-line segment, ohm."""
    source: Ohms = 0.0
    """Output resistance of each word-line driver, ohm."""
    sense: Ohms = 0.0
    """Input resistance of each bit-line sense amplifier, ohm."""
    drive: Literal["left", "both"] = "left"
    """Which ends of the word lines are driven."""

    @property
    def ideal(self) -> bool:
        """Whether no wire has any resistance."""
        return self.word == self.bit == self.source == self.sense == 0

    @property
    def both(self) -> bool:
        """Whether word lines are driven from both ends."""
        return self.drive == "both"


def checked_conductance(g: ArrayLike | Array) -> Array:
    """`g` in float64 in the library that holds it, or an `InputError`: finite, 0 or more, `(..., rows, cols)`."""
    cells: Array = g if is_array(g) else np.asarray(g)
    if cells.ndim < 2 or 0 in cells.shape[-2:]:
        raise InputError("g", "must be (..., rows, cols) with at least one of each", cells.shape, "give whole arrays")
    _check_finite("g", "siemens", cells)
    if (cells < 0).any():
        remedy = "solve each array of a differential pair by itself"
        raise InputError("g", "must be 0 siemens or more", float(cells.min()), remedy)
    return cells.astype(np.float64, copy=False)


def checked_voltages(v: ArrayLike, rows: int) -> Array:
    """`v` in float64, or an `InputError`: finite, `(..., rows)`."""
    volts: Array = np.asarray(v)
    if volts.ndim < 1 or volts.shape[-1] != rows:
        raise InputError("v", f"must be (..., {rows}), one voltage per word line", volts.shape, "match the rows of g")
    _check_finite("v", "volts", volts)
    return volts.astype(np.float64, copy=False)


def _check_finite(name: str, unit: str, x: Any) -> None:
    """Raise `InputError` unless `x` holds finite real numbers."""
    if x.dtype.kind not in "fiu":
        raise InputError(name, f"must be real numbers in {unit}", x.dtype, "convert it first")
    bad = x.size - int(np.isfinite(x).sum())
    if bad:
        raise InputError(name, f"must be finite, in {unit}", f"{bad} of {x.size} that are not", "find where")
