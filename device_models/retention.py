"""What time does to a written conductance: drift and relaxation, one trajectory per device."""

from __future__ import annotations

import abc
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import FloatRange, FloatRows, Floats, RuleBroken, Seconds, Siemens, Variant
from device_models.window import Array


class Retention(Variant):
    """Slot of drift and relaxation.

    `draw` gives each device its own trajectory when it is written, `apply` follows it to any time since the write; so
    ageing by a and then by b is ageing by a + b.
    """

    @abc.abstractmethod
    def draw(self, g: Array, rng: Any) -> Array:
        """The trajectories of devices written to `g` siemens: an array of shape `(k, *g.shape)`."""

    @abc.abstractmethod
    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance in siemens `seconds` after devices were written to `g`."""


class PowerLawDrift(Retention):
    """g(t) = g (t / t0)^-nu for t > t0, with an exponent nu of its own for each device.

    nu is normal with mean clip(nu + nu_slope ln(g / g_ref)) and standard deviation
    clip(spread + spread_slope ln(g / g_ref)), each clipped to its bounds. Slopes of 0 give the same law at all states.
    Source: Joshi et al., Nat. Commun. 11, 2473 (2020), Methods (state dependence of drift in PCM).
    """

    nu: float = Field(ge=-1, le=1)
    spread: float = Field(default=0.0, ge=-1, le=1)
    nu_slope: float = Field(default=0.0, ge=-1, le=1)
    spread_slope: float = Field(default=0.0, ge=-1, le=1)
    nu_bounds: FloatRange = (-1.0, 1.0)
    spread_bounds: FloatRange = (0.0, 1.0)
    g_ref: Siemens = Field(default=1e-6, gt=0)
    t0: Seconds = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _spread_is_one(self) -> Self:
        if self.spread_bounds[0] < 0:
            raise RuleBroken("spread_bounds must be 0 or more (a standard deviation)", value=str(self.spread_bounds))
        return self

    def law(self, g: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the exponent for devices at `g` siemens."""
        state = np.log(np.maximum(g / self.g_ref, 1e-9))
        mean = np.clip(self.nu + self.nu_slope * state, *self.nu_bounds)
        return mean, np.clip(self.spread + self.spread_slope * state, *self.spread_bounds)

    def draw(self, g: Array, rng: Any) -> Array:
        """One exponent per device."""
        mean, sigma = self.law(g)
        return (mean + sigma * rng.standard_normal(g.shape))[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after drift, siemens; exponent 0 or t <= t0 leaves it unchanged."""
        return g * np.maximum(seconds / self.t0, 1.0) ** -sample[0]


class LogTimeRelaxation(Retention):
    """Conductance spreads in time: g(t) = g + z sigma(g, t), one standard normal z per device, kept at or above 0.

    sigma(g, t_i) = sum_k sigma[i][k] (g / g_ref)^k siemens at the times `times`, linear in log t between them, zero
    at `t0` and constant after the last. The fast rise and the logarithmic tail follow Wan et al., Nature 608, 504
    (2022), Extended Data Fig. 3.
    """

    times: Floats = Field(min_length=1, description="seconds")
    sigma: FloatRows = Field(min_length=1, description="siemens, one polynomial per time")
    g_ref: Siemens = Field(gt=0)
    t0: Seconds = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _table(self) -> Self:
        if len(self.times) != len(self.sigma):
            raise RuleBroken("needs one polynomial per time", value=f"{len(self.sigma)} for {len(self.times)} times")
        if any(b <= a for a, b in zip((self.t0, *self.times), self.times, strict=False)):
            raise RuleBroken("times must rise, the first above t0 (seconds)", value=str(self.times))
        if any(abs(c) > 1e-2 for row in self.sigma for c in row):
            raise RuleBroken("sigma must be in siemens", "did you give microsiemens?", value=str(self.sigma))
        return self

    def spread(self, g: Array, seconds: Array) -> Array:
        """Standard deviation of the shift `seconds` after the write, siemens."""
        knots = np.log([self.t0, *self.times])
        x = np.clip(np.log(np.maximum(seconds, self.t0)), knots[0], knots[-1])
        below, total = np.zeros_like(g), np.zeros_like(g)
        for i, row in enumerate(self.sigma):
            above = np.maximum(_polynomial(row, g / self.g_ref), 0.0)
            share = (x - knots[i]) / (knots[i + 1] - knots[i])
            inside = (share >= 0) & (share <= 1)
            total = np.where(inside, below + (above - below) * share, total)
            below = above
        return total

    def draw(self, g: Array, rng: Any) -> Array:
        """One normal number per device: where in the spread it goes."""
        return rng.standard_normal(g.shape)[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after relaxation, siemens."""
        return np.maximum(g + sample[0] * self.spread(g, seconds), 0.0)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = np.zeros_like(x)
    for c in reversed(coefficients):
        total = total * x + c
    return total
