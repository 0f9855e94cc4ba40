"""Response to identical pulses: long-term potentiation (LTP) and depression (LTD)."""

from __future__ import annotations

import abc
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import Field

from device_models.parameters import Spread, Variant
from device_models.window import Array, Limits, clip_to

LABEL_SCALE = 1 / (0.07 * 2**0.5)  # the label is the largest distance from the straight line, over 0.07 sqrt(2)


class Update(Variant):
    """Slot of pulse response. Positive counts potentiate, negative depress, 0 leaves a cell untouched."""

    @abc.abstractmethod
    def pulse(self, g: Array, n: Array, window: Limits, rng: Any) -> Array:
        """Conductance (siemens) after `n` pulses (integers) on cells at `g`, held within each cell's `window`."""

    @abc.abstractmethod
    def step(self, window: Limits) -> Array:
        """Nominal mean change of one pulse, siemens: what a learning rule reckons with."""


class ExponentialUpdate(Update):
    """Exponential saturation of identical pulses, with cycle-to-cycle (C2C) noise on every pulse.

    G(P) = G_min + B (1 - exp(-P / A)), B = (G_max - G_min) / (1 - exp(-P_max / A)), A in pulses; n pulses move a cell
    n places along the curve, found by inverting it, which needs no loop: the distance to the asymptote shrinks by
    exp(-1/A) a pulse. LTD follows the same formula with its own, usually negative, A. Chen, Peng and Yu, IEEE TCAD 37,
    3067 (2018), Eqs. (1)-(3).
    `nl_up` and `nl_down` are the literature's nonlinearity labels (LTP usually positive, LTD negative); 0 is linear.
    `c2c` is the standard deviation of one pulse as a fraction of the window's span. The noise of n pulses is the sum
    of n such steps carried along the curve, so n at once equal n single ones in distribution away from the window's
    ends, where clipping holds. Pulses beyond those that cross the whole window change nothing more.
    """

    pulses_up: int = Field(ge=1, le=1_000_000)
    pulses_down: int = Field(ge=1, le=1_000_000)
    nl_up: float = Field(default=0.0, ge=-9, le=9)
    nl_down: float = Field(default=0.0, ge=-9, le=9)
    c2c: Spread = 0.0

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any) -> Array:
        """Conductance after n pulses, siemens; one normal draw per cell whatever n is."""
        n = np.clip(n, -self.pulses_down, self.pulses_up)
        up = self._mean(g, np.maximum(n, 0), window, self.pulses_up, self.nl_up, 1)
        mean = self._mean(up, np.maximum(-n, 0), window, self.pulses_down, self.nl_down, -1)
        variance = np.where(n > 0, self._variance(n, self.pulses_up, self.nl_up, 1), 0.0)
        variance = np.where(n < 0, self._variance(-n, self.pulses_down, self.nl_down, -1), variance)
        sigma = self.c2c * (window.g_max - window.g_min) * np.sqrt(variance)
        return np.where(n == 0, g, clip_to(mean + sigma * rng.standard_normal(g.shape), window))

    def step(self, window: Limits) -> Array:
        """Span over the number of pulses that cross it, siemens; the mean of both directions."""
        return (window.g_max - window.g_min) * 0.5 * (1 / self.pulses_up + 1 / self.pulses_down)

    @staticmethod
    def _mean(g: Array, n: Array, window: Limits, pulses: int, label: float, sign: int) -> Array:
        span = window.g_max - window.g_min
        if label == 0:
            return clip_to(g + sign * n * (span / pulses), window)
        a = curve_constant(label)
        gone = np.expm1(-sign * n / (a * pulses))
        return clip_to(g + gone * (span / np.expm1(-1 / a) + (g - window.g_min)), window)

    @staticmethod
    def _variance(n: Array, pulses: int, label: float, sign: int) -> Array:
        """Variance of n pulses over that of one: the sum of r^2k for k < n, r the shrinkage per pulse."""
        n = np.maximum(n, 0)
        if label == 0:
            return n * 1.0
        rate = -2.0 * sign / (curve_constant(label) * pulses)
        return np.expm1(rate * n) / np.expm1(rate)


@lru_cache(maxsize=256)
def curve_constant(label: float) -> float:
    """A / P_max of the curve with a nonlinearity label, with the label's sign.

    Solves label = LABEL_SCALE ((1 - A D) / D + A ln(A D)), D = 1 - exp(-1 / A), the largest distance between the curve
    and the straight line (Chen, Peng and Yu, IEEE TCAD 37, 3067 (2018)). Labels below 0.01 use the limit
    LABEL_SCALE / (8 label).
    """
    from scipy.optimize import brentq

    if abs(label) < 0.01:
        return LABEL_SCALE / (8 * label)

    def excess(a: float) -> float:
        d = -np.expm1(-1 / a)
        return float(LABEL_SCALE * ((1 - a * d) / d + a * np.log(a * d)) - abs(label))

    return float(np.copysign(brentq(excess, 1e-3, 200.0, xtol=1e-14), label))
