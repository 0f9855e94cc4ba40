"""The loops of training by pulses in array functions, for laws that are not affine and for arrays held elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from cimsim.backend import generator
from device_models.streams import Streams
from device_models.window import Array


def pulse_trains(values: Array, gains: Array, lengths: Array, rng: Any) -> Array:
    """Random trains `(batch, lines, slots)` of -1, 0 and 1, float32: a pulse in each slot with chance |value| gain.

    A sample has `lengths` slots, the rest stay empty. The sign is the value's. Chances above 1 are 1.
    """
    slots = np.arange(int(np.max(lengths)), like=values)
    chance = np.abs(values) * gains[:, None]
    drawn = rng.random((*values.shape, len(slots))) < chance[:, :, None]
    inside = slots[None, None, :] < lengths[:, None, None]
    return np.sign(values)[:, :, None].astype(np.float32) * (drawn & inside)


def coincidences(rows: Array, columns: Array) -> Array:
    """Signed pulses `(rows, columns)` of one sample, from its trains (lines, slots): equal signs lower a weight."""
    return -np.rint(rows @ columns.T).astype(np.int64)


def signs_above(gradient: Array, limit: float) -> Array:
    """-1 and 1 against the gradient where its size is above a limit, else 0."""
    return (-np.sign(gradient) * (np.abs(gradient) > limit)).astype(np.int64)


def rounded(gradient: Array, worth: float, most: int, streams: Streams) -> Array:
    """Whole numbers of mean `worth * gradient`: rounded away from 0 with the chance of what is left, at most `most`."""
    pulses = worth * gradient
    chance = generator(gradient, streams, "round").random(gradient.shape)
    return (np.sign(pulses) * np.minimum(np.floor(np.abs(pulses) + chance), most)).astype(np.int64)


def whole_steps(owed: Array, gradient: Array, rate: float, step: float, most: int) -> Array:
    """Take `rate * gradient` off `owed`, in place, and of that the whole steps, at most `most`, which are returned."""
    owed -= rate * gradient
    n = np.clip(np.trunc(owed / step), -most, most)
    owed -= n * step
    return n.astype(np.int64)
