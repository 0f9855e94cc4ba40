"""Endurance: how a window closes with the number of pulses a cell has received."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from device_models.parameters import Fraction, Parameters
from device_models.window import Array, CellLimits, Limits


class Endurance(Parameters):
    """A window that closes with the logarithm of the pulses received, beyond an onset.

    With d = max(0, log10(pulses / onset)) decades beyond the onset, g_max falls by `high_per_decade` d and g_min rises
    by `low_per_decade` d, both as fractions of the cell's own fresh span; once the two ends meet the cell is dead and
    they stay together. The shape is a plain description: that the window of analogue ReRAM closes under incremental
    pulses is reported by Zhao et al., IEDM 2018, doi 10.1109/IEDM.2018.8614664; onset and slopes are the device's own.
    """

    onset: float = Field(ge=1, le=1e15, description="pulses")
    high_per_decade: Fraction = 0.0
    low_per_decade: Fraction = 0.0

    def worn(self, limits: Limits, pulses: Array) -> CellLimits:
        """Windows (siemens) of cells that have received so many pulses, from their fresh ones."""
        decades = np.log10(np.maximum(pulses / self.onset, 1.0))
        lost = self.high_per_decade + self.low_per_decade
        if lost > 0:
            decades = np.minimum(decades, 1 / lost)
        span = limits.g_max - limits.g_min
        low = limits.g_min + span * (self.low_per_decade * decades)
        high = limits.g_max - span * (self.high_per_decade * decades)
        return CellLimits(np.minimum(low, high), high)
