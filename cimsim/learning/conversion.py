"""From a trained network of rectifiers to a spiking one: firing rates take the place of activations.

Diehl et al., IJCNN 2015; Rueckauer et al., Front. Neurosci. 11, 682 (2017).
"""

from __future__ import annotations

import numpy as np

from cimsim.backend import to_host
from cimsim.network.coding.base import Code
from cimsim.network.coding.given import Given
from cimsim.network.coding.rate import RegularRate
from cimsim.network.firing import Integrating, Potential, Spiking
from cimsim.network.layers import Layer, ReLU, Weighted
from cimsim.network.network import Network
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.norm import fold
from cimsim.network.pooling import AvgPool2d
from device_models.errors import InputError
from device_models.window import Array

IF_NEURON = DiscreteLIF(decay=1.0, reset="soft")


def to_spiking(
    net: Network, x: Array, *, steps: int = 64, code: Code | None = None, percentile: float = 99.9
) -> Network:
    """The spiking network whose rates approximate the activations of a network of rectifiers.

    Each activation becomes the rate of an integrate-and-fire neuron with reset by subtraction that starts half-way to
    its threshold. Weights are balanced by data: what a layer gives to samples `x` at the given percentile becomes one
    spike per step, `w' = w before / after`, `b' = b / after`. The last layer is integrated: its last potentials are
    about the logits times the steps. Mean pools get neurons of their own, so that word lines carry nothing but spikes.
    Batch norms are folded into the weights first.

    Args:
        net: Dense and Conv2d layers, ReLU, AvgPool2d and BatchNorm2d; inputs from 0 to 1.
        x: samples `(n, n_in)` of the training data.
        steps: time steps, unless a code is given.
        code: how samples become spikes (None: `RegularRate`).
        percentile: of a layer's activations; 100 is the largest, less gives higher rates and holds outliers.

    Raises:
        InputError: layers without a spiking counterpart, a percentile out of range, or bad samples.
    """
    if not 50 < percentile <= 100:
        raise InputError("to_spiking.percentile", "must be above 50 and at most 100", percentile, "99.9 is usual")
    if net.code is not None:
        raise InputError("to_spiking.net", "must be a network without a code", net.code, "it is a spiking one already")
    code = RegularRate(steps=steps) if code is None else code
    if not isinstance(code, Code) or isinstance(code, Given):
        raise InputError("to_spiking.code", "must be a Code of values", code, "give RegularRate(steps=64), say")
    net, before, made = fold(net), 1.0, list[Layer]()
    _check_order(net.layers)
    values = net.trace(net.check(x))
    neurons = Spiking(code.steps, IF_NEURON, start=0.5)
    for i, (layer, _, y) in enumerate(values):
        if isinstance(layer, Weighted):
            rectified = i + 1 < len(values) and isinstance(values[i + 1].layer, ReLU)
            after = _level(y, percentile) if rectified else 1.0
            made.append(_balanced(layer, before, after))
            before = after
        else:
            made += _counterpart(i, layer, neurons)
    return Network((*made, Integrating(code.steps, 1.0), Potential(code.steps, "last")), code)


def _level(y: Array, percentile: float) -> float:
    """The activation that becomes one spike per step; 1 where none is above 0."""
    level = float(np.percentile(np.maximum(to_host(y), 0), percentile))
    return level if level > 0 else 1.0


def _balanced(layer: Weighted, before: float, after: float) -> Weighted:
    weight, bias = layer.weight * (before / after), layer.bias * (1 / after)
    return layer.with_weights(weight.astype(layer.weight.dtype), bias.astype(layer.bias.dtype))


def _counterpart(i: int, layer: Layer, neurons: Spiking) -> list[Layer]:
    """What stands for a layer without weights."""
    if isinstance(layer, ReLU):
        return [neurons]
    if isinstance(layer, AvgPool2d):
        return [layer, neurons]
    rule, remedy = "must be Dense, Conv2d, ReLU, AvgPool2d or BatchNorm2d to become spiking", "train one of these"
    raise InputError(f"layers[{i}]", rule, type(layer).__name__, remedy)


def _check_order(layers: tuple[Layer, ...]) -> None:
    """All weights but the last must be followed by a rectifier, and the last by nothing."""
    *hidden, last = [i for i, layer in enumerate(layers) if isinstance(layer, Weighted)]
    if last != len(layers) - 1:
        raise InputError(f"layers[{last}]", "must be the last layer", type(layers[-1]).__name__, "end with weights")
    for i in hidden:
        if not isinstance(layers[i + 1], ReLU):
            rule, remedy = "must be a ReLU, after a layer with weights", "rates cannot be negative"
            raise InputError(f"layers[{i + 1}]", rule, type(layers[i + 1]).__name__, remedy)
