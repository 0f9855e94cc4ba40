"""Laws without a closed form for trains: their pulses are applied one by one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from device_models.parameters import Siemens, Spread
from device_models.update.affine import sided
from device_models.update.base import IteratedUpdate
from device_models.window import Array


class ExponentialStepUpdate(IteratedUpdate):
    """A change that dies off exponentially towards the end ahead: step (1 +- asymmetry) max(0, 1 - A exp(gamma u)).

    u = 2 y - 1 runs from -1 at the end where pulses start to 1 at the end ahead. Fitted to ReRAM by Gong et al., Nat.
    Commun. 9, 2102 (2018); where a fit is given with u scaled to a u + b, gamma is its gamma times a and A is its A
    times exp(gamma b). A negative A makes a change that grows; the point where A exp(gamma u) = 1 is never passed.
    """

    SIGNED: ClassVar[frozenset[str]] = frozenset({"asymmetry", "a_up", "a_down"})

    step_size: Siemens = Field(gt=0)
    a_up: float = Field(ge=-1e4, le=1e4)
    a_down: float = Field(ge=-1e4, le=1e4)
    gamma_up: float = Field(ge=0, le=50)
    gamma_down: float = Field(ge=0, le=50)
    asymmetry: float = Field(default=0.0, ge=-1, le=1)
    c2c: Spread = 0.0
    spread_step_size: Spread = 0.0
    spread_a_up: Spread = 0.0
    spread_a_down: Spread = 0.0
    spread_gamma_up: Spread = 0.0
    spread_gamma_down: Spread = 0.0
    spread_asymmetry: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, ...]:
        """Step as a share of the span, A and gamma."""
        a, gamma = (own["a_up"], own["gamma_up"]) if up else (own["a_down"], own["gamma_down"])
        return own["step_size"] * sided(own, up=up) / span, a, gamma

    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span."""
        step, a, gamma = course
        return step * np.maximum(1 - a * np.exp(gamma * (2 * y - 1)), 0.0)


class PowerStepUpdate(IteratedUpdate):
    """A change by a power of the share ahead: step (1 +- asymmetry) (1 - y)^gamma.

    gamma 0 is `LinearUpdate`, 1 soft bounds. Fusi and Abbott, Nat. Neurosci. 10, 485 (2007), and for HfO2 Frascaroli et
    al., Sci. Rep. 8, 7178 (2018); the power-step device of the toolkit of Rasch et al., arXiv:2104.02184 (2021).
    """

    step_size: Siemens = Field(gt=0)
    gamma_up: float = Field(default=1.0, ge=0, le=50)
    gamma_down: float = Field(default=1.0, ge=0, le=50)
    asymmetry: float = Field(default=0.0, ge=-1, le=1)
    c2c: Spread = 0.0
    spread_step_size: Spread = 0.0
    spread_gamma_up: Spread = 0.0
    spread_gamma_down: Spread = 0.0
    spread_asymmetry: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, ...]:
        """Step as a share of the span, and gamma."""
        return own["step_size"] * sided(own, up=up) / span, own["gamma_up" if up else "gamma_down"]

    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span."""
        step, gamma = course
        return step * np.maximum(1 - y, 0.0) ** gamma
