"""Pair-based STDP with traces, and its three-factor form: pure steps, state in and state out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from cimsim.backend import is_array
from cimsim.network.coding.spikes import as_spikes
from cimsim.network.neurons.base import check_dt, decayed, filled
from device_models.errors import InputError
from device_models.parameters import Parameters, Seconds
from device_models.window import Array


class Traces(NamedTuple):
    """What is left of the spikes of inputs `(batch, inputs)` and of neurons `(batch, neurons)`, each counting 1."""

    pre: Array
    post: Array


class PairSTDP(Parameters):
    """Every pair of an input's and a neuron's spike changes their weight by the time between the two.

    A neuron's spike s = t_post - t_pre after an input's adds a_plus exp(-s / tau_plus); one before takes
    a_minus exp(s / tau_minus); at equal times both. All pairs count, which two traces do exactly: a weight rises by
    a_plus times the trace of the input when the neuron fires, and falls by a_minus times the trace of the neuron when
    the input fires. Morrison, Diesmann and Gerstner, Biol. Cybern. 98, 459 (2008), Sec. 4.1.2.
    """

    tau_plus: Seconds = Field(default=20e-3, gt=0)
    tau_minus: Seconds = Field(default=20e-3, gt=0)
    a_plus: float = Field(default=0.01, ge=0, le=1e6, description="weight per pair")
    a_minus: float = Field(default=0.0105, ge=0, le=1e6, description="weight per pair")

    @property
    def shortest(self) -> float:
        """The shorter time constant, seconds: the longest time step allowed."""
        return min(self.tau_plus, self.tau_minus)

    def rest(self, batch: int, inputs: int, neurons: int, like: Array | None = None) -> Traces:
        """Traces of a long silence, beside `like` and of its type of floats (None: float64)."""
        return Traces(filled(0.0, (batch, inputs), like), filled(0.0, (batch, neurons), like))

    def step(self, traces: Traces, pre: Array, post: Array, dt: float) -> tuple[Traces, Array]:
        """Traces after a step of `dt` seconds, and the change of the weights `(inputs, neurons)` summed over the batch.

        `pre` `(batch, inputs)` and `post` `(batch, neurons)` are the spikes at the end of the step.
        Raises `InputError` for a time step that is not positive or longer than the shortest time constant, spikes that
        are not 0 or 1 or do not fit the traces.
        """
        traces, pre, post = self._met(traces, pre, post, dt)
        return traces, self.a_plus * (traces.pre.T @ post) - self.a_minus * (pre.T @ traces.post)

    def change(self, pre: Array, post: Array, dt: float) -> Array:
        """The change of the weights by whole rasters `(batch, steps, inputs)` and `(batch, steps, neurons)`, summed."""
        traces = self.rest(pre.shape[0], pre.shape[2], post.shape[2])
        total = np.zeros((pre.shape[2], post.shape[2]))
        for t in range(pre.shape[1]):
            traces, change = self.step(traces, pre[:, t], post[:, t], dt)
            total = total + change
        return total

    def _met(self, traces: Traces, pre: Array, post: Array, dt: float) -> tuple[Traces, Array, Array]:
        """Traces with the spikes of this step in them, and the spikes as numbers."""
        dt = check_dt(dt, self.shortest, type(self).__name__)
        fired = [
            _fitting(spikes, trace, name)
            for spikes, trace, name in ((pre, traces.pre, "pre"), (post, traces.post, "post"))
        ]
        met = Traces(
            traces.pre * decayed(dt, self.tau_plus) + fired[0], traces.post * decayed(dt, self.tau_minus) + fired[1]
        )
        return met, fired[0], fired[1]


class Eligibility(NamedTuple):
    """Traces of the spikes, and what pairs have left at each synapse of each sample, `(batch, inputs, neurons)`."""

    traces: Traces
    e: Array


class RewardSTDP(Parameters):
    """Three-factor STDP: pairs mark a synapse, and a reward turns what is left of the marks into a change.

    de/dt = -e / tau, a pair adds what `pairs` says; a reward r changes the weight by rate r e. Izhikevich, Cereb.
    Cortex 17, 2443 (2007); Fremaux and Gerstner, Front. Neural Circuits 9, 85 (2016).
    """

    pairs: PairSTDP = PairSTDP()
    tau: Seconds = Field(default=0.2, gt=0)
    rate: float = Field(default=1.0, gt=0, le=1e6)

    @property
    def shortest(self) -> float:
        """The shortest time constant, seconds."""
        return min(self.tau, self.pairs.shortest)

    def rest(self, batch: int, inputs: int, neurons: int, like: Array | None = None) -> Eligibility:
        """The state after a long silence."""
        return Eligibility(self.pairs.rest(batch, inputs, neurons, like), filled(0.0, (batch, inputs, neurons), like))

    def step(self, state: Eligibility, pre: Array, post: Array, reward: Array, dt: float) -> tuple[Eligibility, Array]:
        """State after a step of `dt` seconds, and the change of the weights, summed over the batch.

        `reward` `(batch,)` is that of the step's end, any sign, 0 for none. Raises `InputError` as `PairSTDP.step`, and
        for rewards that are not finite or do not fit.
        """
        dt = check_dt(dt, self.shortest, type(self).__name__)
        reward = reward if is_array(reward) else np.asarray(reward, dtype=float)
        if reward.shape != state.e.shape[:1] or not bool(np.all(np.isfinite(reward))):
            rule = f"must be finite, one per sample, shape {state.e.shape[:1]}"
            raise InputError("reward", rule, f"shape {reward.shape}")
        traces, fired, answered = self.pairs._met(state.traces, pre, post, dt)
        up, down = traces.pre[:, :, None] * answered[:, None, :], fired[:, :, None] * traces.post[:, None, :]
        e = state.e * decayed(dt, self.tau) + self.pairs.a_plus * up - self.pairs.a_minus * down
        return Eligibility(traces, e), self.rate * np.sum(reward[:, None, None] * e, axis=0)


def whole_pulses(change: Array, step: float, rng: Any) -> Array:
    """Signed pulses, int64, that make `change` in the mean, a pulse making `step`: rounded up or down by chance.

    What `Pulser.pulse` sends to a chip's matrix, with its `weight_step`. Raises `InputError` for a step of 0 or less.
    """
    if not (math.isfinite(step) and step > 0):
        raise InputError("whole_pulses.step", "must be positive", step, "take matrix.weight_step")
    wanted = change / step
    whole = np.floor(wanted)
    return (whole + (rng.random(wanted.shape) < wanted - whole)).astype(np.int64)


def _fitting(spikes: Array, trace: Array, name: str) -> Array:
    """Spikes as numbers of the trace's type. Raises `InputError` where they are none or do not fit."""
    fired = as_spikes(spikes)
    if fired.shape != trace.shape:
        raise InputError(name, f"must have the shape of its traces, {trace.shape}", f"shape {fired.shape}")
    return fired.astype(trace.dtype)
