"""The family of neurons, what each of them checks, and the loop over time steps."""

from __future__ import annotations

import abc
import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from cimsim.backend import is_array
from device_models.errors import InputError
from device_models.parameters import Variant
from device_models.window import Array

State = Any  # a named tuple of arrays of one shape, one value per neuron; `v` is the membrane potential in volts
Shape = tuple[int, ...]
Farads = Annotated[float, Field(gt=0, le=1.0, description="farads")]
Potential = Annotated[float, Field(ge=-20.0, le=20.0, description="volts")]


class Neuron(Variant):
    """A model of a neuron; every parameter and every state in SI units.

    All methods work element by element on arrays of any shape, batches first, of any library that answers NumPy's
    functions. A model of one's own gives `shortest`, `rest` and `advance`.
    """

    @property
    @abc.abstractmethod
    def shortest(self) -> float:
        """The shortest time constant, seconds: the longest time step allowed."""

    @abc.abstractmethod
    def rest(self, shape: Shape, like: Array | None = None) -> State:
        """The state before any input of `shape` neurons, beside `like` and of its type of floats (None: float64)."""

    @abc.abstractmethod
    def advance(self, state: State, current: Array, dt: float) -> tuple[State, Array]:
        """The law of one step, on input that has been checked: the new state and the spikes (bool)."""

    def step(self, state: State, current: Array, dt: float) -> tuple[State, Array]:
        """State and spikes (bool, one per neuron) after `dt` seconds of a constant current, amperes.

        Raises `InputError` for a time step that is not positive or longer than the shortest time constant, and for a
        current whose shape does not fit the state.
        """
        dt = check_dt(dt, self.shortest, type(self).__name__)
        check_current(current, state.v)
        return self.advance(state, current, dt)


class Trace(NamedTuple):
    """What neurons did: spikes (batch, steps, n) bool, potentials after each step (same shape, volts), last state."""

    spikes: Array
    v: Array
    state: State


def run(neuron: Neuron, current: Array, dt: float, state: State | None = None) -> Trace:
    """The neurons under currents (batch, steps, n), amperes, each held for `dt` seconds.

    They start from rest unless given a state.
    Raises `InputError` for currents of another shape or that are not finite, and as `Neuron.step`.
    """
    current = current if is_array(current) else np.asarray(current, dtype=float)
    if current.ndim != 3 or 0 in current.shape:
        raise InputError("current", "must have the axes (batch, steps, n)", f"shape {current.shape}", "reshape it")
    if not np.all(np.isfinite(current)):
        raise InputError("current", "must be finite (amperes)", "NaN or infinity", "check what made it")
    state = neuron.rest((current.shape[0], current.shape[2]), current) if state is None else state
    spikes, potentials = [], []
    for t in range(current.shape[1]):
        state, fired = neuron.step(state, current[:, t], dt)
        spikes.append(fired)
        potentials.append(state.v)
    return Trace(np.stack(spikes, axis=1), np.stack(potentials, axis=1), state)


def check_dt(dt: float, shortest: float, where: str) -> float:
    """The time step, seconds, as a Python number; raise `InputError` unless positive and at most `shortest` seconds."""
    if not (math.isfinite(dt) and dt > 0):
        raise InputError(where, "the time step must be positive (seconds)", dt)
    if dt > shortest:
        rule = f"the time step must be at most the shortest time constant, {shortest:g} s"
        raise InputError(where, rule, f"{dt:g} s", "shorten the step, or check the unit of both")
    return float(dt)  # a NumPy number would turn float32 arrays into float64


def check_current(current: Array, v: Array) -> None:
    """Raise `InputError` unless the current has one value per neuron, or one for several of them."""
    shape = np.shape(current)
    fits = len(shape) <= len(v.shape) and all(a in (1, b) for a, b in zip(shape[::-1], v.shape[::-1], strict=False))
    if not fits:
        raise InputError("current", f"must fit the neurons, shape {v.shape}", f"shape {shape}", "one value per neuron")


def filled(value: float, shape: Shape, like: Array | None) -> Array:
    """An array of one value beside `like`, of its type of floats."""
    if like is None or not is_array(like):
        return np.full(shape, value)
    kind = like.dtype if like.dtype.kind == "f" else np.dtype(float)
    return np.zeros(shape, dtype=kind, like=like) + value


def decayed(seconds: Array, tau: float) -> Array:
    """What is left after some seconds, exp(-seconds / tau): a plain number for one, so that float32 stays float32."""
    return math.exp(-seconds / tau) if isinstance(seconds, float | int) else np.exp(-seconds / tau)
