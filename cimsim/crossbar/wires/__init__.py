"""Wire resistance of a crossbar: the conductance matrix that is seen from the ends of its wires.

Ohmic cells and wires are a linear network, so the array with its wires is again a matrix: `i = v @ g_eff`.
`g_eff` is found once per programmed state by eliminating every node but the driven and the sensed ends (Kron
reduction; Dorfler and Bullo, IEEE Trans. Circuits Syst. I 60, 150 (2013)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cimsim.backend import backend_name
from cimsim.crossbar.wires.currents import branch_currents, power
from cimsim.crossbar.wires.dissection import dissected
from cimsim.crossbar.wires.ladder import without_a_segment
from cimsim.crossbar.wires.leaves import Segments
from cimsim.crossbar.wires.line_resistance import Wires, checked_conductance
from cimsim.crossbar.wires.nodal import node_voltages
from cimsim.kernels.mesh import blas_on_one_thread
from cimsim.kernels.parts import in_parts
from device_models.window import Array

__all__ = ["Wires", "branch_currents", "effective_conductance", "node_voltages", "power"]

_BYTES_PER_CELL = 512  # at most, while an array is solved
_PART_ON_HOST, _PART_ELSEWHERE = 2**25, 2**32  # bytes: arrays of a stack that are solved together


def effective_conductance(g: ArrayLike | Array, wires: Wires) -> Array:
    """The matrix that an ohmic array with wires is: currents `i = v @ g_eff` for word-line voltages `v`.

    `g` is in siemens, `(..., rows, cols)`, a stack of arrays, 0 for an open cell; so is the result, in float64, in the
    library that holds `g`. Time grows as the third power of the side of an array. Nothing is ever subtracted, so every
    element is accurate relative to itself, to about 1e-14 for 512 x 512 cells, also where `g_eff` is tiny.
    Raises `InputError` if `g` is not finite, negative, or has fewer than two axes.
    """
    cells = checked_conductance(g)
    if wires.ideal or cells.size == 0:
        return cells.copy()
    arrays = cells.reshape(-1, *cells.shape[-2:])
    budget = _PART_ON_HOST if backend_name(cells) == "numpy" else _PART_ELSEWHERE
    size = max(1, budget // (_BYTES_PER_CELL * arrays[0].size))
    with blas_on_one_thread():
        return in_parts(lambda start, stop: _solved(arrays[start:stop], wires), arrays, size).reshape(cells.shape)


def _solved(g: Array, wires: Wires) -> Array:
    """The effective conductance of arrays `(arrays, rows, cols)`, all at once."""
    if wires.word == 0 or wires.bit == 0:
        return without_a_segment(g, wires)
    word, bit = np.full(g.shape[2], wires.word), np.full(g.shape[1], wires.bit)
    word[0] += wires.source
    bit[-1] += wires.sense
    return dissected(g, Segments(1 / word, 1 / bit, 1 / (wires.word + wires.source) if wires.both else None))
