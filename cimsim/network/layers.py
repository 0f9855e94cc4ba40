"""The layers of a network: frozen values whose matrix products may be done by someone else, a chip for instance.

The forward pass takes the product `v @ weight` as a callable, and the backward pass its transpose, so that the same
layer runs, and is differentiated, over exact products or over an analogue array's.
Arrays may be NumPy's, CuPy's or any that answer NumPy's functions; batches come first.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from cimsim.backend import is_array
from device_models.errors import InputError
from device_models.window import Array

Product = Callable[[Array], Array]


class Layer(abc.ABC):
    """One step of a network, `(batch, n_in) -> (batch, n_out)`; `arrays` names the attributes that are arrays."""

    arrays: ClassVar[tuple[str, ...]] = ()

    @property
    def n_in(self) -> int | None:
        """Features per sample at the input; None: any number, and the output has as many."""
        return None

    @property
    def n_out(self) -> int | None:
        """Features per sample at the output; None: as many as at the input."""
        return None

    @abc.abstractmethod
    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The output; a layer with weights multiplies its 2-D input by `product` (None: exactly)."""

    @abc.abstractmethod
    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """The loss gradient at the input `x`, from that at the output `y`, `dy`.

        `transposed(d) = d @ weight.T` is the product of a layer with weights (None: exactly).
        """

    def moved(self, move: Callable[[Array], Array]) -> Self:
        """The layer with its arrays passed through `move` (to another back end)."""
        return self._changed(**{name: move(getattr(self, name)) for name in self.arrays})

    def _changed(self, **arrays: Array) -> Self:
        # Layers are dataclasses; the abstract ones above them cannot say so.
        return replace(self, **arrays) if arrays else self  # type: ignore[type-var]


class Weighted(Layer):
    """A layer with one weight matrix, `weight` (rows, columns), products with it, and a bias per column.

    The matrix meets `reads_per_sample` vectors of a sample: one, or one per patch of an image.
    """

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Array
    bias: Array

    def __post_init__(self) -> None:
        """Weights as floats, biases in the same precision."""
        weight = as_floats(self.weight)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", as_floats(self.bias).astype(weight.dtype, copy=False))

    def check_bias(self, output: str = "output") -> None:
        """Raise `InputError` unless there is a bias for each column of the weights, an `output`."""
        shape = self.weight.shape[1:]
        if self.bias.shape != shape:
            rule, remedy = (
                f"must hold one value per {output}, shape {shape}",
                f"the weight's second axis is the {output}",
            )
            raise InputError(f"{type(self).__name__}.bias", rule, f"shape {self.bias.shape}", remedy)

    @property
    @abc.abstractmethod
    def n_in(self) -> int:
        """Features per sample at the input."""

    @property
    @abc.abstractmethod
    def n_out(self) -> int:
        """Features per sample at the output."""

    @abc.abstractmethod
    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """The loss gradients of weight and bias, from the layer's input and the gradient of `unrolled` at its output.

        `y`: as in `vectors`.
        """

    @property
    def reads_per_sample(self) -> int:
        """Vectors of a sample that its matrix multiplies."""
        return 1

    @property
    def calls(self) -> int:
        """Calls of its product in which the vectors of a sample come: more than 1 where they follow from each other.

        The transposed product is then called in the opposite order.
        """
        return 1

    @property
    def mask(self) -> Array | None:
        """1 where the matrix holds weights and 0 where it has none to learn; None: weights everywhere."""
        return None

    def vectors(self, x: Array, y: Array | None = None) -> Iterator[Array]:
        """What its product is given for samples `x`: parts `(samples * reads_per_sample, rows)`, one per call.

        `y` is its output, of which a layer that feeds back on itself is given a part (None: that of exact products).
        """
        yield x

    def unrolled(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> tuple[Array, Array | None]:
        """The loss gradient at its output with what comes around through the layer itself, and that at its input.

        Of a layer that feeds nothing back `dy`, and None: `backward` knows. Arguments as those of `backward`.
        """
        return dy, None

    def errors(self, dy: Array) -> Iterator[Array]:
        """The loss gradient at its product's outputs, from that of `unrolled`: `(samples * reads_per_sample, columns)`.

        In the parts of `vectors`.
        """
        yield dy

    def with_weights(self, weight: Array, bias: Array) -> Self:
        """The same layer with these weights. Raises `InputError` if a shape changes."""
        if (weight.shape, bias.shape) != (self.weight.shape, self.bias.shape):
            rule = f"must keep the shapes {self.weight.shape} and {self.bias.shape}"
            where = f"{type(self).__name__}.with_weights"
            raise InputError(where, rule, f"{weight.shape} and {bias.shape}", "check their order")
        return self._changed(weight=weight, bias=bias)

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
        super().__post_init__()
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            rule = "must be a matrix (n_in, n_out)"
            raise InputError("Dense.weight", rule, f"shape {self.weight.shape}", "reshape it")
        self.check_bias()

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

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy @ weight.T`."""
        return (transposed or self.multiply_transposed)(dy)

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """`x.T @ dy` and the sum of `dy` over the batch."""
        return x.T @ dy, dy.sum(axis=0)


@dataclass(frozen=True, eq=False, repr=False)
class Unbiased(Dense):
    """A fully connected layer without biases, `y = x @ weight`: its `bias` has no effect and learns nothing."""

    def __repr__(self) -> str:
        return f"Unbiased({self.n_in} -> {self.n_out})"

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`product(x)`."""
        return (product or self.multiply)(x)

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """`x.T @ dy` and zeros."""
        return x.T @ dy, np.zeros_like(self.bias)


@dataclass(frozen=True)
class ReLU(Layer):
    """The rectifier, `max(x, 0)`."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`max(x, 0)`."""
        return np.maximum(x, 0)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` where the output is positive, else 0."""
        return dy * (y > 0)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """The logistic function, `1 / (1 + exp(-x))`."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`1 / (1 + exp(-x))`, as a hyperbolic tangent: it does not overflow."""
        return 0.5 * (1 + np.tanh(0.5 * x))

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy y (1 - y)`."""
        return dy * (y * (1 - y))


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """`tanh(x)`."""
        return np.tanh(x)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy (1 - y^2)`."""
        return dy * (1 - y * y)


@dataclass(frozen=True)
class Heaviside(Layer):
    """A comparator with zero: 1 for `x >= 0`, else 0.

    Its slope is 0 wherever it has one. Training takes 1 for it where |x| <= 1, and 0 beyond (the straight-through
    estimator of Hubara et al., NIPS 2016, Eq. (4)).
    """

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """1 or 0, in the precision of `x`."""
        return (x >= 0).astype(x.dtype)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` where |x| <= 1, else 0."""
        return dy * (np.abs(x) <= 1)


def as_floats(x: Array) -> Array:
    """The array as it is if float32 or float64, else as float32."""
    x = x if is_array(x) else np.asarray(x)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
