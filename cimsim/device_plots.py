"""A device on one page: pulse response, levels, retention, read noise, I-V and spread, each where its slot is on.

A panel takes axes, a device and the streams of its draws, and returns the axes. Importing this module does not import
matplotlib, and drawing leaves pyplot alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from device_models.device import SLOTS, Cells, Device
from device_models.faults import STUCK_HRS, STUCK_LRS
from device_models.streams import Streams

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Panel = Callable[[Axes, Device, Streams], Axes]

CELLS = 600  # in each sample whose percentiles are drawn
MANY = 10_000  # in each histogram
TIMES = np.geomspace(1.0, 3.156e8, 80)  # seconds, to ten years
_TICKS = {1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 d", 2.592e6: "30 d", 3.156e7: "1 y", 3.156e8: "10 y"}
_UP, _DOWN, _OHMIC = "#1f77b4", "#d62728", "0.55"


class Unit(NamedTuple):
    """The unit in which a device's conductances are shown: values in siemens times `scale` are in `name`."""

    name: str
    scale: float

    @classmethod
    def of(cls, device: Device) -> Unit:
        """Microsiemens, or nanosiemens for a window below one microsiemens."""
        return cls("µS", 1e6) if device.window.g_max >= 1e-6 else cls("nS", 1e9)

    def text(self, g: float) -> str:
        """A conductance with its unit."""
        return f"{g * self.scale:.3g} {self.name}"


def device_card(device: Device, *, seed: int = 0) -> Figure:
    """One page of panels, one for every slot that is not ideal, with the device's name, window and source.

    Args:
        device: the device.
        seed: seed of every draw shown.
    """
    from matplotlib.figure import Figure

    panels = [panel for slot, panel in PANELS.items() if _is_on(device, slot)] or [levels]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    wide = max(columns, 2)
    figure = Figure(figsize=(4.0 * wide, 0.9 + 3.1 * rows))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        panel(ax, device, Streams(seed).at(panel.__name__))
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    figure.suptitle(_heading(device, 48 * wide), fontsize=11, x=0.012, horizontalalignment="left")
    figure.supxlabel(_footer(device, 62 * wide), fontsize=7, x=0.012, horizontalalignment="left", color="0.3")
    return figure


