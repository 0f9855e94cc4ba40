"""Time to first spike: the larger a value, the earlier its one spike."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.network.coding.base import Code, times
from cimsim.network.coding.readout import first_spike
from device_models.parameters import RuleBroken
from device_models.window import Array


class LinearLatency(Code):
    """One spike at the step nearest to (1 - x) steps; values that would fire after the last step stay silent.

    The decoder takes silence for 0, and errs by at most 1 / (2 steps).
    Kheradpisheh and Masquelier, Int. J. Neural Syst. 30, 2050027 (2020).
    """

    def raster(self, x: Array, rng: Any) -> Array:
        return np.rint((1 - x) * self.steps)[:, None, :] == times(self.steps, x)

    def values(self, spikes: Array) -> Array:
        return 1 - first_spike(spikes) / self.steps


class LogLatency(Code):
    """One spike at t = tau ln(x / (x - threshold)): when a leaky integrator with a constant input x crosses it.

    `tau` is in steps. Rounded to the nearest step; values at or below the threshold, and those that would fire after
    the window, stay silent and are decoded as 0. Others err by less than half a step in time, which is about
    x (x - threshold) / (2 tau threshold) in value: finest for small ones.
    """

    tau: float = Field(gt=0, description="steps")
    threshold: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _largest_fires(self) -> Self:
        earliest = -self.tau * math.log1p(-self.threshold)
        if earliest > self.steps - 0.5:
            raise RuleBroken("x = 1 must fire within the window", "add steps, or lower tau", f"step {earliest:.3g}")
        return self

    def raster(self, x: Array, rng: Any) -> Array:
        fires = x > self.threshold
        above = np.where(fires, x, 1.0)
        t = np.rint(self.tau * (np.log(above) - np.log(above - self.threshold)))
        return (t[:, None, :] == times(self.steps, x)) & fires[:, None, :]

    def values(self, spikes: Array) -> Array:
        t = first_spike(spikes)
        x = self.threshold / -np.expm1(-np.maximum(t, 0.5) / self.tau)
        return np.where(t < self.steps, np.minimum(x, 1.0), 0.0)
