"""A device on one page: pulse response, levels, retention, read noise, I-V, spread and wear, each where it is on.

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
from device_models.read_noise import OneOverFNoise, ReadNoise, SumOfNoise, TelegraphNoise
from device_models.streams import Streams
from device_models.update import RampedUpdate
from device_models.window import CellLimits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Panel = Callable[[Axes, Device, Streams], Axes]

CELLS = 600  # in each sample whose percentiles are drawn
MANY = 10_000  # in each histogram
READS, TRACES = 4096, 32  # successive reads of each cell, and cells, in a spectrum
PULSES = 128  # in a write curve, where the nominal number is not higher
DAY = 86400.0
TIMES = np.geomspace(1.0, 3.156e8, 80)  # seconds, to ten years
_TICKS = {1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 d", 2.592e6: "30 d", 3.156e7: "1 y", 3.156e8: "10 y"}
_UP, _DOWN, _OHMIC = "#1f77b4", "#d62728", "0.55"


class Unit(NamedTuple):
    """The unit in which a device's conductances are shown: values in siemens times `scale` are in `name`."""

    name: str
    scale: float

    @classmethod
    def of(cls, device: Device) -> Unit:
        """Microsiemens; nanosiemens for a window below one microsiemens, millisiemens for one from one millisiemens."""
        if device.window.g_max >= 1e-3:
            return cls("mS", 1e3)
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
    ax.legend(frameon=False, fontsize=8, loc="best")
    ax.margins(x=0.02)
    _note(ax, "median, 90 % of cells, three cells")
    title = "Ramped pulses" if isinstance(device.update, RampedUpdate) else "Identical pulses"
    return _labelled(ax, title, "pulses", f"conductance ({unit.name})")


