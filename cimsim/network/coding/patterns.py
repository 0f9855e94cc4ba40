"""Codes in which the pattern of several spikes is the value: phase and burst."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.network.coding.base import Code, times
from cimsim.network.coding.readout import first_spike
from device_models.parameters import RuleBroken
from device_models.window import Array


class Phase(Code):
    """The binary digits of a value, again in every period: a spike in phase k = 0, 1, ... weighs 2^-(1 + k).

    Values are rounded to multiples of 2^-bits, at most 1 - 2^-bits: the error is at most 2^-(bits + 1), and 2^-bits
    above that largest value. `steps` is a whole number of periods of `bits` steps; the decoder takes their mean.
    Kim, Kim, Huh, Lee and Choi, Neurocomputing 311, 373 (2018), with 8 bits.
    """

    bits: int = Field(default=8, ge=1, le=24)

    @model_validator(mode="after")
    def _whole_periods(self) -> Self:
        if self.steps % self.bits:
            raise RuleBroken(f"steps must be a multiple of bits ({self.bits})", "repeat the period", str(self.steps))
        return self

    def raster(self, x: Array, rng: Any) -> Array:
        number = np.minimum(np.rint(x * 2.0**self.bits), 2.0**self.bits - 1).astype(np.int64)
        place = self.bits - 1 - times(self.steps, x) % self.bits
        return ((number[:, None, :] >> place) & 1) == 1

    def values(self, spikes: Array) -> Array:
        weights = 0.5 ** (1 + times(self.steps, spikes) % self.bits)
        return np.sum(spikes * weights, axis=1) * (self.bits / self.steps)


class Burst(Code):
    """N = ceil(most x) spikes at a distance of ceil(longest - (longest - shortest) x) steps, from the first step on.

    Count and distance each bound the value; the decoder takes the middle of what both allow, and errs by at most the
    smaller of 1 / (2 most) and, where there is a distance, 1 / (2 (longest - shortest)). No spike is 0.
    Guo, Fouda, Eltawil and Salama, Front. Neurosci. 15, 638474 (2021), with most = 5 and shortest = 2.
    """

    most: int = Field(default=5, ge=2, le=1000, description="spikes")
    shortest: int = Field(default=2, ge=1, description="steps")
    longest: int = Field(default=8, ge=2, description="steps")

    @model_validator(mode="after")
    def _bursts_fit(self) -> Self:
        if self.shortest >= self.longest:
            raise RuleBroken("shortest must be below longest (steps)", value=f"{self.shortest} and {self.longest}")
        if self.steps < self._needed():
            raise RuleBroken(f"every burst must fit: steps must be {self._needed()} or more", value=str(self.steps))
        return self

    def _needed(self) -> int:
        """Steps that the longest burst takes: for each number of spikes, the one of the smallest value."""
        span = self.longest - self.shortest
        gaps = ((n - 1, self.longest - span * (n - 1) // self.most) for n in range(1, self.most + 1))
        return max(count * gap for count, gap in gaps) + 1

    def raster(self, x: Array, rng: Any) -> Array:
        count, gap = np.ceil(self.most * x), np.ceil(self.longest - (self.longest - self.shortest) * x)
        t, gap = times(self.steps, x), gap[:, None, :]
        return (t % gap == 0) & (t // gap < count[:, None, :])

    def values(self, spikes: Array) -> Array:
        count, span = np.sum(spikes, axis=1), self.longest - self.shortest
        second = np.argmax(np.cumsum(spikes, axis=1, dtype=np.int32) >= 2, axis=1)
        fewer = (self.longest - (second - first_spike(spikes))) / span  # the value at which this distance begins
        low, high = (count - 1) / self.most, count / self.most
        low, high = (
            np.where(count > 1, np.maximum(low, fewer), low),
            np.where(count > 1, np.minimum(high, fewer + 1 / span), high),
        )
        return np.where(count > 0, np.clip((low + high) / 2, 0.0, 1.0), 0.0)
