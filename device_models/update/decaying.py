"""A change that decays exponentially along the window: the law in which memristive STDP is usually written."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from device_models.parameters import Fraction, Spread
from device_models.update.base import IteratedUpdate
from device_models.window import Array


class DecayingStepUpdate(IteratedUpdate):
    """A change that falls exponentially: step exp(-beta y), y the share of the window already gone.

    `step_up` and `step_down` are shares of the cell's own window; a beta of 0 is a linear law. Querlioz, Bichler,
    Dollfus and Gamrat, IEEE Trans. Nanotechnol. 12, 288 (2013).
    """

    step_up: Fraction = Field(gt=0)
    step_down: Fraction = Field(gt=0)
    beta_up: float = Field(default=0.0, ge=0, le=50)
    beta_down: float = Field(default=0.0, ge=0, le=50)
    c2c: Spread = 0.0
    spread_step_up: Spread = 0.0
    spread_step_down: Spread = 0.0
    spread_beta_up: Spread = 0.0
    spread_beta_down: Spread = 0.0
    spread_c2c: Spread = 0.0

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, ...]:
        """Step as a share of the span, and beta."""
        return (own["step_up"], own["beta_up"]) if up else (own["step_down"], own["beta_down"])

    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span."""
        step, beta = course
        return step * np.exp(-beta * y)
