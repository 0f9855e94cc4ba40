"""Voltages everywhere in a crossbar with wires, by nodal analysis and a sparse direct solve.

Number the nodes, assemble their admittance matrix (the Laplacian of the network), factor it. `nodal_conductance` is
the effective conductance in this way: slower than nested dissection, and independent of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimsim.crossbar.wires.line_resistance import Wires, checked_conductance, checked_voltages

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Floats = NDArray[np.float64]
Nodes = NDArray[np.intp]

_RIGHT_SIDES = 64  # solved together: bounds the memory of a solve to this many vectors of all nodes


def node_voltages(g: ArrayLike, wires: Wires, v: ArrayLike) -> tuple[Floats, Floats]:
    """Voltages at both ends of every cell, on its word line and on its bit line: `(v_word, v_bit)`, in volts.

    `g` is as in `effective_conductance`; `v`, volts, is `(rows,)` or a batch `(..., rows)`. Every input vector is
    put on every array of the stack: each result is `(*batch, *stack, rows, cols)`, batch first.
    The voltages are good to rounding, so a wire current taken as their difference over a tiny resistance is not.
    It works on host arrays. Raises `InputError` for bad `g` (as there), or `v` not finite or not of `rows` entries.
    """
    cells = checked_conductance(np.asarray(g))
    volts = checked_voltages(v, cells.shape[-2])
    return voltages_between(cells, wires, np.concatenate([volts, np.zeros((*volts.shape[:-1], cells.shape[-1]))], -1))


def voltages_between(g: Floats, wires: Wires, ends: Floats) -> tuple[Floats, Floats]:
    """The same for given voltages of drivers and of sense amplifiers, `ends` `(..., rows + cols)`."""
    rows, cols = g.shape[-2:]
    network = network_of(rows, cols, wires)
    inputs, arrays = ends.reshape(-1, rows + cols), g.reshape(-1, rows, cols)
    volts = np.empty((len(inputs), len(arrays), network.nodes))
    for index, one in enumerate(arrays):
        volts[:, index] = _all_voltages(admittance(network, one), inputs)
    shape = (*ends.shape[:-1], *g.shape)
    return volts[..., network.word].reshape(shape), volts[..., network.bit].reshape(shape)


def nodal_conductance(g: ArrayLike, wires: Wires) -> Floats:
    """`effective_conductance` by sparse LU, for tests; accurate to about 1e-12 relative, element by element."""
    cells = checked_conductance(np.asarray(g))
    if wires.ideal:
        return cast("Floats", cells.copy())
    rows, cols = cells.shape[-2:]
    network = network_of(rows, cols, wires)
    arrays = [_kron_reduced(admittance(network, one), rows, cols) for one in cells.reshape(-1, rows, cols)]
    return np.array(arrays).reshape(cells.shape)


class Network(NamedTuple):
    """Node numbers and wire branches of an array; drivers are nodes 0..rows-1, the sensed ends rows..rows+cols-1."""

    word: Nodes  # (rows, cols): the word-line node of each cell
    bit: Nodes  # (rows, cols): its bit-line node
    ends: Nodes  # (2, branches): the nodes joined by each wire segment
    siemens: Floats  # (branches,)
    nodes: int


def network_of(rows: int, cols: int, wires: Wires) -> Network:
    """The nodes and wire branches of an array of `rows` x `cols` cells."""
    drivers, senses = np.arange(rows), np.arange(rows, rows + cols)
    word, along_words, g_words = _lines(drivers, cols, wires.word, wires.source, first=rows + cols)
    used = max(rows + cols, word.max() + 1)
    upward, along_bits, g_bits = _lines(senses, rows, wires.bit, wires.sense, first=used)
    bit = upward[:, ::-1].T
    joined, siemens = [along_words, along_bits], [g_words, g_bits]
    if wires.both and wires.word + wires.source > 0:
        joined.append(np.stack([drivers, word[:, -1]]))
        siemens.append(np.full(rows, 1 / (wires.word + wires.source)))
    return Network(word, bit, np.hstack(joined), np.concatenate(siemens), nodes=max(used, bit.max() + 1))


def _lines(ends: Nodes, cells: int, segment: float, end: float, first: int) -> tuple[Nodes, Nodes, Floats]:
    """Nodes `(lines, cells)` along equal lines, outward from their `ends`; what their branches join; their siemens.

    New nodes are numbered from `first`; a resistance of 0 gives no branch but one node for both its sides.
    """
    lines = len(ends)
    if segment > 0:
        nodes = first + np.arange(lines * cells).reshape(lines, cells)
    else:
        merged = first + np.arange(lines) if end > 0 else ends
        nodes = np.broadcast_to(merged[:, None], (lines, cells))
    path = np.column_stack([ends, nodes])
    ohms = np.full((lines, cells), segment)
    ohms[:, 0] += end
    real = ohms > 0
    return nodes, np.stack([path[:, :-1][real], path[:, 1:][real]]), 1 / ohms[real]


def admittance(network: Network, g: Floats) -> csc_array[Any]:
    """The admittance matrix of all nodes, siemens: currents into the nodes are `y @ voltages`."""
    from scipy.sparse import csc_array

    a, b = np.hstack([[network.word.ravel(), network.bit.ravel()], network.ends])
    siemens = np.concatenate([g.ravel(), network.siemens])
    values = np.concatenate([siemens, siemens, -siemens, -siemens])
    places = np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a])
    return csc_array((values, places), shape=(network.nodes, network.nodes))


def _kron_reduced(y: csc_array[Any], rows: int, cols: int) -> Floats:
    """`g_eff` `(rows, cols)`: what flows out of each sensed end per volt on each driver.

    By reciprocity the ends of either side can be driven: the side with fewer is.
    """
    drivers, senses, inner = slice(rows), slice(rows, rows + cols), slice(rows + cols, None)
    driven, sensed = (drivers, senses) if rows <= cols else (senses, drivers)
    solve, inflow, outflow = solver(y[inner, inner]), y[inner, driven], y[sensed, inner]
    blocks = [inflow[:, start : start + _RIGHT_SIDES] for start in range(0, min(rows, cols), _RIGHT_SIDES)]
    reduced = np.hstack([outflow @ solve(block.toarray()) for block in blocks])
    return reduced.T if rows <= cols else reduced


def _all_voltages(y: csc_array[Any], ends: Floats) -> Floats:
    """Voltages of all nodes `(batch, nodes)` for those of the ends, which are the first nodes."""
    inner = slice(ends.shape[1], None)
    solution = solver(y[inner, inner])(-(y[inner, : ends.shape[1]] @ ends.T))
    return np.hstack([ends, solution.T])


def solver(y: csc_array[Any]) -> Callable[[Floats], Floats]:
    """A function that gives the voltages `(nodes, n)` for currents `(nodes, n)` into nodes of admittance `y`."""
    from scipy.sparse.linalg import splu

    if y.shape[0] == 0:
        return np.copy
    # Symmetric and diagonally dominant: the diagonal is a safe pivot, and an ordering that relies on it fills least.
    factors = splu(y, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return cast("Callable[[Floats], Floats]", factors.solve)
