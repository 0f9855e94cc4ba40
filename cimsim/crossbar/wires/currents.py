"""Currents and power everywhere in a crossbar with wires."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimsim.crossbar.wires.line_resistance import Wires
from cimsim.crossbar.wires.nodal import node_voltages

Floats = NDArray[np.float64]


class Currents(NamedTuple):
    """Currents in amperes, each `(*batch, *stack, rows, cols)`, and `right` without the columns.

    Attributes:
        word: in the word-line segment in front of each cell, away from the driver at the left.
        cell: through each cell, from word line to bit line.
        bit: in the bit-line segment after each cell, towards the sense amplifier.
        right: from the driver at the right end of each word line, 0 where there is none.
    """

    word: Floats
    cell: Floats
    bit: Floats
    right: Floats


class Power(NamedTuple):
    """Power in watts that turns into heat, each `(*batch, *stack, rows, cols)`.

    Attributes:
        word: in the word-line segment in front of each cell, with the drivers at the ends.
        cell: in each cell.
        bit: in the bit-line segment after each cell, with the sense amplifier at the end.
    """

    word: Floats
    cell: Floats
    bit: Floats

    @property
    def total(self) -> Floats:
        """Of each array, `(*batch, *stack)`: what its drivers deliver."""
        return cast("Floats", sum(part.sum((-2, -1)) for part in self))


def branch_currents(g: ArrayLike, wires: Wires, v: ArrayLike) -> Currents:
    """The current in every wire segment and cell, for inputs and errors as in `node_voltages`.

    Wire currents are sums of cell currents along the line, so they hold for any resistance, also for none. A word line
    without resistance that is driven from both ends shares its current as for equal segments.
    """
    v_word, v_bit = node_voltages(g, wires, v)
    cell = np.asarray(g, dtype=np.float64) * (v_word - v_bit)
    word, bit = np.flip(np.flip(cell, -1).cumsum(-1), -1), cell.cumsum(-2)
    right = _from_the_right(word, wires)
    return Currents(word - right[..., None], cell, bit, right)


def power(g: ArrayLike, wires: Wires, v: ArrayLike) -> Power:
    """The heat of every wire segment and cell, for inputs and errors as in `node_voltages`."""
    currents = branch_currents(g, wires, v)
    cells = np.asarray(g, dtype=np.float64)
    safe = np.where(cells > 0, cells, 1.0)
    word, bit = wires.word * currents.word**2, wires.bit * currents.bit**2
    word[..., 0] += wires.source * currents.word[..., 0] ** 2
    word[..., -1] += (wires.word + wires.source) * currents.right**2
    bit[..., -1, :] += wires.sense * currents.bit[..., -1, :] ** 2
    return Power(word, currents.cell**2 / safe, bit)


def _from_the_right(word: Floats, wires: Wires) -> Floats:
    """The current that drivers at the right end take over of the currents `word` of those at the left, amperes.

    The drops along the line, from driver to driver, add up to zero.
    """
    if not wires.both:
        return np.zeros(word.shape[:-1])
    ohms = np.full(word.shape[-1], wires.word if wires.word or wires.source else 1.0)
    ohms[0] += wires.source
    return cast("Floats", word @ ohms / (ohms.sum() + ohms[0]))
