"""The float network: forward and gradients over any matrix products, exact ones or a chip's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cimsim.backend import Backend, is_array, to_device, to_host, to_library_of
from cimsim.network.coding.base import Code, SampleDraws
from cimsim.network.layers import Dense, Heaviside, Layer, Product, ReLU, Sigmoid, Tanh, Unbiased, Weighted
from device_models.errors import InputError, suggestion
from device_models.streams import Streams
from device_models.window import Array

_SAMPLES, _READS = 1024, 2**15  # at most, in one pass: memory stays flat and the activations in the cache
ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "step": Heaviside, "tanh": Tanh}


class LayerPass(NamedTuple):
    """A layer, its input and its output."""

    layer: Layer
    x: Array
    y: Array


class LayerRanges(NamedTuple):
    """Ranges of a layer's converters, low and high: of its inputs, and of the sums its tiles deliver, in its units.

    None: there is no such converter. One range serves all of a layer's ADCs.
    """

    inputs: tuple[float, float]
    sums: tuple[float, float] | None


@dataclass(frozen=True)
class Signals:
    """What a batch says of a network's weighted layers, from number `lowest` up.

    Attributes:
        logits: `(batch, classes)`.
        loss: mean softmax cross-entropy of the batch.
        layers: all weighted layers.
        x: input of each layer, by its number.
        y: its output.
        d: gradient of the loss at its output, with what comes around through the layer itself.
    """

    logits: Array
    loss: Array
    layers: tuple[Weighted, ...]
    x: dict[int, Array]
    y: dict[int, Array]
    d: dict[int, Array]

    def given(self, k: int) -> Array:
        """What the matrix of a layer was given, `(reads, rows)`."""
        return joined(self.layers[k].vectors(self.x[k], self.y[k]))

    def error(self, k: int) -> Array:
        """The gradient of the loss at the outputs of its product, `(reads, columns)`."""
        return joined(self.layers[k].errors(self.d[k]))

    def gradients(self) -> list[tuple[Array, Array]]:
        """Those of weight and bias of each layer."""
        return [self.layers[k].gradient(self.x[k], self.d[k], self.y[k]) for k in sorted(self.x)]


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward classifier: layers in order, the last output being one logit per class.

    With a `code` it is a spiking one: samples are values that the code turns into spikes, one vector per time step, and
    time is folded into the batch, `(batch * steps, features)`, up to a read-out (see `firing.py`).

    `ranges` holds those of converters it was trained with, one entry per weighted layer, or None; `program` uses them.

    Runs on the arrays its weights are made of and in their precision (float32 from `mlp`); an `x` held elsewhere is
    moved there. Raises `InputError` if the layers do not chain, differ in their steps, or a weight is not finite.
    """

    layers: tuple[Layer, ...]
    code: Code | None = None
    ranges: tuple[LayerRanges, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.weighted:
            raise InputError("Network.layers", "must hold a layer with weights", len(self.layers), "add a Dense layer")
        _check_chain(self.layers)
        _check_steps(self.layers, self.code)
        if self.ranges is not None and len(self.ranges) != len(self.weighted):
            rule = f"must hold an entry for each of {len(self.weighted)} weighted layers"
            raise InputError("Network.ranges", rule, f"{len(self.ranges)} entries", "give None, and calibrate the chip")
        for i, layer in enumerate(self.layers):
            for name in layer.arrays:
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
        return next(n for n in (layer.n_in for layer in self.layers) if n is not None)

    @property
    def n_out(self) -> int:
        """Classes."""
        return next(n for n in (layer.n_out for layer in reversed(self.layers)) if n is not None)

    @property
    def steps(self) -> int:
        """Vectors that a sample becomes: time steps, or 1."""
        return 1 if self.code is None else self.code.steps

    @property
    def reads(self) -> tuple[int, ...]:
        """Vectors of a sample that each weighted layer's matrix multiplies."""
        return tuple(self.steps * layer.reads_per_sample for layer in self.weighted)

    @property
    def reads_per_call(self) -> tuple[int, ...]:
        """Of these, the ones in one call of the layer's product."""
        return tuple(n // layer.calls for n, layer in zip(self.reads, self.weighted, strict=True))

    @cached_property
    def part(self) -> int:
        """Samples that are best run at once: 1024, fewer where a layer reads many times for a sample."""
        return max(1, min(_SAMPLES, _READS // max(self.reads)))

    def check(self, x: Array) -> Array:
        """The samples as an array: finite numbers (batch, n_in), or what the code takes. Raises `InputError`."""
        if self.code is None:
            return check_inputs(x, self.n_in)
        x = self.code.check(x)
        self._check_samples(x)
        return x

    def entered(self, x: Array, seed: int = 0, row: int = 0) -> Array:
        """What the first layer is given for checked samples, (batch * steps, n_in) in the weights' precision.

        `seed` and the number of a sample, `row` for the first, fix what a code draws for it; without a code nothing is.
        """
        if self.code is None:
            return self.own(x)
        x = to_library_of(x, self.weights[0])
        spikes = self.code.encode(x, SampleDraws(x, seed, row))
        return self.own(spikes.reshape(-1, self.n_in))

    def forward(self, x: Array, products: Sequence[Product] | None = None, *, seed: int = 0, row: int = 0) -> Array:
        """The logits (batch, n_out) of `x` (batch, n_in).

        `products` holds one callable `v -> v @ weight` per weighted layer; None multiplies exactly. `seed`, `row`: as
        `entered`. Raises `InputError` for an `x` of another shape or with NaN or infinite values.
        """
        return self._outputs(self.entered(self.check(x), seed, row), self._products(products))[-1]

    def trace(
        self, x: Array, products: Sequence[Product] | None = None, *, seed: int = 0, row: int = 0
    ) -> list[LayerPass]:
        """Every layer in turn with what it was given and what it gave. Else as `forward`."""
        entered = self.entered(self.check(x), seed, row)
        outputs = self._outputs(entered, self._products(products))
        return [LayerPass(*seen) for seen in zip(self.layers, [entered, *outputs], outputs, strict=False)]

    def activations(self, x: Array, products: Sequence[Product] | None = None) -> tuple[list[Array], Array]:
        """What each weighted layer's product is given, (batch * reads, rows), and the logits. Else as `forward`."""
        seen: list[list[Array]] = [[] for _ in self.weighted]

        def recorded(product: Product, parts: list[Array]) -> Product:
            def record(v: Array) -> Array:
                parts.append(v)
                return product(v)

            return record

        logits = self.forward(x, list(map(recorded, self._products(products), seen)))
        return list(map(joined, seen)), logits

    def gradients(
        self,
        x: Array,
        y: Array,
        products: Sequence[Product] | None = None,
        transposed: Sequence[Product] | None = None,
        *,
        seed: int = 0,
        row: int = 0,
    ) -> tuple[Array, list[tuple[Array, Array]]]:
        """The batch's mean softmax cross-entropy and its gradients `(d_weight, d_bias)`, one pair per weighted layer.

        Arguments as those of `backpropagate`.
        """
        signals = self.backpropagate(x, y, products, transposed, seed=seed, row=row)
        return signals.loss, signals.gradients()

    def backpropagate(
        self,
        x: Array,
        y: Array,
        products: Sequence[Product] | None = None,
        transposed: Sequence[Product] | None = None,
        *,
        lowest: int = 0,
        seed: int = 0,
        row: int = 0,
    ) -> Signals:
        """Run a batch forward and its error backward, down to the weighted layer numbered `lowest`.

        `y` (batch,) holds integer labels. `products` are those of `forward`; `transposed` holds one callable
        `d -> d @ weight.T` per weighted layer (None: exact); that of the lowest layer is never called unless it
        feeds back on itself: nothing below it learns, and in most networks it is the largest.
        `seed`, `row`: as `entered`.
        Shapes are checked; values are not, because this is the inner step of training, which checks its data once.
        """
        self._check_samples(x)
        if y.shape != x.shape[:1]:
            raise InputError("y", f"must hold one label per sample, shape {x.shape[:1]}", f"shape {y.shape}", "match x")
        x = self.entered(x, seed, row)
        outputs = self._outputs(x, self._products(products))
        loss, dy = softmax_cross_entropy(outputs[-1], to_library_of(y, outputs[-1]))
        signals = Signals(outputs[-1], loss, self.weighted, {}, {}, {})
        self._send_back(signals, [x, *outputs], dy, self._products(transposed, "multiply_transposed"), lowest)
        return signals

    def predict(self, x: Array, seed: int = 0) -> np.ndarray:
        """The labels (batch,) int64 of `x`, on the host. `seed` fixes what a code draws; without a code nothing is."""
        x, products = self.check(x), self._products(None)

        def labels(i: int) -> np.ndarray:
            entered = self.entered(x[i : i + self.part], seed, i)
            return to_host(np.argmax(self._outputs(entered, products)[-1], axis=1))

        return np.concatenate([labels(i) for i in range(0, len(x), self.part)])

    def with_weights(self, pairs: Sequence[tuple[Array, Array]]) -> Network:
        """The same network with other `(weight, bias)` pairs, one per weighted layer, of the same shapes."""
        if len(pairs) != len(self.weighted):
            rule = f"must get one (weight, bias) pair for each of {len(self.weighted)} weighted layers"
            raise InputError("Network.with_weights", rule, f"{len(pairs)} pairs", "give every layer's")
        new = iter(pairs)
        return self.with_layers([a.with_weights(*next(new)) if isinstance(a, Weighted) else a for a in self.layers])

    def with_layers(self, layers: Sequence[Layer]) -> Network:
        """The same network with other layers."""
        return replace(self, layers=tuple(layers))

    def to(self, backend: Backend) -> Network:
        """The same network with its arrays on the named back end, "numpy" or "cupy"."""
        return self.with_layers([layer.moved(partial(to_device, backend=backend)) for layer in self.layers])

    def own(self, x: Array) -> Array:
        """`x` in the library and precision of the weights."""
        weight = self.weighted[0].weight
        return to_library_of(x, weight).astype(weight.dtype, copy=False)

    def _check_samples(self, x: Array) -> None:
        if self.code is None:
            _check_shape(x.shape, self.n_in)
        elif x.shape[-1] != self.n_in:
            rule = f"must have {self.n_in} features per sample"
            raise InputError("x", rule, f"shape {x.shape}", "reshape it, or fit the network")

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

    def _send_back(
        self, signals: Signals, values: list[Array], dy: Array, transposed: list[Product], lowest: int
    ) -> None:
        """Note each weighted layer's input, output and error. `values`: the input, every output; `dy`: at the last."""
        k = len(transposed)
        for i in reversed(range(len(self.layers))):
            layer, x, y = self.layers[i], values[i], values[i + 1]
            if not isinstance(layer, Weighted):
                dy = layer.backward(dy, x, y)
                continue
            k -= 1
            dy, dx = layer.unrolled(dy, x, y, transposed[k])
            signals.x[k], signals.y[k], signals.d[k] = x, y, dy
            if k == lowest:
                return
            dy = layer.backward(dy, x, y, transposed[k]) if dx is None else dx


def mlp(sizes: Sequence[int], *, activation: str = "relu", bias: bool = True, seed: int = 0) -> Network:
    """A multilayer perceptron: Dense layers of these sizes with an activation between them, a name in `ACTIVATIONS`.

    Weights float32, normal with mean 0 and variance 2 / n_in for "relu" (He et al., ICCV 2015), 2 / (n_in + n_out)
    else (Glorot and Bengio, AISTATS 2010); biases 0, and none at all without `bias`. Raises `InputError` for bad sizes
    or an unknown activation.
    """
    if len(sizes) < 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise InputError("mlp.sizes", "must be two or more integers above 0", list(sizes), "for digits, [64, 32, 10]")
    if activation not in ACTIVATIONS:
        raise InputError("mlp.activation", "unknown activation", activation, suggestion(activation, list(ACTIVATIONS)))
    layers, kind = list[Layer](), Dense if bias else Unbiased
    for i, (n_in, n_out) in enumerate(pairwise(map(int, sizes))):
        variance = 2 / n_in if activation == "relu" else 2 / (n_in + n_out)
        normal = Streams(seed).at("mlp", "layer", i).rng("weight").standard_normal((n_in, n_out), dtype=np.float32)
        layers += [kind(normal * np.float32(variance**0.5), np.zeros(n_out, np.float32)), ACTIVATIONS[activation]()]
    return Network(tuple(layers[:-1]))


def softmax_cross_entropy(logits: Array, y: Array) -> tuple[Array, Array]:
    """The mean of -log softmax(logits)[label] over the batch, and its gradient with respect to the logits.

    Logits (batch, classes), integer labels (batch,). The row's largest logit is subtracted first: nothing overflows.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    odds = np.exp(shifted)
    total = odds.sum(axis=1, keepdims=True)
    hit = y[:, None] == np.arange(logits.shape[1], like=y)
    loss = (np.log(total[:, 0]) - (shifted * hit).sum(axis=1)).sum() / len(logits)
    odds /= total
    odds -= hit
    odds /= len(logits)
    return loss, odds


def joined(parts: Iterable[Array]) -> Array:
    """Parts of a batch in one array, without a copy where there is one part."""
    every = list(parts)
    return every[0] if len(every) == 1 else np.concatenate(every)


def check_inputs(x: Array, n_in: int) -> Array:
    """`x` as an array of finite numbers (batch, n_in). Raises `InputError` if it is not one."""
    x = x if is_array(x) else np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise InputError("x", "must hold real numbers", f"type {x.dtype}", "convert it with x.astype(np.float32)")
    _check_shape(x.shape, n_in)
    _check_finite("x", x, "remove or fill these values first")
    return x


def _check_shape(shape: tuple[int, ...], n_in: int) -> None:
    if len(shape) == 2 and shape[0] == 0:
        raise InputError("x", "must hold at least one sample", "none")
    if len(shape) != 2 or shape[1] != n_in:
        rule = f"must have {n_in} features per sample (batch, {n_in})"
        remedy = "pass x[None, :] for one sample" if shape == (n_in,) else f"reshape to (-1, {n_in}) or fit the network"
        raise InputError("x", rule, f"shape {shape}", remedy)


def _check_finite(where: str, x: Array, remedy: str) -> None:
    """NaN and infinity show in the smallest or largest value, found without a mask the size of `x`."""
    if not (np.isfinite(np.min(x)) and np.isfinite(np.max(x))):
        bad = int(np.sum(~np.isfinite(x)))
        raise InputError(where, "must be finite", f"{bad} NaN or infinite values of {x.size}", remedy)


def _check_chain(layers: tuple[Layer, ...]) -> None:
    """What a layer gives must be what the next one takes; those of any size pass it on."""
    places = [(i, layer) for i, layer in enumerate(layers) if layer.n_in is not None]
    for (i, before), (j, after) in pairwise(places):
        given, taken = getattr(before, "out_shape", None), getattr(after, "in_shape", None)
        if before.n_out != after.n_in or (given and taken and given != taken):
            rule = f"must take the {_size(given, before.n_out)} outputs of layers[{i}]"
            raise InputError(f"layers[{j}]", rule, f"{_size(taken, after.n_in)} inputs", "change one of the two")


def _check_steps(layers: tuple[Layer, ...], code: Code | None) -> None:
    """Layers with time must see as many steps as the code makes."""
    for i, steps in ((i, getattr(layer, "steps", None)) for i, layer in enumerate(layers)):
        if steps is not None and (code is None or steps != code.steps):
            got = f"{steps} steps, {'no code' if code is None else f'a code of {code.steps}'}"
            raise InputError(f"layers[{i}]", "must have the steps of the network's code", got, "build it with snn")


def _size(shape: tuple[int, ...] | None, n: int | None) -> str:
    return " x ".join(map(str, shape)) if shape else str(n)
