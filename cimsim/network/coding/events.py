"""From the events of a camera to a raster of spikes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cimsim.datasets.events import Events
from device_models.errors import InputError

EDGE = 1e-6  # share of a step: an event at a step's start belongs to it, whatever the rounding

_FORMS = {
    "x": ("iu", "integers"),
    "y": ("iu", "integers"),
    "polarity": ("b", "bool, True for ON"),
    "time": ("iuf", "seconds"),
}


def to_raster(samples: Sequence[Events], sensor: tuple[int, int], steps: int, dt: float) -> np.ndarray:
    """Spikes (batch, steps, 2 height width), bool, of events on a sensor (height, width), in steps of `dt` seconds.

    The ON channels of all pixels, row by row, then the OFF channels. Several events of one channel in one step are one
    spike. Events after the last step are left out.
    Raises `InputError` for events outside the sensor or before time 0, arrays of another form than those of `Events`,
    and for a window without steps.
    """
    if not (math.isfinite(dt) and dt > 0):
        raise InputError("dt", "must be a positive time (seconds)", dt)
    height, width = (_whole("sensor", n) for n in sensor)
    if _whole("steps", steps) < 1 or not samples:
        raise InputError("to_raster", "needs one sample and one step or more", f"{len(samples)} and {steps}")
    raster = np.zeros((len(samples), steps, 2, height, width), dtype=np.bool_)
    for n, events in enumerate(samples):
        _check_form(events)
        events.check(sensor)
        step = np.floor(events.time / dt + EDGE).astype(np.int64)
        x, y, off = (a[step < steps] for a in (events.x, events.y, ~events.polarity))
        raster[n, step[step < steps], off.astype(np.int64), y, x] = True
    return raster.reshape(len(samples), steps, -1)


def _whole(where: str, n: int) -> int:
    if not isinstance(n, int | np.integer):
        raise InputError(where, "must be a whole number", n)
    return int(n)


def _check_form(events: Events) -> None:
    """Whole columns and rows, polarities that are bool (-1 and 1 would be taken for the same), times as numbers."""
    for name, (kinds, form) in _FORMS.items():
        values = getattr(events, name)
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in kinds:
            got = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise InputError(f"events.{name}", f"must be an array on one axis of {form}", got, "convert it first")
