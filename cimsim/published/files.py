"""The result of a published system as files: CSV tables and one PNG."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cimsim.plots import wrapped
from cimsim.published.base import Curve, Published, Result, Row
from device_models.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 5.2  # inches across


def ready(out: Path) -> Path:
    """The folder of results, made where it is not there. Raises `InputError` where nothing can be written to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(out), "must be a folder that can be made", error.strerror, "choose another one") from None
    if not os.access(out, os.W_OK):
        raise InputError(str(out), "must be a folder one can write", "no permission", "choose another one")
    return out


def write(system: Published, result: Result, out: Path) -> list[Path]:
    """NAME.csv, NAME-curves.csv where there are curves, NAME.png, in a folder that is made where it is not there."""
    ready(out)
    table, points, picture = (out / f"{system.name}{end}" for end in (".csv", "-curves.csv", ".png"))
    result.table.to_csv(table, index=False)
    if result.curves:
        result.points.to_csv(points, index=False)
    page(system, result).savefig(picture, dpi=150)
    return [path for path in (table, points, picture) if path != points or result.curves]


def page(system: Published, result: Result) -> Figure:
    """One panel with the figures in percent of paper and model, and one for each curve."""
    from matplotlib.figure import Figure

    percents = [row for row in result.rows if row.unit == "%"]
    panels = bool(percents) + len(result.curves)
    across = min(panels, 3)
    down = -(-panels // across)
    height = max(4.0, 0.24 * sum(_name(row).count("\n") + 1 for row in percents))  # labels of many rows need room
    figure = Figure(figsize=(PANEL * across, height * down), layout="constrained")
    figure.suptitle(wrapped(f"{system.title}\n{system.source}", figure.get_figwidth()), fontsize="medium")
    axes = iter(figure.subplots(down, across, squeeze=False).flat)
    if percents:
        _figures(percents, next(axes))
    for curve in result.curves:
        _lines(curve, next(axes))
    for left in axes:
        left.set_axis_off()
    return figure


def _figures(rows: list[Row], ax: Axes) -> None:
    """Ours as dots, the paper's figures as marks beside them, read from top to bottom; each as high as its name."""
    names = [_name(row) for row in rows]
    lines = np.array([name.count("\n") + 1 for name in names])
    places = np.cumsum(lines) - lines / 2
    ax.plot([row.here for row in rows], places, "o", color="tab:blue", markersize=8, label="here")
    stated = [(place, row.paper) for place, row in zip(places, rows, strict=True) if row.paper is not None]
    if stated:
        ys, xs = zip(*stated, strict=True)
        ax.plot(xs, ys, "|", color="black", markersize=14, markeredgewidth=2, label="paper")
    ax.set_yticks(places, names, fontsize="small")
    ax.set_ylim(lines.sum(), 0)
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("%")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize="small")  # hides no point


def _name(row: Row) -> str:
    return wrapped(row.quantity + (" (fitted)" if row.how == "fitted" else ""), 0.32 * PANEL, 8.3)


def _lines(curve: Curve, ax: Axes) -> None:
    for k, (name, (x, y)) in enumerate(curve.series.items()):
        ax.plot(x, y, "os^"[k // 10 % 3] + "-", color=f"C{k % 10}", markersize=4, label=name)  # ten colours there are
    for k, (name, (x, y)) in enumerate(curve.paper.items()):
        ax.plot(x, y, "k" + "x+*"[k % 3], markersize=9, label=name if "paper" in name else f"{name}, paper")
    ax.set(title=wrapped(curve.title, 0.9 * PANEL, 12), xlabel=wrapped(curve.x, 0.9 * PANEL), ylabel=curve.y)
    if len(curve.series) + len(curve.paper) > 1:
        ax.legend(fontsize="small")
