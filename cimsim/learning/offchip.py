"""Off-chip (ex situ) training in floating point, with weight noise so that the network survives its chip."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cimsim.backend import generator, to_library_of
from cimsim.chip import ChipSpec
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.spiking import RatePenalty, prepared, restored
from cimsim.network.evaluate import check_labels
from cimsim.network.network import Network
from device_models.errors import InputError
from device_models.parameters import Parameters, Spread
from device_models.streams import Streams
from device_models.window import Array

_TINY = 1e-30


class Training(Parameters):
    """How a network is trained: minibatches, Adam, and a learning rate that falls to 0 along a half cosine.

    - `weight_noise`: standard deviation of the Gaussian noise added to the weights at each step, relative to the
      layer's largest |weight|. The gradient is taken at the noisy weights and applied to the clean ones; biases, which
      stay digital, get none. `clip` keeps each weight within so many standard deviations of its layer's weights,
      after every step (None: no limit). Both: Joshi et al., Nature Communications 11, 2473 (2020), Methods.
    - `weight_decay`: each step multiplies the weights by 1 - rate * weight_decay, decoupled from the gradient
      (Loshchilov and Hutter, ICLR 2019).
    - `rates`: for spiking networks, a cost of neurons that fire too rarely or too often (None: none).
    - The rate of step t of T is learning_rate (1 + cos(pi t / T)) / 2 (Loshchilov and Hutter, ICLR 2017, no restart).
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the data")] = 15
    batch: Annotated[int, Field(ge=1, description="samples per step")] = 32
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0, description="largest step of a weight")] = 5e-3
    weight_noise: Spread = 0.0
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0, description="per unit of learning rate")] = 0.0
    clip: Annotated[float | None, Field(gt=0.0, description="standard deviations")] = None
    rates: RatePenalty | None = None


def train(
    net: Network,
    x: Array,
    y: Array,
    *,
    hardware: ChipSpec | Hardware | None = None,
    seed: int = 0,
    progress: bool = False,
    **training: Any,
) -> Network:
    """The network trained on samples `x` (n, n_in) with integer labels `y` (n,): a new one; `net` stays as it is.

    `hardware` names a chip whose flaws are felt in training, a spec for all that `Hardware` knows, or a `Hardware` that
    says which; None trains in floating point.
    `training` takes the fields of `Training` by name: epochs=15, batch=32, learning_rate=5e-3, weight_noise=0.0,
    weight_decay=0.0, clip=None, rates=None. A spiking network's gradients pass its neurons by their surrogates.
    `progress` shows a bar of epochs. Works in the library and precision of the weights; minibatches are drawn on the
    host, so they are the same in every library.
    Raises `ParameterError` for an unknown or impossible setting, `InputError` for bad data or if the loss diverges.
    """
    settings, streams = Training(**training), Streams(seed).at("train")
    y = check_labels(y, len(x), net.n_out)
    x = to_library_of(net.check(x), net.weights[0])
    x = x.astype(net.weights[0].dtype, copy=False) if x.dtype.kind == "f" else x
    net = prepared(replace(net, ranges=None), settings.rates)
    run = _Run(net, settings, streams, len(x), _simulation(net, hardware, streams))
    for epoch in _shown(range(settings.epochs), progress):
        order = streams.at("epoch", epoch).rng("shuffle").permutation(len(x))
        run.epoch(x, to_library_of(y, x), to_library_of(order, x))
        run.check(epoch)
    return replace(restored(run.net), ranges=None if run.simulation is None else run.simulation.learned())


def _simulation(net: Network, hardware: ChipSpec | Hardware | None, streams: Streams) -> Simulation | None:
    if hardware is None:
        return None
    chosen = Hardware(chip=hardware) if isinstance(hardware, ChipSpec) else hardware
    if not isinstance(chosen, Hardware):
        raise InputError("train.hardware", "must be a ChipSpec or Hardware", type(chosen).__name__, "pass a spec")
    return Simulation(net, chosen, streams.at("hardware"))


