"""What training adds for spiking networks: a penalty on firing rates, and inputs held for all steps multiplied once.

Surrogate gradients belong to the neurons (`network/firing.py`), the loss to the read-out: the softmax cross-entropy of
counts, of minus the times of first spikes, or of potentials. So `train` takes a spiking network like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from cimsim.network.coding.rate import Direct
from cimsim.network.firing import Spiking
from cimsim.network.layers import Dense, Layer, Product
from cimsim.network.network import Network
from device_models.errors import InputError
from device_models.parameters import Fraction, Parameters, RuleBroken
from device_models.window import Array


class RatePenalty(Parameters):
    """A cost of firing rates outside `low` to `high` spikes per step.

    Added to the loss for every layer of neurons: `strength` times the mean over neurons of the square of what their
    rate, the mean over steps and batch, lacks or exceeds. As in Zenke and Vogels, Neural Comput. 33, 899 (2021).
    """

    low: Fraction = 0.01
    high: Fraction = 0.5
    strength: Annotated[float, Field(gt=0.0, le=1e6)] = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise RuleBroken("low must be below high (spikes per step)", "exchange them", f"{self.low} and {self.high}")
        return self

    def loss(self, spikes: Array) -> float:
        """The cost of spikes (batch * steps, n)."""
        return float(self.strength * np.mean(np.square(self._excess(spikes))))

    def gradient(self, spikes: Array) -> Array:
        """Its gradient at the spikes, the same at every step: (n,)."""
        return 2 * self.strength / spikes.size * self._excess(spikes)

    def _excess(self, spikes: Array) -> Array:
        """What each neuron's rate is above `high`, or (negative) below `low`."""
        rate = np.mean(spikes, axis=0)
        return np.maximum(rate - self.high, 0) - np.maximum(self.low - rate, 0)


@dataclass(frozen=True)
class Penalised(Layer):
    """Neurons whose backward pass adds the gradient of a penalty on their rates."""

    neurons: Spiking
    penalty: RatePenalty

    @property
    def steps(self) -> int:
        """Time steps of a sample."""
        return self.neurons.steps

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The neurons' spikes."""
        return self.neurons.forward(x)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """The neurons' backward pass of both gradients."""
        return self.neurons.backward(dy + self.penalty.gradient(y).astype(dy.dtype, copy=False), x, y)


@dataclass(frozen=True, eq=False, repr=False)
class Held(Dense):
    """A first layer that is given the same vector in every step, as by the code `Direct`: one product serves them all.

    So the largest product of a training takes as long as without time. On a chip every step is a read of its own.
    """

    steps: int = 1

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The output for the first step of each sample, at every step."""
        return np.repeat(super().forward(x[:: self.steps], product), self.steps, axis=0)

    def vectors(self, x: Array, y: Array | None = None) -> Iterator[Array]:
        """The vector of each sample."""
        yield x[:: self.steps]

    def errors(self, dy: Array) -> Iterator[Array]:
        """The sum of the errors of all steps."""
        yield dy.reshape(-1, self.steps, dy.shape[1]).sum(axis=1)

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """The loss gradients of weight and bias, those at the output summed over the steps first."""
        return super().gradient(next(self.vectors(x)), next(self.errors(dy)))


def prepared(net: Network, penalty: RatePenalty | None) -> Network:
    """The network to train: the same function, quicker, with the penalty in its backward pass.

    Raises `InputError` for a penalty on a network without neurons that fire.
    """
    first, *rest = net.layers
    if isinstance(net.code, Direct) and type(first) is Dense:
        first = Held(first.weight, first.bias, net.code.steps)
    if penalty is None:
        return net.with_layers([first, *rest])
    if not any(isinstance(layer, Spiking) for layer in rest):
        raise InputError("train.rates", "needs a network with spiking neurons", "none", "build it with snn")
    return net.with_layers([first, *(Penalised(a, penalty) if isinstance(a, Spiking) else a for a in rest)])


def restored(net: Network) -> Network:
    """The network that was prepared, with its weights as they are now."""
    return net.with_layers([_restored(layer) for layer in net.layers])


def _restored(layer: Layer) -> Layer:
    if isinstance(layer, Held):
        return Dense(layer.weight, layer.bias)
    return layer.neurons if isinstance(layer, Penalised) else layer
