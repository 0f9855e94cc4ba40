"""Batch normalisation with fixed statistics, measuring these, and folding them into the weights before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from cimsim.network.images import ImageLayer, Shape, check_image, times
from cimsim.network.layers import Layer, Product, Weighted, as_floats
from cimsim.network.network import Network, check_inputs
from device_models.errors import InputError
from device_models.window import Array

_ARRAYS = ("mean", "variance", "gain", "offset")


@dataclass(frozen=True, eq=False, repr=False)
class BatchNorm2d(ImageLayer):
    """Batch normalisation as it runs after training: `gain (x - mean) / sqrt(variance + epsilon) + offset` per channel.

    Ioffe and Szegedy, ICML 2015, Algorithm 2. `train` leaves all four alone; `normalized` measures mean and variance.
    A chip computes it digitally, one product and one sum per output, as it adds biases; `fold` puts it into the weights
    instead. Both are ways to build a chip: folded, the gains change how far weights use the conductance window.

    Attributes:
        mean, variance, gain, offset: one value per channel.
        in_shape: channels, height and width; after a Dense layer (n_out, 1, 1).
        epsilon: added to the variance.

    Raises:
        InputError: shapes that do not fit together, or a variance below 0.
    """

    arrays: ClassVar[tuple[str, ...]] = _ARRAYS
    mean: Array
    variance: Array
    gain: Array
    offset: Array
    in_shape: Shape
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_shape", check_image("BatchNorm2d.in_shape", self.in_shape))
        for name in _ARRAYS:
            object.__setattr__(self, name, as_floats(getattr(self, name)))
            found, expected = getattr(self, name).shape, self.in_shape[:1]
            if found != expected:
                rule = f"must hold one value per channel, shape {expected}"
                raise InputError(f"BatchNorm2d.{name}", rule, f"shape {found}", "match in_shape")
        lowest = float(np.min(self.variance))
        if not (self.epsilon >= 0 and lowest >= 0 and lowest + self.epsilon > 0):
            rule, remedy = "must be 0 or more, with an epsilon above 0", "pass the variance, not its root or logarithm"
            raise InputError("BatchNorm2d.variance", rule, lowest, remedy)

    def __repr__(self) -> str:
        return f"BatchNorm2d({times(self.in_shape)})"

    @classmethod
    def measured(cls, x: Array, in_shape: Shape, *, epsilon: float = 1e-5) -> BatchNorm2d:
        """The layer that gives samples like `x` (batch, n_in) mean 0 and variance 1 in every channel."""
        mean, variance = _statistics(x, in_shape[0])
        return cls(mean, variance, np.ones_like(mean), np.zeros_like(mean), in_shape, epsilon)

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """Each channel scaled and shifted."""
        scale, shift = (a[:, None].astype(x.dtype) for a in self.affine())
        return (x.reshape(len(x), self.in_shape[0], -1) * scale + shift).reshape(len(x), -1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` scaled as the channels are."""
        scale = self.affine()[0][:, None].astype(dy.dtype)
        return (dy.reshape(len(dy), self.in_shape[0], -1) * scale).reshape(len(dy), -1)

    def affine(self) -> tuple[Array, Array]:
        """Scale and shift of every channel, float64: `x * scale + shift`."""
        scale = self.gain / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        return scale, self.offset - self.mean * scale


def normalized(network: Network, x: Array) -> Network:
    """The network with each BatchNorm2d's mean and variance those of its inputs while the network sees `x`.

    The layers below are normalised first, so in one pass every channel has the gain and offset it was given. Raises
    `InputError` for an `x` that does not fit.
    """
    layers: list[Layer] = []
    x = network.own(check_inputs(x, network.n_in))
    for layer in network.layers:
        if isinstance(layer, BatchNorm2d):
            mean, variance = _statistics(x, layer.in_shape[0])
            layers.append(replace(layer, mean=mean, variance=variance))
        else:
            layers.append(layer)
        x = layers[-1].forward(x)
    return Network(tuple(layers))


def fold(network: Network) -> Network:
    """The same function without its BatchNorm2d layers: each becomes part of the weights and biases right before it.

    Exact but for rounding. Raises `InputError` for one that does not come right after a layer with weights.
    """
    layers: list[Layer] = []
    for i, layer in enumerate(network.layers):
        if not isinstance(layer, BatchNorm2d):
            layers.append(layer)
        elif layers and isinstance(layers[-1], Weighted):
            layers[-1] = _scaled(layers[-1], layer)
        else:
            rule = "must come right after a layer with weights to be folded into it"
            remedy = "move it there, or leave it: a chip computes it digitally"
            raise InputError(f"layers[{i}]", rule, f"after {layers[-1] if layers else 'nothing'}", remedy)
    return Network(tuple(layers))


def _scaled(layer: Weighted, norm: BatchNorm2d) -> Weighted:
    """A layer with the scale and shift after it in its weights."""
    places = layer.weight.shape[1] // norm.in_shape[0]  # columns of a channel: its pixels after a Dense layer, else one
    scale, shift = (np.repeat(a, places) for a in norm.affine())
    weight, bias = layer.weight * scale, layer.bias * scale + shift
    return layer.with_weights(weight.astype(layer.weight.dtype), bias.astype(layer.bias.dtype))


def _statistics(x: Array, channels: int) -> tuple[Array, Array]:
    """Mean and variance of every channel of `x` (batch, n_in), in its precision."""
    by_channel = x.reshape(len(x), channels, -1)
    mean, variance = (f(by_channel, axis=(0, 2), dtype=np.float64) for f in (np.mean, np.var))
    return mean.astype(x.dtype), variance.astype(x.dtype)
