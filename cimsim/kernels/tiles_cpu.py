"""All tiles of a matrix in one compiled call: product, noise, conversion, shift and add, a few samples at a time.

What is at hand stays in the cache, and other threads run meanwhile. With a call for each tile and step, threads would
wait for Python's lock longer than they work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels import events_cpu
from cimsim.kernels.loops import add_noise, collect, convert

_compiled = njit(nogil=True, error_model="numpy", cache=True)


@_compiled
def read_tiles(y: Any, first: Any, volts: Any, sheet: Any, sums: Any, noise: Any, block: Any) -> None:
    """As `cpu.read_tiles`, for outputs `y` `(outputs, samples)`, `block` samples at a time."""
    cuts, spans, noisy, drive, squares, currents, spread, events = _room(sheet, block)
    for start in range(0, len(volts), block):
        here, at = volts[start : start + block], 0
        n = len(here)
        _take(here, cuts, drive, events)
        for k in range(len(squares)):
            squares[k] = drive[k] * drive[k]
        for t in range(len(spans)):
            cut, columns = spans[t, 0], spans[t, 2] - spans[t, 1]
            lines = slice(cuts[cut] * n, cuts[cut + 1] * n)
            cells = slice(at, at + (cuts[cut + 1] - cuts[cut]) * columns)
            i = currents[: columns * n].reshape(columns, n)
            _product(sheet[2][cells], drive[lines], cut, events, i)
            variance = spread[: noisy * columns * n].reshape(noisy * columns, n)
            if noisy:
                _product(sheet[3][cells], squares[lines], cut, events, variance)
            _read_out(y, (first + start, spans[t, 3]), (i, variance), t, sheet, sums, (noise, start))
            at = cells.stop


@_compiled
def _room(sheet: Any, block: Any) -> Any:
    """Memory for the drives of a block, for what a tile makes of them, and for lists of driven lines."""
    cuts, spans, _, variances, _, _ = sheet
    noisy, widest, longest = int(len(variances) > 0), 0, 0
    for t in range(len(spans)):
        widest = max(widest, spans[t, 2] - spans[t, 1])
    for cut in range(len(cuts) - 1):
        longest = max(longest, cuts[cut + 1] - cuts[cut])
    drive, currents = np.empty(cuts[-1] * block, np.float32), np.empty(widest * block, np.float32)
    squares, spread = np.empty(noisy * len(drive), np.float32), np.empty(noisy * len(currents), np.float32)
    events = events_cpu.room(len(cuts) - 1, block, longest if widest >= events_cpu.LEAST_COLUMNS else 0)
    return cuts, spans, noisy, drive, squares, currents, spread, events


@_compiled
def _take(volts: Any, cuts: Any, drive: Any, events: Any) -> None:
    """Drives, cut after cut: of driven lines alone where these are few, else each line whole in memory."""
    few, lines, ends = events
    n = len(volts)
    for cut in range(len(few)):
        a, b = cuts[cut], cuts[cut + 1]
        here, own = volts[:, a:b], drive[a * n : b * n]
        few[cut] = lines.size > 0 and events_cpu.listed(here, lines[cut], ends[cut], own)
        if not few[cut]:
            by_line = own.reshape(b - a, n)
            for k in range(b - a):
                for r in range(n):
                    by_line[k, r] = here[r, k]


@_compiled
def _product(g: Any, drive: Any, cut: Any, events: Any, out: Any) -> None:
    """Drives of a cut times the cells of a tile, to `out` `(columns, samples)`, each column whole in memory."""
    few, lines, ends = events
    columns, n = out.shape
    if few[cut]:
        events_cpu.product(lines[cut], drive, ends[cut, : n + 1], g.reshape(-1, columns), out)
    else:
        np.dot(g.reshape(-1, columns).T, drive.reshape(-1, n), out)


@_compiled
def _read_out(y: Any, at: Any, read: Any, t: Any, sheet: Any, sums: Any, noise: Any) -> None:
    """Noise, conversion, shift and add as in `loops.read_out`, with what belongs to tile t."""
    _, spans, _, _, converters, (even, top, (edges, values, lines)) = sheet
    (i, variance), ((cells, others, row, turn), start) = read, noise
    columns, (scale, shift, step, first) = slice(spans[t, 1], spans[t, 2]), even
    add_noise(i, (variance, cells[t], row + start, turn))
    add_noise(i, (converters[columns].reshape(-1, 1), others[t], row + start, turn))
    convert(i, ((scale[columns], shift[columns], step[columns], first[columns]), top, (edges, values, lines[columns])))
    collect(y, at, i, sums)
