"""The inner loops compiled for the CPU, one pass each over its arrays; they let other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.laws import Gaussian, Sums, Table, Uniform
from cimsim.kernels.philox import normal_pair, philox
from device_models.streams import Streams
from device_models.window import Array

_compiled = njit(nogil=True, error_model="numpy", cache=True)
# Sums may be reordered where numbers are random anyway; codes must come out as in `plain`, to the bit.
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)


class CounterNoise:
    """Noise by counter: row r, column c of a turn is the same number however the rows are cut into batches."""

    def __init__(self, key: np.ndarray, row: int) -> None:
        self.key, self.row = key, row

    def add(self, x: np.ndarray, variance: np.ndarray, turn: int = 0) -> None:
        """Add independent noise of this variance, in place."""
        if variance.shape != x.shape:
            rows = variance.shape[0] if variance.ndim > 1 else 1
            variance = np.ascontiguousarray(np.broadcast_to(variance, (rows, x.shape[1])), np.float32)
        _add_noise(x, variance, self.key, self.row, turn)

    def generators(self, n: int, turn: int = 0) -> Iterator[np.random.Generator]:
        """A generator for each row: the same for a row however the rows are cut into batches."""
        return (self._generator(row, turn) for row in range(self.row, self.row + n))

    def _generator(self, row: int, turn: int) -> np.random.Generator:
        words = [*map(int, self.key), row, *([turn] if turn else [])]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))


def noise(like: Array, streams: Streams, role: str, row: int) -> CounterNoise:
    """The noise of a role, from its row `row` on."""
    return CounterNoise(_key(streams, role), row)


@lru_cache(maxsize=4096)
def _key(streams: Streams, role: str) -> np.ndarray:
    return streams.key(role)


def quantise(x: np.ndarray, scale: float, low: int, high: int, unit: float) -> np.ndarray:
    """`unit` times the whole number nearest to `scale x`, held to `low`..`high`: a DAC without errors."""
    out = np.empty(x.shape, np.float32)
    _quantise(x, out, np.float32(scale), np.float32(low), np.float32(high), np.float32(unit))
    return out


def digits(whole: np.ndarray, shift: int, width: int, unit: float) -> np.ndarray:
    """`unit` times the digit of `width` bits above the lowest `shift` bits of whole numbers, which keep their sign."""
    out = np.empty(whole.shape, np.float32)
    _digits(whole, out, np.int32(shift), np.int32(2**width - 1), np.float32(unit))
    return out


def convert(i: np.ndarray, law: Uniform | Table) -> None:
    """Currents `(batch, columns)` to codes and to what they mean, in place."""
    if isinstance(law, Table):
        _search(i, law.edges, law.values, law.lines.astype(np.uint64))
    else:
        _convert(i, law.scale, law.shift, np.float32(law.top), law.step, law.first)


def read_out(
    y: np.ndarray,
    start: int,
    i: np.ndarray,
    sums: Sums,
    law: Uniform | Table | None = None,
    noises: tuple[Gaussian | None, Gaussian | None] = (None, None),
) -> None:
    """Noise, conversion, shift and add: adds to columns `start`... of `y` what a tile's currents are worth.

    `i` `(batch, signals * columns)` are the currents, which are overwritten while they are in the cache; `law` None
    leaves them unconverted; `noises` are those of the cells and of the converters.
    """
    for one in noises:
        if one is not None:
            one.source.add(i, one.variance, one.turn)
    if law is not None:
        convert(i, law)
    signals = i.reshape(len(i), len(sums.worths), -1)
    _collect(y, start, signals, sums.worths, sums.reference, np.float32(sums.worth))


def squared_error(i: np.ndarray, low: np.ndarray, step: np.ndarray, top: int) -> np.ndarray:
    """Mean squared error of even codes 0..top for currents `(n, samples)`: `(n,)`, float64, for n ranges."""
    out = np.empty(len(i))
    _squared_error(i, low, step, float(top), out)
    return out


@_compiled_loosely
def _add_noise(x: Any, variance: Any, key: Any, row: Any, turn: Any) -> None:
    """The turn is above the 20 lowest bits of the counter that counts columns."""
    rows, columns = x.shape
    quarter = (columns + 3) // 4
    words, z = np.empty((4, quarter), np.uint32), np.empty((4, quarter), np.float32)
    flat = z.reshape(-1)
    high = np.uint32(turn) << np.uint32(20)
    for r in range(rows):
        for q in range(quarter):
            a, b, c, d = philox(np.uint32(row + r), np.uint32(q) | high, key[0], key[1], key[2], key[3])
            words[0, q], words[1, q], words[2, q], words[3, q] = a, b, c, d
        for q in range(quarter):  # apart from the words: two short loops become vector instructions, one long does not
            z[0, q], z[1, q] = normal_pair(words[0, q], words[1, q])
            z[2, q], z[3, q] = normal_pair(words[2, q], words[3, q])
        of_row = variance[r % len(variance)]
        for k in range(columns):
            x[r, k] += np.sqrt(of_row[k]) * flat[k]


@_compiled
def _convert(i: Any, scale: Any, shift: Any, top: Any, step: Any, first: Any) -> None:
    zero = np.float32(0)
    for r in range(i.shape[0]):
        for k in range(i.shape[1]):
            code = min(max(np.floor(i[r, k] * scale[k] + shift[k]), zero), top)
            i[r, k] = first[k] + step[k] * code


@_compiled
def _search(i: Any, edges: Any, values: Any, lines: Any) -> None:
    """All bits one after the other from the highest, every column at once: no branch to guess."""
    one, two = np.uint64(1), np.uint64(2)
    top = np.uint64(edges.shape[1])
    start, code = lines * top, np.empty(i.shape[1], np.uint64)
    edge, value = edges.reshape(-1), values.reshape(-1)
    for r in range(i.shape[0]):
        code[:] = 0
        bit = (top + one) // two
        while bit:
            for k in range(i.shape[1]):
                reached = i[r, k] >= edge[start[k] + code[k] + bit - one]
                code[k] += bit if reached else np.uint64(0)
            bit //= two
        for k in range(i.shape[1]):
            i[r, k] = value[start[k] + lines[k] + code[k]]


@_compiled
def _collect(y: Any, start: Any, signals: Any, worths: Any, reference: Any, worth: Any) -> None:
    columns = signals.shape[2]
    total = np.empty(columns, np.float32)
    for r in range(signals.shape[0]):
        for k in range(columns):
            total[k] = signals[r, 0, k] * worths[0]
        for s in range(1, len(worths)):
            for k in range(columns):
                total[k] += signals[r, s, k] * worths[s]
        base = total[columns - 1] if reference else np.float32(0)
        out = y[r, start : start + columns - reference]
        for k in range(len(out)):
            out[k] += (total[k] - base) * worth


@_compiled
def _quantise(x: Any, out: Any, scale: Any, low: Any, high: Any, unit: Any) -> None:
    for r in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[r, k] = min(max(np.rint(x[r, k] * scale), low), high) * unit


@_compiled
def _digits(whole: Any, out: Any, shift: Any, mask: Any, unit: Any) -> None:
    for r in range(whole.shape[0]):
        for k in range(whole.shape[1]):
            code = np.int32(whole[r, k])
            digit = np.float32((np.int32(abs(code)) >> shift) & mask)
            out[r, k] = (-digit if code < 0 else digit) * unit


@_compiled
def _squared_error(i: Any, low: Any, step: Any, top: Any, out: Any) -> None:
    for n in range(i.shape[0]):
        total, scale = 0.0, 1 / step[n]
        for k in range(i.shape[1]):
            u = (np.float64(i[n, k]) - low[n]) * scale
            code = min(max(np.floor(u), 0.0), top)
            total += (code + 0.5 - u) ** 2
        out[n] = total / i.shape[1] * step[n] ** 2
