"""Pictures of an array with wire resistance. Importing this module does not import matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cimsim.crossbar.wires import Wires, effective_conductance, node_voltages
from cimsim.plots.sweeps import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def voltage_drop(g: ArrayLike, wires: Wires, v: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """A heat map of what the wires take from every cell's voltage, millivolts.

    Args:
        g: cells, siemens, `(rows, cols)`.
        wires: of the array.
        v: word-line voltages, `(rows,)`.
        ax: where to draw; None makes new axes.

    Raises:
        InputError: as `node_voltages`.
    """
    ax = _new_axes() if ax is None else ax
    v_word, v_bit = node_voltages(g, wires, v)
    lost = (np.asarray(v, np.float64)[:, None] - (v_word - v_bit)) * 1e3
    image = ax.imshow(lost, cmap="magma", aspect="auto", interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label("voltage lost in the wires (mV)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    ax.set_xlabel(f"bit line, drivers {'at both ends' if wires.both else 'to the left'}", fontsize=9)
    ax.set_ylabel("word line, sense amplifiers below", fontsize=9)
    ax.tick_params(labelsize=8)
    return ax


def column_error(g: ArrayLike, wires: Wires, v: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Current that each bit line loses to the wires, percent of what it would carry without them.

    Args:
        g: cells, siemens, `(rows, cols)`.
        wires: of the array.
        v: word-line voltages, `(rows,)`, or a batch `(n, rows)`: then the mean, and a band from the 5 % to the 95 %
            quantile.
        ax: where to draw; None makes new axes.
    """
    ax = _new_axes() if ax is None else ax
    batch = np.atleast_2d(np.asarray(v, np.float64))
    exact = batch @ np.asarray(g, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):  # a bit line without current has no error to show
        lost = 100 * (1 - batch @ effective_conductance(g, wires) / exact)
    columns = np.arange(lost.shape[1])
    ax.plot(columns, lost.mean(axis=0), linewidth=1.4, color="#0b3c5d")
    if len(batch) > 1:
        low, high = np.quantile(lost, [0.05, 0.95], axis=0)
        ax.fill_between(columns, low, high, color="#0b3c5d", alpha=0.2, linewidth=0)
    ax.set_xlabel("bit line", fontsize=9)
    ax.set_ylabel("current lost to the wires (%)", fontsize=9)
    ax.set_ylim(bottom=min(0.0, float(np.nanmin(lost))))
    ax.tick_params(labelsize=8)
    return tidy(ax)


def wires_page(g: ArrayLike, wires: Wires, v: ArrayLike) -> Figure:
    """Voltage drop and error by column, side by side; `v` is `(rows,)` or a batch, whose first input is drawn left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.2))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    left, right = figure.subplots(1, 2)
    batch = np.atleast_2d(np.asarray(v, np.float64))
    voltage_drop(g, wires, batch[0], ax=left)
    column_error(g, wires, batch, ax=right)
    rows, cols = np.shape(g)
    ohms = ", ".join(f"{name} {value:g} Ω" for name, value in wires if isinstance(value, float) and value)
    ends = ", driven from both ends" if wires.both else ""
    figure.suptitle(f"{rows} x {cols} cells; {ohms or 'no resistance'}{ends}", fontsize=10, x=0.012, ha="left")
    return figure


def _new_axes() -> Axes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.0))
    figure.set_layout_engine("constrained")
    return figure.subplots()
