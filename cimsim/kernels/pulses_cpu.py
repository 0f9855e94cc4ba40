"""The loops of training by pulses, compiled: only rows, columns and cells that take a pulse are touched.

A cell's law is the affine map of `device_models.update.AffineUpdate`: one pulse takes the distance x from the end where
it starts to (1 + bend) x + shift, plus noise of standard deviation sigma. Draws go by counter: those of a block of
rows are fixed by the key, the block and the sample, whatever part of a tile a thread works on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from cimsim.kernels.philox import normal_pair, philox

G, LOW, BEND_UP, SHIFT_UP, HIGH, BEND_DOWN, SHIFT_DOWN, SIGMA = range(8)
LONGEST_TRAIN = 62  # bits of a word, less that of the sign
_SIGN = np.uint64(1) << np.uint64(63)
_BITS = _SIGN - np.uint64(1)
_BLOCK = 16  # rows whose cells stay in the cache while a batch of samples passes
_LOOPED = 32  # pulses of a train that are followed one by one

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
_inlined = njit(inline="always")


class Bench(NamedTuple):
    """The arrays of one tile under pulses, all written in place.

    state: (rows, columns, arrays, 8), the numbers named at the top for every cell, a cache line each; the two of a pair
    lie side by side. Cells that are stuck have low = high = g. g (arrays, rows, columns): conductances again, siemens.
    seen: the same behind the wires, `g` itself without. received, clock: pulses, seconds since the last. signals:
    (rows, signals * columns) float32. mix: (signals, arrays), what `signals` makes of `seen`; reference: what it takes
    of array 0's last column. paired: arrays 0 and 1 are the two cells of a weight. step: nominal, siemens.
    """

    state: Any
    g: Any
    seen: Any
    received: Any
    clock: Any
    signals: Any
    mix: Any
    reference: float
    paired: bool
    wired: bool
    step: float


def pulse_trains(values: np.ndarray, gains: np.ndarray, lengths: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Random trains `(batch, lines)` uint64: a pulse in each of a sample's `lengths` slots with chance |value| gain.

    The top bit holds the value's sign. Chances above 1 are 1.
    """
    out = np.zeros(values.shape, np.uint64)
    _pulse_trains(values, gains, lengths, key, out)
    return out


def send(n: np.ndarray, bench: Bench, key: np.ndarray) -> np.ndarray:
    """Send `n` (rows, columns) signed pulses; returns SET and RESET pulses sent, and working cells that took some."""
    totals = np.zeros(3, np.int64)
    _send(n, bench, key, totals)
    return totals


