"""What cells hold when they are asked for a conductance: drawn from tables of the very device, a gather per cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from device_models.device import Device
from device_models.faults import STUCK_HRS, STUCK_LRS
from device_models.streams import Streams

LEVELS, SAMPLES = 65, 2048


@dataclass(frozen=True)
class CellErrors:
    """Errors of a device, as shares of its window's span: what a chip has, without making one.

    Attributes:
        errors: `(LEVELS, SAMPLES)` float32: what working cells hold less their target, for targets evenly spaced over
            the window. A row is a sample of the device's own law, whatever its form.
        stuck: shares of cells stuck at HRS and at LRS.
        ends: where stuck cells rest, `(2, SAMPLES)` float32, 0 the low end of the nominal window, 1 the high end.
    """

    errors: np.ndarray
    stuck: tuple[float, float]
    ends: np.ndarray

    @classmethod
    def of(
        cls, device: Device, streams: Streams, *, programming: bool, read_noise: bool, stuck: bool, age: float
    ) -> Self:
        """Fabricate, write, age and read cells at every target; what is switched off is left out.

        `programming` is all that differs from write to write and from cell to cell: write error, spread of the windows,
        drift over `age` seconds. Half-select, which needs an array, is left out.
        """
        window, device = device.window, device.replace(half_select=None)
        target = np.repeat(np.linspace(window.g_min, window.g_max, LEVELS)[:, None], SAMPLES, axis=1)
        made = device.fabricate(target.shape, streams)
        working = replace(made, stuck=np.zeros_like(made.stuck))
        held = device.age(device.program(working, target, streams)[0], age)
        g = device.conductance(held) if programming else target
        if read_noise and device.read_noise is not None:
            g = device.read_noise.read(g, streams.rng("read"), held.seconds)
        ends = made.limits if programming else device.replace(faults=None).fabricate(target.shape, streams).limits
        shares = float(np.mean(made.stuck == STUCK_HRS)) * stuck, float(np.mean(made.stuck == STUCK_LRS)) * stuck
        rest = (np.stack([ends.g_min[0], ends.g_max[0]]) - window.g_min) / window.span
        return cls(((g - target) / window.span).astype(np.float32), shares, rest.astype(np.float32))

    def held(self, target: np.ndarray, rng: Any, rng_stuck: Any) -> np.ndarray:
        """What cells hold for targets from 0 to 1, the ends of the window; each draws its own error.

        Targets take the errors of the nearest of the LEVELS.
        """
        sample = rng.integers(0, SAMPLES, target.shape, np.uint16)
        row = np.rint(target * (LEVELS - 1)).astype(np.int32)
        row *= SAMPLES
        row += sample
        g: np.ndarray = target + self.errors.ravel().take(row, mode="clip")
        hrs, lrs = self.stuck
        where = _hit(target.size, hrs + lrs, rng_stuck)
        high = (rng_stuck.random(where.size) * (hrs + lrs) >= hrs).astype(np.int32)
        g.flat[where] = self.ends[high, sample.flat[where]]
        return g


def _hit(n: int, chance: float, rng: Any) -> np.ndarray:
    """Which of `n` cells are hit, each with this chance, by as many shots as that takes: few draws for few hits.

    Of Poisson(m) shots at n cells, each is hit by Poisson(m / n), by none with probability exp(-m / n).
    """
    shots = rng.poisson(-n * math.log1p(-min(chance, 1 - 1e-9)))
    return np.asarray(rng.integers(0, n, shots))
