"""The loops of `events`, compiled for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled = njit(nogil=True, error_model="numpy", cache=True)
# A product and its sum may be rounded once, as a BLAS does; the order of sums stays.
_compiled_fused = njit(nogil=True, fastmath={"contract"}, error_model="numpy", cache=True)
SAMPLES = 16  # at once: their sums are in the first cache when they are laid by column
AHEAD = 32  # samples by which events may be ahead of their share before the batch counts as dense


def listed(volts: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Driven lines, their volts and where each sample's end, or None where more than `share` of all are driven."""
    samples, width = volts.shape
    lines, ends = np.empty(int(share * width * (samples + AHEAD)) + width, np.uint32), np.zeros(samples + 1, np.uint32)
    if not _list_lines(volts, share * width, lines, ends):
        return None
    of_lines = np.empty(ends[-1], np.float32)
    _list_volts(volts, lines, ends, of_lines)
    return lines, of_lines, ends


@_compiled
def _list_lines(volts: Any, most: Any, lines: Any, ends: Any) -> bool:
    """Every line is written down, and counted if driven, or overwritten: no branch to guess. False: too many."""
    n, none, one = np.uint64(0), np.uint64(0), np.uint64(1)
    for b in range(volts.shape[0]):
        for k in range(volts.shape[1]):
            lines[n] = k
            n += one if volts[b, k] != 0 else none
        ends[b + 1] = n
        if n > most * (b + AHEAD):
            return False
    return True


@_compiled
def _list_volts(volts: Any, lines: Any, ends: Any, out: Any) -> None:
    for b in range(volts.shape[0]):
        for j in range(ends[b], ends[b + 1]):
            out[j] = volts[b, lines[j]]


@_compiled_fused
def product(lines: Any, volts: Any, ends: Any, g: Any, out: Any) -> None:
    """As `Events.product`."""
    columns, samples = out.shape
    sums = np.empty((SAMPLES, columns), np.float32)
    for start in range(0, samples, SAMPLES):
        n = min(SAMPLES, samples - start)
        for b in range(n):
            first, last = ends[start + b], ends[start + b + 1]
            _add_up(lines[first:last], volts[first:last], g, sums[b])
        for c in range(columns):
            for b in range(n):
                out[c, start + b] = sums[b, c]


@_compiled_fused
def _add_up(lines: Any, volts: Any, g: Any, y: Any) -> None:
    """Rows of `g` times volts, four at a time: sums are read and written once for all four."""
    n = len(lines)
    y[:] = np.float32(0)
    for j in range(0, n - 3, 4):
        g0, g1, g2, g3 = g[lines[j]], g[lines[j + 1]], g[lines[j + 2]], g[lines[j + 3]]
        v0, v1, v2, v3 = volts[j], volts[j + 1], volts[j + 2], volts[j + 3]
        for c in range(len(y)):
            y[c] = y[c] + v0 * g0[c] + v1 * g1[c] + v2 * g2[c] + v3 * g3[c]
    for j in range(n - n % 4, n):
        g0, v0 = g[lines[j]], volts[j]
        for c in range(len(y)):
            y[c] += v0 * g0[c]
