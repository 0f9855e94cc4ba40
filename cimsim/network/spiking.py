"""Building spiking networks: a code, layers with weights and neurons in turn, a read-out.

    net = snn([784, 128, 10], steps=16)
    net = snn([64, Recurrent(32), 10], steps=20)
    net = snn([Conv(8, kernel=3), AvgPool(2), Linear(10)], image=(1, 28, 28), code=PoissonRate(steps=32))
    net = snn([RecurrentConv(8, kernel=3), Linear(10)], image=(1, 28, 28))

What comes out is a `Network` like any other: `train`, `program`, `accuracy` and sweeps take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cimsim.network.build import LayerSpec, Linear, Recurrent, chain
from cimsim.network.coding.base import Code
from cimsim.network.coding.rate import RegularRate
from cimsim.network.firing import ARCTAN, NEURON, Count, FirstSpike, Integrating, Potential, Spiking
from cimsim.network.images import check_image
from cimsim.network.layers import Layer, Weighted
from cimsim.network.network import ACTIVATIONS, Network, mlp
from cimsim.network.neurons.discrete import DiscreteLIF, discrete
from cimsim.network.neurons.integrate_and_fire import IF, LIF
from cimsim.network.recurrent import Recurrence
from cimsim.network.surrogates import Surrogate
from device_models.errors import InputError, renamed, suggestion

ReadoutName = Literal["count", "first", "membrane"]
READOUTS = ("count", "first", "membrane")
STEPS = 16


def snn(  # noqa: PLR0913 (one argument for each choice)
    layers: Sequence[int | LayerSpec],
    *,
    image: Sequence[int] | None = None,
    steps: int | None = None,
    code: Code | None = None,
    neuron: DiscreteLIF | LIF | IF = NEURON,
    dt: float | None = None,
    readout: ReadoutName = "count",
    surrogate: Surrogate | None = None,
    seed: int = 0,
) -> Network:
    """A spiking network: neurons after every layer with weights, behind the pools that follow it.

    So that word lines carry nothing but spikes. A pool behind a recurrent layer gets neurons of its own: the layer's
    stand before it. First weights as those of `mlp` and `cnn`; biases 0.

    Args:
        layers: sizes of fully connected layers, inputs first, `Recurrent(n)` in place of `n` for one whose neurons see
            their own spikes; or with `image` layers by their sizes, as `cnn` takes, and `RecurrentConv`.
        image: `(channels, height, width)` of the samples.
        steps: time steps (None: those of `code`, else 16).
        code: how samples become spikes (None: `RegularRate`). `Given` takes samples that are spikes.
        neuron: its law, without units or in SI units; the latter needs `dt`.
        dt: time step, seconds.
        readout: spikes counted ("count"), minus the step of the first one ("first"), or the mean potential of last
            neurons that do not fire ("membrane").
        surrogate: what stands for the derivative of a spike (None: `ArcTan`).
        seed: that of the first weights.

    Raises:
        InputError: sizes that do not fit, steps that differ from the code's, a time step that is missing or longer than
            the membrane's time constant.
    """
    code = _code(steps, code)
    law = _law(neuron, dt)
    if surrogate is not None and not isinstance(surrogate, Surrogate):
        raise InputError("snn.surrogate", "must be a Surrogate", surrogate, "give ArcTan(), say")
    hidden = Spiking(code.steps, law, surrogate or ARCTAN)
    made: list[Layer] = []
    for layer in _without_neurons(layers, image, seed):
        if made and (isinstance(layer, Weighted) or isinstance(made[-1], Recurrence)):
            made.append(hidden)
        made.append(layer.timed(code.steps, hidden) if isinstance(layer, Recurrence) else layer)
    return Network((*made, *_output(readout, hidden)), code)


def _code(steps: int | None, code: Code | None) -> Code:
    if code is None:
        return RegularRate(steps=STEPS if steps is None else steps)
    if not isinstance(code, Code):
        raise InputError("snn.code", "must be a Code", code, "give RegularRate(steps=16), say")
    if steps not in (None, code.steps):
        raise InputError("snn.steps", f"must be the {code.steps} of the code", steps, "give one of the two")
    return code


def _law(neuron: DiscreteLIF | LIF | IF, dt: float | None) -> DiscreteLIF:
    """The dimensionless neuron."""
    if isinstance(neuron, DiscreteLIF):
        if dt is not None:
            raise InputError("snn.dt", "has no meaning for a neuron without units", dt, "leave it out, or give a LIF")
        return neuron
    if not isinstance(neuron, IF | LIF):
        raise InputError("snn.neuron", "must be a DiscreteLIF, a LIF or an IF", neuron, "give DiscreteLIF(decay=0.9)")
    if dt is None:
        raise InputError("snn.dt", "must be given for a neuron in SI units (seconds)", "None", "give dt=1e-3, say")
    return discrete(neuron, dt).neuron


def _without_neurons(layers: Sequence[int | LayerSpec], image: Sequence[int] | None, seed: int) -> Sequence[Layer]:
    """The layers with weights and the pools."""
    if image is None:
        return _fully_connected(layers, seed)
    with renamed(cnn="snn"):
        made = chain(check_image("snn.image", tuple(image)), layers, seed)
    for i, layer in enumerate(made):
        if isinstance(layer, tuple(ACTIVATIONS.values())):
            remedy = "leave it out, neurons are put in by themselves"
            raise InputError(f"snn.layers[{i}]", "must have weights or be a pool", layers[i], remedy)
    return made


def _fully_connected(layers: Sequence[int | LayerSpec], seed: int) -> Sequence[Layer]:
    """Layers by their numbers of neurons, inputs first."""
    if len(layers) < 2:
        raise InputError("snn.layers", "must be two or more, inputs first", len(layers), "for digits, [64, 32, 10]")
    first, *rest = map(_neurons, range(len(layers)), layers)
    sizes = [n for n in (first, *rest) if isinstance(n, int)]
    if len(sizes) == len(layers):
        return mlp(sizes, seed=seed).weighted
    with renamed(cnn="snn"):
        return chain((sizes[0], 1, 1), [n if isinstance(n, Recurrent) else Linear(n) for n in rest], seed)


def _neurons(i: int, n: int | LayerSpec) -> int | Recurrent:
    """A number of neurons, or behind the first a layer of them that feeds back."""
    if isinstance(n, int | np.integer) and n > 0:
        return int(n)
    if i and isinstance(n, Recurrent):
        return n
    rule, remedy = "must be an integer above 0", "for digits, [64, 32, 10]"
    if isinstance(n, Linear):
        remedy = f"write {n.outputs}"
    elif isinstance(n, LayerSpec):
        remedy = "put the number of inputs first" if isinstance(n, Recurrent) else "give the image as well"
    raise InputError(f"snn.layers[{i}]", rule + " or a Recurrent layer" * bool(i), n, remedy)


def _output(readout: str, neurons: Spiking) -> tuple[Layer, Layer]:
    """The last neurons and what is read from them."""
    if readout not in READOUTS:
        raise InputError("snn.readout", "unknown read-out", readout, suggestion(str(readout), list(READOUTS)))
    steps = neurons.steps
    if readout == "membrane":
        return Integrating(steps, neurons.neuron.decay), Potential(steps, "mean")
    return neurons, Count(steps) if readout == "count" else FirstSpike(steps)
