"""A pulse response given as a table: from a measurement, or from a compact model."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import Floats, RuleBroken, Spread
from device_models.update import Update
from device_models.window import Array, Limits, clip_to

LARGEST = 0.1  # siemens


class TabulatedUpdate(Update):
    """The change of conductance by one pulse as a function of the conductance, mean and standard deviation.

    `g` are the table's conductances, rising; `dG_up` (0 or more) and `dG_down` (0 or less) the mean change by one
    potentiating and one depressing pulse there; `spread_up` and `spread_down` its cycle-to-cycle standard deviation,
    left out where there is none; all in siemens. Between points the table is linear, beyond its ends constant. n pulses
    are n single ones, each normal and each held within the window. From device to device the changes up, and apart from
    them those down, are multiplied by exp(s z - s^2/2), z normal, with s = `device_spread`: mean 1.
    """

    g: Floats = Field(min_length=2, description="siemens")
    dG_up: Floats = Field(description="siemens")
    dG_down: Floats = Field(description="siemens")
    spread_up: Floats = Field(default=(), description="siemens")
    spread_down: Floats = Field(default=(), description="siemens")
    device_spread: Spread = 0.0

    @model_validator(mode="after")
    def _table(self) -> Self:
        for name in ("dG_up", "dG_down", "spread_up", "spread_down"):
            column = getattr(self, name)
            if len(column) != len(self.g) and not (name.startswith("spread") and column == ()):
                raise RuleBroken(f"{name} needs one value for each g", value=f"{len(column)} for {len(self.g)}")
            if any(abs(value) > LARGEST for value in column):
                raise RuleBroken(f"{name} must be in siemens", "did you give microsiemens?", str(column))
        if self.g[0] < 0 or self.g[-1] > LARGEST or any(b <= a for a, b in zip(self.g, self.g[1:], strict=False)):
            raise RuleBroken(f"g must rise, between 0 and {LARGEST:g} siemens", value=str(self.g))
        return self

    @model_validator(mode="after")
    def _signs(self) -> Self:
        if min(self.dG_up) < 0 or max(self.dG_down) > 0:
            got = f"{min(self.dG_up):g} up and {max(self.dG_down):g} down"
            raise RuleBroken("dG_up must not be negative, nor dG_down positive", "set such points to 0", got)
        if min((*self.spread_up, *self.spread_down, 0.0)) < 0:
            raise RuleBroken("spread must not be negative (a standard deviation)", value="a negative value")
        if not any(self.dG_up) and not any(self.dG_down):
            raise RuleBroken("some pulse must move some conductance", "leave the update slot empty", "no change at all")
        return self

    def draw(self, shape: tuple[int, ...], rng: Any) -> Array | None:
        """What multiplies each device's changes up and down, `(2, *shape)`; None where all are alike."""
        s = self.device_spread
        return np.exp(s * rng.standard_normal((2, *shape)) - s**2 / 2) if s else None

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """Conductance after n pulses one by one, siemens; |n| = 1 takes one pass, and a draw per cell if noisy."""
        count = np.abs(n)
        most = int(np.max(count)) if n.size else 0
        knots = np.asarray(self.g, like=g)
        mean = np.asarray(self.dG_up + self.dG_down, like=g)
        spread = np.asarray(self._spreads(), like=g) if any(self._spreads()) else None
        own = 1.0 if variation is None else np.where(n > 0, variation[0], variation[1])
        for done in range(most):
            at, share = self._place(g, n > 0, knots)
            after = g + own * _between(mean, at, share)
            if spread is not None:
                after = after + own * _between(spread, at, share) * rng.standard_normal(g.shape)
            before, g = g, np.where(count > done, clip_to(after, window), g)
            if spread is None and not np.any(before != g):
                break  # a fixed point of the map: further pulses change nothing
        return g

    def step(self, window: Limits) -> Array:
        """Change by one pulse, siemens: the mean over the window and over both directions."""
        shares = (np.arange(64) + 0.5) / 64
        at = np.add.outer(shares, np.zeros(np.shape(window.g_min))) * (window.g_max - window.g_min) + window.g_min
        change = (np.interp(at, self.g, self.dG_up) - np.interp(at, self.g, self.dG_down)) / 2
        return np.mean(change, axis=0)

    def symmetry_point(self, window: Limits) -> Array | None:
        """Conductance where one pulse up and one down cancel in the mean, siemens; None where no such point is."""
        excess = np.add(self.dG_up, self.dG_down)
        moving = np.flatnonzero(excess)
        for k in moving[:-1][excess[moving[:-1]] * excess[moving[1:]] < 0]:
            point = self.g[k] + (self.g[k + 1] - self.g[k]) * excess[k] / (excess[k] - excess[k + 1])
            if np.all((window.g_min <= point) & (point <= window.g_max)):
                return point
        return None

    def _spreads(self) -> tuple[float, ...]:
        """Both columns of spread as one, zeros for one left out."""
        none = (0.0,) * len(self.g)
        return (self.spread_up or none) + (self.spread_down or none)

    def _place(self, g: Array, up: Array, knots: Array) -> tuple[Array, Array]:
        """Where in the joined columns (up, then down) a cell's interval begins, and how far along it the cell is."""
        below = np.clip(np.searchsorted(knots, g, side="right") - 1, 0, len(self.g) - 2)
        share = np.clip((g - knots[below]) / (knots[below + 1] - knots[below]), 0.0, 1.0)
        return below + np.where(up, 0, len(self.g)), share


def _between(column: Array, at: Array, share: Array) -> Array:
    """A column's values, linear between its points."""
    return column[at] + share * (column[at + 1] - column[at])
