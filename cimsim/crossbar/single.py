"""A weight scheme without signs: one cell per weight."""

from __future__ import annotations

import numpy as np

from cimsim.crossbar.mapping import WeightScheme
from device_models.errors import InputError
from device_models.window import Array, Window


class SingleCell(WeightScheme):
    """One cell per weight of 0 and more: w = (G - g_min) / span.

    Nothing is subtracted, so every input adds the current of a cell at g_min to all outputs alike: what a product
    gives is `x @ (w + g_min / span)`. For networks whose outputs compete, which it does not disturb.
    """

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """One array. Raises `InputError` for weights below 0."""
        if np.min(w, initial=0.0) < 0:
            remedy = "use DifferentialPair or OffsetColumn"
            raise InputError("SingleCell", "weights must be 0 or more", float(np.min(w)), remedy)
        return window.quantise(window.g_min + w * window.span)[None]

    def analog(self) -> np.ndarray:
        """One signal, the array's own current."""
        return np.eye(1)

    def worths(self) -> tuple[float, ...]:
        """The window stands for a weight of 1."""
        return (1.0,)

    def pulses(self, n: Array, room: Array) -> Array:
        """The cell takes them all."""
        return n[None].astype(np.int64)