def levels(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Conductances right after programming to eight levels of the window, dashed."""
    unit, plain = Unit.of(device), device.replace(faults=None, half_select=None)
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
    """Five levels from one second to ten years after an exact write: the median and a band of 90 % of the cells.

    A law given at times says nothing after the last of them: there a line is drawn.
    """
    unit, plain = Unit.of(device), device.replace(faults=None, programming=None)
    for level, colour in zip(_levels(device, np.linspace(0.1, 1, 5)), _colours(5), strict=True):
        written = plain.program(plain.fabricate((CELLS,), streams), np.full(CELLS, level), streams)[0]
        g = np.stack([plain.conductance(plain.age(written, t)) for t in TIMES])
        _band(ax, TIMES, g * unit.scale, colour, unit.text(level))
    ax.set_xscale("log")
    ax.set_xticks(list(_TICKS), list(_TICKS.values()))
    ax.minorticks_off()
    ax.set_xlim(TIMES[0], TIMES[-1])
    known, note = getattr(device.retention, "times", TIMES)[-1], "median, 90 % of cells"
    if known < 0.99 * TIMES[-1]:
        ax.axvline(known, color="0.4", linewidth=0.9, linestyle=":")
        note += "; dotted: last time known"
    _note(ax, note)
    return _labelled(ax, "Retention", "time since programming", f"conductance ({unit.name})")


def read_noise(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Spectrum of successive reads at three states, one second after the write; sigma of one read in the legend."""
    law, unit, start = device.read_noise, Unit.of(device), np.asarray(1.0)
    assert law is not None
    interval, g = read_interval(law), _levels(device, np.array([0.1, 0.5, 1.0]))
    cells = np.repeat(g[:, None], TRACES, axis=1)
    reads = law.series(cells, np.arange(READS) * interval, streams.rng("reads"), start) * unit.scale
    sigmas = (law.sigma(g, np.asarray(t)) * unit.scale for t in (start, DAY))
    for k, (soon, late, colour) in enumerate(zip(*sigmas, _colours(3), strict=True)):
        later = f" ({late:.3g} after a day)" if late != soon else ""
        label = f"{unit.text(g[k])}: σ {soon:.3g} {unit.name}{later}"
        ax.plot(*spectrum(reads[:, k], interval), color=colour, linewidth=1.4, label=label)
    _logarithmic(ax, [np.asarray(line.get_ydata()) for line in ax.lines])
    ax.legend(frameon=False, fontsize=7.5, loc="upper right")
    _note(ax, f"reads {_time(interval)} apart, 1 s after the write")
    return _labelled(ax, "Read noise", "frequency (Hz)", f"power density ({unit.name}²/Hz)")


def spectrum(reads: np.ndarray, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (hertz) and one-sided power spectral density (siemens^2 per hertz) of reads `(reads, cells)`.

    Periodograms of reads `interval` seconds apart, through a Hann window, their mean over cells and over a twelfth of a
    decade. The two lowest frequencies, which hold the cell's mean, are left out.
    """
    taper = np.hanning(len(reads))[:, None]
    lines = np.fft.rfft((reads - reads.mean(axis=0)) * taper, axis=0)[2:]
    density = 2 * interval * np.mean(np.abs(lines) ** 2, axis=1) / np.sum(taper**2)
    f = np.fft.rfftfreq(len(reads), interval)[2:]
    bins = np.floor(12 * np.log10(f / f[0]) + 1e-9).astype(int)
    counts = np.bincount(bins)
    means = [np.bincount(bins, weights)[counts > 0] / counts[counts > 0] for weights in (f, density)]
    return means[0], means[1]


def read_interval(law: ReadNoise) -> float:
    """Seconds between reads that show a law's own time: a tenth of a telegraph's, one read of 1/f noise; else 1 us."""
    parts = law.parts if isinstance(law, SumOfNoise) else (law,)
    telegraphs = [part.tau / 10 for part in parts if isinstance(part, TelegraphNoise)]
    return min(telegraphs or [part.t_read for part in parts if isinstance(part, OneOverFNoise)], default=1e-6)


def current_voltage(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Current against voltage at both ends of the window, as far as the law is known; dashed, an ohmic cell."""
    assert device.conduction is not None
    end = min(0.5, device.conduction.v_max or 0.5)
    unit, v = Unit.of(device), np.linspace(-end, end, 201)
    for g, colour in ((device.window.g_max, _UP), (device.window.g_min, _DOWN)):
        ax.plot(v, g * device.drive(v) * unit.scale, color=colour, label=unit.text(g))
        ax.plot(v, g * v * unit.scale, color=_OHMIC, linewidth=0.9, linestyle="--")
    ax.legend(frameon=False, fontsize=8)
    _note(ax, "dashed: ohmic")
    return _labelled(ax, "Current and voltage", "voltage (V)", f"current ({unit.name[0]}A)")


def fabrication(ax: Axes, device: Device, streams: Streams) -> Axes:
    """The upper ends of the cells' own windows, and how many cells are stuck."""
    unit = Unit.of(device)
    cells = device.fabricate((40 * MANY,), streams)
    highest, nominal = cells.limits.g_max * unit.scale, device.window.g_max * unit.scale
    around = nominal * np.array([0.98, 1.02])  # a range to draw in, where all cells are one bar
    shares, edges = np.histogram(highest, np.histogram_bin_edges(np.append(highest, around), bins=60))
    ax.stairs(shares / cells.g.size * 100, edges, fill=True, color=_UP, alpha=0.75)
    ax.axvline(nominal, color=_UP, linewidth=0.8, linestyle="--")
    stuck = [f"{(cells.stuck == s).mean() * 100:.2g} % {n}" for s, n in ((STUCK_LRS, "LRS"), (STUCK_HRS, "HRS"))]
    _note(ax, f"stuck: {', '.join(stuck)}")
    if np.ptp(highest) == 0:
        ax.text(0.03, 0.93, "all cells alike", transform=ax.transAxes, fontsize=8, color="0.3")
    return _labelled(ax, "From cell to cell", f"highest conductance of a cell ({unit.name})", "cells (%)")


def endurance(ax: Axes, device: Device, streams: Streams) -> Axes:
    """Both ends of the nominal window against the pulses a cell has received."""
    assert device.faults is not None
    unit, pulses = Unit.of(device), np.geomspace(1.0, 1e12, 241)
    fresh = CellLimits(np.full_like(pulses, device.window.g_min), np.full_like(pulses, device.window.g_max))
    worn = device.faults.worn(fresh, pulses)
    ax.fill_between(pulses, worn.g_min * unit.scale, worn.g_max * unit.scale, color=_UP, alpha=0.22, linewidth=0)
    for end, colour in ((worn.g_max, _UP), (worn.g_min, _DOWN)):
        ax.plot(pulses, end * unit.scale, color=colour, linewidth=1.6)
    ax.set_xscale("log")
    ax.set_xlim(pulses[0], pulses[-1])
    return _labelled(ax, "Endurance", "pulses received", f"window ({unit.name})")


PANELS: dict[str, Panel] = {
    "update": write_curves,
    "programming": levels,
    "retention": retention,
    "read_noise": read_noise,
    "conduction": current_voltage,
    "faults": fabrication,
    "endurance": endurance,
}


def _is_on(device: Device, slot: str) -> bool:
    if slot == "endurance":
        return device.faults is not None and device.faults.endurance is not None
    return getattr(device, slot) is not None and not (slot == "conduction" and device.ohmic)


def _train(device: Device, cells: Cells, sign: int, rng: Any) -> tuple[np.ndarray, np.ndarray, Cells]:
    """Pulse counts and conductances `(counts, cells)` until the median is across, in at most PULSES strides.

    Across is within 0.1 % of the window, and after the nominal number of pulses within 2 %, where noise may hold it.
    """
    window, g = device.window, [cells.g]
    nominal = round(window.span / device.pulse_step())
    stride = -(-nominal // PULSES) or 1
    end = window.g_max if sign > 0 else window.g_min
    while len(g) <= PULSES:
        near = 1e-3 if (len(g) - 1) * stride < nominal else 0.02
        if abs(np.median(g[-1]) - end) <= near * window.span:
            break
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


def _logarithmic(ax: Axes, curves: list[np.ndarray]) -> None:
    """Both axes logarithmic, with at least one and a half decades and room for a legend above the curves."""
    ax.set_xscale("log")
    found = np.concatenate(curves)
    if not (found > 0).any():
        return
    ax.set_yscale("log")
    low, high = np.log10(found[found > 0].min()), np.log10(found.max())
    height = max(high - low, 1.5)
    ax.set_ylim(10 ** (low - 0.1 * height), 10 ** (high + 0.6 * height))


def _time(seconds: float) -> str:
    """A short time as one says it: 250 ns."""
    from matplotlib.ticker import EngFormatter

    return EngFormatter("s")(float(f"{seconds:.3g}"))


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
