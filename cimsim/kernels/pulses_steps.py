"""From a gradient to pulses, compiled: one pass over the weights of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.philox import philox
from device_models.streams import Streams

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)


def signs_above(gradient: np.ndarray, limit: float) -> np.ndarray:
    """-1 and 1 against the gradient where its size is above a limit, else 0."""
    n = np.empty(gradient.shape, np.int32)
    _signs_above(gradient, gradient.dtype.type(limit), n)
    return n


def rounded(gradient: np.ndarray, worth: float, most: int, streams: Streams) -> np.ndarray:
    """Whole numbers of mean `worth * gradient`: rounded away from 0 with the chance of what is left, at most `most`."""
    n = np.empty(gradient.shape, np.int32)
    _rounded(gradient, np.float32(worth), np.float32(min(most, 2**30)), streams.key("round"), n)
    return n


def whole_steps(owed: np.ndarray, gradient: np.ndarray, rate: float, step: float, most: int) -> np.ndarray:
    """Take `rate * gradient` off `owed`, in place, and of that the whole steps, at most `most`, which are returned."""
    n = np.zeros(owed.shape, np.int32)
    _whole_steps(owed, gradient, np.float64(rate), np.float64(step), most, n)
    return n


@_compiled
def _signs_above(gradient: Any, limit: Any, n: Any) -> None:
    slopes, signs = gradient.reshape(-1), n.reshape(-1)
    for k in range(slopes.size):
        signs[k] = np.int32(slopes[k] < -limit) - np.int32(slopes[k] > limit)


@_compiled_loosely
def _rounded(gradient: Any, worth: Any, most: Any, key: Any, n: Any) -> None:
    """A uniform number for every weight, by counter; none for rows whose gradient is 0 everywhere."""
    columns = gradient.shape[1]
    quarter = (columns + 3) // 4
    words = np.empty((4, quarter), np.uint32)
    flat, k0, k1, k2, k3 = words.reshape(-1), key[0], key[1], key[2], key[3]
    for r in range(gradient.shape[0]):
        slopes, whole = gradient[r], n[r]
        some = False
        for c in range(columns):
            some |= slopes[c] != 0
        whole[:] = 0
        if not some:
            continue
        for q in range(quarter):
            words[0, q], words[1, q], words[2, q], words[3, q] = philox(np.uint32(q), np.uint32(r), k2, k3, k0, k1)
        for c in range(columns):
            pulses = np.float32(slopes[c]) * worth
            chance = np.float32(flat[c] >> np.uint32(8)) * np.float32(2**-24)
            size = np.int32(np.floor(min(abs(pulses) + chance, most)))
            whole[c] = -size if pulses < 0 else size


@_compiled
def _whole_steps(owed: Any, gradient: Any, rate: Any, step: Any, most: Any, n: Any) -> None:
    columns = owed.shape[1]
    for r in range(owed.shape[0]):
        debts, slopes = owed[r], gradient[r]
        due = 0
        for c in range(columns):
            debts[c] -= rate * slopes[c]
            due += abs(debts[c]) >= step
        if due == 0:
            continue
        sent = n[r]
        for c in range(columns):
            if abs(debts[c]) >= step:
                sent[c] = min(max(np.trunc(debts[c] / step), -most), most)
                debts[c] -= sent[c] * step
