"""Receptive fields: what each neuron of a layer has come to look for. Importing this module imports no matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from device_models.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 1  # pixels between fields
DARKEST = 0.998  # quantile of the weights that is black: single cells of wide windows would take the scale


def receptive_fields(
    weights: ArrayLike,
    *,
    image: tuple[int, int] | None = None,
    labels: ArrayLike | None = None,
    most: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """The weights of every neuron as an image, side by side; dark is high.

    Args:
        weights: `(neurons, inputs)`, as `Plastic.receptive_fields` gives them.
        image: rows and columns of the inputs; None for a square.
        labels: `(neurons,)`, written into the corners where given; fields are then in their order. Below 0: unlabelled.
        most: neurons that are drawn, the first ones.
        ax: where to draw; None makes new axes.

    Raises:
        InputError: weights of other axes, or that do not fill the image; labels of another number.
    """
    w, height, width = _fields(weights, image)
    names = np.full(len(w), -1) if labels is None else np.asarray(labels)
    if names.shape != (len(w),):
        raise InputError("labels", f"must hold one per neuron, {len(w)}", f"shape {names.shape}")
    order = np.argsort(names[:most], kind="stable")
    across = int(np.ceil(np.sqrt(len(order))))
    ax = _new_axes() if ax is None else ax
    darkest = float(np.quantile(w, DARKEST)) or None
    drawn = ax.imshow(_sheet(w[order], across), cmap="gray_r", interpolation="nearest", vmin=w.min(), vmax=darkest)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    bar.set_label("weight", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    ax.set_axis_off()
    for k, neuron in enumerate(order):
        if names[neuron] >= 0:
            row, column = k // across * (height + GAP), k % across * (width + GAP)
            ax.text(column, row, str(names[neuron]), fontsize=7, color="#b3001b", va="top", ha="left")
    return ax


def _fields(weights: ArrayLike, image: tuple[int, int] | None) -> tuple[np.ndarray, int, int]:
    """The fields `(neurons, rows, columns)`, rows and columns."""
    w = np.asarray(weights, dtype=float)
    if w.ndim != 2 or 0 in w.shape:
        raise InputError("weights", "must have the axes (neurons, inputs)", f"shape {w.shape}", "transpose or reshape")
    side = round(np.sqrt(w.shape[1]))
    height, width = (side, side) if image is None else image
    if height * width != w.shape[1]:
        rule = f"must have as many pixels as there are inputs, {w.shape[1]}"
        raise InputError("image", rule, f"{height} x {width}", "give image=(rows, columns)")
    return w.reshape(-1, height, width), height, width


def _sheet(fields: np.ndarray, across: int) -> np.ndarray:
    """All fields on one sheet, NaN between them."""
    n, height, width = fields.shape
    down = -(-n // across)
    sheet = np.full((down * (height + GAP) - GAP, across * (width + GAP) - GAP), np.nan)
    for k, field in enumerate(fields):
        row, column = k // across * (height + GAP), k % across * (width + GAP)
        sheet[row : row + height, column : column + width] = field
    return sheet


def _new_axes() -> Axes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.6))
    figure.set_layout_engine("constrained")
    return figure.subplots()
