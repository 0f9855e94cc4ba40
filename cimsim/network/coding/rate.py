"""Rate codes: a value is how often a neuron fires; and the direct code, which leaves the spiking to the first layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from cimsim.network.coding.base import Code
from device_models.errors import InputError
from device_models.parameters import Fraction
from device_models.window import Array

BLOCK = 64  # samples


class PoissonRate(Code):
    """A spike in each step with chance peak x, on its own: a Poisson train on a grid of steps.

    `peak` is the chance at x = 1: a rate in hertz times the time step in seconds. Decoded by counting; the estimate has
    mean x and standard deviation sqrt(x (1 / peak - x) / steps).
    """

    peak: Fraction = Field(default=1.0, gt=0)

    def raster(self, x: Array, rng: Any) -> Array:
        if rng is None:
            remedy = 'give rng=backend.generator(x, Streams(seed), "code")'
            raise InputError("PoissonRate", "needs a random generator", "none", remedy)
        shape = (x.shape[0], self.steps, x.shape[1])
        return rng.random(shape, dtype=np.float32) < (x * self.peak).astype(np.float32)[:, None, :]

    def values(self, spikes: Array) -> Array:
        return np.sum(spikes, axis=1) / (self.steps * self.peak)


class RegularRate(Code):
    """Evenly spaced spikes: after t steps there have been floor(t peak x + 1/2), peak x being rounded to 2^-32.

    Decoded by counting, with an error of at most 1 / (2 steps peak).
    """

    peak: Fraction = Field(default=1.0, gt=0)

    def raster(self, x: Array, rng: Any) -> Array:
        spikes = np.empty_like(x, shape=(x.shape[0], self.steps, x.shape[1]), dtype=np.bool_)
        for start in range(0, x.shape[0], BLOCK):
            self._fill(spikes[start : start + BLOCK], x[start : start + BLOCK].astype(np.float64) * self.peak)
        return spikes

    def _fill(self, spikes: Array, rate: Array) -> None:
        """The spikes of a few samples, step by step: a phase of 32 bits rises by the rate, and overflows at a spike."""
        rise = np.minimum(np.rint(rate * 2.0**32), 2.0**32 - 1).astype(np.uint32)
        phase = np.full_like(rise, 2**31)
        for t in range(self.steps):
            np.add(phase, rise, out=phase)
            np.less(phase, rise, out=spikes[:, t])

    def values(self, spikes: Array) -> Array:
        return np.sum(spikes, axis=1) / (self.steps * self.peak)


class Direct(Code):
    """No spikes: the values themselves in every step, a constant input current for the first layer of neurons.

    `encode` gives floats (batch, steps, features), which do not take memory per step; `decode` their mean, exactly.
    Rueckauer et al., Front. Neurosci. 11, 682 (2017).
    """

    def raster(self, x: Array, rng: Any) -> Array:
        return np.broadcast_to(x[:, None, :], (x.shape[0], self.steps, x.shape[1]))

    def values(self, spikes: Array) -> Array:
        return np.mean(spikes, axis=1)

    def decode(self, spikes: Array) -> Array:
        if spikes.ndim != 3 or spikes.shape[1] != self.steps:
            rule = f"must have the axes (batch, {self.steps}, features)"
            raise InputError("Direct", rule, f"shape {spikes.shape}", "use the code they were made with")
        return self.values(spikes)