def share(rows: int, threads: int) -> int:
    """Rows for each of some threads: whole blocks, for draws go by block."""
    blocks = -(-rows // _BLOCK)
    return _BLOCK * -(-blocks // threads)


def coincide(rows: np.ndarray, columns: np.ndarray, bench: Bench, key: np.ndarray, part: tuple[int, int]) -> np.ndarray:
    """Pulse the word lines of a `part` where trains of rows and columns coincide, sample by sample; returns as `send`.

    `rows` (batch, rows) and `columns` (batch, columns) are `pulse_trains`; equal signs lower a weight.
    """
    totals = np.zeros(3, np.int64)
    _coincide(rows, columns, bench, key, part[0], part[1], totals)
    return totals


def whole_steps(owed: np.ndarray, gradient: np.ndarray, rate: float, step: float, most: int) -> np.ndarray:
    """Take `rate * gradient` off `owed`, in place, and of that the whole steps, at most `most`, which are returned."""
    n = np.zeros(owed.shape, np.int32)
    _whole_steps(owed, gradient, np.float64(rate), np.float64(step), most, n)
    return n


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


@_compiled_loosely
def _pulse_trains(values: Any, gains: Any, lengths: Any, key: Any, out: Any) -> None:
    """Four slots a counter, line after line without a branch: compilers make vector instructions of it."""
    lines = values.shape[1]
    limits = np.empty(lines, np.uint32)
    for b in range(values.shape[0]):
        for k in range(lines):
            limits[k] = np.uint32(min(np.float64(abs(values[b, k])) * gains[b] * 4294967296.0, 4294967295.0))
        for q in range((lengths[b] + 3) // 4):
            shift = np.uint64(4 * q)
            for k in range(lines):
                w0, w1, w2, w3 = philox(np.uint32(k), np.uint32(b), np.uint32(q), key[2], key[0], key[1])
                limit = limits[k]
                slots = np.uint64(w0 < limit) | np.uint64(w1 < limit) << np.uint64(1)
                slots |= np.uint64(w2 < limit) << np.uint64(2) | np.uint64(w3 < limit) << np.uint64(3)
                out[b, k] |= slots << shift
        inside = (np.uint64(1) << np.uint64(lengths[b])) - np.uint64(1)
        for k in range(lines):
            train = out[b, k] & inside
            out[b, k] = train | _SIGN if train != 0 and values[b, k] < 0 else train


@_compiled
def _send(n: Any, bench: Any, key: Any, totals: Any) -> None:
    rows, columns = n.shape
    taken, touched = _scratch(columns)
    lines, places, counts, _, _ = taken[0]
    for start in range(0, rows, _BLOCK):
        m = 0
        for r in range(start, min(start + _BLOCK, rows)):
            before, wanted = m, n[r]
            some = np.int64(0)
            for c in range(columns):
                some |= wanted[c]
            if some != 0:
                for c in range(columns):
                    if wanted[c] != 0:
                        lines[m], places[m], counts[m] = r, c, wanted[c]
                        m += 1
            touched[r - start] = m > before
        if m:
            _pulse(bench, taken, m, (key, start // _BLOCK, 0), totals)
            _refresh(bench, start, min(start + _BLOCK, rows), touched)


@_compiled
def _coincide(rows: Any, columns: Any, bench: Any, key: Any, first: int, last: int, totals: Any) -> None:
    n_columns = columns.shape[1]
    active, trains = np.empty(n_columns + 1, np.int32), np.empty(n_columns + 1, np.uint64)
    taken, touched = _scratch(n_columns)
    lines, places, counts, _, _ = taken[0]
    for start in range(first, last, _BLOCK):
        touched[:] = False
        for b in range(rows.shape[0]):
            m_active, there = 0, columns[b]
            for c in range(n_columns):
                active[m_active], trains[m_active] = c, there[c]
                m_active += there[c] != 0
            m = 0
            for r in range(start, min(start + _BLOCK, last)):
                train = rows[b, r]
                if train == 0:
                    continue
                before = m
                for j in range(m_active):
                    lines[m], places[m] = r, j
                    m += (train & trains[j] & _BITS) != 0
                touched[r - start] |= m > before
            for k in range(m):
                train, other = rows[b, lines[k]], trains[places[k]]
                pulses = _ones(train & other & _BITS)
                counts[k] = pulses if (train ^ other) & _SIGN else -pulses
                places[k] = active[places[k]]
            if m:
                _pulse(bench, taken, m, (key, start // _BLOCK, b), totals)
        _refresh(bench, start, min(start + _BLOCK, last), touched)


@_inlined
def _scratch(columns: int) -> Any:
    """Room for the weights of a block that take pulses, see `_pulse`, and for which rows hold any."""
    size = _BLOCK * columns + 4
    lines, places, counts = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    taken = lines, places, counts, np.zeros(size, np.int32), np.empty(size, np.float32)
    cells = np.empty(2 * size, np.uint64), np.empty(2 * size, np.float64), np.empty(2 * size, np.int64)
    return (taken, cells), np.zeros(_BLOCK, np.bool_)


@_compiled
def _pulse(bench: Any, taken: Any, m: int, draws: Any, totals: Any) -> None:
    """Pulse `m` weights of a block of rows; the k-th of them takes the k-th normal number of this block and sample.

    `taken` holds their lines, columns and signed counts, and room for pulses to the other cell and for numbers. Arrays
    are taken out of their tuples once: numba counts references at every access. Directions are indices, not branches,
    which a processor would have to guess.
    """
    state, g, paired, per_step = bench.state, bench.g, bench.paired, np.float64(1 / bench.step)
    (lines, places, counts, room, z), (where, shown, sizes) = taken
    key, block, sample = draws
    ups, downs, written, done = np.int64(0), np.int64(0), np.int64(0), 0
    _normals(z, (m + 3) // 4, np.uint32(block), np.uint32(sample), key)
    if paired:
        for k in range(m):
            r, c, other = np.uint64(lines[k]), np.uint64(places[k]), np.uint64(counts[k] > 0)
            above = (state[r, c, other, G] - state[r, c, other, LOW]) * per_step + 1e-6
            room[k] = min(abs(counts[k]), np.int32(max(above, 0.0)))
    for k in range(m):
        r, c, n = np.uint64(lines[k]), np.uint64(places[k]), np.int64(counts[k])
        own, lowered = np.uint64(paired and n < 0), np.int64(room[k])
        n = abs(n) if paired else n
        for half in range(2):
            a, pulses = (np.uint64(1) - own, -lowered) if half == 0 else (own, n - lowered)
            if pulses == 0:
                continue
            down = np.uint64(pulses < 0)
            sign = 1.0 - 2.0 * down
            size = abs(pulses)
            ups += (pulses + size) >> 1
            downs += (size - pulses) >> 1
            low, high, before = state[r, c, a, LOW], state[r, c, a, HIGH], state[r, c, a, G]
            end, bend = state[r, c, a, np.uint64(LOW) + np.uint64(3) * down], BEND_UP + np.uint64(3) * down
            x, spread = _train(sign * (before - end), state[r, c, a, bend], state[r, c, a, bend + np.uint64(1)], size)
            deviate = _another(r, c, sample, key) if half == 1 and lowered != 0 else z[k]
            x += state[r, c, a, SIGMA] * spread * deviate
            after = min(max(end + sign * x, low), high)
            state[r, c, a, G] = after
            working = low < high
            written += working
            where[done] = (a * g.shape[1] + r) * g.shape[2] + c
            shown[done], sizes[done] = after, size * working
            done += 1
    _write(bench, (where, shown, sizes), done)
    totals[0] += ups
    totals[1] += downs
    totals[2] += written


@_compiled
def _write(bench: Any, cells: Any, m: int) -> None:
    """Put new conductances, pulses and clocks where they belong: a pass of its own, for its loads need not wait."""
    where, shown, sizes = cells
    g, seen, received, clock = bench.g.ravel(), bench.seen.ravel(), bench.received.ravel(), bench.clock.ravel()
    if bench.wired:
        for k in range(m):
            i = where[k]
            share = min(seen[i] / g[i], 1.0) if g[i] > 0 else 1.0
            seen[i] += (shown[k] - g[i]) * share
    for k in range(m):
        i = where[k]
        g[i] = shown[k]
        received[i] += sizes[k]
        clock[i] = clock[i] * (sizes[k] == 0)


@_compiled_loosely
def _normals(z: Any, quarter: int, block: Any, sample: Any, key: Any) -> None:
    """4 * quarter normal numbers."""
    for q in range(quarter):
        a, b, c, d = philox(np.uint32(q), block, sample, key[2], key[0], key[1])
        z[q], z[q + quarter] = normal_pair(a, b)
        z[q + 2 * quarter], z[q + 3 * quarter] = normal_pair(c, d)


@_compiled
def _another(r: Any, c: Any, sample: Any, key: Any) -> Any:
    """A normal number for the second cell of a pair."""
    a, b, _, _ = philox(np.uint32(r), np.uint32(c), np.uint32(sample), key[3], key[0], key[1])
    return normal_pair(a, b)[0]


@_inlined
def _train(x: Any, bend: Any, shift: Any, n: Any) -> Any:
    """Distance gone after n pulses without noise, and the standard deviation of their noise over that of one."""
    if n == 1:
        return x + bend * x + shift, 1.0
    if n <= _LOOPED:
        variance = 0.0
        for _ in range(n):
            x += bend * x + shift
            variance = variance * (1 + bend) * (1 + bend) + 1.0
        return x, np.sqrt(variance)
    if abs(bend) < 1e-12:
        return x + shift * n, np.sqrt(np.float64(n))
    rate = np.log1p(bend)
    exponent = min(rate * n, 40.0)  # further than any window
    stretch = np.expm1(exponent)
    return x + (x + shift / bend) * stretch, np.sqrt(np.expm1(2 * exponent) / np.expm1(2 * rate))


@_compiled
def _refresh(bench: Any, first: int, last: int, touched: Any) -> None:
    """What the rows that were touched deliver now. Benches have one or two arrays, and pairs no reference column."""
    seen, signals, mix, reference = bench.seen, bench.signals, bench.mix, bench.reference
    width, end = signals.shape[1] // mix.shape[0], seen.shape[2] - 1
    for r in range(first, last):
        if not touched[r - first]:
            continue
        zero = reference * seen[0, r, end]
        for s in range(mix.shape[0]):
            if mix.shape[1] == 1:
                for c in range(width):
                    signals[r, s * width + c] = mix[s, 0] * seen[0, r, c] - zero
            else:
                plus, minus = mix[s, 0], mix[s, 1]
                for c in range(width):
                    signals[r, s * width + c] = plus * seen[0, r, c] + minus * seen[1, r, c]


@_inlined
def _ones(x: Any) -> Any:
    """Bits that are set."""
    n = 0
    while x:
        x &= x - np.uint64(1)
        n += 1
    return n
