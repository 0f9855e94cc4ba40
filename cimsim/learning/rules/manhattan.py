"""The Manhattan rule: one pulse, by the sign of the batch's gradient."""

from __future__ import annotations

import numpy as np

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.learning.rules.base import PulseRule, Step


class Manhattan(PulseRule):
    """One pulse to every weight with the sign of its change over the batch; the learning rate does not enter.

    `both` pulses both cells of a pair, one up and one down. The batch of the paper is the whole training set. Prezioso
    et al., Nature 521, 61 (2015), Methods.
    """

    both: bool = False

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """One pulse to each weight whose gradient is not 0."""
        return step.pulse(-np.sign(step.gradient).astype(np.int64), both=self.both)
