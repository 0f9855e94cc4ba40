"""What is read from the last layer of neurons: counts, first spikes, potentials. Labels are the largest or earliest."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cimsim.backend import to_host
from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.window import Array


def spike_count(spikes: Array) -> Array:
    """Spikes of each neuron, int64 (batch, n), of a raster (batch, steps, n). Raises `InputError` for no raster."""
    return np.sum(as_raster(spikes), axis=1)


def first_spike(spikes: Array) -> Array:
    """The step of each neuron's first spike, int64 (batch, n); the number of steps where there is none.

    Raises `InputError` for anything but spikes (batch, steps, n).
    """
    spikes = as_raster(spikes)
    return np.where(np.any(spikes, axis=1), np.argmax(spikes, axis=1), spikes.shape[1])


def potential(v: Array, how: Literal["last", "max", "mean"] = "last") -> Array:
    """Potentials (batch, n) of a trace (batch, steps, n): after the last step, the largest, or the mean.

    The unit is that of `v`. Raises `InputError` for other axes or another name.
    """
    if v.ndim != 3 or 0 in v.shape:
        raise InputError("v", "must have the axes (batch, steps, n)", f"shape {v.shape}", "reshape it")
    if how not in ("last", "max", "mean"):
        raise InputError("potential", "must be last, max or mean", how)
    return v[:, -1] if how == "last" else np.max(v, axis=1) if how == "max" else np.mean(v, axis=1)


def by_count(spikes: Array, v: Array | None = None) -> np.ndarray:
    """Labels (batch,) on the host: the neuron with the most spikes, of those the one with the highest last potential.

    Without potentials `v` (batch, steps, n) the first of them. Raises `InputError` for no raster.
    """
    count = to_host(spike_count(spikes))
    if v is None:
        return np.asarray(count.argmax(axis=1))
    last = to_host(potential(v))
    return np.asarray(np.where(count == count.max(axis=1, keepdims=True), last, -np.inf).argmax(axis=1))


def by_first_spike(spikes: Array) -> np.ndarray:
    """Labels (batch,) on the host: the neuron that fires first, the first of them in a tie. Raises as `first_spike`."""
    return np.asarray(to_host(first_spike(spikes)).argmin(axis=1))
