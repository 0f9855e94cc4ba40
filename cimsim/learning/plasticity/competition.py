"""Neurons that compete for samples: winner-take-all with lateral inhibition, and a homeostasis of their thresholds."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cimsim.network.coding.base import Code
from cimsim.network.coding.rate import PoissonRate, RegularRate
from device_models.parameters import Fraction, Parameters, RuleBroken, Seconds


class Homeostasis(Parameters):
    """Thresholds that hold the neurons at one mean rate: +`step` at every win, and a steady fall.

    The fall is such that the threshold of a neuron rests where it wins its share of `wins` per sample, all neurons
    together. `step` is a fraction of the first threshold. The integral controller of Querlioz et al., IJCNN 2011, 1775,
    dX/dt = gamma (A - T), with the spikes themselves as activity A.
    """

    step: Fraction = 0.002
    wins: float = Field(default=5.0, gt=0, le=1e4, description="per sample, all neurons together")

    def rise(self, threshold: float) -> float:
        """What a win adds to a threshold."""
        return self.step * threshold

    def fall(self, threshold: float, neurons: int) -> float:
        """What a sample takes off every threshold."""
        return self.rise(threshold) * self.wins / neurons


class Competition(Parameters):
    """How samples are presented and how the neurons compete for them.

    A sample is shown for `duration` seconds in `steps` time steps; values of 1 fire at `rate` hertz. Neurons are LIF
    with time constant `tau`. One that fires inhibits all, itself included: potentials are 0 for `inhibition` seconds,
    one step at least. `threshold` is the first one, as a share of the mean over neurons of the largest potential that
    the first samples reach. Between samples there is a pause, long enough to forget. Querlioz et al., IEEE Trans.
    Nanotechnol. 12, 288 (2013).
    """

    duration: Seconds = Field(default=0.35, gt=0)
    steps: Annotated[int, Field(ge=1, le=1_000_000, description="time steps per sample")] = 100
    rate: float = Field(default=22.0, gt=0, le=1e6, description="hertz")
    trains: Literal["poisson", "regular"] = "poisson"
    tau: Seconds = Field(default=0.11, gt=0)
    inhibition: Seconds = 0.01
    threshold: float = Field(default=0.5, gt=0, le=100)
    homeostasis: Homeostasis | None = Homeostasis()

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        if self.dt > self.tau:
            rule = f"the time step must be at most the shortest time constant, {self.tau:g} s"
            raise RuleBroken(rule, "take more steps, or check the unit of both", f"{self.dt:g} s")
        if self.rate * self.dt > 1:
            rule = "rate must be at most one spike a step"
            raise RuleBroken(rule, "take more steps", f"{self.rate:g} Hz in steps of {self.dt:g} s")
        return self

    @property
    def dt(self) -> float:
        """Time step, seconds."""
        return self.duration / self.steps

    @property
    def decay(self) -> float:
        """What a step leaves of a potential."""
        return math.exp(-self.dt / self.tau)

    @property
    def hold(self) -> int:
        """Steps for which a win holds all potentials at 0."""
        return max(1, round(self.inhibition / self.dt))

    def code(self) -> Code:
        """How values become spikes."""
        code = PoissonRate if self.trains == "poisson" else RegularRate
        return code(steps=self.steps, peak=min(self.rate * self.dt, 1.0))
