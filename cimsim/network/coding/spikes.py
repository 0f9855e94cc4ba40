"""Spike rasters: what they must look like."""

from __future__ import annotations

import numpy as np

from cimsim.backend import is_array
from device_models.errors import InputError
from device_models.window import Array


def as_spikes(spikes: Array) -> Array:
    """The same as bool; other types of number must hold nothing but 0 and 1.

    Raises `InputError` for anything else.
    """
    spikes = spikes if is_array(spikes) else np.asarray(spikes)
    if spikes.dtype == np.bool_:
        return spikes
    if spikes.dtype.kind not in "iuf":
        raise InputError("spikes", "must be bool, or numbers that are 0 or 1", f"type {spikes.dtype}")
    binary = (spikes == 0) | (spikes == 1)
    if not bool(np.all(binary)):
        raise InputError("spikes", "must be 0 or 1", _first(spikes, binary), "encode the values first")
    return spikes == 1


def as_raster(spikes: Array, steps: int | None = None) -> Array:
    """The same as bool (batch, steps, features). Raises `InputError` for other axes, lengths or values."""
    spikes = as_spikes(spikes)
    if spikes.ndim != 3 or 0 in spikes.shape:
        raise InputError("spikes", "must have the axes (batch, steps, features)", f"shape {spikes.shape}", "reshape it")
    if steps is not None and spikes.shape[1] != steps:
        raise InputError("spikes", f"must have {steps} steps", spikes.shape[1], "use the code they were made with")
    return spikes


def _first(values: Array, good: Array) -> float:
    """The first of the values that is not good."""
    return float(values.reshape(-1)[int(np.argmin(good.reshape(-1)))])
