"""A fit on one page: for each measurement the data with the fitted law, and below what is left over.

Importing this module does not import matplotlib, and drawing leaves pyplot alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cimsim.plots.words import wrapped
from device_models.fitting.report import Fit
from device_models.fitting.results import Series, SlotFit, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 5000  # drawn of one series
_COLOURS = (("#1f77b4", "#0b3c5d"), ("#d62728", "#7a1416"), ("#2ca02c", "#145214"))  # of points, of laws
_PREFIXES = {"m": 1e3, "µ": 1e6, "n": 1e9, "p": 1e12}


class Axis(NamedTuple):
    """How numbers in SI units are shown: times `scale`, named `label`."""

    scale: float
    label: str

    @classmethod
    def of(cls, series: tuple[Series, ...], coordinate: str, label: str, unit: str) -> Axis:
        """Siemens and amperes with the prefix that makes numbers of 1 to 1000 of the largest."""
        if unit not in ("S", "A"):
            return cls(1.0, f"{label} ({unit})" if unit else label)
        largest = max((float(np.max(np.abs(getattr(s, coordinate)))) for s in series if len(s.x)), default=1.0)
        prefix = next((p for p, scale in _PREFIXES.items() if largest * scale >= 1), "p")
        return cls(_PREFIXES[prefix], f"{label} ({prefix}{unit})")


def fit_page(fit: Fit) -> Figure:
    """One column for each measurement: above, its points with the law; below, the residuals.

    Args:
        fit: what `device_models.fitting.fit` gave.
    """
    from matplotlib.figure import Figure

    columns = len(fit.slots)
    figure = Figure(figsize=(max(4.6 * columns, 7.0), 6.4))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    axes = figure.subplots(2, columns, squeeze=False, sharex="col", gridspec_kw={"height_ratios": [2, 1]})
    for upper, lower, slot in zip(axes[0], axes[1], fit.slots, strict=True):
        data_and_law(upper, slot)
        residuals(lower, slot)
    low, high = (e.value * 1e6 for e in fit.window)
    heading = f"{fit.device.name}, {fit.device.source.paper}; window {low:.4g} to {high:.4g} µS"
    heading = wrapped(heading, figure.get_figwidth(), 11)
    figure.suptitle(heading, fontsize=11, x=0.012, horizontalalignment="left")
    return figure


def data_and_law(ax: Axes, slot: SlotFit) -> Axes:
    """The measured points, and the law's lines with the band that it gives one standard deviation."""
    view = slot.view
    x, y = _across(view), Axis.of(view.data + view.law, "y", view.y_label, view.y_unit)
    _points(ax, view.data, x, y)
    for k, line in enumerate(view.law):
        colour = _COLOURS[k % 3][1]
        ax.plot(line.x * x.scale, line.y * y.scale, color=colour, linewidth=1.6, label=line.label)
        if line.band is not None:
            edges = (line.y + sign * line.band for sign in (-1, 1))
            ax.fill_between(
                line.x * x.scale, *(e * y.scale for e in edges), color=colour, alpha=0.25, linewidth=0, zorder=2.5
            )
    _legend(ax)
    if not view.residual:
        ax.tick_params(labelbottom=True)  # nothing below shows the shared axis
    return _labelled(ax, view, x, y, view.title)


def residuals(ax: Axes, slot: SlotFit) -> Axes:
    """What the law leaves over, with its root mean square beside the data's own spread."""
    view = slot.view
    if not view.residual:
        ax.set_axis_off()
        return ax
    x, y = _across(view), Axis.of(view.residual, "y", "residual", view.residual_unit)
    _points(ax, view.residual, x, y)
    ax.axhline(0.0, color="0.3", linewidth=0.8)
    shown = Axis.of((Series("", np.zeros(1), np.array([slot.residual_rms])),), "y", "", slot.unit)
    unit = shown.label.strip(" ()")
    own = "" if np.isnan(slot.spread) else f", data's own spread {slot.spread * shown.scale:.3g} {unit}"
    return _labelled(ax, view, x, y, f"RMS {slot.residual_rms * shown.scale:.3g} {unit}{own}", small=True)


def _across(view: View) -> Axis:
    return Axis.of(view.data, "x", view.x_label, view.x_unit)


def _points(ax: Axes, series: tuple[Series, ...], x: Axis, y: Axis) -> None:
    """Points, thinned out evenly where there are many."""
    for k, one in enumerate(series):
        shown = np.linspace(0, len(one.x) - 1, min(len(one.x), POINTS)).astype(int)
        size = float(np.clip(60 / np.sqrt(max(len(shown), 1)), 2.2, 6.0))
        points = one.x[shown] * x.scale, one.y[shown] * y.scale
        colour, faint = _COLOURS[k % 3][0], 0.8 if len(shown) < 200 else 0.4
        ax.plot(*points, ".", color=colour, markersize=size, alpha=faint, markeredgewidth=0, label=one.label)


def _legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    ax.legend(list(unique.values()), list(unique), frameon=False, fontsize=7.5, markerscale=2)


def _labelled(ax: Axes, view: View, x: Axis, y: Axis, title: str, *, small: bool = False) -> Axes:
    ax.set_title(title, loc="left", fontsize=8 if small else 9.5, fontweight="normal" if small else "bold")
    ax.set_xlabel(x.label, fontsize=9)
    ax.set_ylabel(y.label, fontsize=9)
    if view.log_x:
        ax.set_xscale("log")
    if view.names:
        ax.set_xticks(range(len(view.names)), view.names)
        ax.set_xlim(-0.5, len(view.names) - 0.5)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax
