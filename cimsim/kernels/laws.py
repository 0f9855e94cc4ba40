"""What the loops take: noise, laws of conversion, and how signals make outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from device_models.window import Array


class Noise(Protocol):
    """A source of noise for a batch of samples, one row of numbers per sample and turn.

    A sample is read once per `turn`; the numbers of two turns are independent.
    """

    def add(self, x: Array, variance: Array, turn: int = 0) -> None:
        """Add to `x` `(batch, columns)`, in place, independent Gaussian noise of this variance (broadcast to `x`)."""

    def generators(self, n: int, turn: int = 0) -> Iterator[Any]:
        """Random generators for the `n` samples, for laws that are drawn another way."""


class Gaussian(NamedTuple):
    """Noise to add to currents: where it comes from, its variance (broadcast to the currents), and the turn."""

    source: Noise
    variance: Array
    turn: int


class Uniform(NamedTuple):
    """Even codes, one value per column: code = floor(scale i + shift) held to 0..top, means first + step code."""

    scale: Array
    shift: Array
    step: Array
    first: Array
    top: int


class Table(NamedTuple):
    """Codes by comparison, one after the other from the highest bit, as successive approximation does.

    `edges` `(lines, top)`: the current at which code k + 1 begins (in rising order, the code is the number of edges
    not above the current); `values` `(lines, top + 1)`: what a code means; `lines`: the line of each column, int64.
    """

    edges: Array
    values: Array
    lines: Array


class Sheet(NamedTuple):
    """Tiles of a matrix one after the other in memory, those with the same outputs together, on the host.

    `cuts` are the ends of the driven lines of tiles, from 0 on; `spans` `(tiles, 4)` the number of each tile's cut, its
    first column and the one after its last among the columns of all tiles, and its first output; int64. `cells` is what
    lines deliver to columns, `variances` that of `cells` from read to read (empty for none). The rest has one value per
    column: the variance of the converters' noise (empty for none) and the `law` of conversion (None for none).
    """

    cuts: np.ndarray
    spans: np.ndarray
    cells: np.ndarray
    variances: np.ndarray
    converters: np.ndarray
    law: Uniform | Table | None


class Sums(NamedTuple):
    """How the signals of a tile make outputs: times `worths`, added, less the last column if it is a `reference`.

    `worths` is float32, on the host; `worth` is that of the whole read.
    """

    worths: np.ndarray
    reference: bool
    worth: float


class Membrane(NamedTuple):
    """The law of a membrane, in units of its threshold; `start` is the potential before the first step."""

    decay: float
    v_reset: float
    soft: bool
    refractory: int
    start: float
