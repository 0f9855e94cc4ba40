"""The network of a study: a multilayer perceptron, or layers for images before it; with rectifiers, or spiking."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cimsim.learning.conversion import to_spiking
from cimsim.network.build import LayerSpec, Linear, cnn, named
from cimsim.network.coding import Code, RegularRate
from cimsim.network.firing import NEURON
from cimsim.network.images import Shape, times
from cimsim.network.network import Network, mlp
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.spiking import STEPS, ReadoutName, snn
from cimsim.network.surrogates import ArcTan, Surrogate
from device_models.errors import InputError, renamed
from device_models.parameters import Parameters
from device_models.window import Array


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)]
Layers = Annotated[tuple[Annotated[LayerSpec, BeforeValidator(named)], ...], BeforeValidator(_tuple)]


def _regular_unless_named(value: Any) -> Any:
    return {"kind": "RegularRate", "steps": STEPS, **value} if isinstance(value, Mapping) else value


class Spikes(Parameters):
    """What makes a network spiking.

    Attributes:
        code: how samples become spikes, in how many steps; a table without `kind` is a `RegularRate`.
        learning: it is trained by surrogate gradients, or a network of rectifiers is trained and then converted.
        neuron, readout, surrogate: as `snn` takes them; a converted network has its own.
    """

    code: Annotated[Code, BeforeValidator(_regular_unless_named)] = RegularRate(steps=STEPS)
    learning: Literal["surrogate", "conversion"] = "surrogate"
    neuron: DiscreteLIF = NEURON
    readout: ReadoutName = "membrane"
    surrogate: Surrogate = ArcTan()


class Architecture(Parameters):
    """The network between the data and a last layer with one output per class, which is added.

        [network]
        layers = [{ kind = "Conv", channels = 8, kernel = 3 }, "relu", { kind = "MaxPool", kernel = 2 }]

    Attributes:
        layers: what comes first: tables of a `kind` (Conv, MaxPool, AvgPool, Linear, Recurrent, RecurrentConv) and its
            sizes, and names of activations. Without them the network is a multilayer perceptron.
        hidden: sizes of the fully connected layers after these, each followed by `activation`; not given, one of 32
            without `layers`, none with them.
        activation: "relu", "sigmoid", "step" (one bit) or "tanh"; "spiking" makes it a spiking network, with neurons
            after all `layers`.
        spiking: the code, neurons and read-out of a spiking network.
        image: channels, height and width of a sample, for `layers`; not given, one channel as high as wide.
    """

    layers: Layers | None = None
    hidden: Sizes | None = None
    activation: Literal["relu", "sigmoid", "step", "tanh", "spiking"] = "relu"
    spiking: Spikes = Spikes()
    image: Annotated[tuple[int, int, int], BeforeValidator(_tuple)] | None = None

    def trained(self) -> Architecture:
        """The network that is trained: rectifiers where they are converted; equal ones are trained once."""
        if self.activation != "spiking":
            return self.replace(spiking=Spikes())
        return self.replace(activation="relu", spiking=Spikes()) if self.spiking.learning == "conversion" else self

    def network(self, n_in: int, classes: int, seed: int) -> Network:
        """The untrained network for samples of `n_in` features. Raises `InputError` for layers that do not fit them."""
        if self.activation == "spiking":
            return self._spiking(n_in, classes, seed)
        if not self.layers:
            return mlp(self._sizes(n_in, classes), activation=self.activation, seed=seed)
        dense = [layer for n in self.hidden or () for layer in (Linear(n), self.activation)]
        with renamed(cnn="network"):
            return cnn(self._image(n_in), [*self.layers, *dense, Linear(classes)], seed=seed)

    def finished(self, trained: Network, x: Array) -> Network:
        """The network of the study, from the one that was trained on samples `x`."""
        if self.activation != "spiking" or self.spiking.learning == "surrogate":
            return trained
        return to_spiking(trained, x, code=self.spiking.code)

    def _spiking(self, n_in: int, classes: int, seed: int) -> Network:
        form = self.spiking
        given: dict[str, Any] = {
            "code": form.code,
            "neuron": form.neuron,
            "readout": form.readout,
            "surrogate": form.surrogate,
        }
        if not self.layers:
            return snn(self._sizes(n_in, classes), **given, seed=seed)
        layers = [*self.layers, *map(Linear, (*(self.hidden or ()), classes))]
        with renamed(snn="network"):
            return snn(layers, image=self._image(n_in), **given, seed=seed)

    def _sizes(self, n_in: int, classes: int) -> list[int]:
        return [n_in, *((32,) if self.hidden is None else self.hidden), classes]

    def _image(self, n_in: int) -> Shape:
        side = math.isqrt(n_in)
        image = self.image or (1, side, side)
        if math.prod(image) != n_in:
            given = times(image) if self.image else "no image shape"
            remedy = "set network.image to [channels, height, width]"
            raise InputError("network.image", f"must hold the {n_in} features of a sample", given, remedy)
        return image