class Adam:
    """Adam, Algorithm 1 of Kingma and Ba, ICLR 2015, on one vector of parameters, which it changes in place.

    Scratch vectors are kept from step to step: a step allocates nothing.
    """

    def __init__(self, size_of: Array, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean, self.square, self._scratch = np.zeros_like(size_of), np.zeros_like(size_of), np.zeros_like(size_of)
        self.steps = 0

    def step(self, parameters: Array, gradient: Array, rate: float) -> None:
        """One step of size `rate`; both bias corrections are folded into the rate and epsilon, as in the paper's 2."""
        self.steps += 1
        scratch, root = self._scratch, math.sqrt(1 - self.beta2**self.steps)
        _blend(self.mean, gradient, self.beta1, scratch)
        np.multiply(gradient, gradient, out=gradient)
        _blend(self.square, gradient, self.beta2, scratch)
        np.sqrt(self.square, out=scratch)
        scratch += self.epsilon * root
        np.divide(self.mean, scratch, out=scratch)
        scratch *= rate * root / (1 - self.beta1**self.steps)
        parameters -= scratch


class _Run:
    """A training in progress: all that is learned in one vector, of which the networks' arrays are views."""

    def __init__(
        self, net: Network, settings: Training, streams: Streams, n_samples: int, simulation: Simulation | None
    ) -> None:
        self.settings, self.n_steps = settings, settings.epochs * math.ceil(n_samples / settings.batch)
        self.simulation, extra = simulation, [] if simulation is None else [simulation.ranges]
        self.values = _flat([a for layer in net.weighted for a in (layer.weight, layer.bias)] + extra)
        if simulation is not None:
            simulation.ranges = self.values[self.values.size - simulation.ranges.size :]
        self.net = _views(net, self.values)
        self.gradient, self.noisy_values = np.zeros_like(self.values), self.values.copy()
        self.noisy = _views(net, self.noisy_values)
        self.noise = generator(self.values, streams, "weight noise")
        self.adam = Adam(self.values)
        self.seed, self.seen = streams.seed, 0
        self.loss: Any = 0.0

    def epoch(self, x: Array, y: Array, order: Array) -> None:
        """One pass over the samples in this order; `loss` becomes the sum of the steps' losses."""
        self.loss = 0.0
        if self.simulation is not None:
            self.simulation.calibrate(self.net, x)
        with np.errstate(over="ignore", invalid="ignore"):  # `check` reports a divergence in words
            for start in range(0, len(x), self.settings.batch):
                chosen = order[start : start + self.settings.batch]
                self.loss += self.step(x[chosen], y[chosen])

    def step(self, x: Array, y: Array) -> Array:
        """One minibatch: the gradient at the noisy weights moves the clean ones. Returns the loss."""
        rate = self.settings.learning_rate * (1 + math.cos(math.pi * self.adam.steps / self.n_steps)) / 2
        net = self._perturbed() if self.settings.weight_noise else self.net
        loss, gradients = self._gradients(net, x, y)
        _flat(gradients, out=self.gradient)
        if self.settings.weight_decay:
            for weight in self.net.weights:
                weight *= 1 - rate * self.settings.weight_decay
        self.adam.step(self.values, self.gradient, rate)
        if self.settings.clip is not None:
            for weight in self.net.weights:
                limit = self.settings.clip * np.std(weight)
                np.clip(weight, -limit, limit, out=weight)
        return loss

    def _gradients(self, net: Network, x: Array, y: Array) -> tuple[Array, list[Array]]:
        """The loss of a batch and its gradient by all that is learned, in order."""
        row, self.seen = self.seen, self.seen + len(x)
        if self.simulation is None:
            loss, pairs = net.gradients(x, y, seed=self.seed, row=row)
            return loss, [a for pair in pairs for a in pair]
        loss, pairs = self.simulation.gradients(net, x, y, seed=self.seed, row=row)
        return loss, [*(a for pair in pairs for a in pair), self.simulation.slopes]

    def check(self, epoch: int) -> None:
        """Raises `InputError` if the epoch left a loss or a weight that is not finite."""
        if not (np.isfinite(self.loss) and np.all(np.isfinite(self.values))):
            rule, remedy = "must keep the loss finite", "lower learning_rate, or scale x to [0, 1]"
            raise InputError("train", rule, f"divergence in epoch {epoch + 1} of {self.settings.epochs}", remedy)

    def _perturbed(self) -> Network:
        """The network at the current weights plus Gaussian noise relative to each layer's largest |weight|."""
        self.noisy_values[...] = self.values
        for clean, noisy in zip(self.net.weights, self.noisy.weights, strict=True):
            largest = np.maximum(np.max(clean), -np.min(clean))
            noisy += self.noise.standard_normal(clean.shape, dtype=clean.dtype) * (self.settings.weight_noise * largest)
        return self.noisy


def _blend(average: Array, new: Array, beta: float, scratch: Array) -> None:
    """The moving average `beta average + (1 - beta) new`, in place.

    Where gradients are 0 (a pixel never on), averages would shrink to subnormal numbers, on which arithmetic is many
    times slower; the offset stops them far above those and far below epsilon.
    """
    np.multiply(new, 1 - beta, out=scratch)
    scratch += _TINY
    average *= beta
    average += scratch


def _flat(arrays: list[Array], out: Array | None = None) -> Array:
    """The arrays' values in one vector."""
    return np.concatenate([a.ravel() for a in arrays], out=out)


def _views(net: Network, values: Array) -> Network:
    """The network with its weights and biases read from the vector `values`, as views into it."""
    pairs, end = [], 0
    for layer in net.weighted:
        start, middle, end = end, end + layer.weight.size, end + layer.weight.size + layer.bias.size
        pairs.append((values[start:middle].reshape(layer.weight.shape), values[middle:end]))
    return net.with_weights(pairs)


def _shown(epochs: range, progress: bool) -> Iterable[int]:
    """The epochs, under a progress bar if asked for."""
    if not progress:
        return epochs
    from tqdm import tqdm

    return tqdm(epochs, desc="train", unit="epoch")
