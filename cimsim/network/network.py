"""The float network: forward and gradients over any matrix products, exact ones or a chip's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from cimsim.backend import Backend, is_array, to_device, to_host, to_library_of
from cimsim.network.layers import Dense, Layer, Product, ReLU, Sigmoid, Tanh, Weighted
from device_models.errors import InputError, suggestion
from device_models.streams import Streams
from device_models.window import Array

_CHUNK = 1024  # samples per pass of `predict`: memory stays flat and the activations in the cache
_ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward classifier: layers in order, the last output being one logit per class.

    Runs on the arrays its weights are made of and in their precision (float32 from `mlp`); an `x` held elsewhere is
    moved there. Raises `InputError` if the layers do not chain or a weight is not finite.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.weighted:
            raise InputError("Network.layers", "must hold a layer with weights", len(self.layers), "add a Dense layer")
        _check_chain(self.layers)
        for i, layer in enumerate(self.layers):
            for name in ("weight", "bias") if isinstance(layer, Weighted) else ():
                _check_finite(f"layers[{i}].{name}", getattr(layer, name), "check where the values come from")

    @cached_property
    def weighted(self) -> tuple[Weighted, ...]:
        """The layers with weights, in order: those a chip can run."""
        return tuple(layer for layer in self.layers if isinstance(layer, Weighted))

    @property
    def weights(self) -> tuple[Array, ...]:
        """The weight matrices of the weighted layers."""
        return tuple(layer.weight for layer in self.weighted)

    @property
    def n_in(self) -> int:
        """Features per sample."""
        return self.weighted[0].n_in

    @property
    def n_out(self) -> int:
        """Classes."""
        return self.weighted[-1].n_out

    def forward(self, x: Array, products: Sequence[Product] | None = None) -> Array:
        """The logits (batch, n_out) of `x` (batch, n_in).

        `products` holds one callable `v -> v @ weight` per weighted layer; None multiplies exactly.
        Raises `InputError` for an `x` of another shape or with NaN or infinite values.
        """
        return self._outputs(self._own(check_inputs(x, self.n_in)), self._products(products))[-1]

    def activations(self, x: Array, products: Sequence[Product] | None = None) -> tuple[list[Array], Array]:
        """What each weighted layer's product is given, (batch, rows), and the logits. Else as `forward`."""
        seen: list[Array] = []

        def recorded(product: Product) -> Product:
            def record(v: Array) -> Array:
                seen.append(v)
                return product(v)

            return record

        logits = self.forward(x, [recorded(product) for product in self._products(products)])
        return seen, logits

    def gradients(
        self, x: Array, y: Array, products: Sequence[Product] | None = None, transposed: Sequence[Product] | None = None
    ) -> tuple[Array, list[tuple[Array, Array]]]:
        """The batch's mean softmax cross-entropy and its gradients `(d_weight, d_bias)`, one pair per weighted layer.

        `y` (batch,) holds integer labels. `products` are those of `forward`; `transposed` holds one callable
        `d -> d @ weight.T` per weighted layer (None: exact; the first is never called).
        Shapes are checked; values are not, because this is the inner step of training, which checks its data once.
        """
        _check_shape(x.shape, self.n_in)
        if y.shape != x.shape[:1]:
            raise InputError("y", f"must hold one label per sample, shape {x.shape[:1]}", f"shape {y.shape}", "match x")
        x = self._own(x)
        outputs = self._outputs(x, self._products(products))
        loss, dy = softmax_cross_entropy(outputs[-1], to_library_of(y, outputs[-1]))
        return loss, self._backpropagated([x, *outputs], dy, self._products(transposed, "multiply_transposed"))

    def predict(self, x: Array, seed: int = 0) -> np.ndarray:
        """The labels (batch,) int64 of `x`, on the host. A float network draws nothing: `seed` changes nothing."""
        x, products = check_inputs(x, self.n_in), self._products(None)

        def labels(chunk: Array) -> np.ndarray:
            return to_host(np.argmax(self._outputs(self._own(chunk), products)[-1], axis=1))

        return np.concatenate([labels(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)])

    def with_weights(self, pairs: Sequence[tuple[Array, Array]]) -> Network:
        """The same network with other `(weight, bias)` pairs, one per weighted layer, of the same shapes."""
        if len(pairs) != len(self.weighted):
            rule = f"must get one (weight, bias) pair for each of {len(self.weighted)} weighted layers"
            raise InputError("Network.with_weights", rule, f"{len(pairs)} pairs", "give every layer's")
        new = iter(pairs)
        return Network(tuple(a.with_weights(*next(new)) if isinstance(a, Weighted) else a for a in self.layers))

    def to(self, backend: Backend) -> Network:
        """The same network with its weights on the named back end, "numpy" or "cupy"."""
        return self.with_weights([(to_device(a.weight, backend), to_device(a.bias, backend)) for a in self.weighted])

    def _own(self, x: Array) -> Array:
        """`x` in the library and precision of the weights."""
        weight = self.weighted[0].weight
        return to_library_of(x, weight).astype(weight.dtype, copy=False)

    def _products(self, given: Sequence[Product] | None, exact: str = "multiply") -> list[Product]:
        """One callable per weighted layer: those given, else the layers' own."""
        if given is None:
            return [getattr(layer, exact) for layer in self.weighted]
        if len(given) != len(self.weighted):
            rule = f"must hold one callable for each of {len(self.weighted)} weighted layers"
            raise InputError("products", rule, f"{len(given)} callables", "give one for every layer")
        return list(given)

    def _outputs(self, x: Array, products: list[Product]) -> list[Array]:
        """The output of every layer in turn."""
        outputs, remaining = [x], iter(products)
        for layer in self.layers:
            product = next(remaining) if isinstance(layer, Weighted) else None
            outputs.append(layer.forward(outputs[-1], product))
        return outputs[1:]

    def _backpropagated(self, values: list[Array], dy: Array, transposed: list[Product]) -> list[tuple[Array, Array]]:
        """The gradients of the weighted layers. `values`: the input and every output; `dy`: at the last output.

        Stops at the first weighted layer: nothing below it learns, and its transposed product is the largest.
        """
        gradients: list[tuple[Array, Array]] = []
        remaining = iter(reversed(transposed))
        for i in reversed(range(len(self.layers))):
            layer = self.layers[i]
            if isinstance(layer, Weighted):
                gradients.append(layer.gradient(values[i], dy))
                if len(gradients) == len(transposed):
                    break
            dy = layer.backward(dy, values[i + 1], next(remaining) if isinstance(layer, Weighted) else None)
        return gradients[::-1]