def write_curves(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Pulses across the window and back: the median, a band that holds 90 % of the cells, and three single cells."""
    unit, plain = Unit.of(device), device.replace(faults=None, retention=None)
    cells, rng, start = plain.fabricate((CELLS,), streams), streams.rng("pulse"), 0
    for sign, name, colour in ((1, "LTP", _UP), (-1, "LTD", _DOWN)):
        n, g, cells = _train(plain, cells, sign, rng)
        _band(ax, start + n, g * unit.scale, colour, name)
        ax.plot(start + n, g[:, :3] * unit.scale, color=colour, linewidth=0.5, alpha=0.6)
        start += int(n[-1])
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    ax.margins(x=0.02)
    _note(ax, "median, 90 % of cells, three cells")
    return _labelled(ax, "Identical pulses", "pulses", f"conductance ({unit.name})")


def levels(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Conductances right after programming to eight levels of the window, dashed."""
    unit, plain = Unit.of(device), device.replace(faults=None)
    targets = _levels(device, np.linspace(0, 1, 8))
    wanted = np.repeat(targets[:, None], MANY, axis=1)
    cells, report = plain.program(plain.fabricate(wanted.shape, streams), wanted, streams)
    edges = np.linspace(min(cells.g.min(), targets[0]), max(cells.g.max(), targets[-1]), 161)
    shares = [np.histogram(g, edges)[0] / MANY * 100 for g in cells.g]
    for share, target, colour in zip(shares, targets, _colours(8), strict=True):
        ax.stairs(share, edges * unit.scale, fill=True, color=colour, alpha=0.75)
        ax.axvline(target * unit.scale, color=colour, linewidth=0.6, linestyle="--")
    _cut(ax, [share.max() for share in shares], targets * unit.scale)
    if report.pulses > report.cells:
        given_up = f"{report.failed / report.cells * 100:.2g} % given up"
        _note(ax, f"{report.pulses / report.cells:.3g} pulses a cell, {given_up}")
    return _labelled(ax, "Eight levels", f"conductance after programming ({unit.name})", "cells (%)")


def retention(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Five levels from one second to ten years after an exact write: the median and a band of 90 % of the cells."""
    unit, plain = Unit.of(device), device.replace(faults=None, programming=None)
    for level, colour in zip(_levels(device, np.linspace(0.1, 1, 5)), _colours(5), strict=True):
        written = plain.program(plain.fabricate((CELLS,), streams), np.full(CELLS, level), streams)[0]
        g = np.stack([plain.conductance(plain.age(written, t)) for t in TIMES])
        _band(ax, TIMES, g * unit.scale, colour, unit.text(level))
    ax.set_xscale("log")
    ax.set_xticks(list(_TICKS), list(_TICKS.values()))
    ax.minorticks_off()
    ax.set_xlim(TIMES[0], TIMES[-1])
    _note(ax, "median, 90 % of cells")
    return _labelled(ax, "Retention", "time since programming", f"conductance ({unit.name})")


def read_noise(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Standard deviation of one read against the conductance, one second and, where it grows, one day after a write."""
    assert device.read_noise is not None
    unit = Unit.of(device)
    g = np.linspace(device.window.g_min, device.window.g_max, 201)
    soon, late = (device.read_noise.sigma(g, np.asarray(t)) for t in (1.0, 86400.0))
    ax.plot(g * unit.scale, soon * unit.scale, color=_UP, label="1 s after the write")
    if not np.array_equal(soon, late):
        ax.plot(g * unit.scale, late * unit.scale, color=_DOWN, label="1 day after the write")
        ax.legend(frameon=False, fontsize=8)
    ax.set_ylim(bottom=0)
    return _labelled(ax, "Read noise", f"conductance ({unit.name})", f"standard deviation ({unit.name})")


def current_voltage(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Current against voltage at both ends of the window; dashed, an ohmic cell."""
    unit, v = Unit.of(device), np.linspace(-0.5, 0.5, 201)
    for g, colour in ((device.window.g_max, _UP), (device.window.g_min, _DOWN)):
        ax.plot(v, g * device.drive(v) * unit.scale, color=colour, label=unit.text(g))
        ax.plot(v, g * v * unit.scale, color=_OHMIC, linewidth=0.9, linestyle="--")
    ax.legend(frameon=False, fontsize=8)
    _note(ax, "dashed: ohmic")
    return _labelled(ax, "Current and voltage", "voltage (V)", f"current ({unit.name[0]}A)")


def fabrication(ax: Axes, device: Device, streams: Streams) -> Axes:
    """The upper ends of the cells' own windows, and how many cells are stuck."""
    unit = Unit.of(device)
    cells = device.fabricate((4 * MANY,), streams)
    shares, edges = np.histogram(cells.limits.g_max * unit.scale, bins=60)
    ax.stairs(shares / cells.g.size * 100, edges, fill=True, color=_UP, alpha=0.75)
    ax.axvline(device.window.g_max * unit.scale, color=_UP, linewidth=0.8, linestyle="--")
    stuck = [f"{(cells.stuck == s).mean() * 100:.2g} % {n}" for s, n in ((STUCK_LRS, "LRS"), (STUCK_HRS, "HRS"))]
    _note(ax, f"stuck: {', '.join(stuck)}")
    return _labelled(ax, "From cell to cell", f"highest conductance of a cell ({unit.name})", "cells (%)")


PANELS: dict[str, Panel] = {
    "update": write_curves,
    "programming": levels,
    "retention": retention,
    "read_noise": read_noise,
    "conduction": current_voltage,
    "faults": fabrication,
}


def _is_on(device: Device, slot: str) -> bool:
    return getattr(device, slot) is not None and not (slot == "conduction" and device.ohmic)


def _train(device: Device, cells: Cells, sign: int, rng: Any) -> tuple[np.ndarray, np.ndarray, Cells]:
    """Pulse counts and conductances `(counts, cells)` on the way across the window, in at most 128 strides."""
    across = max(1, round(device.window.span / device.pulse_step()))
    stride = -(-across // 128)
    g = [cells.g]
    for _ in range(-(-across // stride)):
        cells = device.pulse(cells, np.full(cells.shape, sign * stride), rng)
        g.append(cells.g)
    return np.arange(len(g)) * stride, np.stack(g), cells


def _levels(device: Device, shares: np.ndarray) -> np.ndarray:
    """The levels nearest to some shares of the window, siemens."""
    return device.window.quantise(device.window.g_min + shares * device.window.span)


def _band(ax: Axes, x: np.ndarray, g: np.ndarray, colour: Any, label: str) -> None:
    """The median of `g` `(x, cells)` and a band from the 5th to the 95th percentile."""
    low, middle, high = np.percentile(g, [5, 50, 95], axis=1)
    ax.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
    ax.plot(x, middle, color=colour, linewidth=1.6, label=label)


def _cut(ax: Axes, peaks: list[float], at: np.ndarray) -> None:
    """Cut the y axis above the inner peaks; write down an outer one that is higher: cells held at a window's end."""
    top = min(1.25 * max(peaks[1:-1]), 105.0)
    ax.set_ylim(0, top)
    for i, side in ((0, "left"), (-1, "right")):
        if peaks[i] > top:
            ax.text(at[i], top, f" {peaks[i]:.0f} % ", ha=side, va="top", fontsize=7, color="0.3")


def _colours(n: int) -> Iterable[Any]:
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.85, n)))


def _note(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="right", fontsize=7.5, color="0.3")


def _labelled(ax: Axes, title: str, x: str, y: str) -> Axes:
    ax.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(y, fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def _heading(device: Device, width: int) -> str:
    """Name and title; the window and what is ideal."""
    unit, w = Unit.of(device), device.window
    facts = f"{unit.text(w.g_min)} to {unit.text(w.g_max)}, "
    facts += "continuous" if w.levels is None else f"{w.levels} levels"
    ideal = [slot.replace("_", " ") for slot in SLOTS if not _is_on(device, slot)]
    facts += f"; ideal: {', '.join(ideal)}" if ideal else ""
    return _wrapped([f"{device.name}: {device.title}".removesuffix(": "), facts], width)


def _footer(device: Device, width: int) -> str:
    """Where the numbers come from and where they hold."""
    source = device.source
    paper = ", ".join(part for part in (source.paper, source.doi and f"doi:{source.doi}") if part)
    return _wrapped([paper, source.validity], width)


def _wrapped(lines: list[str], width: int) -> str:
    """Lines cut to at most `width` characters; empty ones left out."""
    return "\n".join(part for line in lines for part in textwrap.wrap(line, width))
