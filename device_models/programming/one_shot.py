"""Writing with one pulse and no verify: a Gaussian error around the target."""

from __future__ import annotations

import abc
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import Floats, RuleBroken, Siemens, SiemensRange, Spread
from device_models.programming.base import Programming, Written
from device_models.window import Limits


class WriteError(Programming):
    """One pulse per cell, no verify: a Gaussian error, conductance kept at or above 0."""

    @abc.abstractmethod
    def sigma(self, g_target: np.ndarray, window: Limits) -> np.ndarray:
        """Standard deviation of the written conductance around its target, siemens."""

    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Write every cell once."""
        g = g_target + self.sigma(g_target, window) * rng.standard_normal(g_target.shape)
        once = np.ones(g_target.shape, dtype=np.int64)
        return Written(np.maximum(g, 0.0), once, np.zeros(g_target.shape, dtype=bool))


class SpanError(WriteError):
    """The same standard deviation at every level, as a fraction of the window's span g_max - g_min."""

    error: Spread

    def sigma(self, g_target: np.ndarray, window: Limits) -> np.ndarray:
        """Standard deviation, siemens."""
        sigma: np.ndarray = self.error * (window.g_max - window.g_min) * np.ones_like(g_target)
        return sigma


class PolynomialError(WriteError):
    """State-dependent error: sigma(g) = sum_k coefficients[k] (g / g_ref)^k, coefficients in siemens.

    `valid` is the range of targets in siemens for which the measurement holds; writing outside it raises.
    """

    coefficients: Floats = Field(min_length=1, description="siemens")
    g_ref: Siemens = Field(gt=0)
    valid: SiemensRange = Field(description="siemens")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if np.max(np.abs(self.coefficients)) > 1e-2:
            raise RuleBroken("coefficients must be in siemens", "did you give microsiemens?", str(self.coefficients))
        worst = self._polynomial(np.linspace(*self.valid, 257)).min()
        if worst < 0:
            raise RuleBroken("sigma(g) must not be negative inside 'valid' (siemens)", value=f"{worst:.3g}")
        return self

    def _polynomial(self, g: np.ndarray) -> np.ndarray:
        return np.polynomial.polynomial.polyval(g / self.g_ref, self.coefficients)

    def sigma(self, g_target: np.ndarray, window: Limits) -> np.ndarray:
        """Standard deviation, siemens; raises `InputError` for a target outside `valid`."""
        low, high = self.valid
        margin = 1e-6 * (high - low)
        if g_target.size and (g_target.min() < low - margin or g_target.max() > high + margin):
            got = f"{g_target.min():.3g} to {g_target.max():.3g}"
            rule = f"holds for targets from {low:g} to {high:g} siemens"
            raise InputError("PolynomialError.valid", rule, got, "narrow the window, or measure further and widen it")
        return self._polynomial(g_target)


class SaturatingError(WriteError):
    """Error that rises from 0 in the off state to a plateau: sigma(g) = plateau (1 - exp(-g / g_rise)), siemens.

    The form in which the spread of charge-trapping (SONOS) cells was fitted: Agrawal et al., IEDM 2022, 21.7,
    Fig. 10(a).
    """

    plateau: Siemens
    g_rise: Siemens = Field(gt=0)

    def sigma(self, g_target: np.ndarray, window: Limits) -> np.ndarray:
        """Standard deviation, siemens."""
        return -self.plateau * np.expm1(-g_target / self.g_rise)
