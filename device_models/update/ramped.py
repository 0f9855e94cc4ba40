"""Non-identical pulses: amplitude or width grows along the window to straighten the response."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import FloatPair, Parameters, RuleBroken, Volts
from device_models.update.base import IteratedUpdate, StepUpdate
from device_models.window import Array


class PulseScheme(Parameters):
    """A ramp of pulses from the first to the last, both amplitude and width linear in the pulse's place on the ramp.

    `volts` and `seconds` are magnitude and width of the first and of the last pulse. The change by a pulse grows as
    exp(V / volts_per_e) and as width^power: rates of ionic switching depend exponentially on voltage (Jo, Kim and Lu,
    Nano Lett. 9, 496 (2009)). Only the ratio to the first pulse enters.
    """

    volts: FloatPair = (1.0, 1.0)
    volts_per_e: Volts = Field(default=1.0, gt=0)
    seconds: FloatPair = (1e-6, 1e-6)
    power: float = Field(default=1.0, ge=0, le=10)

    @model_validator(mode="after")
    def _pulses(self) -> Self:
        if not all(1e-4 <= v <= 20 for v in self.volts):
            raise RuleBroken("volts must be magnitudes between 1e-4 and 20 volts", value=str(self.volts))
        if not all(1e-12 <= t <= 1e3 for t in self.seconds):
            raise RuleBroken("seconds must be widths between 1e-12 and 1000 seconds", value=str(self.seconds))
        return self

    def logarithms(self) -> tuple[float, float, float]:
        """Numbers p, q and k of the ramp's `scale` exp(p y) (1 + q y)^k."""
        growth = (self.volts[1] - self.volts[0]) / self.volts_per_e
        return growth, self.seconds[1] / self.seconds[0] - 1, self.power


class RampedUpdate(IteratedUpdate):
    """A law under non-identical pulses, each chosen by the state that the controller reads before it.

    A cell that has gone the share y of its window gets the pulse at the place y of the ramp; one that reverses is
    therefore answered by the pulse that its state asks for, and no count of pulses since the reversal is kept. `up` and
    `down` are the ramps of both directions. The mean change is the law's own times the ramp's ratio to its first pulse;
    the C2C noise is the law's own. Such pulses straighten the response at the cost of a read before each: Jang et al.,
    IEEE EDL 36, 457 (2015).
    """

    law: StepUpdate
    up: PulseScheme = PulseScheme()
    down: PulseScheme = PulseScheme()

    @model_validator(mode="after")
    def _one_ramp(self) -> Self:
        if isinstance(self.law, RampedUpdate):
            raise RuleBroken("law must be one of identical pulses", "give one ramp a direction", "a RampedUpdate")
        return self

    def draw(self, shape: tuple[int, ...], rng: Any) -> Array | None:
        """The spread of the law."""
        return self.law.draw(shape, rng)

    def own(self, variation: Array | None) -> dict[str, Any]:
        """The parameters of the law."""
        return self.law.own(variation)

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, ...]:
        """Three numbers of the ramp and those of the law."""
        return *(self.up if up else self.down).logarithms(), *self.law.course(own, span, up=up)

    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span."""
        p, q, k, *rest = course
        return np.exp(p * y) * (1 + q * y) ** k * self.law.gain(y, *rest)
