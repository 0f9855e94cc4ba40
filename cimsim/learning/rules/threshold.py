"""Updates of the weights that change by more than a threshold, and of no others."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.kernels import pulse_kernels_for
from cimsim.learning.rules.base import PulseRule, Step
from device_models.parameters import Siemens


class ThresholdVerify(PulseRule):
    """Weights whose change over the batch is above `threshold` (siemens) are written anew in a closed loop.

    The goal of a cell is where it stands plus the change; write errors, tolerance and pulse budget are those of the
    device's programming slot. Changes at or below the threshold are dropped. Yao et al., Nature 577, 641 (2020),
    Methods (hybrid training; threshold 1.5 microsiemens, batches of 100).
    """

    needs = frozenset()
    threshold: Siemens = Field(default=1.5e-6, gt=0)

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Write the weights that change by more than the threshold."""
        return step.rewrite(np.where(np.abs(step.gradient) > _limit(step, self.threshold), step.change, 0.0))


class ThresholdSign(PulseRule):
    """One pulse to weights whose change over the batch is above `threshold` (siemens), by its sign; nothing is read.

    The rule of Yao et al., Nature 577, 641 (2020), without its closed loop; such updates are compared with verified
    ones by Yao et al., Nat. Commun. 8, 15199 (2017).
    """

    threshold: Siemens = Field(default=1.5e-6, gt=0)

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """One pulse to each weight that changes by more than the threshold."""
        return step.pulse(pulse_kernels_for(step.gradient).signs_above(step.gradient, _limit(step, self.threshold)))


def _limit(step: Step, threshold: float) -> float:
    """The gradient at which the change of a cell is a threshold in siemens."""
    return threshold / (step.siemens * step.rate)
