"""Open-loop updates: the number of pulses that a change is worth, and nothing kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.kernels import pulse_kernels_for
from cimsim.learning.rules.base import PulseRule, Step
from device_models.parameters import IntPair
from device_models.window import Array


class PulseCount(PulseRule):
    """Every weight gets the number of pulses that its change is worth: |change| over the range, times the states.

    `rounding` "nearest" rounds halves up, so changes below half a state are lost, as in NeuroSim (Chen, Peng and Yu,
    IEEE TCAD 37, 3067 (2018), and its code); "stochastic" rounds up with the chance of what is left, so that changes
    are right in the mean. `states`: pulses up and down over the whole window, where they are not those of the device's
    nominal step. At most `max_pulses` go to a weight at once.
    """

    rounding: Literal["nearest", "stochastic"] = "nearest"
    states: IntPair | None = None
    max_pulses: int = Field(default=1000, ge=1, description="pulses per weight and batch")

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Round the changes to pulses and send them."""
        if self.rounding == "stochastic":
            slopes, worth = (self._worth(step), 1.0) if self.states else (step.gradient, -step.rate / step.weight_step)
            return step.pulse(pulse_kernels_for(slopes).rounded(slopes, worth, self.max_pulses, step.streams))
        narrow, rows = _driven(step)
        wanted = self._worth(narrow)
        n = np.trunc(wanted + np.copysign(0.5, wanted)).clip(-self.max_pulses, self.max_pulses)
        return step.pulse(n.astype(np.int64), rows=rows)

    def _worth(self, step: Step) -> Array:
        """Changes in pulses, not rounded."""
        if self.states is None:
            return step.change / step.weight_step
        whole = step.matrix.weight_scale * step.matrix.design.scheme.cell_worth()
        up, down = (n / whole for n in self.states)
        return step.change * (up if up == down else np.where(step.change > 0, up, down))


def _driven(step: Step) -> tuple[Step, np.ndarray | None]:
    """The step on the rows that were given something, and their numbers; None where that spares nothing.

    One sample of few inputs changes few rows.
    """
    if not isinstance(step.x, np.ndarray) or step.mask is not None:
        return step, None
    rows = np.flatnonzero(step.x.any(axis=0))
    if 2 * len(rows) > step.x.shape[1]:
        return step, None
    return replace(step, x=step.x[:, rows]), rows
