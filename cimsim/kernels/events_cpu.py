"""Products of drives of which most lines are at rest, as spikes leave them: only driven lines are added up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled = njit(nogil=True, error_model="numpy", cache=True)
# A product and its sum may be rounded once, as a BLAS does; the order of sums stays.
_compiled_fused = njit(nogil=True, fastmath={"contract"}, error_model="numpy", cache=True)
SHARE = 0.1  # of lines driven, at most: from 0.12 to 0.15 on the dense product takes less time
LEAST_LINES, LEAST_COLUMNS = 128, 32  # of a tile: below, to look for driven lines costs about as much as it saves
SAMPLES = 16  # at once: their sums are in the first cache when they are laid by column
AHEAD = 32  # samples by which events may be ahead of their share before the batch counts as dense


@_compiled
def room(cuts: Any, samples: Any, width: Any) -> Any:
    """Memory for `listed` drives of so many cuts: whether driven lines are few, their numbers, each sample's end."""
    lines = np.empty((cuts, int(SHARE * width * (samples + AHEAD)) + width), np.uint32)
    return np.zeros(cuts, np.bool_), lines, np.zeros((cuts, samples + 1), np.uint32)


@_compiled
def listed(volts: Any, lines: Any, ends: Any, of_lines: Any) -> bool:
    """The driven lines of volts `(samples, lines)`, sample after sample: of b, numbers `ends[b]` to `ends[b + 1]`.

    `of_lines` takes their volts. False, and no list, where more than `SHARE` of all are driven, or lines are too few
    to look. Every line is written down, and counted if driven, or overwritten: no branch to guess.
    """
    samples, width = volts.shape
    n, none, one, most = np.uint64(0), np.uint64(0), np.uint64(1), SHARE * width
    if width < LEAST_LINES:
        return False
    for b in range(samples):
        for k in range(width):
            lines[n] = k
            n += one if volts[b, k] != 0 else none
        ends[b + 1] = n
        if n > most * (b + AHEAD):
            return False
    for b in range(samples):
        for j in range(ends[b], ends[b + 1]):
            of_lines[j] = volts[b, lines[j]]
    return True


@_compiled_fused
def product(lines: Any, volts: Any, ends: Any, g: Any, out: Any) -> None:
    """Volts of driven lines times conductances `(lines, columns)`, to `out` `(columns, samples)`, added in their order.

    That of the dense product, up to rounding (to the bit where the BLAS adds in this order too).
    """
    columns, samples = out.shape
    sums = np.empty((SAMPLES, columns), np.float32)
    for start in range(0, samples, SAMPLES):
        n = min(SAMPLES, samples - start)
        for b in range(n):
            _add_up(lines, volts, ends[start + b], ends[start + b + 1], g, sums, b)
        for c in range(columns):
            for b in range(n):
                out[c, start + b] = sums[b, c]


@_compiled_fused
def _add_up(lines: Any, volts: Any, first: Any, last: Any, g: Any, sums: Any, b: Any) -> None:
    """Rows of `g` times volts, four at a time: sums are read and written once for all four."""
    columns, j = sums.shape[1], first
    for c in range(columns):
        sums[b, c] = np.float32(0)
    while j + 4 <= last:
        l0, l1, l2, l3 = lines[j], lines[j + 1], lines[j + 2], lines[j + 3]
        v0, v1, v2, v3 = volts[j], volts[j + 1], volts[j + 2], volts[j + 3]
        for c in range(columns):
            sums[b, c] = sums[b, c] + v0 * g[l0, c] + v1 * g[l1, c] + v2 * g[l2, c] + v3 * g[l3, c]
        j += 4
    while j < last:
        for c in range(columns):
            sums[b, c] += volts[j] * g[lines[j], c]
        j += 1
