"""Synapses: from spikes to currents in time, pure steps, state in and state out, SI units.

Kernels (`Delta`, `Exponential`, `Alpha`) are linear, so one state per neuron on the postsynaptic side is exact for all
synapses of one time constant: weigh first, then filter. What goes in is the charge, in coulombs, that the spikes of a
step bring to each neuron (a bit line's current times the width of the read pulse); every kernel hands on just that
charge. What comes out is the mean current of the step, amperes, as neurons take it.

`ShortTermPlasticity` depends on the spikes of the axon alone, so one state per axon is exact for all its synapses: it
scales the spikes before they are weighed.
"""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cimsim.network.coding.spikes import as_spikes
from cimsim.network.neurons.base import Shape, check_current, check_dt, decayed, filled
from device_models.errors import InputError
from device_models.parameters import Fraction, Parameters, Seconds, Variant
from device_models.window import Array

Charges = tuple[Array, ...]  # on its way, coulombs, one array per stage


class Synapse(Variant):
    """How the charge of a spike arrives in time: a kernel of area 1."""

    @property
    @abc.abstractmethod
    def shortest(self) -> float:
        """The shortest time constant, seconds: the longest time step allowed."""

    @abc.abstractmethod
    def rest(self, shape: Shape, like: Array | None = None) -> Charges:
        """The state without input, `shape` neurons, beside `like` and of its type of floats (None: float64)."""

    @abc.abstractmethod
    def deliver(self, state: Charges, charge: Array, dt: float) -> tuple[Charges, Array]:
        """The law of one step, on input that has been checked: the new state and the charge delivered, coulombs."""

    def step(self, state: Charges, charge: Array, dt: float) -> tuple[Charges, Array]:
        """State and mean current, amperes, over `dt` seconds at whose start `charge` (coulombs) comes in.

        Exact for any step. Raises `InputError` for a time step that is not positive or longer than the shortest time
        constant, and for charges whose shape does not fit the state.
        """
        dt = check_dt(dt, self.shortest, type(self).__name__)
        for part in state:
            check_current(charge, part)
        state, delivered = self.deliver(state, charge, dt)
        return state, delivered / dt


class Delta(Synapse):
    """All of the charge at once, within the step."""

    @property
    def shortest(self) -> float:
        """No time constant limits the step."""
        return float("inf")

    def rest(self, shape: Shape, like: Array | None = None) -> Charges:
        return ()

    def deliver(self, state: Charges, charge: Array, dt: float) -> tuple[Charges, Array]:
        return state, charge


class Exponential(Synapse):
    """The kernel exp(-t / tau) / tau."""

    tau: Seconds = Field(gt=0)

    @property
    def shortest(self) -> float:
        """The kernel's time constant, seconds."""
        return self.tau

    def rest(self, shape: Shape, like: Array | None = None) -> Charges:
        return (filled(0.0, shape, like),)

    def deliver(self, state: Charges, charge: Array, dt: float) -> tuple[Charges, Array]:
        waiting = state[0] + charge
        left = waiting * decayed(dt, self.tau)
        return (left,), waiting - left


class Alpha(Synapse):
    """The kernel t / tau^2 exp(-t / tau), which peaks at tau: two exponential stages, one after the other."""

    tau: Seconds = Field(gt=0)

    @property
    def shortest(self) -> float:
        """The kernel's time constant, seconds."""
        return self.tau

    def rest(self, shape: Shape, like: Array | None = None) -> Charges:
        return filled(0.0, shape, like), filled(0.0, shape, like)

    def deliver(self, state: Charges, charge: Array, dt: float) -> tuple[Charges, Array]:
        first, second = state[0] + charge, state[1]
        keep = decayed(dt, self.tau)
        after = first * keep, (second + first * (dt / self.tau)) * keep
        return after, (first - after[0]) + (second - after[1])


class Resources(NamedTuple):
    """Of each axon: facilitated use, which adds to the next spike's (u), and share of transmitter available (x)."""

    u: Array
    x: Array


class ShortTermPlasticity(Parameters):
    """Depression and facilitation: u jumps by use (1 - u) at a spike, which then releases the share u of x.

    Between spikes u falls to 0 with `tau_facilitation` (0: no facilitation, u = use at every spike) and x recovers to 1
    with `tau_depression` (0: at once). Tsodyks, Pawelzik and Markram, Neural Comput. 10, 821 (1998).
    """

    use: Fraction = Field(gt=0)
    tau_depression: Seconds
    tau_facilitation: Seconds

    @property
    def shortest(self) -> float:
        """The shorter of the time constants that are not 0, seconds."""
        return min((tau for tau in (self.tau_depression, self.tau_facilitation) if tau > 0), default=float("inf"))

    def rest(self, shape: Shape, like: Array | None = None) -> Resources:
        """The state after a long silence, `shape` axons, beside `like` and of its type of floats (None: float64)."""
        return Resources(filled(0.0, shape, like), filled(1.0, shape, like))

    def step(self, state: Resources, spikes: Array, dt: float) -> tuple[Resources, Array]:
        """State after `dt` seconds, and the share (0 to 1) that each axon releases at the start of them.

        A first spike releases `use`; an axon without a spike 0. Raises `InputError` for a time step that is not
        positive or longer than the shortest time constant, spikes that are not binary or do not fit the state.
        """
        dt = check_dt(dt, self.shortest, type(self).__name__)
        spikes = as_spikes(spikes)
        if spikes.shape != state.x.shape:
            raise InputError("spikes", f"must have one value per axon, shape {state.x.shape}", f"shape {spikes.shape}")
        u = np.where(spikes, state.u + self.use * (1 - state.u), state.u)
        released = np.where(spikes, u * state.x, 0.0)
        x = state.x - released
        keep_u, keep_x = (decayed(dt, tau) if tau > 0 else 0.0 for tau in (self.tau_facilitation, self.tau_depression))
        return Resources(u * keep_u, 1 - (1 - x) * keep_x), released


# Tsodyks and Wu, "Short-term synaptic plasticity", Scholarpedia 8(10), 3153 (2013), fig. 1: one that depresses and one
# that facilitates.
DEPRESSING = ShortTermPlasticity(use=0.45, tau_depression=0.75, tau_facilitation=0.05)
FACILITATING = ShortTermPlasticity(use=0.15, tau_depression=0.05, tau_facilitation=0.75)
