"""Noise of a read: how the conductance seen differs from one read to the next."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from device_models.errors import InputError
from device_models.parameters import Floats, Fraction, RuleBroken, Seconds, Siemens, SiemensRange, Spread, Variant
from device_models.window import Array

PER_DECADE = 2  # relaxation rates that make up a decade of a 1/f spectrum: its ripple is below 5 %


class ReadNoise(Variant):
    """Slot of read noise.

    `gaussian` says that reads are independent Gaussian draws with standard deviation `sigma`, so that a column's
    current noise is exactly Gaussian with variance v^2 @ sigma^2 and need not be drawn cell by cell. Where it is
    False, a chip draws every cell for every input vector.
    Reads of a chip are taken to be far apart in time, each with a new draw; `series` gives reads as close as told.
    """

    gaussian: ClassVar[bool] = True

    @abc.abstractmethod
    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation of one read, siemens, of cells at `g` siemens written `seconds` ago."""

    def read(self, g: Array, rng: Any, seconds: Array = 0.0) -> Array:
        """One read of every cell, siemens: the oracle of the fast path."""
        return g + self.sigma(g, seconds) * rng.standard_normal(g.shape)

    def sampler(self, g: Array, seconds: Array = 0.0) -> Callable[[Any], Array]:
        """A function of a generator that gives what one read adds, siemens: to read cells in one state many times."""
        if not self.gaussian:
            return lambda rng: self.read(g, rng, seconds) - g
        sigma = self.sigma(g, seconds)
        return lambda rng: sigma * rng.standard_normal(g.shape)

    def series(self, g: Array, times: np.ndarray, rng: Any, seconds: Array = 0.0) -> Array:
        """Successive reads of every cell, siemens, `(len(times), *g.shape)`; independent unless a law says otherwise.

        `times` are those of the reads, in seconds from the first call on, not falling; at time 0 the cells were
        written `seconds` ago. Raises `InputError` for other times.
        """
        return np.stack([self.read(g, rng, seconds + t) for t in _checked(times)])


class AbsoluteNoise(ReadNoise):
    """The same standard deviation at every state: `std` siemens."""

    std: Siemens

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        return self.std * np.ones_like(g)


class ProportionalNoise(ReadNoise):
    """Standard deviation proportional to the conductance: `relative` times g."""

    relative: Spread

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        return self.relative * g


class PolynomialNoise(ReadNoise):
    """State-dependent noise: sigma(g) = sum_k coefficients[k] (g / g_ref)^k, coefficients in siemens, at least 0.

    `valid` is the range in siemens for which the measurement holds: a device with a wider window is refused.
    """

    coefficients: Floats = Field(min_length=1, description="siemens")
    g_ref: Siemens = Field(gt=0)
    valid: SiemensRange | None = Field(default=None, description="siemens")

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


class SaturatingNoise(ReadNoise):
    """Noise that rises from 0 in the off state to a plateau: sigma(g) = plateau (1 - exp(-g / g_rise)), siemens.

    The form in which the read noise of charge-trapping (SONOS) cells was fitted: Agrawal et al., IEDM 2022, 21.7,
    Fig. 11(b).
    """

    plateau: Siemens
    g_rise: Siemens = Field(gt=0)

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        return -self.plateau * np.expm1(-g / self.g_rise)


class OneOverFNoise(ReadNoise):
    """1/f noise whose standard deviation grows with the time since the write.

    sigma = g Q(g) sqrt(ln((t + t_read) / (2 t_read))), Q = min(q (g / g_ref)^-exponent, q_max): Nandakumar et al.,
    ICECS 2019, and Joshi et al., Nat. Commun. 11, 2473 (2020), Methods. Before t = t_read the noise is 0.
    That is the noise in the band from 1 / (t + t_read) to 1 / (2 t_read). Successive reads have a spectrum
    1/f^`gamma` in the band up to their last: sums of relaxations with rates spread evenly over the decades
    (van der Ziel, Physica 16, 359 (1950)), scaled to sigma at each time.
    """

    q: Spread
    exponent: float = Field(default=0.0, ge=0, le=5)
    q_max: Spread = 0.2
    g_ref: Siemens = Field(gt=0)
    t_read: Seconds = Field(default=250e-9, gt=0)
    gamma: float = Field(default=1.0, gt=0, lt=2)

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        x = np.maximum(g / self.g_ref, 1e-9)
        q = np.minimum(self.q * x**-self.exponent, self.q_max)
        growth = np.log(np.maximum((seconds + self.t_read) / (2 * self.t_read), 1.0))
        return g * q * np.sqrt(growth)

    def series(self, g: Array, times: np.ndarray, rng: Any, seconds: Array = 0.0) -> Array:
        """Successive reads, siemens, `(len(times), *g.shape)`, correlated; time grows with their number times decades.

        Raises `InputError` for times that fall or are negative.
        """
        times = _checked(times)
        last = float(np.max(seconds)) + (times[-1] if times.size else 0.0)
        noise = _coloured(g.shape, times, self._band(last), self.gamma, rng)
        return np.stack([g + self.sigma(g, seconds + t) * z for t, z in zip(times, noise, strict=True)])

    def _band(self, last: float) -> np.ndarray:
        """Frequencies of the relaxations, hertz, from that of the last read to that of a single one."""
        top = 1 / (2 * self.t_read)
        low = min(1 / (last + self.t_read), top)
        return np.geomspace(low, top, 1 + int(np.ceil(PER_DECADE * np.log10(top / low))))


