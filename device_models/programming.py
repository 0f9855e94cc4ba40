"""Writing a conductance: one-shot error, and write-verify with a tolerance and a pulse budget."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import Floats, RuleBroken, Siemens, SiemensRange, Spread, Variant
from device_models.window import Limits


class Written(NamedTuple):
    """Outcome of a write, cell by cell: conductance (siemens), pulses used, and whether verify gave the cell up."""

    g: np.ndarray
    pulses: np.ndarray
    failed: np.ndarray


class Programming(Variant):
    """Slot of programming error.

    `closed_loop` says what a cell with a window of its own does: a verified cell is driven to the target itself, an
    open-loop one lands, error and all, at the same fraction of its own window as a nominal cell of the nominal one.
    """

    closed_loop: ClassVar[bool] = False

    @abc.abstractmethod
    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Write targets (siemens, any shape) in a `window`: in closed loop each cell's own, else the nominal one."""


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


class WriteVerify(Programming):
    """Program-and-verify: write with `error`, read, write again until within `tolerance` of the target.

    Each pulse lands independently, with the state-dependent `error` around the target or, where that is beyond the
    cell's own window, around the end of it; a cell is given up, and keeps the landing nearest to its target, after
    `max_pulses`. So with p the chance that one landing is within tolerance, the mean number of pulses is
    (1 - (1-p)^max_pulses) / p and (1-p)^max_pulses of the cells fail. The verify read itself is exact.
    """

    closed_loop: ClassVar[bool] = True

    error: WriteError
    tolerance: Siemens
    max_pulses: int = Field(default=100, ge=1, le=1_000_000)

    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Write and verify every cell; a landing is kept at or above 0."""
        target = g_target.ravel()
        aim = np.clip(g_target, window.g_min, window.g_max).ravel()
        sigma = np.broadcast_to(self.error.sigma(g_target, window), g_target.shape).ravel()
        g, miss = np.zeros_like(aim), np.full(target.shape, np.inf)
        pulses = np.zeros(target.shape, dtype=np.int64)
        waiting = np.arange(target.size)
        for _ in range(self.max_pulses):
            if not waiting.size:
                break
            landing = np.maximum(aim[waiting] + sigma[waiting] * rng.standard_normal(waiting.size), 0.0)
            missed = np.abs(landing - target[waiting])
            nearer = missed < miss[waiting]
            g[waiting[nearer]], miss[waiting[nearer]] = landing[nearer], missed[nearer]
            pulses[waiting] += 1
            waiting = waiting[miss[waiting] > self.tolerance]
        failed = miss > self.tolerance
        return Written(g.reshape(g_target.shape), pulses.reshape(g_target.shape), failed.reshape(g_target.shape))
