"""The current-voltage law of a cell at the small voltages of a read."""

from __future__ import annotations

import abc

import numpy as np

from device_models.parameters import Variant, Volts
from device_models.window import Array


class Conduction(Variant):
    """Slot of I-V nonlinearity, for laws of the form i = g f(v): one curve, scaled by the state.

    `g` is the conductance at small voltage, so f(v) -> v for v -> 0.
    """

    @abc.abstractmethod
    def drive(self, v: Array) -> Array:
        """f(v) in volts: the voltage that would drive the same current through an ohmic cell."""

    def current(self, g: Array, v: Array) -> Array:
        """Current of each cell, amperes."""
        return g * self.drive(v)

    def conductance(self, g: Array, v: Array) -> Array:
        """Current over voltage, siemens; g itself at v = 0."""
        safe = np.where(v == 0, 1.0, v)
        return np.where(v == 0, g, self.current(g, safe) / safe)


class Ohmic(Conduction):
    """i = g v."""

    def drive(self, v: Array) -> Array:
        """The voltage itself."""
        return v


class Sinh(Conduction):
    """i = g v0 sinh(v / v0): hopping and tunnelling conduction; ohmic for v well below v0."""

    v0: Volts

    def drive(self, v: Array) -> Array:
        """v0 sinh(v / v0), volts."""
        return self.v0 * np.sinh(v / self.v0)
