"""The inner loops compiled for the CPU, one pass each over its arrays; they let other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.philox import normal_pair, philox
from device_models.streams import Streams
from device_models.window import Array

_compiled = njit(nogil=True, error_model="numpy", cache=True)
# Sums may be reordered where numbers are random anyway; codes must come out as in `plain`, to the bit.
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)


class CounterNoise:
    """Noise by counter: row r, column c of a stream is the same number however the rows are cut into batches."""

    def __init__(self, key: np.ndarray, row: int) -> None:
        self._key, self._row = key, row

    def add(self, x: np.ndarray, variance: np.ndarray) -> None:
        """Add independent noise of this variance, in place."""
        _add_noise(x, np.broadcast_to(variance, x.shape), self._key, self._row)
        self._row += len(x)

    def generators(self, n: int) -> Iterator[np.random.Generator]:
        """A generator for each of the next `n` rows: the same for a row however the rows are cut into batches."""
        first, self._row = self._row, self._row + n
        return (self._generator(row) for row in range(first, first + n))

    def _generator(self, row: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([*map(int, self._key), row])))


def noise(like: Array, streams: Streams, role: str, row: int) -> CounterNoise:
    """The noise of a role, from its row `row` on."""
    return CounterNoise(streams.key(role), row)


def quantise(x: np.ndarray, scale: float, low: int, high: int, unit: float) -> np.ndarray:
    """`unit` times the whole number nearest to `scale x`, held to `low`..`high`: a DAC without errors."""
    out = np.empty(x.shape, np.float32)
    _quantise(x, out, np.float32(scale), np.float32(low), np.float32(high), np.float32(unit))
    return out


def convert(i: Array, scale: Array, shift: Array, top: int, step: Array, first: Array) -> None:
    """Currents to codes and back, in place: `first + step floor(scale i + shift)`, codes held to 0..top, by column."""
    _convert(i, scale, shift, np.float32(top), step, first)


@_compiled_loosely
def _add_noise(x: Any, variance: Any, key: Any, first_row: int) -> None:
    rows, columns = x.shape
    quarter = (columns + 3) // 4
    z = np.empty(4 * quarter, np.float32)
    for r in range(rows):
        for q in range(quarter):
            a, b, c, d = philox(np.uint32(first_row + r), np.uint32(q), key[0], key[1], key[2], key[3])
            z[q], z[q + quarter] = normal_pair(a, b)
            z[q + 2 * quarter], z[q + 3 * quarter] = normal_pair(c, d)
        for k in range(columns):
            x[r, k] += np.sqrt(variance[r, k]) * z[k]


@_compiled
def _quantise(x: Any, out: Any, scale: Any, low: Any, high: Any, unit: Any) -> None:
    for r in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[r, k] = min(max(np.rint(x[r, k] * scale), low), high) * unit


@_compiled
def _convert(i: Any, scale: Any, shift: Any, top: Any, step: Any, first: Any) -> None:
    zero = np.float32(0)
    for r in range(i.shape[0]):
        for k in range(i.shape[1]):
            code = min(max(np.floor(i[r, k] * scale[k] + shift[k]), zero), top)
            i[r, k] = first[k] + step[k] * code
