"""Pulse trains with the law fitted to them, as a picture, and the data's own spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from device_models.fitting.results import Series, View
from device_models.fitting.trains import Trains, Windows


class Course(NamedTuple):
    """A law of one polarity as it is drawn, in shares of the window.

    Attributes:
        begun: the state before the first pulse of each train.
        mean: the mean state after n pulses from starts `(trains,)`: `(trains, n)`.
        variance: of the state after n pulses, and of its read.
    """

    begun: np.ndarray
    mean: Callable[[np.ndarray, np.ndarray], np.ndarray]
    variance: Callable[[np.ndarray], np.ndarray]


class Picture(NamedTuple):
    """What is drawn, the residual's and the data's own root mean square (siemens), and how the latter was taken."""

    view: View
    rms: float
    spread: float
    said: str


def picture(title: str, trains: dict[int, Trains], windows: Windows, courses: dict[int, Course]) -> Picture:
    """The trains of both polarities one after the other, with the law from each train's own start."""
    data, law, left, own, start = [], [], [], [], 0
    for sign, mine in trains.items():
        course, name = courses[sign], "LTP" if sign > 0 else "LTD"
        n = [np.arange(len(x)) * mine.stride for x in mine.whole]
        spans = (windows.high - windows.low)[mine.device]
        rest = [sign * s * (x - course.mean(b[None], k)[0])
                for x, b, k, s in zip(mine.whole, course.begun, n, spans, strict=True)]  # fmt: skip
        g = [_siemens(x, sign, windows.low[d], windows.high[d]) for x, d in zip(mine.whole, mine.device, strict=True)]
        x = start + np.concatenate(n)
        data.append(Series(name, x, np.concatenate(g)))
        left.append(Series(name, x, np.concatenate(rest)))
        law.append(_line(course, sign, windows, start, max(n, key=len)))
        own.append(_own_spread(mine, spans))
        start += max(int(k[-1]) for k in n) + mine.stride
    rms = float(np.sqrt(np.mean(np.concatenate([series.y for series in left]) ** 2)))
    view = View(title, "pulses", "conductance", "", "S", tuple(data), tuple(law), tuple(left))
    spread = float(np.sqrt(np.mean([value**2 for value, _ in own])))
    return Picture(view, rms, spread, f"the data's own spread: {own[0][1]}")


def _siemens(x: np.ndarray, sign: int, low: float, high: float) -> np.ndarray:
    return low + (high - low) * x if sign > 0 else high - (high - low) * x


def _line(course: Course, sign: int, windows: Windows, start: int, n: np.ndarray) -> Series:
    """The mean curve of the nominal window with a band of one standard deviation."""
    low, high = float(windows.low.mean()), float(windows.high.mean())
    x = course.mean(np.array([np.median(course.begun)]), n)[0]
    band = np.sqrt(course.variance(n)) * windows.span
    return Series("law, ± one standard deviation", start + n, _siemens(x, sign, low, high), band)


def _own_spread(trains: Trains, spans: np.ndarray) -> tuple[float, str]:
    """Root mean square of the deviation between a device's cycles at the same pulse, or between neighbours."""
    squares = []
    for d in np.unique(trains.device):
        mine = [i for i in np.flatnonzero(trains.device == d)]
        if len(mine) < 2:
            continue
        shared = min(len(trains.whole[i]) for i in mine)
        together = np.stack([trains.whole[i][:shared] for i in mine]) * spans[mine[0]]
        squares.append(np.var(together, axis=0, ddof=1))
    if squares:
        return float(np.sqrt(np.mean(np.concatenate(squares)))), "between cycles of a device at the same pulse"
    steps = np.concatenate([np.diff(x) * s for x, s in zip(trains.whole, spans, strict=True)])
    return float(np.std(steps) / np.sqrt(2)), "between neighbouring pulses (one cycle only)"
