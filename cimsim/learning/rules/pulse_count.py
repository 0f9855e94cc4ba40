"""Open-loop updates: the number of pulses that a change is worth, and nothing kept."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from cimsim.backend import generator
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.learning.rules.base import PulseRule, Step
from device_models.parameters import IntPair
from device_models.streams import Streams
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
        worth = self._worth(step)
        if self.rounding == "nearest":
            n = (np.sign(worth) * np.floor(np.abs(worth) + 0.5)).astype(np.int64)
        else:
            n = rounded(worth, step.streams)
        return step.pulse(np.clip(n, -self.max_pulses, self.max_pulses))

    def _worth(self, step: Step) -> Array:
        """Changes in pulses, not rounded."""
        if self.states is None:
            return step.change / step.weight_step
        whole = step.matrix.weight_scale * step.matrix.design.scheme.cell_worth()
        up, down = (n / whole for n in self.states)
        return step.change * np.where(step.change > 0, up, down)


def rounded(worth: Array, streams: Streams) -> Array:
    """Whole numbers whose mean is `worth`: rounded away from 0 with the chance of what is left."""
    shift = generator(worth, streams, "round").random(worth.shape)
    return (np.sign(worth) * np.floor(np.abs(worth) + shift)).astype(np.int64)
