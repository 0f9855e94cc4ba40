"""Wire resistance of a crossbar: the conductance matrix that is seen from the ends of its wires.

Ohmic cells and wires are a linear network, so the array with its wires is again a matrix: `i = v @ g_eff`.
`g_eff` is found once per programmed state by nodal analysis: number the nodes, assemble the admittance matrix
(the Laplacian of the network), eliminate every node but the driven and the sensed ends (Kron reduction;
Dorfler and Bullo, IEEE Trans. Circuits Syst. I 60, 150 (2013)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from device_models.errors import InputError
from device_models.parameters import Ohms, Parameters

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Floats = NDArray[np.float64]
Nodes = NDArray[np.intp]

_RIGHT_SIDES = 64  # solved together: bounds the memory of a solve to this many vectors of all nodes


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
    """

    word: Ohms = 0.0
    """Resistance of one word-line segment, ohm."""
    bit: Ohms = 0.0
    """Resistance of one bit-line segment, ohm."""
    source: Ohms = 0.0
    """Output resistance of each word-line driver, ohm."""
    sense: Ohms = 0.0
    """Input resistance of each bit-line sense amplifier, ohm."""

    @property
    def ideal(self) -> bool:
        """Whether no wire has any resistance."""
        return self.word == self.bit == self.source == self.sense == 0


def effective_conductance(g: ArrayLike, wires: Wires) -> Floats:
    """The matrix that an ohmic array with wires is: currents `i = v @ g_eff` for word-line voltages `v`.

    `g` is in siemens, `(..., rows, cols)`, a stack of arrays, 0 for an open cell; so is the result, in float64.
    The sparse direct solve is accurate to about 1e-12 relative, element by element, also where `g_eff` is tiny.
    It works on host arrays: bring `g` there first if it lies elsewhere.
    Raises `InputError` if `g` is not finite, negative, or has fewer than two axes.
    """
    g = _checked_conductance(g)
    if wires.ideal:
        return g.copy()
    rows, cols = g.shape[-2:]
    network = _network(rows, cols, wires)
    arrays = [_kron_reduced(_admittance(network, one), rows, cols) for one in g.reshape(-1, rows, cols)]
    return np.array(arrays).reshape(g.shape)


def node_voltages(g: ArrayLike, wires: Wires, v: ArrayLike) -> tuple[Floats, Floats]:
    """Voltages at both ends of every cell, on its word line and on its bit line: `(v_word, v_bit)`, in volts.

    `g` is as in `effective_conductance`; `v`, volts, is `(rows,)` or a batch `(..., rows)`. Every input vector is
    put on every array of the stack: each result is `(*batch, *stack, rows, cols)`, batch first.
    The voltages are good to rounding, so a wire current taken as their difference over a tiny resistance is not.
    It works on host arrays. Raises `InputError` for bad `g` (as there), or `v` not finite or not of `rows` entries.
    """
    g = _checked_conductance(g)
    rows, cols = g.shape[-2:]
    v = _checked_voltages(v, rows)
    network = _network(rows, cols, wires)
    inputs = v.reshape(-1, rows)
    arrays = g.reshape(-1, rows, cols)
    volts = np.empty((len(inputs), len(arrays), network.nodes))
    for index, one in enumerate(arrays):
        volts[:, index] = _all_voltages(_admittance(network, one), inputs, cols)
    shape = (*v.shape[:-1], *g.shape)
    return volts[..., network.word].reshape(shape), volts[..., network.bit].reshape(shape)


class _Network(NamedTuple):
    """Node numbers and wire branches of an array; drivers are nodes 0..rows-1, the sensed ends rows..rows+cols-1."""

    word: Nodes  # (rows, cols): the word-line node of each cell
    bit: Nodes  # (rows, cols): its bit-line node
    ends: Nodes  # (2, branches): the nodes joined by each wire segment
    siemens: Floats  # (branches,)
    nodes: int


def _network(rows: int, cols: int, wires: Wires) -> _Network:
    """The nodes and wire branches of an array of `rows` x `cols` cells."""
    drivers, senses = np.arange(rows), np.arange(rows, rows + cols)
    word, along_words, g_words = _lines(drivers, cols, wires.word, wires.source, first=rows + cols)
    used = max(rows + cols, word.max() + 1)
    upward, along_bits, g_bits = _lines(senses, rows, wires.bit, wires.sense, first=used)
    bit = upward[:, ::-1].T
    joined, siemens = np.hstack([along_words, along_bits]), np.concatenate([g_words, g_bits])
    return _Network(word, bit, joined, siemens, nodes=max(used, bit.max() + 1))


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


def _admittance(network: _Network, g: Floats) -> csc_array[Any]:
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
    solve, inflow, outflow = _solver(y[inner, inner]), y[inner, driven], y[sensed, inner]
    blocks = [inflow[:, start : start + _RIGHT_SIDES] for start in range(0, min(rows, cols), _RIGHT_SIDES)]
    reduced = np.hstack([outflow @ solve(block.toarray()) for block in blocks])
    return reduced.T if rows <= cols else reduced


def _all_voltages(y: csc_array[Any], v: Floats, cols: int) -> Floats:
    """Voltages of all nodes `(batch, nodes)` for driver voltages `v` `(batch, rows)`, the sensed ends at 0 V."""
    batch, rows = v.shape
    inner = slice(rows + cols, None)
    solution = _solver(y[inner, inner])(-(y[inner, :rows] @ v.T))
    return np.hstack([v, np.zeros((batch, cols)), solution.T])


def _solver(y: csc_array[Any]) -> Callable[[Floats], Floats]:
    """A function that gives the voltages `(nodes, n)` for currents `(nodes, n)` into nodes of admittance `y`."""
    from scipy.sparse.linalg import splu

    if y.shape[0] == 0:
        return np.copy
    # Symmetric and diagonally dominant: the diagonal is a safe pivot, and an ordering that relies on it fills least.
    factors = splu(y, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return cast("Callable[[Floats], Floats]", factors.solve)


def _checked_conductance(g: ArrayLike) -> Floats:
    """`g` in float64, or an `InputError`."""
    g = np.asarray(g)
    if g.ndim < 2 or 0 in g.shape[-2:]:
        raise InputError("g", "must be (..., rows, cols) with at least one of each", g.shape, "give whole arrays")
    _check_finite("g", "siemens", g)
    if (g < 0).any():
        raise InputError("g", "must be 0 siemens or more", g.min(), "solve each array of a differential pair by itself")
    return g.astype(np.float64, copy=False)


def _checked_voltages(v: ArrayLike, rows: int) -> Floats:
    """`v` in float64, or an `InputError`."""
    v = np.asarray(v)
    if v.ndim < 1 or v.shape[-1] != rows:
        raise InputError("v", f"must be (..., {rows}), one voltage per word line", v.shape, "match the rows of g")
    _check_finite("v", "volts", v)
    return v.astype(np.float64, copy=False)


def _check_finite(name: str, unit: str, x: NDArray[Any]) -> None:
    """Raise `InputError` unless `x` holds finite real numbers."""
    if x.dtype.kind not in "fiu":
        raise InputError(name, f"must be real numbers in {unit}", x.dtype, "convert it first")
    bad = x[~np.isfinite(x)]
    if bad.size:
        raise InputError(name, f"must be finite, in {unit}", f"{bad.size} of {x.size} that are not", "find where")
