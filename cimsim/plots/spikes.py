"""Pictures of spikes and membranes in time. Importing this module does not import matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cimsim.backend import to_host
from cimsim.network.coding.spikes import as_spikes
from cimsim.plots.sweeps import tidy
from device_models.errors import InputError
from device_models.window import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def raster(spikes: Array, *, ax: Axes | None = None) -> Axes:
    """A dot for every spike of one sample `(steps, neurons)`, neuron against time step.

    Raises `InputError` for spikes that are not 0 or 1, or have other axes.
    """
    spikes = to_host(as_spikes(_of_one_sample("spikes", spikes)))
    ax = _new_axes() if ax is None else ax
    steps, neurons = spikes.shape
    step, neuron = np.nonzero(spikes)
    ax.plot(step + 1, neuron, linestyle="", marker="|", markersize=max(1.5, min(6.0, 200 / neurons)), color="#0b3c5d")
    ax.set(xlim=(0.4, steps + 0.6), ylim=(-0.6, neurons - 0.4), xlabel="time step", ylabel="neuron")
    return tidy(ax)


def membranes(v: Array, *, threshold: float | None = 1.0, ax: Axes | None = None) -> Axes:
    """The potentials of one sample's neurons `(steps, neurons)`, a line for each, and the threshold dashed.

    Raises `InputError` for other axes.
    """
    v = to_host(_of_one_sample("v", v))
    ax = _new_axes() if ax is None else ax
    ax.plot(np.arange(1, len(v) + 1), v, marker=".", linewidth=1.2)
    if threshold is not None:
        ax.axhline(threshold, color="0.4", linestyle="--", linewidth=1)
    ax.set(xlabel="time step", ylabel="potential (thresholds)")
    return tidy(ax)


def _of_one_sample(where: str, values: Array) -> Array:
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(where, "must have the axes (steps, neurons)", f"shape {values.shape}", "take one sample")
    return values


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 3.2), layout="constrained")[1]
