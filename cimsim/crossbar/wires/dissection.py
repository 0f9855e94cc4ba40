"""Effective conductance of arrays with resistive word and bit lines, by nested dissection.

Neighbouring blocks of cells are joined two by two, all pairs of a size at once, and the ports they share eliminated,
until one block is left (nested dissection; George, SIAM J. Numer. Anal. 10, 345 (1973)): O(n^3) for n x n cells.
Blocks at the upper and the right border have fewer ports, since lines end there, and are cut short where the number
of rows or columns is no power of two: every level has blocks of four kinds at most.
"""

from __future__ import annotations

from cimsim.crossbar.wires.blocks import Blocks, above, beside
from cimsim.crossbar.wires.leaves import Corner, Segments, leaf_size, leaves
from device_models.window import Array

_Grid = dict[Corner, Blocks]
_KINDS = [Corner(top, last) for top in (False, True) for last in (False, True)]


def dissected(g: Array, segments: Segments) -> Array:
    """Effective conductance, siemens, of arrays of cells `g` `(arrays, rows, cols)`, float64."""
    size = leaf_size(g)
    p, q = (-(-length // size) for length in g.shape[1:])
    grid = {kind: _leaves(g, segments, kind, p, q, size) for kind in _KINDS}
    while p * q > 1:
        height, width = (max(blocks.ports[side] for blocks in grid.values()) for side in (0, 3))
        if q > 1 and (p == 1 or width <= height):
            grid, q = _halve_columns(grid, q), (q + 1) // 2
        else:
            grid, p = _halve_rows(grid, p), (p + 1) // 2
    whole = grid[Corner(True, True)]
    left, right, _, down = whole.ports.starts()
    driven = whole.meshes[:, left:right, down:]
    return driven if segments.right is None else driven + whole.meshes[:, right:down, down:]


def _leaves(g: Array, segments: Segments, kind: Corner, p: int, q: int, size: int) -> Blocks:
    """The leaves of one kind, of `p` x `q` in all; those at the borders take what is left."""
    arrays, rows, cols = g.shape
    upper, inner = rows - (p - 1) * size, (q - 1) * size
    r, c = slice(upper) if kind.top else slice(upper, None), slice(inner, None) if kind.last else slice(inner)
    high, wide = (1, upper) if kind.top else (p - 1, size), (1, cols - inner) if kind.last else (q - 1, size)
    local = segments._replace(word=segments.word[c].reshape(wide), bit=segments.bit[r].reshape(high))
    return leaves(g[:, r, c].reshape(arrays, *high, *wide), local, kind)


def _halve_columns(grid: _Grid, q: int) -> _Grid:
    """Join neighbours in pairs from the left; if their number is odd, the last column stays as it is."""
    halved = {}
    for top in (False, True):
        rest, last = grid[Corner(top, False)], grid[Corner(top, True)]
        if q % 2 == 0:
            rest, last = rest.cols(slice(-1)), beside(rest.cols(slice(-1, None)), last)
        halved[Corner(top, True)] = last
        halved[Corner(top, False)] = beside(rest.cols(slice(0, None, 2)), rest.cols(slice(1, None, 2)))
    return halved


def _halve_rows(grid: _Grid, p: int) -> _Grid:
    """Join neighbours in pairs from the bottom; if their number is odd, the top row stays as it is."""
    halved = {}
    for last in (False, True):
        top, rest = grid[Corner(True, last)], grid[Corner(False, last)]
        if p % 2 == 0:
            top, rest = above(top, rest.rows(slice(1))), rest.rows(slice(1, None))
        halved[Corner(True, last)] = top
        halved[Corner(False, last)] = above(rest.rows(slice(0, None, 2)), rest.rows(slice(1, None, 2)))
    return halved
