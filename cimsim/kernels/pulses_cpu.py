"""The loops of training by pulses, compiled: only rows, columns and cells that take a pulse are touched.

A cell's law is the affine map of `device_models.update.AffineUpdate`: one pulse takes the distance x from the end where
it starts to (1 + bend) x + shift, plus noise of standard deviation sigma. Draws go by counter: those of a block of
rows are fixed by the key and the block, whatever part of a tile a thread works on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from cimsim.kernels.philox import normal_pair, philox
from cimsim.kernels.pulses_trains import BITS, pulse_trains

# A cell is a cache line: words of eight bytes, then, side by side for pulses up and down, numbers of four.
G, LOW, HIGH, RECEIVED, CLOCK = range(5)
BEND, SHIFT, SIGMA = 10, 12, 14
LINE = 64  # bytes
_BLOCK = 16  # rows whose cells stay in the cache while a batch of samples passes
_TAKEN = 512  # weights gathered before they are pulsed, or a few more
_LOOPED = 32  # pulses of a train that are followed one by one
_VECTOR = 8  # counters at a time
_NONE: Any = np.uint64(0)
_ONE: Any = np.uint64(1)
_WORD, _WITHIN = np.uint64(6), np.uint64(63)  # bits are found in words of 64
_ODD, _PAIRS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_NIBBLES, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)
_inlined = njit(inline="always")


class Bench(NamedTuple):
    """The arrays of one tile under pulses, all written in place.

    wide, whole, narrow: the same memory as float64, int64 and float32, a row for every cell with what is named at the
    top: conductance, ends of its window (siemens), pulses received, seconds since the last; bend, shift, sigma. Cells
    go by row, column and array, so that the two of a pair are neighbours; cells that are stuck have low = high = g.
    seen: (arrays, rows, columns) conductances behind the wires, where there are some. signals: (rows, signals *
    columns) float32. mix: (signals, arrays), what `signals` makes of conductances; reference: what it takes of array
    0's last column. columns: of cells. paired: arrays 0 and 1 are the two cells of a weight. per_step: nominal pulses
    per siemens.
    """

    wide: Any
    whole: Any
    narrow: Any
    seen: Any
    signals: Any
    mix: Any
    reference: float
    columns: int
    paired: bool
    wired: bool
    per_step: float


def share(rows: int, threads: int) -> int:
    """Rows for each of some threads: whole blocks, for draws go by block."""
    blocks = -(-rows // _BLOCK)
    return _BLOCK * -(-blocks // threads)


@_compiled
def send(n: Any, lines: Any, bench: Any, key: Any, totals: Any) -> None:
    """Send `n` (lines, columns) signed pulses to the word lines numbered `lines`, in rising order.

    `totals` grow by SET and RESET pulses sent, and by how often a working cell took some.
    """
    columns = n.shape[1]
    taken = _scratch(_BLOCK * columns)
    rows, places, counts, _, _, _ = taken
    m, block = _NONE, 0
    for j in range(len(lines)):
        r, wanted = lines[j], n[j]
        some = wanted[0]
        for c in range(columns):
            some |= wanted[c]
        if some == 0:
            continue
        if r // _BLOCK != block:
            if m > 0:
                _pulse(bench, taken, m, (key, block, 0), totals)
            m, block = _NONE, r // _BLOCK
        for c in range(columns):
            rows[m], places[m], counts[m] = r, c, wanted[c]
            m += np.uint64(wanted[c] != 0)
    if m > 0:
        _pulse(bench, taken, m, (key, block, 0), totals)


@_compiled
def coincide(rows: Any, columns: Any, bench: Any, key: Any, part: Any, corner: Any, totals: Any) -> None:
    """Pulse the word lines of a `part` where trains (`Trains`) of rows and columns coincide, sample by sample.

    Lines of trains are numbered through all tiles: the tile's first row and column are its `corner`. Equal signs lower
    a weight. `totals` as in `send`.
    """
    width, samples = bench.signals.shape[1] // bench.mix.shape[0], len(rows.counts)
    lines, words, ends = rows.lines, rows.words, rows.counts
    others, trains = columns.lines, columns.words
    taken = _scratch(_TAKEN + width)
    at, first, last = np.empty(samples, np.int64), np.empty(samples, np.int64), np.empty(samples, np.int64)
    for b in range(samples):
        at[b] = np.searchsorted(lines[b, : ends[b]], part[0] + corner[0])
        there = others[b, : columns.counts[b]]
        first[b], last[b] = np.searchsorted(there, corner[1]), np.searchsorted(there, corner[1] + width)
    gathered, pulsed = (taken[0], taken[1], taken[2]), _by_slot(trains, first, last, width)
    for start in range(part[0], part[1], _BLOCK):
        stop = min(start + _BLOCK, part[1]) + corner[0]
        m, turn = _NONE, 0
        for b in range(samples):
            while at[b] < ends[b] and lines[b, at[b]] < stop:
                line, train = lines[b, at[b]] - corner[0], words[b, at[b]]
                at[b] += 1
                m = _meet(gathered, m, (line, train), (others, trains, pulsed, first[b], corner[1]), np.uint64(b))
                if m >= _TAKEN:
                    _pulse(bench, taken, m, (key, start // _BLOCK, turn), totals)
                    m, turn = _NONE, turn + 1
        if m > 0:
            _pulse(bench, taken, m, (key, start // _BLOCK, turn), totals)


@_compiled
def coincide_alone(
    x: Any, gains_x: Any, d: Any, gains_d: Any, lengths: Any, keys: Any, bench: Any, totals: Any
) -> None:
    """`pulse_trains` of both sides and `coincide` in one call, for a matrix of one tile; `keys` one for each."""
    rows, columns = pulse_trains(x, gains_x, lengths, keys[0]), pulse_trains(d, gains_d, lengths, keys[1])
    coincide(rows, columns, bench, keys[2], (0, x.shape[1]), (0, 0), totals)


@_compiled
def _by_slot(trains: Any, first: Any, last: Any, width: Any) -> Any:
    """Which columns have a pulse in each slot of each sample: (samples, slots, words), a bit a column from `first`."""
    every = _ONE
    for b in range(len(first)):
        for j in range(first[b], last[b]):
            every |= trains[b, j] & BITS
    longest = 0
    while every >> np.uint64(longest) != 0:
        longest += 1
    pulsed = np.zeros((len(first), longest, (width + 63) // 64), np.uint64)
    for b in range(len(first)):
        for j in range(first[b], last[b]):
            place, slots = np.uint64(j - first[b]), trains[b, j] & BITS
            while slots != 0:
                pulsed[b, _lowest(slots), place >> _WORD] |= _ONE << (place & _WITHIN)
                slots &= slots - _ONE
    return pulsed


@_inlined
def _meet(taken: Any, m: Any, row: Any, columns: Any, b: Any) -> Any:
    """Gather the weights of a row whose trains coincide in sample `b`; returns how many are gathered by now."""
    rows, places, counts = taken
    line, train = row
    others, trains, pulsed, first, corner = columns
    shared = train & ((_ONE << np.uint64(pulsed.shape[1])) - _ONE)
    for w in range(np.uint64(pulsed.shape[2])):
        meet, slots = _NONE, shared
        while slots != 0:
            meet |= pulsed[b, _lowest(slots), w]
            slots &= slots - _ONE
        while meet != 0:
            j = np.uint64(first) + (np.uint64(w) << _WORD) + _lowest(meet)
            meet &= meet - _ONE
            equal = np.int64((train ^ trains[b, j]) >> np.uint64(63)) ^ 1
            rows[m], places[m] = line, others[b, j] - corner
            counts[m] = _ones(shared & trains[b, j]) * (1 - 2 * equal)
            m += _ONE
    return m


@_inlined
def _scratch(size: int) -> Any:
    """Room for weights that take pulses.

    Their lines, columns, signed counts, whether each of their cells works, normal numbers, and random words.
    """
    lines, places, counts = np.empty(size + 1, np.int32), np.empty(size + 1, np.int32), np.empty(size + 1, np.int32)
    room, works = size + 4 * _VECTOR, np.empty((size + 1, 2), np.bool_)
    words = np.empty(room, np.uint32), np.empty(room, np.uint32)
    return lines, places, counts, works, np.empty(room, np.float32), words


@_compiled
def _pulse(bench: Any, taken: Any, m: Any, draws: Any, totals: Any) -> None:
    """Pulse `m` weights of a block of rows, one after the other; the k-th takes the k-th number of this block and turn.

    The loops take arrays out of their tuples once: numba counts references at every access.
    """
    key, block, turn = draws
    _look(bench, taken, m)
    _normals(taken[4], taken[5], m, np.uint32(block), np.uint32(turn), key)
    if bench.paired:
        _pulse_pairs(bench, taken, m, draws, totals)
    else:
        _pulse_cells(bench, taken, m, totals)


@_compiled
def _look(bench: Any, taken: Any, m: Any) -> None:
    """Which cells work. Those far from the cache come side by side here; pulsed in turn, each would be waited for."""
    wide, columns, pairs = bench.wide, np.uint64(bench.columns), bench.mix.shape[1] == 2
    lines, places, works = taken[0], taken[1], taken[3]
    for k in range(np.uint64(m)):
        i = (np.uint64(lines[k]) * columns + np.uint64(places[k])) << np.uint64(pairs)
        works[k, 0] = wide[i, LOW] < wide[i, HIGH]
    if pairs:
        for k in range(np.uint64(m)):
            i = ((np.uint64(lines[k]) * columns + np.uint64(places[k])) << _ONE) + _ONE
            works[k, 1] = wide[i, LOW] < wide[i, HIGH]


@_compiled
def _pulse_cells(bench: Any, taken: Any, m: Any, totals: Any) -> None:
    """Weights of one cell that is pulsed, less a cell that is not: a reference of their own, or of their line."""
    wide, whole, narrow, seen, wired = bench.wide, bench.whole, bench.narrow, bench.seen, bench.wired
    signals, own, columns = bench.signals, bench.mix.shape[1] == 2, np.uint64(bench.columns)
    plus, minus = bench.mix[0, 0], bench.mix[0, 1] if own else -bench.reference
    lines, places, counts, works, z, _ = taken
    ups, downs, written = np.int64(0), np.int64(0), np.int64(0)
    for k in range(np.uint64(m)):
        r, c, n = np.uint64(lines[k]), np.uint64(places[k]), np.int64(counts[k])
        i = (r * columns + c) << np.uint64(own)
        reference = i + np.uint64(1) if own else (r + np.uint64(1)) * columns - np.uint64(1)
        size, before, working = abs(n), wide[i, G], works[k, 0]
        after = _train(wide, narrow, i, before, n, z[k])
        wide[i, G] = after
        whole[i, RECEIVED] += size * working
        wide[i, CLOCK] *= not working
        ups += (n + size) >> 1
        downs += (size - n) >> 1
        written += working
        if wired:
            seen[0, r, c] += (after - before) * _share(seen[0, r, c], before)
            zero = seen[1, r, c] if own else seen[0, r, columns - np.uint64(1)]
            signals[r, c] = plus * seen[0, r, c] + minus * zero
        else:
            signals[r, c] = plus * after + minus * wide[reference, G]
    totals[0] += ups
    totals[1] += downs
    totals[2] += written


@_compiled
def _pulse_pairs(bench: Any, taken: Any, m: Any, draws: Any, totals: Any) -> None:
    """Weights of two cells: the one against the change is lowered while there is room, then the other raised."""
    wide, whole, narrow, seen, wired = bench.wide, bench.whole, bench.narrow, bench.seen, bench.wired
    signals, mix, columns, per_step = bench.signals, bench.mix, np.uint64(bench.columns), bench.per_step
    width = np.uint64(signals.shape[1] // mix.shape[0])
    lines, places, counts, works, z, _ = taken
    key, block, turn = draws
    ups, downs, written = np.int64(0), np.int64(0), np.int64(0)
    for k in range(np.uint64(m)):
        r, c, n = np.uint64(lines[k]), np.uint64(places[k]), abs(np.int64(counts[k]))
        first, raised = (r * columns + c) << np.uint64(1), np.uint64(counts[k] < 0)
        other = first + np.uint64(1) - raised
        room = (wide[other, G] - wide[other, LOW]) * per_step + 1e-6
        lowered = min(n, np.int64(max(room, 0.0)))
        ups, downs = ups + n - lowered, downs + lowered
        for half in range(2):
            a, size = (np.uint64(1) - raised, lowered) if half == 0 else (raised, n - lowered)
            if size == 0:
                continue
            i = first + a
            deviate = _another(k, block, turn, key) if half == 1 and lowered != 0 else z[k]
            before, working = wide[i, G], works[k, a]
            after = _train(wide, narrow, i, before, size if half else -size, deviate)
            wide[i, G] = after
            whole[i, RECEIVED] += size * working
            wide[i, CLOCK] *= not working
            written += working
            if wired:
                seen[a, r, c] += (after - before) * _share(seen[a, r, c], before)
        for s in range(np.uint64(mix.shape[0])):
            ends = (seen[0, r, c], seen[1, r, c]) if wired else (wide[first, G], wide[first + np.uint64(1), G])
            signals[r, s * width + c] = mix[s, 0] * ends[0] + mix[s, 1] * ends[1]
    totals[0] += ups
    totals[1] += downs
    totals[2] += written


@_inlined
def _share(seen: Any, g: Any) -> Any:
    """Share of a cell's conductance that is seen through the wires."""
    return min(seen / g, 1.0) if g > 0 else 1.0