class TelegraphNoise(ReadNoise):
    """Random telegraph noise: one trap per cell catches and frees an electron, and the conductance has two values.

    The cell's conductance g is the mean over time. Above and below it lie two values that are dG apart, with
    dG / g = min(amplitude (g / g_ref)^-exponent, max_amplitude): larger at low conductance, levelling off (Ielmini,
    Nardi and Cagli, Appl. Phys. Lett. 96, 053503 (2010)). `tau_high` and `tau_low` are the mean times spent in the
    high and the low one, seconds, exponentially distributed. So a share p = tau_high / (tau_high + tau_low) of reads
    is high, sigma = dG sqrt(p (1 - p)), the autocorrelation falls as exp(-t / tau), 1/tau = 1/tau_high + 1/tau_low,
    and the spectrum is the Lorentzian 4 sigma^2 tau / (1 + (2 pi f tau)^2): Machlup, J. Appl. Phys. 25, 341 (1954).
    """

    gaussian: ClassVar[bool] = False

    amplitude: Spread
    exponent: float = Field(default=0.0, ge=0, le=5)
    max_amplitude: Fraction = 1.0
    g_ref: Siemens = Field(default=1e-6, gt=0)
    tau_high: Seconds = Field(gt=0)
    tau_low: Seconds = Field(gt=0)

    @property
    def share_high(self) -> float:
        """Share of time spent in the high state."""
        return self.tau_high / (self.tau_high + self.tau_low)

    @property
    def tau(self) -> float:
        """Correlation time, seconds."""
        return self.tau_high * self.tau_low / (self.tau_high + self.tau_low)

    def gap(self, g: Array) -> Array:
        """Difference dG of the two conductances, siemens."""
        x = np.maximum(g / self.g_ref, 1e-9)
        return g * np.minimum(self.amplitude * x**-self.exponent, self.max_amplitude)

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation of one read, siemens, exact."""
        p = self.share_high
        return self.gap(g) * (p * (1 - p)) ** 0.5

    def read(self, g: Array, rng: Any, seconds: Array = 0.0) -> Array:
        """One read of every cell, siemens, at a time of no relation to any other read."""
        return g + self.sampler(g, seconds)(rng)

    def sampler(self, g: Array, seconds: Array = 0.0) -> Callable[[Any], Array]:
        """What one read adds, siemens, as a function of a generator; one uniform number per cell."""
        gap, p = self.gap(g), self.share_high
        return lambda rng: gap * ((rng.random(g.shape) < p) - p)

    def series(self, g: Array, times: np.ndarray, rng: Any, seconds: Array = 0.0) -> Array:
        """Successive reads, siemens, `(len(times), *g.shape)`: the two-state Markov chain, exact at any spacing.

        Raises `InputError` for times that fall or are negative.
        """
        times, gap, p = _checked(times), self.gap(g), self.share_high
        kept = np.exp(-np.diff(times, prepend=times[:1]) / self.tau)
        high = rng.random(g.shape) < p
        reads = []
        for stay in kept:
            high = rng.random(g.shape) < p + (high - p) * float(stay)
            reads.append(g + gap * (high - p))
        return np.stack(reads)


Parts = Annotated[tuple[ReadNoise, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


class SumOfNoise(ReadNoise):
    """Several laws at once, drawn independently: their variances add. Gaussian only if every part is."""

    parts: Parts = Field(min_length=1)

    @property
    def gaussian(self) -> bool:  # type: ignore[override]
        """Whether every part is Gaussian."""
        return all(part.gaussian for part in self.parts)

    def sigma(self, g: Array, seconds: Array) -> Array:
        """Standard deviation, siemens."""
        return np.sqrt(sum(part.sigma(g, seconds) ** 2 for part in self.parts))

    def read(self, g: Array, rng: Any, seconds: Array = 0.0) -> Array:
        """One read of every cell, siemens: the deviations of all parts."""
        return g + self.sampler(g, seconds)(rng)

    def sampler(self, g: Array, seconds: Array = 0.0) -> Callable[[Any], Array]:
        """What one read adds by all parts, siemens, as a function of a generator."""
        samplers = [part.sampler(g, seconds) for part in self.parts]
        return lambda rng: sum(draw(rng) for draw in samplers)

    def series(self, g: Array, times: np.ndarray, rng: Any, seconds: Array = 0.0) -> Array:
        """Successive reads, siemens, `(len(times), *g.shape)`, each part correlated as it is by itself."""
        return g + sum(part.series(g, times, rng, seconds) - g for part in self.parts)


def _checked(times: Any) -> np.ndarray:
    """Times of reads as an array, or an `InputError`."""
    checked: np.ndarray = np.asarray(times, dtype=np.float64)
    if checked.ndim != 1 or not checked.size:
        raise InputError("times", "must be a list of at least one time (seconds)", f"shape {checked.shape}")
    if not np.isfinite(checked).all() or checked[0] < 0 or (np.diff(checked) < 0).any():
        raise InputError("times", "must be 0 or more and not fall (seconds)", str(checked), "sort them")
    return checked


def _coloured(shape: tuple[int, ...], times: np.ndarray, band: np.ndarray, gamma: float, rng: Any) -> Iterator[Array]:
    """Normal noise of unit variance with a spectrum 1/f^gamma within a band, one array of the shape per time.

    A sum of Ornstein-Uhlenbeck processes, exact at any spacing, with corner frequencies at `band`, hertz.
    """
    weights = band ** ((1 - gamma) / 2)
    weights = weights / np.linalg.norm(weights)
    parts = [rng.standard_normal(shape) for _ in band]
    for dt in np.diff(times, prepend=times[:1]):
        for k, kept in enumerate(np.exp(-2 * np.pi * band * dt)):
            if kept < 1:
                parts[k] = kept * parts[k] + (1 - kept**2) ** 0.5 * rng.standard_normal(shape)
        yield sum(w * part for w, part in zip(weights, parts, strict=True))
