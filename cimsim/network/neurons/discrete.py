"""The dimensionless LIF used in training, one decay per step and a threshold of 1, and how it follows from SI units.

With u = (v - v_rest) / (v_threshold - v_rest), a step of dt seconds at a constant current I is exactly

    u <- decay u + x,    decay = exp(-dt / tau),    x = gain I,    gain = R (1 - decay) / (v_threshold - v_rest)

(IF: decay = 1, gain = dt / C / (v_threshold - v_rest)), so both neurons fire in the same steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cimsim.network.neurons.base import Shape, check_current, check_dt, decayed, filled
from cimsim.network.neurons.integrate_and_fire import IF, LIF, Reset
from device_models.errors import InputError
from device_models.parameters import Fraction, Parameters
from device_models.window import Array


class DiscreteMembrane(NamedTuple):
    """Membrane potential in units of the threshold, and the refractory steps still to pass."""

    v: Array
    wait: Array


class DiscreteLIF(Parameters):
    """A leaky integrate-and-fire neuron without units: u <- decay u + x, a spike where u >= 1.

    A spike sets u to `v_reset` (reset "hard") or lowers it by 1 - v_reset (reset "soft"). For `refractory` steps after
    it the input is lost. A decay of 1 is IF, one of 0 a neuron without memory.
    """

    decay: Fraction
    v_reset: float = Field(default=0.0, lt=1.0)
    reset: Reset = "hard"
    refractory: int = Field(default=0, ge=0, description="steps")

    def rest(self, shape: Shape, like: Array | None = None) -> DiscreteMembrane:
        """Potential 0 everywhere; library and type of floats are those of `like` (None: NumPy's float64)."""
        return DiscreteMembrane(filled(0.0, shape, like), filled(0.0, shape, like))

    def step(self, state: DiscreteMembrane, x: Array) -> tuple[DiscreteMembrane, Array]:
        """State and spikes (bool) after one step of input `x`, in units of the threshold.

        Raises `InputError` for an input whose shape does not fit the state.
        """
        check_current(x, state.v)
        v = self.decay * state.v + x
        if self.refractory:
            v = np.where(state.wait > 0, state.v, v)
        spikes = (v >= 1.0) & (state.wait <= 0) if self.refractory else v >= 1.0
        after = self.v_reset if self.reset == "hard" else v - (1.0 - self.v_reset)
        wait = np.where(spikes, self.refractory, np.maximum(state.wait - 1, 0)) if self.refractory else state.wait
        return DiscreteMembrane(np.where(spikes, after, v), wait), spikes


class Discrete(NamedTuple):
    """A dimensionless neuron and what turns a current into its input: x = gain I, gain per ampere."""

    neuron: DiscreteLIF
    gain: float


def discrete(neuron: IF | LIF, dt: float) -> Discrete:
    """The dimensionless neuron that fires in the same steps of `dt` seconds, and its gain per ampere.

    Raises `InputError` for a refractory period that is no whole number of steps, and as `Neuron.step`.
    """
    dt = check_dt(dt, neuron.shortest, type(neuron).__name__)
    steps, reach = round(neuron.refractory / dt), neuron.v_threshold - neuron.v_rest
    if not math.isclose(steps * dt, neuron.refractory, rel_tol=1e-9):
        got = f"{neuron.refractory:g} s in steps of {dt:g} s"
        raise InputError("refractory", "must be a whole number of steps", got, "choose a step that divides it")
    decay = decay_of(neuron.tau, dt) if isinstance(neuron, LIF) else 1.0
    volts = neuron.resistance * (1 - decay) if isinstance(neuron, LIF) else dt / neuron.capacitance
    v_reset = (neuron.v_reset - neuron.v_rest) / reach
    return Discrete(DiscreteLIF(decay=decay, v_reset=v_reset, reset=neuron.reset, refractory=steps), volts / reach)


def decay_of(tau: float, dt: float) -> float:
    """Share of the potential left after a step, exp(-dt / tau), both in seconds. Raises `InputError` unless above 0."""
    for name, seconds in (("tau", tau), ("dt", dt)):
        if not (math.isfinite(seconds) and seconds > 0):
            raise InputError(name, "must be a positive time (seconds)", seconds)
    return float(decayed(dt, tau))


def tau_of(decay: float, dt: float) -> float:
    """Time constant, seconds, that leaves the share `decay` after a step of `dt` seconds: -dt / ln(decay).

    Raises `InputError` for a decay that is not between 0 and 1, or a step that is not positive.
    """
    if not 0 < decay < 1:
        raise InputError("decay", "must be above 0 and below 1 to have a time constant", decay)
    if not (math.isfinite(dt) and dt > 0):
        raise InputError("dt", "must be a positive time (seconds)", dt)
    return -dt / math.log(decay)
