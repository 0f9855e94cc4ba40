"""The current-voltage law of a cell at the small voltages of a read."""

from __future__ import annotations

import abc
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import RuleBroken, Variant, Volts
from device_models.window import Array


class Conduction(Variant):
    """Slot of I-V nonlinearity, for laws of the form i = g f(v): one curve, scaled by the state.

    `g` is the conductance at small voltage, so f(v) -> v for v -> 0. `v_max` is the highest voltage of the measurement,
    None where the law has no end: a chip that reads above it is refused.
    """

    v_max: Volts | None = None

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


class PolynomialConduction(Conduction):
    """i = g (v + a2 v |v| + a3 v^3): the first odd terms of any symmetric curve, fitted to an I-V sweep.

    `a2` is in 1/V, `a3` in 1/V^2. The current must rise with the voltage up to `v_max`.
    """

    a2: float = Field(default=0.0, ge=-1e4, le=1e4, description="1/V")
    a3: float = Field(default=0.0, ge=-1e8, le=1e8, description="1/V^2")
    v_max: Volts = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        slope, v = self._lowest_slope()
        if slope <= 0:
            rule = f"the current must rise with the voltage up to v_max = {self.v_max:g} V"
            raise RuleBroken(rule, "lower v_max, or fit again", f"slope {slope:.3g} g at {v:.3g} V")
        return self

    def _lowest_slope(self) -> tuple[float, float]:
        """The lowest slope di/dv over g between 0 and `v_max`, and where: at an end or at the vertex between."""
        ends = [0.0, self.v_max]
        vertex = -self.a2 / (3 * self.a3) if self.a3 > 0 else 0.0
        where = [*ends, vertex] if 0 < vertex < self.v_max else ends
        return min((1 + 2 * self.a2 * v + 3 * self.a3 * v**2, v) for v in where)

    def drive(self, v: Array) -> Array:
        """Volts: v + a2 v |v| + a3 v^3."""
        return v * (1 + np.abs(v) * (self.a2 + self.a3 * np.abs(v)))
