"""The smallest blocks of a nested dissection: single cells, or some 16 x 16 cells in one compiled pass."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from cimsim.backend import backend_name
from cimsim.crossbar.wires.blocks import Blocks, Ports, above, beside
from cimsim.kernels.parts import each_part
from device_models.window import Array

_LEAF = 16  # rows and columns of a compiled leaf
_PART = 32  # compiled leaves that one thread takes at a time


class Segments(NamedTuple):
    """Conductances of the wires along each line, siemens.

    Attributes:
        word: `(cols,)`, of the word-line segment in front of the cells of each column.
        bit: `(rows,)`, of the bit-line segment after the cells of each row.
        right: of the wire from the last column to a second driver, or None without one.
    """

    word: Array
    bit: Array
    right: float | None


class Corner(NamedTuple):
    """Where leaves lie: in the top row of leaves, in the last column of leaves."""

    top: bool
    last: bool


def leaf_size(g: Array) -> int:
    """Rows and columns of the leaves of an array in the library that holds it."""
    return _LEAF if backend_name(g) == "numpy" else 1


def leaves(g: Array, segments: Segments, corner: Corner) -> Blocks:
    """The blocks of cells `g` `(arrays, p, rows, q, cols)`, siemens; `segments` of `(q, cols)` and `(p, rows)`.

    Ports that lead nowhere, at the ends of the lines, are eliminated.
    """
    return _compiled(g, segments, corner) if backend_name(g) == "numpy" else _cells(g, segments, corner)


def _compiled(g: Array, segments: Segments, corner: Corner) -> Blocks:
    from cimsim.kernels import leaf_cpu

    arrays, p, rows, q, cols = g.shape
    driven = segments.right is not None
    ports = Ports(rows, rows * (driven or not corner.last), cols * (not corner.top), cols)
    meshes = np.empty((p * q * arrays, sum(ports), sum(ports)))
    program, wires = _program(rows, cols, corner, driven), (segments.word, segments.bit, segments.right or 0.0)
    if len(meshes):
        each_part(lambda start, stop: leaf_cpu.reduced(g, *wires, program, meshes[start:stop], start), meshes, _PART)
    return Blocks.listed(ports, meshes, (p, q, arrays))


@cache
def _program(rows: int, cols: int, corner: Corner, driven: bool) -> np.ndarray:
    """The dissection of a leaf for `leaf_cpu.reduced`."""
    from cimsim.kernels.leaf_cpu import ABOVE, BESIDE, DRIVEN_RIGHT, OPEN_RIGHT, OPEN_TOP

    def cell(r: int, c: int) -> list[int]:
        column = [OPEN_TOP, c, ABOVE] if corner.top and r == 0 else [r * cols + c]
        end = DRIVEN_RIGHT if driven else OPEN_RIGHT
        return [*column, end, BESIDE] if corner.last and c == cols - 1 else column

    def block(r: range, c: range) -> list[int]:
        if len(r) == len(c) == 1:
            return cell(r[0], c[0])
        middle = max(len(r), len(c)) // 2
        if len(c) > len(r):
            return [*block(r, c[:middle]), *block(r, c[middle:]), BESIDE]
        return [*block(r[:middle], c), *block(r[middle:], c), ABOVE]

    return np.array(block(range(rows), range(cols)), dtype=np.int64)


def _cells(g: Array, segments: Segments, corner: Corner) -> Blocks:
    """Single cells: left - word - right - cell - up - bit - down."""
    shape = (g.shape[1], g.shape[3], len(g))
    mesh = np.zeros((*shape, 4, 4), like=g)
    wires = np.asarray(segments.word, like=g)[:, 0, None], np.asarray(segments.bit, like=g)[:, :1, None]
    for k, siemens in enumerate((wires[0], np.moveaxis(g[:, :, 0, :, 0], 0, -1), wires[1])):
        mesh[..., k, k + 1] = mesh[..., k + 1, k] = siemens
    meshes = mesh.reshape(-1, 4, 4)
    cells = Blocks.listed(Ports(1, 1, 1, 1), meshes, shape)
    if corner.top:
        cells = above(Blocks.listed(Ports(0, 0, 0, 1), np.zeros_like(meshes[:, :1, :1]), shape), cells)
    if corner.last and segments.right is None:
        return beside(cells, Blocks.listed(Ports(1, 0, 0, 0), np.zeros_like(meshes[:, :1, :1]), shape))
    if corner.last:
        wire = np.full_like(meshes[:, :2, :2], segments.right)
        return beside(cells, Blocks.listed(Ports(1, 1, 0, 0), wire, shape))
    return cells
