"""A weight scheme with a reference cell of its own for every weight."""

from __future__ import annotations

import numpy as np

from cimsim.crossbar.mapping import WeightScheme
from device_models.window import Array, Window


class ReferenceCell(WeightScheme):
    """One cell that is pulsed and one that is only written: w = 2 (G - G_reference) / span.

    References stand in the middle of the window, unless they are written elsewhere: at the points where pulses up and
    down cancel, a weight forgets itself towards 0 under them.
    """

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """Two arrays, the cells and their references."""
        middle = window.g_min + window.span / 2
        return window.quantise(np.stack([middle + w * (window.span / 2), np.full(w.shape, middle)]))

    def analog(self) -> np.ndarray:
        """One signal, cell less reference."""
        return np.array([[1.0, -1.0]])

    def worths(self) -> tuple[float, ...]:
        """Half the window stands for a weight of 1."""
        return (2.0,)

    def pulses(self, n: Array, room: Array) -> Array:
        """The weight's own cell takes them all."""
        return np.stack([n, np.zeros_like(n)]).astype(np.int64)

    def cell_worth(self) -> float:
        """The window stands for the range from -1 to 1."""
        return 2.0
