"""Random trains of pulses on lines, compiled: which lines have any, and in which slots."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from cimsim.kernels.philox import philox

LONGEST_TRAIN = 62  # bits of a word, less that of the sign
SIGN = np.uint64(1) << np.uint64(63)
BITS = SIGN - np.uint64(1)

_TINY = np.finfo(np.float64).tiny

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)


class Trains(NamedTuple):
    """The trains of a batch that hold a pulse.

    lines: (batch, all lines) int32, in each row first the numbers of those lines, rising; words: (batch, all lines)
    uint64, their trains, a bit a slot, the top one where the value is negative; counts: (batch,), how many there are.
    """

    lines: np.ndarray
    words: np.ndarray
    counts: np.ndarray


class Chances(NamedTuple):
    """For each sample: the chance of a pulse per unit of input and of error, and the number of slots of its trains."""

    x: np.ndarray
    d: np.ndarray
    lengths: np.ndarray


def chances(x: np.ndarray, d: np.ndarray, worth: float, longest: int, *, own_lengths: bool, shared: bool) -> Chances:
    """Trains whose coincidences are worth `worth * x * d` pulses in the mean, for inputs and errors `(batch, lines)`.

    `own_lengths`: no more slots than the largest change needs, at most `longest`; else that many. `shared`: the largest
    chances of both sides are equal.
    """
    made = Chances(np.empty(len(x)), np.empty(len(x)), np.empty(len(x), np.int64))
    _chances((x, d), float(worth), longest, own_lengths, shared, *made)
    return made


@_compiled
def pulse_trains(values: Any, gains: Any, lengths: Any, key: Any) -> Any:
    """`Trains` of `values` (batch, lines): a pulse in each of a sample's `lengths` slots with chance |value| gain.

    Chances above 1 are 1.
    """
    lines, words = np.empty(values.shape, np.int32), np.empty(values.shape, np.uint64)
    counts = np.empty(len(values), np.int64)
    _pulse_trains(values, gains, lengths, key, lines, words, counts)
    return Trains(lines, words, counts)


@_compiled
def _chances(sides: Any, worth: Any, longest: Any, own: Any, shared: Any, per_x: Any, per_d: Any, n: Any) -> None:
    x, d = sides
    for b in range(x.shape[0]):
        most_x, most_d = np.float64(_largest(x[b])), np.float64(_largest(d[b]))
        n[b] = min(max(np.ceil(worth * most_x * most_d), 1), longest) if own else longest
        factor = np.sqrt(worth / n[b])
        # where a side is 0 there are no pulses, whatever the other's chance
        ratio = np.sqrt((most_d + _TINY) / (most_x + _TINY)) if shared else 1.0
        per_x[b], per_d[b] = factor * ratio, factor / ratio


@_compiled_loosely
def _largest(values: Any) -> Any:
    most = values.dtype.type(0)
    for k in range(values.size):
        most = max(most, abs(values[k]))
    return most


@_compiled_loosely
def _pulse_trains(values: Any, gains: Any, lengths: Any, key: Any, lines: Any, words: Any, counts: Any) -> None:
    """Four slots a counter, line after line without a branch: compilers make vector instructions of it."""
    limits = np.empty(values.shape[1] + 1, np.uint32)
    for b in range(values.shape[0]):
        there, trains, some = lines[b], words[b], 0
        for k in range(values.shape[1]):
            limit = np.uint32(min(np.float64(abs(values[b, k])) * gains[b] * 4294967296.0, 4294967295.0))
            there[some], limits[some] = k, limit
            some += limit != 0
        trains[:some] = 0
        for q in range((lengths[b] + 3) // 4):
            shift = np.uint64(4 * q)
            for j in range(some):
                w0, w1, w2, w3 = philox(np.uint32(there[j]), np.uint32(b), np.uint32(q), key[2], key[0], key[1])
                limit = limits[j]
                slots = np.uint64(w0 < limit) | np.uint64(w1 < limit) << np.uint64(1)
                slots |= np.uint64(w2 < limit) << np.uint64(2) | np.uint64(w3 < limit) << np.uint64(3)
                trains[j] |= slots << shift
        inside, kept = (np.uint64(1) << np.uint64(lengths[b])) - np.uint64(1), 0
        for j in range(some):
            train, k = trains[j] & inside, there[j]
            there[kept], trains[kept] = k, train | (SIGN if values[b, k] < 0 else np.uint64(0))
            kept += train != 0
        counts[b] = kept
