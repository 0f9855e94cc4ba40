"""Axonal delays: the same spikes again, some steps later, so that a neuron sees what was beside what is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.window import Array


def delayed(spikes: Array, by: Sequence[int]) -> Array:
    """Spikes (batch, steps, features) delayed by each number of steps in turn: (batch, steps, len(by) features), bool.

    What would come after the last step is lost. Raises `InputError` for anything but spikes, and for delays that are
    not whole numbers from 0 to the number of steps.
    """
    spikes = as_raster(spikes)
    steps = spikes.shape[1]
    if not len(by) or not all(isinstance(n, int | np.integer) and 0 <= n <= steps for n in by):
        raise InputError("delayed.by", f"must be whole numbers from 0 to {steps} (steps)", list(by), "try [0, 2, 4]")
    silence = np.zeros_like(spikes)
    return np.concatenate([np.concatenate([silence[:, :n], spikes[:, : steps - n]], axis=1) for n in by], axis=2)
