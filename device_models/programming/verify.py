"""Write-verify as independent landings around the target, with a tolerance and a pulse budget."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from device_models.parameters import Siemens
from device_models.programming.base import Programming, Written
from device_models.programming.one_shot import WriteError
from device_models.window import Limits


class WriteVerify(Programming):
    """Program-and-verify: write with `error`, read, write again until within `tolerance` of the target.

    Each pulse lands independently, with the state-dependent `error` around the target or, where that is beyond the
    cell's own window, around the end of it; a landing below 0 is mirrored there. (Cut off at 0, they would pile up
    where a tolerance as large as a low target accepts them.) A cell is given up, and keeps the landing nearest to its
    target, after `max_pulses`. So with p the chance that one landing is within tolerance, the mean number of pulses is
    (1 - (1-p)^max_pulses) / p and (1-p)^max_pulses of the cells fail. The verify read itself is exact.
    """

    closed_loop: ClassVar[bool] = True

    error: WriteError
    tolerance: Siemens
    max_pulses: int = Field(default=100, ge=1, le=1_000_000)

    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Write and verify every cell."""
        target = g_target.ravel()
        aim = np.clip(g_target, window.g_min, window.g_max).ravel()
        sigma = np.broadcast_to(self.error.sigma(g_target, window), g_target.shape).ravel()
        g, miss = np.zeros_like(aim), np.full(target.shape, np.inf)
        pulses = np.zeros(target.shape, dtype=np.int64)
        waiting = np.arange(target.size)
        for _ in range(self.max_pulses):
            if not waiting.size:
                break
            landing = np.abs(aim[waiting] + sigma[waiting] * rng.standard_normal(waiting.size))
            missed = np.abs(landing - target[waiting])
            nearer = missed < miss[waiting]
            g[waiting[nearer]], miss[waiting[nearer]] = landing[nearer], missed[nearer]
            pulses[waiting] += 1
            waiting = waiting[miss[waiting] > self.tolerance]
        failed = miss > self.tolerance
        return Written(g.reshape(g_target.shape), pulses.reshape(g_target.shape), failed.reshape(g_target.shape))

    def promised(self, span: float) -> float:
        """The tolerance, siemens."""
        return self.tolerance
