"""Small blocks of a crossbar reduced to their ports, compiled for the CPU: many blocks side by side.

A block is reduced by a program in postfix order on a stack of meshes: a number 0 or more puts that cell on the stack,
`OPEN_TOP`, `OPEN_RIGHT` and `DRIVEN_RIGHT` put the end of a line there, `BESIDE` and `ABOVE` join the two meshes on top
of the stack and eliminate the ports they share. A mesh is the lower triangle of its conductances, row by row; the
numbers of `_LANES` blocks lie together, so that the inner loops are vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from device_models.window import Array

BESIDE, ABOVE, OPEN_TOP, OPEN_RIGHT, DRIVEN_RIGHT = -1, -2, -3, -4, -5
LEFT, RIGHT, UP, DOWN = range(4)

_LANES = 32
_TYPES = "void(float64[:,:,:,:,:], float64[:,:], float64[:,:], float64, int64[::1], float64[:,:,::1], int64)"

_inner = njit(nogil=True, error_model="numpy", cache=True)


def reduced(g: Array, word: Array, bit: Array, right: float, program: Array, out: Array, start: int) -> None:
    """Reduce blocks from number `start` on into `out` `(blocks, ports, ports)`.

    `g` `(arrays, p, rows, q, cols)` are the cells, siemens; blocks count through p, q, arrays. `word` `(q, cols)` and
    `bit` `(p, rows)` are the conductances of the wires in front of and after the cells, `right` that of the wire to
    a second driver.
    """
    _reduce(g, word, bit, right, program, out, start)


@_inner
def _triangle(ports: Any) -> Any:
    """Numbers in the lower triangle of a mesh."""
    return ports * (ports - 1) // 2


@_inner
def _put_cell(g: Any, word: Any, bit: Any, cell: Any, ports: Any, mesh: Any, start: Any, lanes: Any) -> None:
    """Left - word - right - cell - up - bit - down."""
    arrays, _, _, q, cols = g.shape
    r, c = cell // cols, cell % cols
    for side in range(4):
        ports[side] = 1
    for k in range(lanes):
        i, j = (start + k) // (q * arrays), (start + k) // arrays % q
        mesh[1, k] = mesh[3, k] = mesh[4, k] = 0.0
        mesh[0, k] = word[j, c]
        mesh[2, k] = g[(start + k) % arrays, i, r, j, c]
        mesh[5, k] = bit[i, r]


@_inner
def _put_end(op: Any, right: Any, ports: Any, mesh: Any) -> None:
    """The end of a bit line, of a word line, or the wire from a word line to its second driver."""
    ports[UP] = 0
    ports[DOWN] = 1 if op == OPEN_TOP else 0
    ports[LEFT] = 0 if op == OPEN_TOP else 1
    ports[RIGHT] = 1 if op == DRIVEN_RIGHT else 0
    for k in range(_LANES):
        mesh[0, k] = right


@_inner
def _place(a: Any, b: Any, op: Any, ports: Any, first: Any, second: Any) -> Any:
    """Ports of two joined blocks, and the number of every port of `a` and of `b` in it; the shared ones are the last.

    Returns how many ports `a`, `b`, the joined block and all have.
    """
    of_a, of_b = (RIGHT, LEFT) if op == BESIDE else (DOWN, UP)
    keep = 0
    for side in range(4):
        ports[side] = (0 if side == of_a else a[side]) + (0 if side == of_b else b[side])
        keep += ports[side]
    start = m = n = 0
    for side in range(4):
        for k in range(a[side]):
            first[m] = (keep if side == of_a else start) + k
            m += 1
        for k in range(b[side]):
            second[n] = (keep + k) if side == of_b else start + ports[side] - b[side] + k
            n += 1
        start += ports[side]
    return m, n, keep, keep + a[of_a]


@_inner
def _add(mesh: Any, places: Any, count: Any, joined: Any, lanes: Any) -> None:
    """Solder a mesh of `count` ports into the joined one."""
    here = 0
    for i in range(1, count):
        for j in range(i):
            there = _triangle(max(places[i], places[j])) + min(places[i], places[j])
            for k in range(lanes):
                joined[there, k] += mesh[here, k]
            here += 1


@_inner
def _eliminate(mesh: Any, total: Any, keep: Any, lanes: Any, sums: Any, row: Any) -> None:
    """Star-mesh transformations of the last ports, one by one."""
    for p in range(total - 1, keep - 1, -1):
        star = _triangle(p)
        for k in range(lanes):
            sums[k] = 0.0
        for i in range(p):
            for k in range(lanes):
                sums[k] += mesh[star + i, k]
        here = 0
        for i in range(1, p):
            for k in range(lanes):
                row[k] = mesh[star + i, k] / sums[k]
            for j in range(i):
                for k in range(lanes):
                    mesh[here, k] += row[k] * mesh[star + j, k]
                here += 1


@_inner
def _take(mesh: Any, out: Any, start: Any, lanes: Any) -> None:
    """The reduced meshes as full matrices with a diagonal of 0."""
    ports = out.shape[1]
    for k in range(lanes):
        here = 0
        for i in range(ports):
            out[start + k, i, i] = 0.0
            for j in range(i):
                out[start + k, i, j] = out[start + k, j, i] = mesh[here, k]
                here += 1


@_inner
def _clear(mesh: Any, ports: Any) -> None:
    for i in range(_triangle(ports)):
        for k in range(_LANES):
            mesh[i, k] = 0.0


@_inner
def _copy(mesh: Any, ports: Any, to: Any) -> None:
    for i in range(_triangle(ports)):
        for k in range(_LANES):
            to[i, k] = mesh[i, k]


@njit(_TYPES, nogil=True, error_model="numpy", cache=True)
def _reduce(g: Any, word: Any, bit: Any, right: Any, program: Any, out: Any, start: Any) -> None:
    most = 2 * (g.shape[2] + g.shape[4]) + max(g.shape[2], g.shape[4]) + 2
    stack, joined = np.empty((2 * _triangle(most), _LANES)), np.empty((_triangle(most), _LANES))
    sums, row = np.empty(_LANES), np.empty(_LANES)
    ports, base, a = np.zeros((len(program), 4), np.int64), np.zeros(len(program) + 1, np.int64), np.zeros(4, np.int64)
    first, second = np.empty(most, np.int64), np.empty(most, np.int64)
    for n in range(0, len(out), _LANES):
        lanes = min(_LANES, len(out) - n)
        top = -1
        for op in program:
            if op in (BESIDE, ABOVE):
                top -= 1
                for side in range(4):
                    a[side] = ports[top, side]
                count, other, keep, total = _place(a, ports[top + 1], op, ports[top], first, second)
                _clear(joined, total)
                _add(stack[base[top] :], first, count, joined, lanes)
                _add(stack[base[top + 1] :], second, other, joined, lanes)
                _eliminate(joined, total, keep, lanes, sums, row)
                _copy(joined, keep, stack[base[top] :])
            else:
                top += 1
                if op >= 0:
                    _put_cell(g, word, bit, op, ports[top], stack[base[top] :], start + n, lanes)
                else:
                    _put_end(op, right, ports[top], stack[base[top] :])
                keep = ports[top, 0] + ports[top, 1] + ports[top, 2] + ports[top, 3]
            base[top + 1] = base[top] + _triangle(keep)
        _take(stack, out, n, lanes)
