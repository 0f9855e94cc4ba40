"""The wire solver against a sparse LU of the same network with one right-hand side for each column."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from cimsim.bench.timing import Case, Run
from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from device_models.conduction import Sinh
from device_models.streams import Streams

WIRES, STACK = Wires(word=1.0, bit=1.0), 64


def cases() -> Iterator[Case]:
    """Arrays one by one, many at once, and cells that are not ohmic."""
    for n, rounds in ((64, 9), (128, 5), (256, 1)):
        yield Case(f"wires of a {n} x {n} array", "a sparse LU of its nodes", partial(one_array, n), rounds)
    yield Case(f"wires of {STACK} arrays of 128 x 128 at once", "one by one", at_once, rounds=3)
    yield Case("nonlinear cells and wires, 64 x 64, 100 inputs", "a sparse LU, linear", nonlinear, rounds=3)


def one_array(n: int) -> tuple[Run, Run]:
    """The effective conductance of an n x n array."""
    return partial(effective_conductance, cells(n, n), WIRES), sparse_lu(n)


def at_once() -> tuple[Run, Run]:
    """A stack of arrays, and the same one by one."""
    g = cells(STACK, 128, 128)
    return partial(effective_conductance, g, WIRES), lambda: [effective_conductance(one, WIRES) for one in g]


def nonlinear() -> tuple[Run, Run]:
    """A hundred inputs of an array whose cells follow a sinh law."""
    v = Streams(1).rng("volts").uniform(0, 0.2, (100, 64))
    return partial(nonlinear_currents, cells(64, 64), WIRES, v, Sinh(v0=0.2)), sparse_lu(64)


def cells(*shape: int) -> np.ndarray:
    """Conductances over the window, siemens."""
    return Streams(0).rng("cells").uniform(5e-6, 100e-6, shape)


def sparse_lu(n: int) -> Run:
    """SciPy's sparse LU of an n x n array as it comes, and its solution for n right-hand sides."""
    from scipy.sparse.linalg import splu

    matrix, sides = grid(n)
    return lambda: splu(matrix).solve(sides)


def grid(n: int) -> tuple[Any, np.ndarray]:
    """The admittance matrix of the nodes of an n x n array with wires of 1 S and cells of 50 uS, and n right sides.

    Word lines are driven at one end, bit lines grounded at the other.
    """
    from scipy import sparse

    between = -np.ones(n - 1)

    def line(diagonal: np.ndarray) -> Any:
        return sparse.diags_array([between, diagonal, between], offsets=[-1, 0, 1])

    ends = np.full(n, 2.0)
    ends[-1] = 1.0  # the far end of a line is open
    eye, cell = sparse.eye_array(n), 50e-6 * sparse.eye_array(n * n)
    words, bits = sparse.kron(eye, line(ends)), sparse.kron(line(ends[::-1]), eye)
    matrix = sparse.csc_array(sparse.block_array([[words + cell, -cell], [-cell, bits + cell]]))
    sides = np.zeros((2 * n * n, n))
    sides[np.arange(n) * n, np.arange(n)] = 1.0
    return matrix, sides
