"""VTEAM, a voltage-threshold model: Kvatinsky, Ramadan, Friedman and Kolodny, IEEE TCAS-II 62, 786 (2015)."""

from __future__ import annotations

from math import log
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.compact.model import CompactModel, Metres
from device_models.compact.windows import DriftWindow
from device_models.parameters import Ohms, RuleBroken
from device_models.window import Array


class VTEAM(CompactModel):
    """A state in metres that moves only beyond two threshold voltages, up to x_off (R_off) and down to x_on (R_on).

    dx/dt = k_off (v / v_off - 1)^a_off f(x) above v_off > 0, k_on (v / v_on - 1)^a_on f(x) below v_on < 0, 0 between.
    `curve` is "linear" (resistance linear in x) or "exponential" (current exponential in x).
    """

    k_on: float = Field(lt=0, ge=-1e6, description="metres per second, negative")
    k_off: float = Field(gt=0, le=1e6, description="metres per second")
    alpha_on: float = Field(gt=0, le=100)
    alpha_off: float = Field(gt=0, le=100)
    v_on: float = Field(lt=0, ge=-20, description="volts, negative")
    v_off: float = Field(gt=0, le=20, description="volts")
    r_on: Ohms = Field(gt=0)
    r_off: Ohms = Field(gt=0)
    x_on: Metres
    x_off: Metres
    curve: Literal["linear", "exponential"] = "linear"
    window: DriftWindow | None = None
    initial: Metres

    @model_validator(mode="after")
    def _resistances(self) -> Self:
        if self.r_on >= self.r_off:
            raise RuleBroken("r_on must be below r_off (ohms)", "exchange them", f"{self.r_on:g} and {self.r_off:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """x_on and x_off, metres."""
        return self.x_on, self.x_off

    def current(self, x: Array, v: Array) -> Array:
        """Current by the chosen curve, amperes."""
        share = self._share(x)
        if self.curve == "linear":
            return v / (self.r_on + (self.r_off - self.r_on) * share)
        return v / self.r_on * np.exp(-log(self.r_off / self.r_on) * share)

    def velocity(self, x: Array, v: Array) -> Array:
        """Metres per second; exactly 0 between the thresholds."""
        off = self.k_off * np.maximum(v / self.v_off - 1, 0.0) ** self.alpha_off
        on = self.k_on * np.maximum(v / self.v_on - 1, 0.0) ** self.alpha_on
        speed = off + on + 0.0 * x
        return speed if self.window is None else speed * self.window.factor(self._share(x), speed)

    def _share(self, x: Array) -> Array:
        return (x - self.x_on) / (self.x_off - self.x_on)


# The parameters the MemTorch simulator (Lammie et al., Neurocomputing 485, 124 (2022)) gives its VTEAM device by
# default; the sets fitted in the VTEAM paper itself are not among those here.
MEMTORCH_DEFAULT = VTEAM(
    k_on=-10.0,
    k_off=5e-4,
    alpha_on=3.0,
    alpha_off=1.0,
    v_on=-0.2,
    v_off=0.02,
    r_on=50.0,
    r_off=1000.0,
    x_on=0.0,
    x_off=3e-9,
    initial=0.0,
)
