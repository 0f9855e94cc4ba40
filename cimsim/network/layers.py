"""The layers of a network: frozen values whose matrix products may be done by someone else, a chip for instance.

The forward pass takes the product `v @ weight` as a callable, and the backward pass its transpose, so that the same
layer runs, and is differentiated, over exact products or over an analogue array's.
Arrays may be NumPy's, CuPy's or any that answer NumPy's functions; batches come first.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from cimsim.backend import is_array
from device_models.errors import InputError
from device_models.window import Array

Product = Callable[[Array], Array]


class Layer(abc.ABC):
    """One step of a network, `(batch, n_in) -> (batch, n_out)`."""

    @abc.abstractmethod
    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The output; a layer with weights multiplies its 2-D input by `product` (None: exactly)."""

    @abc.abstractmethod
    def backward(self, dy: Array, y: Array, transposed: Product | None = None) -> Array:
        """The loss gradient at the input, from that at the output, `dy`, and the output itself, `y`.

        `transposed(d) = d @ weight.T` is the product of a layer with weights (None: exactly).
        """


class Weighted(Layer):
    """A layer with one weight matrix, `weight` (rows, columns), one product with it, and a bias per output."""

    weight: Array
    bias: Array

    @property
    @abc.abstractmethod
    def n_in(self) -> int:
        """Features per sample at the input."""

    @property
    @abc.abstractmethod
    def n_out(self) -> int:
        """Features per sample at the output."""

    @abc.abstractmethod
    def gradient(self, x: Array, dy: Array) -> tuple[Array, Array]:
        """The loss gradients of weight and bias, from the layer's input and the gradient at its output."""

    @abc.abstractmethod
    def with_weights(self, weight: Array, bias: Array) -> Self:
        """The same layer with other weights of the same shapes."""

    def multiply(self, v: Array) -> Array:
        """The exact product `v @ weight`, (batch, rows) -> (batch, columns)."""
        return v @ self.weight

    def multiply_transposed(self, d: Array) -> Array:
        """The exact product `d @ weight.T`, (batch, columns) -> (batch, rows)."""
        return d @ self.weight.T


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Weighted):
    """A fully connected layer, `y = x @ weight + bias`: weight (n_in, n_out), bias (n_out,).

    Weights of float64 stay float64 and set the precision of what runs through them; any other type becomes float32.
    Raises `InputError` for wrong shapes.
    """

    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        weight = _floats(self.weight)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", _floats(self.bias).astype(weight.dtype, copy=False))
        _check_shapes(self.weight.shape, self.bias.shape)

    def __repr__(self) -> str:
        return f"Dense({self.n_in} -> {self.n_out})"

    @property
    def n_in(self) -> int:
        """Features per sample at the input."""
        return int(self.weight.shape[0])

    @property
    def n_out(self) -> int:
        """Features per sample at the output."""
        return int(self.weight.shape[1])

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`product(x) + bias`."""
        return (product or self.multiply)(x) + self.bias

    def backward(self, dy: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy @ weight.T`."""
        return (transposed or self.multiply_transposed)(dy)

    def gradient(self, x: Array, dy: Array) -> tuple[Array, Array]:
        """`x.T @ dy` and the sum of `dy` over the batch."""
        return x.T @ dy, dy.sum(axis=0)

    def with_weights(self, weight: Array, bias: Array) -> Dense:
        """A layer with these weights. Raises `InputError` if a shape changes."""
        if (weight.shape, bias.shape) != (self.weight.shape, self.bias.shape):
            rule = f"must keep the shapes {self.weight.shape} and {self.bias.shape}"
            raise InputError("Dense.with_weights", rule, f"{weight.shape} and {bias.shape}", "check their order")
        return Dense(weight, bias)


@dataclass(frozen=True)
class ReLU(Layer):
    """The rectifier, `max(x, 0)`."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`max(x, 0)`."""
        return np.maximum(x, 0)

    def backward(self, dy: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` where the output is positive, else 0."""
        return dy * (y > 0)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """The logistic function, `1 / (1 + exp(-x))`."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`1 / (1 + exp(-x))`, as a hyperbolic tangent: it does not overflow."""
        return 0.5 * (1 + np.tanh(0.5 * x))

    def backward(self, dy: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy y (1 - y)`."""
        return dy * (y * (1 - y))


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`tanh(x)`."""
        return np.tanh(x)

    def backward(self, dy: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy (1 - y^2)`."""
        return dy * (1 - y * y)


def _floats(x: Array) -> Array:
    """An array as it is if float32 or float64, else as float32."""
    x = x if is_array(x) else np.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)


def _check_shapes(weight: tuple[int, ...], bias: tuple[int, ...]) -> None:
    if len(weight) != 2 or 0 in weight:
        raise InputError("Dense.weight", "must be a matrix (n_in, n_out)", f"shape {weight}", "reshape it")
    if bias != weight[1:]:
        rule = f"must hold one value per output, shape {weight[1:]}"
        raise InputError("Dense.bias", rule, f"shape {bias}", "the weight's second axis is the output")
