"""All tiles of a matrix in one compiled call: product, noise, conversion, shift and add, a few samples at a time.

What is at hand of a tile stays in the cache, and other threads run meanwhile. With a call for each tile and step,
threads would wait for Python's lock longer than they work.
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
    spans, noisy = sheet[0], len(sheet[2]) > 0
    longest, widest = _longest(spans, 0) * block, _longest(spans, 2) * block
    drive, currents = np.empty(longest, np.float32), np.empty(widest, np.float32)
    squares, variances = np.empty(noisy * longest, np.float32), np.empty(noisy * widest, np.float32)
    events = events_cpu.room(block, longest // block)
    for start in range(0, len(volts), block):
        few, cell = False, 0
        for t in range(len(spans)):
            span, at = spans[t], (first + start, spans[t, 4])
            here = volts[start : start + block, span[0] : span[1]]
            if t == 0 or span[0] != spans[t - 1, 0]:
                few = _take(here, drive, events[0], events[1])
                _square(drive, squares)
            i = _product(sheet[1], cell, span, len(here), (drive, events, few), currents)
            variance = _product(sheet[2], cell, span, len(here), (squares, events, few), variances)
            _read_out(y, at, (i, variance), t, sheet, sums, (noise, start))
            cell += (span[1] - span[0]) * (span[3] - span[2])


@_compiled
def _longest(spans: Any, k: Any) -> int:
    """The largest extent from entry k of a span to the next."""
    longest = 0
    for span in spans:
        longest = max(longest, span[k + 1] - span[k])
    return longest


@_compiled
def _take(volts: Any, drive: Any, lines: Any, ends: Any) -> bool:
    """Drives as products want them: of driven lines alone where these are few (true), or each line whole in memory."""
    if events_cpu.list_lines(volts, lines, ends):
        events_cpu.list_volts(volts, lines, ends, drive)
        return True
    samples, width = volts.shape
    by_line = drive[: width * samples].reshape(width, samples)
    for k in range(width):
        for r in range(samples):
            by_line[k, r] = volts[r, k]
    return False


@_compiled
def _square(drive: Any, squares: Any) -> None:
    for k in range(len(squares)):
        squares[k] = drive[k] * drive[k]


@_compiled
def _product(cells: Any, at: Any, span: Any, samples: Any, drives: Any, room: Any) -> Any:
    """Drives times the cells from number `at` on, `(columns, samples)`, each column whole; nothing without cells."""
    lines, columns, (drive, (numbers, ends), few) = span[1] - span[0], span[3] - span[2], drives
    if not len(cells):
        return room.reshape(0, 0)
    g, out = cells[at : at + lines * columns].reshape(lines, columns), room[: columns * samples]
    if few:
        events_cpu.product(numbers, drive, ends[: samples + 1], g, out.reshape(columns, samples))
    else:
        np.dot(g.T, drive[: lines * samples].reshape(lines, samples), out.reshape(columns, samples))
    return out.reshape(columns, samples)


@_compiled
def _read_out(y: Any, at: Any, read: Any, t: Any, sheet: Any, sums: Any, noise: Any) -> None:
    """Noise, conversion, shift and add as in `loops.read_out`, with what belongs to tile t."""
    spans, _, _, converters, (even, top, (edges, values, lines)) = sheet
    (i, variance), ((cells, others, row, turn), start) = read, noise
    columns, (scale, shift, step, first) = slice(spans[t, 2], spans[t, 3]), even
    add_noise(i, (variance, cells[t], row + start, turn))
    add_noise(i, (converters[columns].reshape(-1, 1), others[t], row + start, turn))
    convert(i, ((scale[columns], shift[columns], step[columns], first[columns]), top, (edges, values, lines[columns])))
    collect(y, at, i, sums)
