"""Window functions: how drift slows down near the bounds of the state."""

from __future__ import annotations

import abc

import numpy as np
from pydantic import Field

from device_models.parameters import Variant
from device_models.window import Array


class DriftWindow(Variant):
    """A factor on dx/dt, a function of the state x as a fraction of its range."""

    @abc.abstractmethod
    def factor(self, x: Array, direction: Array) -> Array:
        """The factor at x in [0, 1]; `direction` has the sign of dx/dt."""


class Strukov(DriftWindow):
    """x (1 - x): Strukov et al., Nature 453, 80 (2008)."""

    def factor(self, x: Array, direction: Array) -> Array:
        """0 at both bounds, 1/4 in the middle."""
        return x * (1 - x)


class Joglekar(DriftWindow):
    """1 - (2x - 1)^2p: Joglekar and Wolf, Eur. J. Phys. 30, 661 (2009). A state that reaches a bound stays there."""

    p: int = Field(ge=1, le=1000)

    def factor(self, x: Array, direction: Array) -> Array:
        """0 at both bounds, 1 in the middle, flatter for larger p."""
        return 1 - (2 * x - 1) ** (2 * self.p)


class Biolek(DriftWindow):
    """1 - (x - step(-i))^2p: Biolek, Biolek and Biolkova, Radioengineering 18, 210 (2009).

    It slows only the drift towards a bound, so that the state can leave the bound again.
    """

    p: int = Field(ge=1, le=1000)

    def factor(self, x: Array, direction: Array) -> Array:
        """0 at the bound ahead, 1 at the bound behind."""
        return 1 - (x - np.where(direction <= 0, 1.0, 0.0)) ** (2 * self.p)


class Prodromakis(DriftWindow):
    """j (1 - ((x - 1/2)^2 + 3/4)^p): Prodromakis et al., IEEE TED 58, 3099 (2011); p any positive number."""

    p: float = Field(gt=0, le=1000)
    j: float = Field(default=1.0, gt=0, le=1000)

    def factor(self, x: Array, direction: Array) -> Array:
        """0 at both bounds, j (1 - (3/4)^p) in the middle."""
        return self.j * (1 - ((x - 0.5) ** 2 + 0.75) ** self.p)
