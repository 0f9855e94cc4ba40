"""Conductances followed in time, as changes since the first reading, and the data's own spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device_models.fitting.results import need
from device_models.fitting.tables import Table

TIME_GROUP = 1.3  # times within this factor count as one


@dataclass(frozen=True)
class Changes:
    """Changes of conductance: one row for each reading after a device's first.

    Attributes:
        g0: first reading of the device, siemens.
        d: reading less g0.
        t: seconds since the write, equal within a group of times.
        device: 0, 1, ...; `first` is when the first readings were taken, seconds.
    """

    g0: np.ndarray
    d: np.ndarray
    t: np.ndarray
    device: np.ndarray
    first: float
    source: str

    @property
    def times(self) -> np.ndarray:
        """The times, rising."""
        return np.unique(self.t)

    @property
    def devices(self) -> int:
        """How many devices."""
        return int(self.device.max()) + 1

    def states(self) -> np.ndarray:
        """First reading by device."""
        g0 = np.zeros(self.devices)
        g0[self.device] = self.g0
        return g0


def changes(table: Table) -> Changes:
    """A table's readings as changes since each device's first, at the earliest time of all."""
    t = _grouped(table["t"])
    first = float(t.min())
    ids, device = np.unique(table["device"], return_inverse=True)
    at_start = t == first
    g0 = np.full(len(ids), np.nan)
    g0[device[at_start]] = table["g"][at_start]
    later = ~at_start & np.isfinite(g0[device])
    need(len(np.unique(t[later])), 1, "times after the first", table.source, "the retention slot")
    kept, device = np.unique(device[later], return_inverse=True)
    start = g0[kept][device]
    return Changes(start, table["g"][later] - start, t[later], device, first, table.source)


def _grouped(t: np.ndarray) -> np.ndarray:
    """Times that lie close together, as their median."""
    values, which = np.unique(t, return_inverse=True)
    group, start, begun = np.zeros(len(values), dtype=int), 0, values[0]
    for k, value in enumerate(values):
        if value > begun * TIME_GROUP or (begun == 0 and value > 0):
            start, begun = start + 1, value
        group[k] = start
    return np.array([np.median(values[group == k]) for k in range(start + 1)])[group][which]


def own_spread(rows: Changes) -> float:
    """Root mean square of the deviation between devices of like state (a tenth of all) at one time."""
    states = rows.states()
    bins = max(1, min(10, rows.devices // 10))
    which = np.searchsorted(np.quantile(states, np.linspace(0, 1, bins + 1))[1:-1], rows.g0, side="right")
    squares = []
    for t in rows.times:
        for k in range(bins):
            d = rows.d[(rows.t == t) & (which == k)]
            if len(d) > 1:
                squares.append((np.var(d, ddof=1), len(d)))
    return float(np.sqrt(np.average([v for v, _ in squares], weights=[n for _, n in squares]))) if squares else np.nan
