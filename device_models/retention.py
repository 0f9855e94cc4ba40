"""What time does to a written conductance: drift and relaxation, one trajectory per device."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from device_models.parameters import FloatRange, FloatRows, Floats, RuleBroken, Seconds, Siemens, SiemensRange, Variant
from device_models.window import Array

BOLTZMANN = 8.617333262e-5  # electronvolts per kelvin (exact in the SI of 2019)
LARGEST = 1e-2  # siemens: no cell changes by more


def _kelvin(value: float) -> float:
    if not 100 <= value <= 1000:
        raise RuleBroken("must be in kelvin, between 100 and 1000", "add 273.15 to degrees Celsius")
    return value


def _electronvolts(value: float) -> float:
    if value != 0 and not 1e-3 <= value <= 5:
        raise RuleBroken("must be in electronvolts, 0 or between 0.001 and 5", "did you give joules or kJ/mol?")
    return value


ElectronVolts = Annotated[float, AfterValidator(_electronvolts), Field(description="electronvolts")]
Kelvin = Annotated[float, AfterValidator(_kelvin), Field(description="kelvin")]


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
    (2022), Extended Data Fig. 3. `valid` is the range of written conductances in siemens for which the polynomials
    hold: a device with a wider window is refused.
    """

    times: Floats = Field(min_length=1, description="seconds")
    sigma: FloatRows = Field(min_length=1, description="siemens, one polynomial per time")
    g_ref: Siemens = Field(gt=0)
    valid: SiemensRange | None = Field(default=None, description="siemens")
    t0: Seconds = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _table(self) -> Self:
        if len(self.times) != len(self.sigma):
            raise RuleBroken("needs one polynomial per time", value=f"{len(self.sigma)} for {len(self.times)} times")
        _check_times(self.t0, self.times)
        _check_siemens("sigma", self.sigma)
        return self

    def spread(self, g: Array, seconds: Array) -> Array:
        """Standard deviation of the shift `seconds` after the write, siemens."""
        rows = (np.maximum(_polynomial(row, g / self.g_ref), 0.0) for row in self.sigma)
        return _over_log_time(rows, self.t0, self.times, g, seconds)

    def draw(self, g: Array, rng: Any) -> Array:
        """One normal number per device: where in the spread it goes."""
        return rng.standard_normal(g.shape)[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after relaxation, siemens."""
        return np.maximum(g + sample[0] * self.spread(g, seconds), 0.0)


class LogTimeShift(Retention):
    """Mean and spread move with log time: g(t) = g + shift x + z (spread + spread_slope x), x = ln(t / t0).

    One standard normal z per device. `shift` and `spread_slope` are in siemens per factor e in time, `spread` is the
    standard deviation at `t0`. The mean begins to move at t0. The spread follows its line also before, back to where
    it is 0; with a slope of 0 it is there at once after the write. The conductance is kept at or above 0.
    The form fits analog CMO/HfOx cells at any level, with t0 = 1 s, shift -0.0890, spread 0.4118 and spread_slope
    0.0420 microsiemens: ReRamCMONoiseModel of the IBM Analog Hardware Acceleration Kit, after Falcone et al.,
    arXiv:2502.04524 (2025).
    """

    shift: float = Field(default=0.0, description="siemens")
    spread: Siemens = 0.0
    spread_slope: Siemens = 0.0
    t0: Seconds = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _in_siemens(self) -> Self:
        if abs(self.shift) > LARGEST:
            raise RuleBroken("shift must be in siemens", "did you give microsiemens?", f"{self.shift:g}")
        return self

    def law(self, seconds: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the change `seconds` after the write, siemens."""
        x = np.log(np.maximum(seconds / self.t0, 1e-300))
        spread = np.maximum(self.spread + self.spread_slope * x, 0.0) * (seconds > 0)
        return self.shift * np.maximum(x, 0.0), spread

    def draw(self, g: Array, rng: Any) -> Array:
        """One normal number per device: where in the spread it goes."""
        return rng.standard_normal(g.shape)[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after shift and spread, siemens."""
        mean, spread = self.law(seconds)
        return np.maximum(g + mean + sample[0] * spread, 0.0)


class DiffusiveSpread(Retention):
    """Conductances diffuse until something holds them: standard deviation saturation sqrt(1 - exp(-t / tau)).

    For t well below `tau` that is saturation sqrt(t / tau), as of a random walk; later it stays at `saturation`: the
    variance of an Ornstein-Uhlenbeck process that begins at the written state and relaxes in 2 `tau` (Uhlenbeck and
    Ornstein, Phys. Rev. 36, 823 (1930)). At any one time the law is that of the process. Between times a device keeps
    its place: one standard normal z per device, scaled by the growing standard deviation, and not a walk of its own.
    The conductance is kept at or above 0.
    """

    saturation: Siemens
    tau: Seconds = Field(gt=0)

    def spread(self, seconds: Array) -> Array:
        """Standard deviation of the change `seconds` after the write, siemens."""
        return self.saturation * np.sqrt(-np.expm1(-seconds / self.tau))

    def draw(self, g: Array, rng: Any) -> Array:
        """One normal number per device: where in the spread it goes."""
        return rng.standard_normal(g.shape)[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after diffusion, siemens."""
        return np.maximum(g + sample[0] * self.spread(seconds), 0.0)


class TabulatedRetention(Retention):
    """Retention as measured: tables of the mean change and of its standard deviation against time and state.

    `shift[i][k]` and `sigma[i][k]` hold for cells written to `g[k]`, at `times[i]` seconds after the write; a table
    left out is 0. Both are linear in g and in log t between points, 0 at `t0`, and constant beyond the ends of g and
    after the last time. One standard normal z per device; the conductance is kept at or above 0.
    """

    times: Floats = Field(min_length=1, description="seconds")
    g: Floats = Field(min_length=1, description="siemens")
    shift: FloatRows = Field(default=(), description="siemens, one row per time")
    sigma: FloatRows = Field(default=(), description="siemens, one row per time")
    t0: Seconds = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _axes(self) -> Self:
        _check_times(self.t0, self.times)
        if min(self.g) < 0 or max(self.g) > LARGEST or any(b <= a for a, b in pairwise(self.g)):
            raise RuleBroken(f"g must rise, between 0 and {LARGEST:g} siemens", value=str(self.g))
        return self

    @model_validator(mode="after")
    def _tables(self) -> Self:
        for name in ("shift", "sigma"):
            table = getattr(self, name)
            if table and (len(table) != len(self.times) or {len(row) for row in table} != {len(self.g)}):
                rule = f"{name} needs one row for each time, with one value for each g"
                raise RuleBroken(rule, value=f"rows of {[len(row) for row in table]}")
            _check_siemens(name, table)
        if any(value < 0 for row in self.sigma for value in row):
            raise RuleBroken("sigma must not be negative (a standard deviation)", value=str(self.sigma))
        return self

    def law(self, g: Array, seconds: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the change of cells at `g`, `seconds` after the write, siemens."""
        return self._looked_up(self.shift, g, seconds), self._looked_up(self.sigma, g, seconds)

    def draw(self, g: Array, rng: Any) -> Array:
        """One normal number per device: where in the spread it goes."""
        return rng.standard_normal(g.shape)[None]

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after the time, siemens."""
        mean, spread = self.law(g, seconds)
        return np.maximum(g + mean + sample[0] * spread, 0.0)

    def _looked_up(self, table: tuple[tuple[float, ...], ...], g: Array, seconds: Array) -> Array:
        if not table:
            return np.zeros_like(g)
        states = np.asarray(self.g, like=g)
        rows = (np.interp(g, states, np.asarray(row, like=g)) for row in table)
        return _over_log_time(rows, self.t0, self.times, g, seconds)


class Arrhenius(Retention):
    """A retention law measured at one temperature, at another: time runs faster by the acceleration factor.

    AF = exp(Ea / k (1 / T_measured - 1 / T)), the Arrhenius law (JEDEC JEP122), with one activation energy for
    all of `law`. `activation_energy` is in electronvolts, `measured_at` and `temperature` are in kelvin.
    """

    law: Retention
    activation_energy: ElectronVolts
    measured_at: Kelvin
    temperature: Kelvin

    @model_validator(mode="after")
    def _within_reason(self) -> Self:
        if abs(self._exponent()) > 50:
            rule = "must not stretch time by more than exp(50)"
            raise RuleBroken(rule, "check activation_energy and the temperatures", f"exp({self._exponent():.3g})")
        return self

    @property
    def acceleration(self) -> float:
        """How much faster time runs at `temperature` than where the law was measured."""
        return math.exp(self._exponent())

    def _exponent(self) -> float:
        return self.activation_energy / BOLTZMANN * (1 / self.measured_at - 1 / self.temperature)

    def draw(self, g: Array, rng: Any) -> Array:
        """The trajectories of the law."""
        return self.law.draw(g, rng)

    def apply(self, g: Array, sample: Array, seconds: Array) -> Array:
        """Conductance after the equivalent time where the law was measured, siemens."""
        return self.law.apply(g, sample, seconds * self.acceleration)


def _over_log_time(values: Iterable[Array], t0: float, times: tuple[float, ...], g: Array, seconds: Array) -> Array:
    """Values at `times` as one function of time: linear in log t, 0 at `t0`, constant after the last."""
    knots = np.log([t0, *times])
    x = np.clip(np.log(np.maximum(seconds, t0)), knots[0], knots[-1])
    below, total = np.zeros_like(g), np.zeros_like(g)
    for i, above in enumerate(values):
        share = (x - knots[i]) / (knots[i + 1] - knots[i])
        inside = (share >= 0) & (share <= 1)
        total = np.where(inside, below + (above - below) * share, total)
        below = above
    return total


def _check_times(t0: float, times: tuple[float, ...]) -> None:
    if any(b <= a for a, b in pairwise((t0, *times))):
        raise RuleBroken("times must rise, the first above t0 (seconds)", value=str(times))


def _check_siemens(name: str, table: tuple[tuple[float, ...], ...]) -> None:
    if any(abs(value) > LARGEST for row in table for value in row):
        raise RuleBroken(f"{name} must be in siemens", "did you give microsiemens?", value=str(table))


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    total = np.zeros_like(x)
    for c in reversed(coefficients):
        total = total * x + c
    return total
