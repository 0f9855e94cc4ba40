"""All devices on one page, each measured on its model the same way whatever its laws are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from device_models.device import Cells, Device
from device_models.streams import Streams
from device_models.update import RampedUpdate, Update

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELLS = 2000
COPIES = 16  # cells whose mean is a point of a pulse curve: more than one for laws whose noise is not known by name
DAY = 86400.0
_BLUE, _RED, _MISSING = "#1f77b4", "#d62728", "0.6"


class Summary(NamedTuple):
    """A device in figures; None where its slot is ideal. Shares of the window are in percent of its span.

    `pulses`: those that cross the window, the mean of both directions, by the mean law; the nominal number where they
    come to rest before its end. `nonlinearity_up` and `_down`: largest distance of that curve from the straight line.
    `c2c`: standard deviation of one pulse from mid-window. `write_error`: root mean square after programming, over
    targets across the window. `day`: change within a day of cells at mid-window, 5th percentile, median and 95th.
    """

    name: str
    on_off: float
    levels: int | None
    pulses: int | None
    nonlinearity_up: float | None
    nonlinearity_down: float | None
    c2c: float | None
    write_error: float | None
    day: tuple[float, float, float] | None


def catalogue(devices: Sequence[Device], *, seed: int = 0) -> Figure:
    """One row per device: on/off ratio, levels, nonlinearity, C2C, write error, and drift within a day."""
    from matplotlib.figure import Figure

    found = [summary(device, seed=seed) for device in devices]
    figure = Figure(figsize=(13.0, 1.3 + 0.34 * len(found)), layout="constrained")
    axes = figure.subplots(1, len(_PANELS), sharey=True)
    for ax, (title, panel) in zip(axes, _PANELS.items(), strict=True):
        for row, one in enumerate(found):
            panel(ax, row, one)
        ax.set_xlabel(title, fontsize=8.5)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, axis="x", alpha=0.3, linewidth=0.6)
    axes[0].set_yticks(range(len(found)), [one.name for one in found])
    axes[0].set_ylim(len(found) - 0.4, -0.6)
    return figure


def summary(device: Device, *, seed: int = 0) -> Summary:
    """Measure a device's model. Faults and half-select are left out: they are no law of the working cell by itself."""
    plain, window = device.replace(faults=None, half_select=None), device.window
    streams = Streams(seed).at("catalogue")
    on_off = window.g_max / window.g_min if window.g_min else np.inf
    across, up, down, c2c = (None, None, None, None) if device.update is None else _pulses(plain, streams)
    error = None if device.programming is None else _write_error(plain, streams)
    day = None if device.retention is None else _day(plain, streams)
    return Summary(device.name, on_off, window.levels, across, up, down, c2c, error, day)


def _written(device: Device, share: float, streams: Streams) -> Cells:
    exact = device.replace(programming=None)
    target = np.full(CELLS, device.window.g_min + share * device.window.span)
    return exact.program(exact.fabricate((CELLS,), streams), target, streams)[0]


def _pulses(device: Device, streams: Streams) -> tuple[int, float, float, float]:
    noisy = device.replace(retention=None)
    assert noisy.update is not None
    plain = noisy.replace(update=_mean_law(noisy.update))
    (up, bend_up), (down, bend_down) = (_curve(plain, sign, streams) for sign in (1, -1))
    middle = _written(noisy, 0.5, streams)
    one = noisy.pulse(middle, np.ones(CELLS, dtype=int), streams.rng("c2c")).g
    return round((up + down) / 2), bend_up, bend_down, float(100 * one.std() / plain.window.span)


def _curve(device: Device, sign: int, streams: Streams) -> tuple[int, float]:
    """Pulses from one end of the window to the other, and how far (% of the span) their curve leaves the straight line.

    A law that comes to rest on the way is followed over the nominal number.
    """
    window, nominal = device.window, max(2, round(device.window.span / device.pulse_step()))
    counts = np.unique(np.linspace(0, max(2 * nominal, 256), 513).astype(int))
    start = np.full((len(counts), COPIES), window.g_min if sign > 0 else window.g_max)
    exact = device.replace(programming=None)
    cells, _ = exact.program(exact.fabricate(start.shape, streams), start, streams)
    n = np.broadcast_to(sign * counts[:, None], start.shape)
    gone = np.abs(exact.pulse(cells, n, streams.rng(f"curve {sign}")).g - start).mean(axis=1) / window.span
    across = np.append(np.flatnonzero(gone > 1 - 1e-6), np.searchsorted(counts, nominal))[0]
    way = counts[: across + 1] / counts[across]
    return int(counts[across]), float(100 * np.abs(gone[: across + 1] - gone[across] * way).max())