@_inlined
def _train(wide: Any, narrow: Any, i: Any, before: Any, n: Any, deviate: Any) -> Any:
    """Conductance of cell number `i` after `n` signed pulses.

    Directions are indices, not branches, which a processor would have to guess.
    """
    down = np.uint64(n < 0)
    sign = 1.0 - 2.0 * down
    low, high, end = wide[i, LOW], wide[i, HIGH], wide[i, np.uint64(LOW) + down]
    bend, shift = np.float64(narrow[i, np.uint64(BEND) + down]), np.float64(narrow[i, np.uint64(SHIFT) + down])
    x, spread, size = sign * (before - end), 1.0, abs(n)
    if size <= _LOOPED:
        x += bend * x + shift
        variance = 1.0
        for _ in range(size - 1):
            x += bend * x + shift
            variance = variance * (1 + bend) * (1 + bend) + 1.0
        spread = np.sqrt(variance)
    else:
        x, spread = _long_train(x, bend, shift, size)
    x += narrow[i, SIGMA] * spread * deviate
    return min(max(end + sign * x, low), high)


@_compiled
def _long_train(x: Any, bend: Any, shift: Any, n: Any) -> Any:
    """Distance gone after n pulses without noise, and the standard deviation of their noise over that of one."""
    if abs(bend) < 1e-12:
        return x + shift * n, np.sqrt(np.float64(n))
    rate = np.log1p(bend)
    exponent = min(rate * n, 40.0)  # further than any window
    stretch = np.expm1(exponent)
    return x + (x + shift / bend) * stretch, np.sqrt(np.expm1(2 * exponent) / np.expm1(2 * rate))


