"""Laws whose single pulse is an affine map of the conductance, so that a train needs no loop."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from device_models.parameters import Fraction, Siemens, Spread
from device_models.update.base import StepUpdate, spans
from device_models.window import Array, Limits, clip_to

LONGEST_TABLE = 4096
FLATTEST = 1e-30  # bends nearer to 0 are set to it: the logarithm is then the bend, and quotients stay exact
STEEPEST = 1 - 1e-15  # bends beyond -STEEPEST are set to it, to have a logarithm


class AffineUpdate(StepUpdate):
    """A pulse maps y to r y + step, r = 1 + bend, and adds C2C noise: trains are first-order autoregressive.

    n pulses have mean r^n y + step (r^n - 1) / (r - 1) and variance c2c^2 (r^2n - 1) / (r^2 - 1), exactly; so n at once
    equal n single ones in distribution away from the window's ends, where clipping holds. Pulses beyond those that
    cross the whole window change nothing more.
    """

    @abc.abstractmethod
    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, Array]:
        """Bend and step: a pulse maps y to (1 + bend) y + step."""

    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span."""
        bend, step = course
        return np.maximum(step + bend * y, 0.0)

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """Conductance after n pulses, siemens; one normal draw per cell whatever n is."""
        own, span = self.own(variation), spans(window)
        least, most = (int(np.min(n)), int(np.max(n))) if n.size else (0, 0)
        stretch, shift, sigma = self._trains(n, least, most, own, span)
        noise = rng.standard_normal(g.shape)
        noise *= sigma * span
        after = g - window.g_min
        after *= stretch
        after += span * shift
        after += noise
        after += g
        after = clip_to(after, window)
        return np.where(n == 0, g, after) if least <= 0 <= most else after

    def _trains(self, n: Array, least: int, most: int, own: dict[str, Any], span: Array) -> tuple[Array, Array, Array]:
        """`_train` of every cell; looked up where all cells are alike but for their counts, `least` to `most`."""
        up = self.course(own, span, up=True) if most > 0 else None
        down = self.course(own, span, up=False) if least < 0 else None
        alike = all(np.ndim(value) == 0 for value in (*(up or ()), *(down or ()), own["c2c"]))
        if alike and least == most:
            return _train(least, least, most, own["c2c"], up, down)
        if not alike or most - least > min(LONGEST_TABLE, n.size):
            return _train(n, least, most, own["c2c"], up, down)
        table = np.stack(_train(np.arange(least, most + 1), least, most, own["c2c"], up, down))
        stretch, shift, sigma = (np.asarray(column, like=n)[n - least] for column in table)
        return stretch, shift, sigma


Course = tuple[Array, Array]


def _train(
    n: Array, least: int, most: int, c2c: Array, up: Course | None, down: Course | None
) -> tuple[Array, Array, Array]:
    """Trains of n pulses as maps x -> x + stretch x + shift, x counted from g_min, and their standard deviation."""
    count, longest = np.abs(n), max(-least, most)
    if down is None:
        stretch, shift, variance = _one_way(count, longest, *up) if up is not None else (0.0, 0.0, 0.0)
        return stretch, shift, c2c * np.sqrt(variance)
    fall, gone, variance = _one_way(count, longest, *down)
    if up is None:
        return fall, -gone - fall, c2c * np.sqrt(variance)
    rise, shift, variance_up = _one_way(count, longest, *up)
    rising = n > 0
    sigma = c2c * np.sqrt(np.where(rising, variance_up, variance))
    return np.where(rising, rise, fall), np.where(rising, shift, -gone - fall), sigma


def _one_way(count: Array, longest: int, bend: Array, step: Array) -> tuple[Array, Array, Array]:
    """Stretch, shift and variance of y after `count` pulses in one direction, `longest` at most."""
    if longest == 1:
        return bend * count, step * count, count
    bend = np.where(np.abs(bend) < FLATTEST, FLATTEST, np.maximum(bend, -STEEPEST))[()]
    rate = np.log1p(bend)
    crossing = np.log1p(np.maximum(bend / np.maximum(step, 1e-30), 1e-12 - 1)) / rate
    count = np.minimum(count, np.maximum(np.ceil(crossing - 1e-6), 1.0))
    stretch = np.expm1(rate * count)
    return stretch, step * (stretch / bend), np.expm1(2 * rate * count) / np.expm1(2 * rate)


class LinearUpdate(AffineUpdate):
    """The same change at every conductance: step (1 + asymmetry) up, step (1 - asymmetry) down.

    The resistive processing unit of Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016): `spread_step` spreads both
    directions of a cell together, `spread_asymmetry` (absolute) the one against the other. The step is in siemens, so a
    cell with a wider window takes more pulses to cross it.
    """

    step_size: Siemens = Field(gt=0)
    asymmetry: float = Field(default=0.0, ge=-1, le=1)
    c2c: Spread = 0.0
    spread_step_size: Spread = 0.0
    spread_asymmetry: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, Array]:
        """No bend, and the step as a share of the span."""
        return 0.0, own["step_size"] * sided(own, up=up) / span


class LinearStepUpdate(AffineUpdate):
    """A change that falls linearly along the window: step (1 +- asymmetry) (1 - slope y), y the share already gone.

    A slope of 0 is `LinearUpdate`, 1 comes to rest at the window's end (`SoftBoundsUpdate`), a negative one grows. The
    linear-step device of the toolkit of Rasch et al., arXiv:2104.02184 (2021).
    """

    SIGNED: ClassVar[frozenset[str]] = frozenset({"asymmetry", "slope_up", "slope_down"})

    step_size: Siemens = Field(gt=0)
    asymmetry: float = Field(default=0.0, ge=-1, le=1)
    slope_up: float = Field(default=0.0, ge=-10, le=1)
    slope_down: float = Field(default=0.0, ge=-10, le=1)
    c2c: Spread = 0.0
    spread_step_size: Spread = 0.0
    spread_asymmetry: Spread = 0.0
    spread_slope_up: Spread = 0.0
    spread_slope_down: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, Array]:
        """Bend, and the step at the end where pulses start, as a share of the span."""
        step = own["step_size"] * sided(own, up=up) / span
        return -own["slope_up" if up else "slope_down"] * np.minimum(step, 1.0), step


class SoftBoundsUpdate(AffineUpdate):
    """A change in proportion to the distance from the end ahead.

    rate (1 + asymmetry) (g_max - g) up, rate (1 - asymmetry) (g - g_min) down: pulses up and down cancel at the share
    (1 + asymmetry) / 2 of the window. Fusi and Abbott, Nat. Neurosci. 10, 485 (2007);
    Frascaroli et al., Sci. Rep. 8, 7178 (2018).
    """

    rate: Fraction = Field(gt=0, lt=1)
    asymmetry: float = Field(default=0.0, ge=-1, le=1)
    c2c: Spread = 0.0
    spread_rate: Spread = 0.0
    spread_asymmetry: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, Array]:
        """The share of the distance ahead that one pulse takes: of all of it at y = 0, of none at y = 1."""
        step = np.minimum(own["rate"] * sided(own, up=up), 1.0)
        return -step, step


def sided(own: dict[str, Any], *, up: bool) -> Array:
    """What the asymmetry multiplies the step of one direction by: 1 + asymmetry up, 1 - asymmetry down."""
    return 1 + own["asymmetry"] if up else 1 - own["asymmetry"]
