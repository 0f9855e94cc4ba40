"""Pulse trains as shares of each device's window, cut where cells are held at its ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from device_models.errors import InputError
from device_models.fitting import affine
from device_models.fitting.results import need
from device_models.fitting.tables import Table

SIGNS = {1: "up", -1: "down"}
LEAST_PULSES = 8


@dataclass(frozen=True)
class Trains:
    """The trains of one polarity as shares of each device's window, counted from the end where they start.

    `whole` holds every record, `used` what is fitted (see `_away_from_ends`); `device` says whose a train is.
    """

    whole: list[np.ndarray]
    used: list[np.ndarray]
    device: np.ndarray
    cycle: np.ndarray
    stride: int

    @property
    def length(self) -> int:
        """The median number of records of the trains used."""
        return int(np.median([len(train) for train in self.used]))


@dataclass(frozen=True)
class Windows:
    """The ends of each device's window, siemens, and whether cells were seen held at them."""

    low: np.ndarray
    high: np.ndarray
    held_low: bool
    held_high: bool

    @property
    def devices(self) -> int:
        """How many devices."""
        return len(self.low)

    @property
    def span(self) -> float:
        """The mean span."""
        return float(np.mean(self.high - self.low))


def find_windows(table: Table) -> Windows:
    """Each device's window: its extremes where it is held at them, else those of its smoothed median curve."""
    ends, held = [], []
    for rows in table.groups("device"):
        g = table["g"][rows]
        enough = max(2, 0.002 * g.size)
        at_end = np.sum(g == g.min()) >= enough, np.sum(g == g.max()) >= enough
        ends.append(np.where(at_end, (g.min(), g.max()), _smoothed_ends(table, rows)))
        held.append(at_end)
    (low, high), (held_low, held_high) = np.array(ends).T, np.mean(held, axis=0) > 0.5
    if np.any(low >= high):
        raise InputError(table.source, "needs conductances that change along the pulses", "none", "check the column g")
    return Windows(low, high, bool(held_low), bool(held_high))


def _smoothed_ends(table: Table, rows: np.ndarray) -> tuple[float, float]:
    from scipy.ndimage import median_filter

    curves = []
    for sign in SIGNS:
        mine = rows[table["polarity"][rows] == sign]
        if mine.size:
            pulses, which = np.unique(table["pulse"][mine], return_inverse=True)
            middle = np.array([np.median(table["g"][mine][which == k]) for k in range(len(pulses))])
            curves.append(median_filter(middle, size=max(1, len(middle) // 20), mode="nearest"))
    joined = np.concatenate(curves)
    return float(joined.min()), float(joined.max())


def of_sign(table: Table, sign: int, windows: Windows) -> Trains:
    """The trains of one polarity, ready to fit.

    Raises:
        InputError: too few pulses in a train, or an uneven stride.
    """
    return _noise_aside(_trains(table, sign, windows), windows)


def _trains(table: Table, sign: int, windows: Windows) -> Trains:
    whole, owner, cycle, strides = [], [], [], set()
    devices = np.unique(table["device"])
    for rows in table.groups("device", "cycle", "polarity"):
        if table["polarity"][rows[0]] != sign:
            continue
        d = int(np.searchsorted(devices, table["device"][rows[0]]))
        x = (table["g"][rows] - windows.low[d]) / (windows.high[d] - windows.low[d])
        need(len(x), LEAST_PULSES, f"pulses {SIGNS[sign]} in each train", table.source, "the update slot")
        strides |= set(np.diff(table["pulse"][rows]).tolist())
        whole.append(x if sign > 0 else 1 - x)
        owner.append(d)
        cycle.append(int(table["cycle"][rows[0]]))
    if len(strides) != 1:
        rule = "pulses must be recorded in one constant stride"
        raise InputError(table.source, rule, str(sorted(strides)), "leave out the rows in between")
    held = (windows.held_low, windows.held_high)[::sign]
    used = [_away_from_ends(x, *held) for x in whole]
    return Trains(whole, used, np.array(owner), np.array(cycle), strides.pop())


def _away_from_ends(x: np.ndarray, held_first: bool, held_last: bool) -> np.ndarray:
    """A train from where it has left the start by three standard deviations until it is that near to the end.

    A cell held at its window's end cannot show the whole noise of a pulse there, which would bias the law.
    """
    margin = 3 * float(np.std(np.diff(x, 2))) / np.sqrt(2)
    late = margin + max(float(np.mean(np.diff(x)[-(len(x) // 4) :])), 0.0)
    return _between(x, x, margin if held_first else -np.inf, 1 - late if held_last else np.inf)


def _between(x: np.ndarray, seen: np.ndarray, low: float, high: float) -> np.ndarray:
    """A train from where `seen` first reaches `low` until it first passes `high`; all of it if too little is left.

    Whether a pulse counts depends on what came before it alone, so the choice does not bias the steps that count.
    """
    if not np.any(seen >= low):
        return x
    first = int(np.argmax(seen >= low))
    ends = np.flatnonzero(seen[first:] > high)
    inner = x[first : first + ends[0] + 1] if ends.size else x[first:]
    return inner if len(inner) >= max(LEAST_PULSES, len(x) // 4) else x


def _noise_aside(trains: Trains, windows: Windows) -> Trains:
    """The same trains cut near both ends where reads are noisy, which hides whether cells are held there.

    What a cell has reached is the mean of its last few reads, as many as bring read noise below the noise of a pulse.
    """
    if windows.held_low and windows.held_high:
        return trains
    one = affine.fit(affine.sums(trains.used), np.ones((1, len(trains.used))), "exponential", noisy_reads=True)
    process, read = float(one.process[0]), float(one.read[0])
    if not process:
        return trains
    used = []
    for x in trains.whole:
        reads = int(np.clip(np.ceil(read / process), 1, len(x) // 8 + 1))
        seen = lfilter(np.full(reads, 1 / reads), [1.0], x - x[0]) + x[0]
        margin, step = 3 * np.sqrt(process), max(float(x[-1] - x[0]) / len(x), 0.0)
        used.append(_between(x, seen, margin, 1 - margin - step * reads / 2))
    return replace(trains, used=used)
