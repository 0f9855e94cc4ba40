"""The loops of `cpu`. Currents `x` are `(columns, samples)`, each column whole in memory.

Every argument has one type whatever is switched on, so that each loop is compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.philox import normal_pair, philox

_compiled = njit(nogil=True, error_model="numpy", cache=True)
# Sums may be reordered where numbers are random anyway; codes must come out as in `plain`, to the bit.
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
SAMPLES = 512  # at once: their random words and normal numbers stay in the first cache


@_compiled
def read_out(y: Any, at: Any, x: Any, sums: Any, law: Any, cells: Any, converters: Any) -> None:
    """Noise of the cells, noise of the converters, conversion, shift and add."""
    add_noise(x, cells)
    add_noise(x, converters)
    convert(x, law)
    collect(y, at, x, sums)


@_compiled
def add_noise(x: Any, noise: Any) -> None:
    """Normal numbers times the root of a variance `(columns, samples or 1)`; an empty one adds nothing."""
    variance, key, row, turn = noise
    if variance.size:
        for start in range(0, x.shape[1], SAMPLES):
            _add_noise(x, variance, key, row, np.uint32(turn) << np.uint32(20), start)


@_compiled_loosely
def _add_noise(x: Any, variance: Any, key: Any, row: Any, high: Any, start: Any) -> None:
    """Columns q, q + n / 4, ... of a sample share a counter: its four words make their normal numbers.

    The turn, `high`, is above the 20 lowest bits of the counter that counts columns.
    """
    columns, quarter, n = len(x), (len(x) + 3) // 4, min(SAMPLES, x.shape[1] - start)
    words, z = np.empty((4, n), np.uint32), np.empty((4, n), np.float32)
    for q in range(quarter):
        for r in range(n):
            a, b, c, d = philox(np.uint32(row + start + r), np.uint32(q) | high, key[0], key[1], key[2], key[3])
            words[0, r], words[1, r], words[2, r], words[3, r] = a, b, c, d
        for r in range(n):  # apart from the words: two short loops become vector instructions, one long does not
            z[0, r], z[1, r] = normal_pair(words[0, r], words[1, r])
            z[2, r], z[3, r] = normal_pair(words[2, r], words[3, r])
        for k in range(q, columns, quarter):
            _add_normal(x[k, start : start + n], variance[k, start:], variance[k, 0], z[(k - q) // quarter])


@_compiled_loosely
def _add_normal(i: Any, variance: Any, one: Any, z: Any) -> None:
    """`z` times the root of each variance, or of `one` for all where none are given sample by sample."""
    if len(variance) < len(i):
        for r in range(len(i)):
            i[r] += np.sqrt(one) * z[r]
    else:
        for r in range(len(i)):
            i[r] += np.sqrt(variance[r]) * z[r]


@_compiled
def convert(x: Any, law: Any) -> None:
    """Even codes, or codes by comparison; currents stay what they are where the law has neither."""
    (scale, shift, step, first), top, (edges, values, lines) = law
    for k in range(len(scale)):
        _even(x[k], scale[k], shift[k], step[k], first[k], top)
    for k in range(len(lines)):
        _search(x[k], edges[lines[k]], values[lines[k]])


@_compiled
def _even(i: Any, scale: Any, shift: Any, step: Any, first: Any, top: Any) -> None:
    zero = np.float32(0)
    for r in range(len(i)):
        code = min(max(np.floor(i[r] * scale + shift), zero), top)
        i[r] = first + step * code


@_compiled
def _search(i: Any, edges: Any, values: Any) -> None:
    """All bits one after the other from the highest, every sample at once: no branch to guess."""
    code, bit = np.zeros(len(i), np.int32), np.int32(len(edges) + 1) >> np.int32(1)
    while bit:
        for r in range(len(i)):
            code[r] += bit if i[r] >= edges[code[r] + bit - 1] else np.int32(0)
        bit >>= np.int32(1)
    for r in range(len(i)):
        i[r] = values[code[r]]


@_compiled
def collect(y: Any, at: Any, x: Any, sums: Any) -> None:
    """Adds signals times their worths, less the last column where it is a reference, to `y` `(outputs, samples)`."""
    worths, reference, worth = sums
    columns, n = len(x) // len(worths), x.shape[1]
    if len(worths) == 1 and not reference:
        for k in range(columns):
            _add_signal(y[at[1] + k, at[0] : at[0] + n], x[k], worths[0], worth)
        return
    base, total = np.zeros(n, np.float32), np.empty(n, np.float32)
    if reference:
        _add_signals(base, x, columns - 1, columns, worths)
    for k in range(columns - reference):
        _add_signals(total, x, k, columns, worths)
        out = y[at[1] + k, at[0] : at[0] + n]
        for r in range(n):
            out[r] += (total[r] - base[r]) * worth


@_compiled
def _add_signal(out: Any, signal: Any, own: Any, worth: Any) -> None:
    """The only signal of a column, rounded as many would be."""
    for r in range(len(out)):
        out[r] += (signal[r] * own) * worth


@_compiled
def _add_signals(total: Any, x: Any, k: Any, columns: Any, worths: Any) -> None:
    """The signals of one column times their worths."""
    for s in range(len(worths)):
        signal, worth = x[s * columns + k], worths[s]
        if s == 0:
            for r in range(len(total)):
                total[r] = signal[r] * worth
        else:
            for r in range(len(total)):
                total[r] += signal[r] * worth


@_compiled
def quantise(x: Any, out: Any, scale: Any, low: Any, high: Any, unit: Any) -> None:
    """`unit` times the nearest whole number to `scale x`, held to `low`..`high`."""
    for n in range(len(x)):
        out[n] = min(max(np.rint(x[n] * scale), low), high) * unit


@_compiled
def digits(whole: Any, out: Any, shift: Any, mask: Any, unit: Any) -> None:
    """`unit` times the bits of `mask` of whole numbers shifted to the right, with their sign."""
    for n in range(len(whole)):
        code = np.int32(whole[n])
        digit = np.float32((np.int32(abs(code)) >> shift) & mask)
        out[n] = (-digit if code < 0 else digit) * unit


@_compiled
def squared_error(i: Any, low: Any, step: Any, top: Any, out: Any) -> None:
    """Mean squared error of even codes for currents `(n, samples)`, n ranges."""
    for n in range(i.shape[0]):
        total, scale = 0.0, 1 / step[n]
        for k in range(i.shape[1]):
            u = (np.float64(i[n, k]) - low[n]) * scale
            code = min(max(np.floor(u), 0.0), top)
            total += (code + 0.5 - u) ** 2
        out[n] = total / i.shape[1] * step[n] ** 2
