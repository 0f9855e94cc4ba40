"""Integrate-and-fire neurons, whose membrane is linear below the threshold: their steps are exact.

For a current that is constant during a step the potential at its end is exact, whatever the step; a spike is put at the
end of the step in which the threshold is crossed. So the interval between the spikes of a constant current is
dt ceil((T + refractory) / dt), with T the time to charge from reset to threshold.
"""

from __future__ import annotations

import abc
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.network.neurons.base import Farads, Neuron, Potential, Shape, decayed, filled
from device_models.parameters import RuleBroken, Seconds
from device_models.window import Array

Reset = Literal["hard", "soft"]
SLIVER = 1e-3  # share of a step that may be left by rounding alone at the end of a refractory period


class Membrane(NamedTuple):
    """Membrane potential, volts, and the refractory time still to pass, seconds."""

    v: Array
    wait: Array


class AdaptingMembrane(NamedTuple):
    """Membrane potential, volts, refractory time still to pass, seconds, and rise of the threshold, volts."""

    v: Array
    wait: Array
    theta: Array


class IntegrateAndFire(Neuron):
    """What all integrate-and-fire neurons share: a capacitor, a threshold, a reset and a refractory period.

    A spike resets the potential to `v_reset` (reset "hard") or lowers it by the distance from threshold to `v_reset`
    (reset "soft", by subtraction: what exceeds the threshold is kept). For `refractory` seconds after a spike the input
    is lost and the potential held; a period that ends within a step leaves the rest of the step for the input.
    """

    capacitance: Farads
    v_threshold: Potential
    v_rest: Potential = 0.0
    v_reset: Potential = 0.0
    reset: Reset = "hard"
    refractory: Seconds = 0.0

    @model_validator(mode="after")
    def _fires_from_below(self) -> Self:
        if max(self.v_rest, self.v_reset) >= self.v_threshold:
            got = f"v_rest {self.v_rest:g}, v_reset {self.v_reset:g}, v_threshold {self.v_threshold:g}"
            raise RuleBroken("v_rest and v_reset must be below v_threshold (volts)", "raise the threshold", got)
        return self

    @abc.abstractmethod
    def charge(self, v: Array, current: Array, seconds: Array) -> Array:
        """Potential after some seconds of a constant current without a spike, volts."""

    def fire(self, state: Membrane, current: Array, dt: float, threshold: Array) -> tuple[Membrane, Array]:
        """One step of charging, comparing with the threshold (volts) and resetting: new membrane and spikes."""
        active = np.clip(dt - state.wait, 0.0, dt) if self.refractory else dt
        v = self.charge(state.v, current, active)
        spikes = v >= threshold
        if self.refractory:
            spikes &= active > SLIVER * dt  # a soft reset can leave the potential above the threshold
        after = self.v_reset if self.reset == "hard" else v - (threshold - self.v_reset)
        wait = np.where(spikes, self.refractory, np.maximum(state.wait - dt, 0.0)) if self.refractory else state.wait
        return Membrane(np.where(spikes, after, v), wait), spikes


class IF(IntegrateAndFire):
    """Integrate and fire without leak: C dv/dt = I. The potential starts at `v_rest`."""

    @property
    def shortest(self) -> float:
        """No time constant limits the step."""
        return float("inf")

    def rest(self, shape: Shape, like: Array | None = None) -> Membrane:
        return Membrane(filled(self.v_rest, shape, like), filled(0.0, shape, like))

    def charge(self, v: Array, current: Array, seconds: Array) -> Array:
        return v + current * (seconds / self.capacitance)

    def advance(self, state: Membrane, current: Array, dt: float) -> tuple[Membrane, Array]:
        return self.fire(state, current, dt, self.v_threshold)


class Leaky(IntegrateAndFire):
    """A membrane that leaks: tau dv/dt = v_rest - v + R I, with R = tau / C."""

    tau: Seconds = Field(gt=0)

    @property
    def resistance(self) -> float:
        """Resistance of the leak, ohms."""
        return self.tau / self.capacitance

    def charge(self, v: Array, current: Array, seconds: Array) -> Array:
        target = self.v_rest + current * self.resistance
        return target + (v - target) * decayed(seconds, self.tau)


class LIF(Leaky):
    """Leaky integrate and fire: tau dv/dt = v_rest - v + R I, with R = tau / C.

    Gerstner, Kistler, Naud and Paninski, Neuronal Dynamics (2014), chapter 1.3.
    """

    @property
    def shortest(self) -> float:
        """The membrane's time constant, seconds."""
        return self.tau

    def rest(self, shape: Shape, like: Array | None = None) -> Membrane:
        return Membrane(filled(self.v_rest, shape, like), filled(0.0, shape, like))

    def advance(self, state: Membrane, current: Array, dt: float) -> tuple[Membrane, Array]:
        return self.fire(state, current, dt, self.v_threshold)


class AdaptiveLIF(Leaky):
    """LIF whose threshold rises by `theta_step` volts with every spike and falls back with `tau_theta` seconds.

    Threshold = v_threshold + theta, tau_theta dtheta/dt = -theta; compared with at the end of a step, and exact there.
    Bellec et al., NeurIPS (2018), arXiv:1803.09574; Diehl and Cook, Front. Comput. Neurosci. 9, 99 (2015).
    """

    tau_theta: Seconds = Field(gt=0)
    theta_step: float = Field(ge=0, le=20, description="volts")

    @property
    def shortest(self) -> float:
        """The shorter of the time constants of membrane and threshold, seconds."""
        return min(self.tau, self.tau_theta)

    def rest(self, shape: Shape, like: Array | None = None) -> AdaptingMembrane:
        at_zero = filled(0.0, shape, like)
        return AdaptingMembrane(filled(self.v_rest, shape, like), at_zero, at_zero)

    def advance(self, state: AdaptingMembrane, current: Array, dt: float) -> tuple[AdaptingMembrane, Array]:
        theta = state.theta * decayed(dt, self.tau_theta)
        membrane, spikes = self.fire(Membrane(state.v, state.wait), current, dt, theta + self.v_threshold)
        return AdaptingMembrane(*membrane, np.where(spikes, theta + self.theta_step, theta)), spikes
