"""Mixed precision: changes add up digitally until they are worth a pulse."""

from __future__ import annotations

from pydantic import Field

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.kernels import pulse_kernels_for
from cimsim.learning.rules.base import PulseRule, Step


class MixedPrecision(PulseRule):
    """Changes are added to a digital accumulator; where it has passed a pulse's nominal step, whole pulses are sent.

    At most `max_pulses` go to a weight at once; their nominal worth is taken off the accumulator and what is left is
    kept. Nandakumar et al., Frontiers in Neuroscience 14, 406 (2020).
    """

    max_pulses: int = Field(default=10, ge=1, description="pulses per weight and batch")

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Accumulate, and send the pulses that are due."""
        if "owed" not in step.memory:
            step.memory["owed"] = 0 * step.matrix.weights()
        owed, most = step.memory["owed"], self.max_pulses
        n = pulse_kernels_for(owed).whole_steps(owed, step.gradient, step.rate, step.weight_step, most)
        return step.pulse(n)