@_compiled
def _normals(z: Any, words: Any, m: Any, block: Any, turn: Any, key: Any) -> None:
    """At least `m` normal numbers, in whole vectors; words first: two short loops become vector instructions."""
    half = (np.int64(m) + 4 * _VECTOR - 1) // (4 * _VECTOR) * (2 * _VECTOR)
    _draw(words, half // 2, block, turn, key)
    _normal(z, words, half)


@_compiled_loosely
def _draw(words: Any, quarter: Any, block: Any, turn: Any, key: Any) -> None:
    first, second = words
    for q in range(quarter):
        first[q], second[q], first[q + quarter], second[q + quarter] = philox(
            np.uint32(q), block, turn, key[2], key[0], key[1]
        )


@_compiled_loosely
def _normal(z: Any, words: Any, half: Any) -> None:
    first, second = words
    for q in range(half):
        z[q], z[q + half] = normal_pair(first[q], second[q])


@_compiled
def _another(k: Any, block: Any, turn: Any, key: Any) -> Any:
    """A normal number for the second cell of a pair."""
    a, b, _, _ = philox(np.uint32(k), np.uint32(block), np.uint32(turn), key[3], key[0], key[1])
    return normal_pair(a, b)[0]


@_inlined
def _ones(x: Any) -> Any:
    """Bits that are set (Warren, Hacker's Delight, 5-1): no branch to guess."""
    x -= (x >> np.uint64(1)) & _ODD
    x = (x & _PAIRS) + ((x >> np.uint64(2)) & _PAIRS)
    x = (x + (x >> np.uint64(4))) & _NIBBLES
    return np.int64((x * _BYTES) >> np.uint64(56))


@_inlined
def _lowest(x: Any) -> Any:
    """The number of the lowest bit that is set."""
    return np.uint64(_ones(~x & (x - _ONE)))