def mlp(sizes: Sequence[int], *, activation: str = "relu", seed: int = 0) -> Network:
    """A multilayer perceptron: Dense layers of these sizes with an activation ("relu", "sigmoid", "tanh") between them.

    Weights float32, normal with mean 0 and variance 2 / n_in for "relu" (He et al., ICCV 2015), 2 / (n_in + n_out)
    else (Glorot and Bengio, AISTATS 2010); biases 0. Raises `InputError` for bad sizes or an unknown activation.
    """
    if len(sizes) < 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise InputError("mlp.sizes", "must be two or more integers above 0", list(sizes), "for digits, [64, 32, 10]")
    if activation not in _ACTIVATIONS:
        raise InputError("mlp.activation", "unknown activation", activation, suggestion(activation, list(_ACTIVATIONS)))
    layers: list[Layer] = []
    for i, (n_in, n_out) in enumerate(pairwise(map(int, sizes))):
        variance = 2 / n_in if activation == "relu" else 2 / (n_in + n_out)
        normal = Streams(seed).at("mlp", "layer", i).rng("weight").standard_normal((n_in, n_out), dtype=np.float32)
        layers += [Dense(normal * np.float32(variance**0.5), np.zeros(n_out, np.float32)), _ACTIVATIONS[activation]()]
    return Network(tuple(layers[:-1]))


def softmax_cross_entropy(logits: Array, y: Array) -> tuple[Array, Array]:
    """The mean of -log softmax(logits)[label] over the batch, and its gradient with respect to the logits.

    Logits (batch, classes), integer labels (batch,). The row's largest logit is subtracted first: nothing overflows.
    """
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    odds = np.exp(shifted)
    total = np.sum(odds, axis=1, keepdims=True)
    hit = y[:, None] == np.arange(logits.shape[1], like=y)
    loss = np.mean(np.log(total[:, 0]) - np.sum(shifted * hit, axis=1))
    return loss, (odds / total - hit) / len(logits)


def check_inputs(x: Array, n_in: int) -> Array:
    """`x` as an array of finite numbers (batch, n_in). Raises `InputError` if it is not one."""
    x = x if is_array(x) else np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise InputError("x", "must hold real numbers", f"type {x.dtype}", "convert it with x.astype(np.float32)")
    _check_shape(x.shape, n_in)
    _check_finite("x", x, "remove or fill these values first")
    return x


def _check_shape(shape: tuple[int, ...], n_in: int) -> None:
    if len(shape) != 2 or shape[1] != n_in or shape[0] == 0:
        rule = f"must have {n_in} features per sample (batch, {n_in})"
        remedy = "pass x[None, :] for one sample" if shape == (n_in,) else f"reshape to (-1, {n_in}) or fit the network"
        raise InputError("x", rule, f"shape {shape}", remedy)


def _check_finite(where: str, x: Array, remedy: str) -> None:
    """NaN and infinity show in the smallest or largest value, found without a mask the size of `x`."""
    if not (np.isfinite(np.min(x)) and np.isfinite(np.max(x))):
        bad = int(np.sum(~np.isfinite(x)))
        raise InputError(where, "must be finite", f"{bad} NaN or infinite values of {x.size}", remedy)


def _check_chain(layers: tuple[Layer, ...]) -> None:
    places = [(i, layer) for i, layer in enumerate(layers) if isinstance(layer, Weighted)]
    for (i, before), (j, after) in pairwise(places):
        if before.n_out != after.n_in:
            rule = f"must take the {before.n_out} outputs of layers[{i}]"
            raise InputError(f"layers[{j}]", rule, f"{after.n_in} inputs", "change one of the two")