def _mean_law(update: Update) -> Update:
    """The law without noise and spread, where it names them: clipping of noise at the window's ends bends the curve."""
    if isinstance(update, RampedUpdate):
        return update.replace(law=_mean_law(update.law))
    fields = type(update).model_fields
    noise = [name for name in fields if name in ("c2c", "samples") or name.startswith("spread_")]
    return update.replace(**{name: fields[name].default for name in noise})


def _write_error(device: Device, streams: Streams) -> float:
    target = device.window.quantise(np.linspace(device.window.g_min, device.window.g_max, CELLS))
    cells, _ = device.program(device.fabricate((CELLS,), streams), target, streams)
    return float(100 * np.sqrt(np.mean((cells.g - target) ** 2)) / device.window.span)


def _day(device: Device, streams: Streams) -> tuple[float, float, float]:
    cells = _written(device, 0.5, streams)
    change = 100 * (device.conductance(device.age(cells, DAY)) - cells.g) / device.window.span
    low, middle, high = np.percentile(change, [5, 50, 95])
    return float(low), float(middle), float(high)


def _missing(ax: Axes, row: int, text: str) -> None:
    ax.text(0.02, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=_MISSING)


def _logarithmic(ax: Axes, ticks: list[int]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(ticks[0], ticks[-1])


def _on_off(ax: Axes, row: int, one: Summary) -> None:
    _logarithmic(ax, [1, 10, 100, 1000])
    if np.isinf(one.on_off):
        _missing(ax, row, "off is 0 S")
    else:
        ax.plot(one.on_off, row, "o", color=_BLUE, markersize=5)


def _levels(ax: Axes, row: int, one: Summary) -> None:
    _logarithmic(ax, [1, 10, 100, 1000, 10_000])
    if one.levels is None and one.pulses is None:
        _missing(ax, row, "continuous")
    if one.levels is not None:
        ax.plot(one.levels, row, "o", color=_BLUE, markersize=5)
    if one.pulses is not None:
        ax.plot(one.pulses, row, "o", color=_BLUE, markersize=5, markerfacecolor="none")


def _nonlinearity(ax: Axes, row: int, one: Summary) -> None:
    if one.nonlinearity_up is None or one.nonlinearity_down is None:
        _missing(ax, row, "no pulses")
        return
    ax.plot(one.nonlinearity_up, row, "^", color=_BLUE, markersize=5)
    ax.plot(one.nonlinearity_down, row, "v", color=_RED, markersize=5)


def _c2c(ax: Axes, row: int, one: Summary) -> None:
    _share(ax, row, one.c2c, "no pulses")


def _error(ax: Axes, row: int, one: Summary) -> None:
    _share(ax, row, one.write_error, "exact")


def _share(ax: Axes, row: int, value: float | None, without: str) -> None:
    if value is None:
        _missing(ax, row, without)
    elif value < 1e-9:
        _missing(ax, row, "none")
    else:
        ax.barh(row, value, height=0.5, color=_BLUE)
        ax.annotate(f"{value:.2g}", (value, row), (2, 0), textcoords="offset points", va="center", fontsize=7)
        ax.margins(x=0.15)


def _drift(ax: Axes, row: int, one: Summary) -> None:
    if one.day is None:
        _missing(ax, row, "none")
        return
    low, middle, high = one.day
    ax.plot([low, high], [row, row], color=_BLUE, linewidth=4, alpha=0.35, solid_capstyle="butt")
    ax.plot(middle, row, "|", color=_BLUE, markersize=9, markeredgewidth=2)


_PANELS: dict[str, Callable[[Axes, int, Summary], None]] = {
    "on/off ratio": _on_off,
    "● levels\n○ pulses across the window": _levels,
    "nonlinearity (% of window)\n▲ LTP  ▼ LTD": _nonlinearity,
    "C2C of one pulse\n(% of window)": _c2c,
    "write error\n(% of window)": _error,
    "change in a day (% of window)\nmedian, 90 % of cells": _drift,
}
