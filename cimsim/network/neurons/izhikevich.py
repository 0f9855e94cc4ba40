"""Izhikevich's two-variable neuron, in SI units, and the parameter sets of the papers."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.network.neurons.base import Farads, Neuron, Potential, Shape, filled
from device_models.errors import InputError
from device_models.parameters import RuleBroken
from device_models.window import Array


class IzhikevichState(NamedTuple):
    """Membrane potential, volts, and recovery current, amperes."""

    v: Array
    u: Array


class Izhikevich(Neuron):
    """C dv/dt = k (v - v_rest) (v - v_threshold) - u + I, du/dt = a (b (v - v_rest) - u).

    Where v reaches `v_peak` there is a spike, v is set to c and u rises by d. E. M. Izhikevich, Dynamical Systems in
    Neuroscience (MIT Press, 2007), eqs. 8.5 and 8.6. Integrated by the explicit midpoint rule, of second order between
    spikes; spikes lie at the ends of steps.
    """

    capacitance: Farads
    k: float = Field(gt=0, le=1.0, description="amperes per square volt")
    v_rest: Potential
    v_threshold: Potential
    v_peak: Potential
    a: float = Field(gt=0, le=1e6, description="per second")
    b: float = Field(ge=-1e-3, le=1e-3, description="siemens")
    c: Potential
    d: float = Field(ge=-1e-3, le=1e-3, description="amperes")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if max(self.v_rest, self.v_threshold, self.c) >= self.v_peak:
            got = f"v_rest {self.v_rest:g}, v_threshold {self.v_threshold:g}, c {self.c:g}, v_peak {self.v_peak:g}"
            raise RuleBroken("v_rest, v_threshold and c must be below v_peak (volts)", "raise the peak", got)
        return self

    @property
    def shortest(self) -> float:
        """The shorter of the time constants of recovery and membrane, the latter where it is steepest, seconds."""
        steepest = max(abs(2 * v - self.v_rest - self.v_threshold) for v in (self.c, self.v_rest, self.v_peak))
        return min(1 / self.a, self.capacitance / (self.k * steepest))

    def rest(self, shape: Shape, like: Array | None = None) -> IzhikevichState:
        return IzhikevichState(filled(self.v_rest, shape, like), filled(0.0, shape, like))

    def advance(self, state: IzhikevichState, current: Array, dt: float) -> tuple[IzhikevichState, Array]:
        v, u = state
        dv, du = self._slopes(v, u, current)
        dv, du = self._slopes(v + dv * (dt / 2), u + du * (dt / 2), current)
        v, u = v + dv * dt, u + du * dt
        spikes = v >= self.v_peak
        return IzhikevichState(np.where(spikes, self.c, v), np.where(spikes, u + self.d, u)), spikes

    def _slopes(self, v: Array, u: Array, current: Array) -> tuple[Array, Array]:
        """dv/dt in volts per second and du/dt in amperes per second."""
        dv = (self.k * (v - self.v_rest) * (v - self.v_threshold) - u + current) / self.capacitance
        return dv, self.a * (self.b * (v - self.v_rest) - u)


def from_2003(a: float, b: float, c: float, d: float) -> Izhikevich:
    """The neuron of Izhikevich, IEEE Trans. Neural Netw. 14, 1569 (2003), from its a, b, c, d (in mV and ms).

    There dv/dt = 0.04 v^2 + 5 v + 140 - u + I and du/dt = a (b v - u). With C = 1 pF the paper's I is in picoamperes;
    u is counted from its value at rest. Raises `InputError` for a b above 5 - sqrt(22.4), where there is no rest.
    """
    under_root = (5 - b) ** 2 - 4 * 0.04 * 140
    if under_root <= 0:
        raise InputError("b", f"must be below {5 - math.sqrt(22.4):.4f}, for the neuron to have a rest", b)
    rest = (b - 5 - math.sqrt(under_root)) / 0.08
    return Izhikevich(
        capacitance=1e-12,
        k=0.04e-6,
        v_rest=rest * 1e-3,
        v_threshold=(-125 - rest) * 1e-3,  # the roots of 0.04 v^2 + 5 v + 140 - b rest add up to -5 / 0.04
        v_peak=30e-3,
        a=a * 1e3,
        b=b * 1e-9,
        c=c * 1e-3,
        d=d * 1e-12,
    )


# The sets of fig. 2 of the paper of 2003.
REGULAR_SPIKING = from_2003(0.02, 0.2, -65.0, 8.0)
INTRINSICALLY_BURSTING = from_2003(0.02, 0.2, -55.0, 4.0)
CHATTERING = from_2003(0.02, 0.2, -50.0, 2.0)
FAST_SPIKING = from_2003(0.1, 0.2, -65.0, 2.0)
LOW_THRESHOLD_SPIKING = from_2003(0.02, 0.25, -65.0, 2.0)
THALAMO_CORTICAL = from_2003(0.02, 0.25, -65.0, 0.05)
RESONATOR = from_2003(0.1, 0.26, -65.0, 2.0)
