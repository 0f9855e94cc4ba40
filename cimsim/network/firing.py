"""Layers with time: neurons, leaky integrators, and read-outs.

Time is folded into the batch: a sample is `steps` consecutive vectors, `(batch * steps, features)`, so a layer with
weights reads all steps of a layer at once and knows nothing of time.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cimsim.kernels.laws import Membrane
from cimsim.kernels.membrane import adjoint, integrate
from cimsim.network.coding.readout import potential
from cimsim.network.layers import Layer, Product
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.surrogates import ArcTan, Surrogate
from device_models.errors import InputError
from device_models.window import Array

ARCTAN = ArcTan()
NEURON = DiscreteLIF(decay=0.9)


class Timed(Layer):
    """A layer that sees `steps` vectors as one sample."""

    steps: int

    def by_sample(self, x: Array) -> Array:
        """The vectors as (batch, steps, features). Raises `InputError` for vectors that make no whole samples."""
        if len(x) % self.steps:
            raise InputError(type(self).__name__, f"must be given samples of {self.steps} vectors each", len(x))
        return x.reshape(-1, self.steps, x.shape[-1])


@dataclass(frozen=True)
class Spiking(Timed):
    """Neurons, one per feature: input currents to spikes, 0 and 1, in units of the threshold.

    Attributes:
        steps: time steps of a sample.
        neuron: the law of the membranes.
        surrogate: what stands for the derivative of a spike in `backward`.
        start: potential before the first step; 0.5 rounds the number of spikes to the nearest (Deng and Gu, ICLR 2021).

    Raises:
        InputError: a start from the threshold on.
    """

    steps: int
    neuron: DiscreteLIF
    surrogate: Surrogate = ARCTAN
    start: float = 0.0

    def __post_init__(self) -> None:
        if not self.start < 1:
            raise InputError("Spiking.start", "must be below the threshold, 1", self.start, "0.5 is half-way")

    def __repr__(self) -> str:
        return f"Spiking({self.steps} steps)"

    @property
    def membrane(self) -> Membrane:
        """The law as the kernels take it."""
        return Membrane(
            self.neuron.decay, self.neuron.v_reset, self.neuron.reset == "soft", self.neuron.refractory, self.start
        )

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The spikes of input currents, from rest."""
        return integrate(self.by_sample(x), self.membrane)[1].reshape(x.shape)

    def potentials(self, x: Array) -> Array:
        """The potentials of input currents after each step, before any reset: at 1 or more the neuron fires."""
        return integrate(self.by_sample(x), self.membrane)[0].reshape(x.shape)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """Backpropagation through time with the surrogate in place of the derivative of a spike."""
        v, spikes = integrate(self.by_sample(x), self.membrane)
        slope = self.surrogate.derivative(v - 1).astype(v.dtype, copy=False)
        return adjoint(self.by_sample(dy), slope, v, spikes, self.membrane).reshape(x.shape)


@dataclass(frozen=True)
class Integrating(Timed):
    """Leaky integrators that never fire: input currents to potentials, u <- decay u + x."""

    steps: int
    decay: float

    def __repr__(self) -> str:
        return f"Integrating({self.steps} steps)"

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The potentials after each step."""
        v = self.by_sample(x).copy()
        for t in range(1, self.steps):
            v[:, t] += self.decay * v[:, t - 1]
        return v.reshape(x.shape)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """The same leak, backwards in time."""
        d = self.by_sample(dy).copy()
        for t in reversed(range(self.steps - 1)):
            d[:, t] += self.decay * d[:, t + 1]
        return d.reshape(dy.shape)


class Readout(Timed, abc.ABC):
    """What is read from the steps of a sample, `(batch * steps, n)` to `(batch, n)`: larger is more likely."""


@dataclass(frozen=True)
class Count(Readout):
    """The number of spikes."""

    steps: int

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The sum over the steps."""
        return self.by_sample(x).sum(axis=1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` at every step."""
        return np.repeat(dy, self.steps, axis=0)


@dataclass(frozen=True)
class FirstSpike(Readout):
    """Minus the step of the first spike, `-steps` where there is none.

    The step is the number of steps up to which there was no spike, a sum of products of 1 - s, whose derivative is
    exact and says of every step before the first spike what a spike there would have gained.
    """

    steps: int

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """Minus the number of steps before the first spike."""
        return -np.cumprod(1 - self.by_sample(x), axis=1).sum(axis=1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` times the steps without a spike that a spike at each step takes away."""
        silent = 1 - self.by_sample(x)
        d = np.empty_like(silent)
        d[:, 0], d[:, 1:] = 1, np.cumprod(silent[:, :-1], axis=1)
        after = np.ones_like(silent[:, 0])
        for t in reversed(range(self.steps)):
            d[:, t] *= after * dy
            after = 1 + silent[:, t] * after
        return d.reshape(x.shape)


@dataclass(frozen=True)
class Potential(Readout):
    """The potential after the last step, the largest, or the mean over the steps."""

    steps: int
    how: Literal["last", "max", "mean"] = "last"

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The potentials (batch, n). Raises `InputError` for another `how`."""
        return potential(self.by_sample(x), self.how)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` at the step that was read, or a share of it at each."""
        if self.how == "mean":
            return np.repeat(dy / self.steps, self.steps, axis=0)
        v, step = self.by_sample(x), np.arange(self.steps, like=x)[:, None]
        read = self.steps - 1 if self.how == "last" else np.argmax(v, axis=1)[:, None, :]
        return ((step == read) * dy[:, None, :]).astype(x.dtype, copy=False).reshape(x.shape)
