"""The slot of programming: what a write is given and what it returns."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from device_models.parameters import Variant
from device_models.window import Limits


class Written(NamedTuple):
    """Outcome of a write, cell by cell: conductance (siemens), pulses used, and whether verify gave the cell up.

    `energy` (joules) and `seconds` are what the pulses of each cell took, 0 where the class knows no pulse.
    """

    g: np.ndarray
    pulses: np.ndarray
    failed: np.ndarray
    energy: np.ndarray | float = 0.0
    seconds: np.ndarray | float = 0.0


class PulsedCells(NamedTuple):
    """Cells as a write by pulses meets them, flat.

    `g` is their conductance now, siemens; `pulse(g, n, which)` the conductance of the cells `which` (flat indices)
    after n pulses at g, by their own parameters and windows; `step` the nominal change of a pulse and `span` the
    nominal window's, siemens.
    """

    g: np.ndarray
    pulse: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    step: float
    span: float


class Programming(Variant):
    """Slot of programming error.

    `closed_loop` says what a cell with a window of its own does: a verified cell is driven to the target itself, an
    open-loop one lands, error and all, at the same fraction of its own window as a nominal cell of the nominal one.
    """

    closed_loop: ClassVar[bool] = False

    @abc.abstractmethod
    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Write targets (siemens, any shape) in a `window`: in closed loop each cell's own, else the nominal one."""

    def promised(self, span: float) -> float | None:
        """Largest error (siemens) of a cell not given as failed, for a nominal span; None where none is promised."""
        return None


class PulsedProgramming(Programming):
    """Programming by the pulses of the device's own update slot, in closed loop.

    A device whose update slot is empty answers pulses ideally: each cell reaches its target in one pulse.
    """

    closed_loop: ClassVar[bool] = True

    @abc.abstractmethod
    def write(
        self, g_target: np.ndarray, window: Limits, rng: np.random.Generator, cells: PulsedCells | None = None
    ) -> Written:
        """Write targets by pulses on `cells`; raises `InputError` without them."""
