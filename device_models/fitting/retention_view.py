"""Conductances followed in time with the law fitted to them, as a picture."""

from __future__ import annotations

import numpy as np

from device_models.fitting.followed import Changes
from device_models.fitting.results import Series, View

SHOWN = 4000
LAW = "law, ± one standard deviation"


def picture(rows: Changes, mean: np.ndarray, sigma: np.ndarray, name: str) -> View:
    """Changes with the law's `mean` and `sigma` of every row: by time, or by state where there is one time only."""
    return _by_time(rows, mean, sigma, name) if len(rows.times) > 1 else _by_state(rows, mean, sigma, name)


def _by_state(rows: Changes, mean: np.ndarray, sigma: np.ndarray, name: str) -> View:
    """Changes against the conductance at the start."""
    shown = np.linspace(0, len(rows.d) - 1, min(len(rows.d), SHOWN)).astype(int)
    g0, along = rows.g0[shown], np.unique(rows.g0, return_index=True)[1]
    data, left = Series("devices", g0, rows.d[shown]), Series("devices", g0, rows.d[shown] - mean[shown])
    law = Series(LAW, rows.g0[along], mean[along], sigma[along])
    title = f"Retention: {name}, after {rows.times[0]:.4g} s"
    return View(title, "conductance at the start", "change of conductance", "S", "S", (data,), (law,), (left,))


def _by_time(rows: Changes, mean: np.ndarray, sigma: np.ndarray, name: str) -> View:
    """Changes against time for three classes of state, side by side, with the law's mean and spread of each."""
    which = np.searchsorted(np.quantile(rows.g0, [1 / 3, 2 / 3]), rows.g0, side="right")
    data, lines, left = [], [], []
    for k in np.unique(which):
        at, aside = np.flatnonzero(which == k), 1.12 ** (int(k) - 1)
        shown = at[np.linspace(0, at.size - 1, min(at.size, SHOWN // 3)).astype(int)]
        said = f"{np.median(rows.g0[at]) * 1e6:.3g} µS"
        data.append(Series(said, rows.t[shown] * aside, rows.d[shown]))
        left.append(Series(said, rows.t[shown] * aside, rows.d[shown] - mean[shown]))
        lines.append(_class_line(rows.t[at], mean[at], sigma[at], aside))
    title, x, y = f"Retention: {name}", "time since the write", "change of conductance"
    return View(title, x, y, "s", "S", tuple(data), tuple(lines), tuple(left), log_x=True)


def _class_line(t: np.ndarray, mean: np.ndarray, sigma: np.ndarray, aside: float) -> Series:
    """The law's mean and spread over rows of like state, by time."""
    times = np.unique(t)
    centre = np.array([mean[t == one].mean() for one in times])
    spread = np.array([np.sqrt(np.mean(sigma[t == one] ** 2)) for one in times])
    return Series(LAW, times * aside, centre, spread)
