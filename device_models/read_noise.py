"""Noise of a read: how the conductance seen differs from one read to the next."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import Floats, RuleBroken, Seconds, Siemens, Spread, Variant
from device_models.window import Array


class ReadNoise(Variant):
    """Slot of read noise.

    `gaussian` says that reads are independent Gaussian draws with standard deviation `sigma`, so that a column's
    current noise is exactly Gaussian with variance v^2 @ sigma^2 and need not be drawn cell by cell.
    """

    gaussian: ClassVar[bool] = True

    @abc.abstractmethod
    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation of one read, siemens, of cells at `g` siemens written `seconds` ago."""

    def read(self, g: Array, rng: Any, seconds: Array = 0.0) -> Array:
        """One read of every cell, siemens: the oracle of the fast path."""
        return g + self.sigma(g, seconds) * rng.standard_normal(g.shape)


class ProportionalNoise(ReadNoise):
    """Standard deviation proportional to the conductance: `relative` times g."""

    relative: Spread

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        return self.relative * g


class PolynomialNoise(ReadNoise):
    """State-dependent noise: sigma(g) = sum_k coefficients[k] (g / g_ref)^k, coefficients in siemens, at least 0."""

    coefficients: Floats = Field(min_length=1, description="siemens")
    g_ref: Siemens = Field(gt=0)

    @model_validator(mode="after")
    def _in_siemens(self) -> Self:
        if max(map(abs, self.coefficients)) > 1e-2:
            raise RuleBroken("coefficients must be in siemens", "did you give microsiemens?", str(self.coefficients))
        return self

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens (Horner's rule, so that it runs on any array)."""
        x = g / self.g_ref
        total = self.coefficients[-1] * np.ones_like(x)
        for c in self.coefficients[-2::-1]:
            total = total * x + c
        return np.maximum(total, 0.0)


class OneOverFNoise(ReadNoise):
    """1/f noise whose standard deviation grows with the time since the write.

    sigma = g Q(g) sqrt(ln((t + t_read) / (2 t_read))), Q = min(q (g / g_ref)^-exponent, q_max): Nandakumar et al.,
    ICECS 2019, and Joshi et al., Nat. Commun. 11, 2473 (2020), Methods. Before t = t_read the noise is 0.
    """

    q: Spread
    exponent: float = Field(default=0.0, ge=0, le=5)
    q_max: Spread = 0.2
    g_ref: Siemens = Field(gt=0)
    t_read: Seconds = Field(default=250e-9, gt=0)

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        x = np.maximum(g / self.g_ref, 1e-9)
        q = np.minimum(self.q * x**-self.exponent, self.q_max)
        growth = np.log(np.maximum((seconds + self.t_read) / (2 * self.t_read), 1.0))
        return g * q * np.sqrt(growth)
