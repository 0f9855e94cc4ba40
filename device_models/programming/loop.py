"""Write-verify simulated on the device's own pulses."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import Fraction, RuleBroken, Seconds, Siemens
from device_models.programming.base import PulsedCells, PulsedProgramming, Written
from device_models.window import Limits

Joules = Annotated[float, Field(ge=0.0, le=1e-3, description="joules")]


class VerifyLoop(PulsedProgramming):
    """Program-and-verify on the device's update slot: read, compare, send pulses towards the target, read again.

    A cell is done when a verify read is within the tolerance of its target, given as `tolerance` (siemens) or as
    `tolerance_share` (of the nominal span). Otherwise it gets round(distance / nominal step) pulses at once, between 1
    and `coarse`: many while it is far, single ones when it is near. After `max_pulses` pulses it is given up where it
    stands. A read is Gaussian with standard deviation `read_sigma` (siemens), so with a noisy read a cell may be done
    outside the tolerance; `failed` says what verify found. A cell that stands at its target takes no pulse.
    Each pulse costs `pulse_energy` (joules) and lasts `pulse_seconds`; reads are not counted.
    Closed-loop tuning of Alibart et al., Nanotechnology 23, 075201 (2012).
    """

    tolerance: Siemens | None = None
    tolerance_share: Fraction | None = None
    max_pulses: int = Field(default=1000, ge=1, le=1_000_000)
    coarse: int = Field(default=16, ge=1, le=1_000_000)
    read_sigma: Siemens = 0.0
    pulse_energy: Joules = 0.0
    pulse_seconds: Seconds = 0.0

    @model_validator(mode="after")
    def _one_tolerance(self) -> Self:
        if (self.tolerance is None) == (self.tolerance_share is None):
            got = "neither" if self.tolerance is None else "both"
            rule = "needs either 'tolerance' (siemens) or 'tolerance_share' (of the span)"
            raise RuleBroken(rule, "give one of them", got)
        return self

    def accepts(self, span: float) -> float:
        """The tolerance for a nominal span, siemens."""
        if self.tolerance is not None:
            return self.tolerance
        assert self.tolerance_share is not None
        return self.tolerance_share * span

    def promised(self, span: float) -> float | None:
        """The tolerance, siemens; None where verify reads are noisy."""
        return None if self.read_sigma else self.accepts(span)

    def write(
        self, g_target: np.ndarray, window: Limits, rng: np.random.Generator, cells: PulsedCells | None = None
    ) -> Written:
        """Write and verify every cell. Raises `InputError` without the `cells` to pulse."""
        if cells is None:
            remedy = "write through Device.program"
            raise InputError("VerifyLoop", "writes by pulses and needs the cells that take them", "none", remedy)
        tolerance, which, shape = self.accepts(cells.span), np.arange(g_target.size), g_target.shape
        now, target, sent = cells.g, g_target.ravel(), np.zeros(g_target.size, dtype=np.int64)
        g: np.ndarray = np.zeros(target.size)
        pulses: np.ndarray = np.zeros_like(sent)
        failed: np.ndarray = np.zeros(target.size, dtype=bool)
        while which.size:
            missed = self._missed(now, target, rng)
            far = np.abs(missed)
            outside = far > tolerance
            going = outside & (sent < self.max_pulses)
            done = which[~going]
            g[done], pulses[done], failed[done] = now[~going], sent[~going], outside[~going]
            which, now, target, missed, far, sent = (a[going] for a in (which, now, target, missed, far, sent))
            n = np.clip(np.rint(far / cells.step), 1, np.minimum(self.coarse, self.max_pulses - sent)).astype(np.int64)
            now = cells.pulse(now, np.where(missed > 0, n, -n), which)
            sent += n
        pulses = pulses.reshape(shape)
        costs = pulses * self.pulse_energy, pulses * self.pulse_seconds
        return Written(g.reshape(shape), pulses, failed.reshape(shape), *costs)

    def _missed(self, g: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Target less conductance as verify reads it, siemens."""
        missed: np.ndarray = target - g
        if self.read_sigma:
            missed -= self.read_sigma * rng.standard_normal(g.size)
        return missed
