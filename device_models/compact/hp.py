"""Linear ion drift: Strukov, Snider, Stewart and Williams, Nature 453, 80 (2008)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from device_models.compact.model import CompactModel, Metres
from device_models.compact.windows import DriftWindow
from device_models.parameters import Fraction, Ohms, RuleBroken
from device_models.window import Array


class LinearIonDrift(CompactModel):
    """Two resistors in series whose boundary drifts with the current; x = w/D is the doped, conducting share.

    v = (R_on x + R_off (1 - x)) i and dx/dt = mobility R_on / D^2 i f(x), with any window f; without one it stops at
    the bounds.
    """

    thickness: Metres = Field(gt=0)
    mobility: float = Field(gt=0, le=1e-3, description="m^2 per volt and second")
    r_on: Ohms = Field(gt=0)
    r_off: Ohms = Field(gt=0)
    window: DriftWindow | None = None
    initial: Fraction

    @model_validator(mode="after")
    def _resistances(self) -> Self:
        if self.r_on >= self.r_off:
            raise RuleBroken("r_on must be below r_off (ohms)", "exchange them", f"{self.r_on:g} and {self.r_off:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """All undoped and all doped."""
        return 0.0, 1.0

    @property
    def drift_per_charge(self) -> float:
        """Change of x per coulomb, inside the bounds and without a window."""
        return self.mobility * self.r_on / self.thickness**2

    def resistance(self, x: Array) -> Array:
        """R_on x + R_off (1 - x), ohms."""
        return self.r_off - (self.r_off - self.r_on) * x

    def current(self, x: Array, v: Array) -> Array:
        """Ohm's law, amperes."""
        return v / self.resistance(x)

    def velocity(self, x: Array, v: Array) -> Array:
        """Drift with the current, per second."""
        drift = self.drift_per_charge * self.current(x, v)
        return drift if self.window is None else drift * self.window.factor(x, v)


# Fig. 2b: a sine of v0 = 1 V; i0 = v0 / R_on = 10 mA and t0 = D^2 / (mobility v0) = 10 ms. The start is ours.
FIG_2B = LinearIonDrift(thickness=10e-9, mobility=1e-14, r_on=100.0, r_off=16e3, initial=0.1)
# Fig. 2c: v = +- v0 sin^2(w0 t) at R_off / R_on = 380.
FIG_2C = FIG_2B.replace(r_off=38e3)
