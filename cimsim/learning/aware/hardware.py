"""Hardware: which of a chip's flaws training feels. Simulation: a training that feels them, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cimsim.backend import backend_name
from cimsim.chip import CALIBRATION_READS, ChipSpec
from cimsim.learning.aware.cells import CellErrors
from cimsim.learning.aware.converters import Converters
from cimsim.learning.aware.product import SensedProduct
from cimsim.network.layers import Weighted
from cimsim.network.network import LayerRanges, Network, joined
from device_models.errors import InputError
from device_models.parameters import Parameters, Seconds
from device_models.streams import Streams
from device_models.window import Array

Pair = tuple[Array, Array]


class Hardware(Parameters):
    """What off-chip training feels of a chip: at every step a new one of this design, wires left out.

    Weights are mapped to targets and read back with what cells make of these, drawn from the device's own laws; the
    gradient there moves the clean weights (as the weight noise of Joshi et al., Nature Communications 11, 2473 (2020)).
    The largest weight of a layer spans the window, so all errors are in proportion to it: its gradient says so, and
    training draws outliers in by itself. One draw of read noise serves a step. Each part can be switched off, which
    moves no draw of another:

    - `programming`: write error, spread of the cells' windows, and drift over `age` seconds.
    - `read_noise`: of cells.
    - `stuck`: cells at the ends of their windows at the device's rates, others at every step, like dropped connections
      (Wan et al., ICML 2013, who drop to 0).
    - `converters`: DAC and ADC as designed, on each tile's sums, without what differs from one to the next. Ranges are
      first those of a chip calibrated on the first `calibrate` samples.
    - `learn_ranges`: they are then learned with the weights, and the network keeps them: `program` without `calibrate`
      takes them. The range of the first layer's inputs stays. Else they are measured anew every epoch.
    """

    chip: ChipSpec
    programming: bool = True
    read_noise: bool = True
    stuck: bool = True
    converters: bool = True
    learn_ranges: bool = True
    age: Seconds = 0.0
    calibrate: Annotated[int, Field(ge=1, description="samples")] = 256


class Simulation:
    """A training on simulated hardware.

    Attributes:
        ranges: logarithms of factors on the converters' ranges, inputs and sums of each layer in turn; empty where none
            is learned. Whoever learns them may put an array of their own in its place.
        slopes: the gradient by them at the last step.
    """

    def __init__(self, net: Network, hardware: Hardware, streams: Streams) -> None:
        if backend_name(net.weights[0]) != "numpy":
            got, remedy = backend_name(net.weights[0]), 'move it with net.to("numpy")'
            raise InputError("train.hardware", "needs a network on the host", got, remedy)
        self.hardware, self.design, self.streams = hardware, hardware.chip.design(), streams
        chosen = {name: getattr(hardware, name) for name in ("programming", "read_noise", "stuck", "age")}
        self.cells = CellErrors.of(self.design.device, streams.at("cells"), **chosen)
        converters = Converters.of(self.design, converting=hardware.converters)
        self.converters = [converters for _ in net.weighted]
        self.errors = [_generators(streams.at("layer", k)) for k in range(len(net.weighted))]
        free = np.array([converters.free for _ in net.weighted]).ravel() & hardware.learn_ranges
        free[0] = False
        self._free, self._calibrated = free, False
        self.ranges = np.zeros(free.size * free.any(), net.weights[0].dtype)
        self.slopes = np.zeros_like(self.ranges)

    def gradients(self, net: Network, x: Array, y: Array, *, seed: int, row: int) -> tuple[Array, list[Pair]]:
        """The loss of a batch on cells with new errors, and the gradients of weights and biases; sets `slopes`."""
        products = [self._product(k, layer, self.errors[k]) for k, layer in enumerate(net.weighted)]
        transposed = [product.transposed for product in products]
        signals = net.backpropagate(x, y, products, transposed, seed=seed, row=row)
        found = [product.gradient(net.weighted[k], signals.d[k]) for k, product in enumerate(products)]
        if self.ranges.size:
            slopes = [(product.input_slope, slope) for product, (*_, slope) in zip(products, found, strict=True)]
            self.slopes[...] = np.ravel(slopes) * self._free
        pairs = [(d_weight, d_bias) for d_weight, d_bias, _ in found]
        for product, weight, (d_weight, _) in zip(products, net.weights, pairs, strict=True):
            _add_scale(d_weight, weight, product.weight)
        return signals.loss, pairs

    def calibrate(self, net: Network, x: Array) -> None:
        """Measure ranges on the first samples, layer by layer, once if they are learned."""
        if self._calibrated and self.ranges.size:
            return
        self._calibrated, k = True, 0
        x = net.entered(x[: self.hardware.calibrate])
        for layer in net.layers:
            product: SensedProduct | None = None
            if isinstance(layer, Weighted):
                product, k = self._measured(k, layer, joined(layer.vectors(x))), k + 1
            x = layer.forward(x, product)

    def learned(self) -> tuple[LayerRanges, ...] | None:
        """The ranges as they are now; None where none is learned."""
        return tuple(self._scaled(k).ranges for k in range(len(self.converters))) if self.ranges.size else None

    def _scaled(self, k: int) -> Converters:
        """The converters of a layer with their ranges as they are now."""
        return self.converters[k].scaled(*self.ranges[2 * k : 2 * k + 2]) if self.ranges.size else self.converters[k]

    def _product(self, k: int, layer: Weighted, errors: tuple[Any, Any]) -> SensedProduct:
        """The product of a layer with new errors of its cells."""
        scheme, window, scale = self.design.scheme, self.design.device.window, _largest(layer)
        shares = scheme.targets(layer.weight / scale, window)
        shares -= window.g_min
        shares *= 1 / window.span
        g = self.cells.held(shares.astype(layer.weight.dtype, copy=False), *errors)
        g += window.g_min / window.span
        g *= scale
        signals = np.tensordot(scheme.analog().astype(g.dtype), g, 1).swapaxes(0, 1)
        return SensedProduct(self._scaled(k), signals, scheme.collect(signals), reverse=layer.calls > 1)

    def _measured(self, k: int, layer: Weighted, v: np.ndarray) -> SensedProduct:
        """The product of a layer once its converters have the ranges that a chip takes for these inputs."""
        v, place = v[:: -(-len(v) // CALIBRATION_READS)], self.streams.at("calibrate", "layer", k)
        self.converters[k] = self.converters[k].for_inputs(v)
        product = self._product(k, layer, _generators(place))
        self.converters[k] = self.converters[k].for_sums(product.sums(v), _largest(layer))
        return replace(product, converters=self.converters[k])


def _add_scale(d_weight: np.ndarray, weight: np.ndarray, held: np.ndarray) -> None:
    """Add to the gradient what the largest weight does to all others.

    It is what the window stands for: errors `held - weight`, which are shares of the window, grow with it.
    """
    largest = np.unravel_index(np.argmax(np.abs(weight)), weight.shape)
    if weight[largest]:
        d_weight[largest] += np.sum(d_weight * (held - weight)) / weight[largest]


def _generators(place: Streams) -> tuple[Any, Any]:
    """Of the errors of a layer's cells, and of which are stuck."""
    return place.rng("cells"), place.rng("stuck")


def _largest(layer: Weighted) -> float:
    """The weight that spans the window."""
    return float(np.abs(layer.weight).max()) or 1.0
