"""The network of a study: a multilayer perceptron, or layers for images before it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cimsim.network.build import LayerSpec, Linear, cnn, named
from cimsim.network.images import Shape, times
from cimsim.network.network import Network, mlp
from device_models.errors import InputError
from device_models.parameters import Parameters


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)]
Layers = Annotated[tuple[Annotated[LayerSpec, BeforeValidator(named)], ...], BeforeValidator(_tuple)]


class Architecture(Parameters):
    """The network between the data and a last layer with one output per class, which is added.

        [network]
        layers = [{ kind = "Conv", channels = 8, kernel = 3 }, "relu", { kind = "MaxPool", kernel = 2 }]

    Attributes:
        layers: what comes first: tables of a `kind` (Conv, MaxPool, AvgPool, Linear) and its sizes, and names of
            activations. Without them the network is a multilayer perceptron.
        hidden: sizes of the fully connected layers after these, each followed by `activation`; not given, one of 32
            without `layers`, none with them.
        activation: "relu", "sigmoid" or "tanh".
        image: channels, height and width of a sample, for `layers`; not given, one channel as high as wide.
    """

    layers: Layers | None = None
    hidden: Sizes | None = None
    activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    image: Annotated[tuple[int, int, int], BeforeValidator(_tuple)] | None = None

    def network(self, n_in: int, classes: int, seed: int) -> Network:
        """The untrained network for samples of `n_in` features. Raises `InputError` for layers that do not fit them."""
        if not self.layers:
            hidden = (32,) if self.hidden is None else self.hidden
            return mlp([n_in, *hidden, classes], activation=self.activation, seed=seed)
        dense = [layer for n in self.hidden or () for layer in (Linear(n), self.activation)]
        try:
            return cnn(self._image(n_in), [*self.layers, *dense, Linear(classes)], seed=seed)
        except InputError as error:
            (place,), rule, value, remedy = error.problem
            raise InputError(place.replace("cnn", "network", 1), rule, value, remedy) from None

    def _image(self, n_in: int) -> Shape:
        side = math.isqrt(n_in)
        image = self.image or (1, side, side)
        if math.prod(image) != n_in:
            given = times(image) if self.image else "no image shape"
            remedy = "set network.image to [channels, height, width]"
            raise InputError("network.image", f"must hold the {n_in} features of a sample", given, remedy)
        return image
