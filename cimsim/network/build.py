"""Building networks for images: layers by their sizes; shapes follow from layer to layer, first weights are drawn."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from cimsim.network.conv import Conv2d, check_groups
from cimsim.network.images import ImageLayer, Shape, Sides, check_image
from cimsim.network.layers import Dense, Layer
from cimsim.network.network import ACTIVATIONS, Network
from cimsim.network.pooling import AvgPool2d, MaxPool2d
from cimsim.network.recurrent import RecurrentDense
from cimsim.network.recurrent_conv import RecurrentConv2d
from device_models.errors import InputError, suggestion
from device_models.parameters import RuleBroken, Variant
from device_models.streams import Streams


def _both(value: Any) -> Any:
    """One number for height and width; a list as a tuple."""
    if isinstance(value, list):
        return tuple(value)
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def _at_least(least: int) -> AfterValidator:
    def check(pair: tuple[int, int]) -> tuple[int, int]:
        if min(pair) < least:
            raise RuleBroken(f"must be an integer of {least} or more, or two of them (height, width)")
        return pair

    return AfterValidator(check)


def _pair_schema(least: int) -> WithJsonSchema:
    side = {"type": "integer", "minimum": least}
    return WithJsonSchema({"anyOf": [side, {"type": "array", "items": side, "minItems": 2, "maxItems": 2}]})


# Along height and width; one number stands for both.
Steps = Annotated[tuple[int, int], BeforeValidator(_both), _at_least(1), _pair_schema(1)]
Margins = Annotated[tuple[int, int], BeforeValidator(_both), _at_least(0), _pair_schema(0)]


class LayerSpec(Variant):
    """A layer by its sizes, without the shape of what it is given. The first size needs no name."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**{name: size for name, size in sizes.items() if size is not None})

    @abstractmethod
    def layer(self, shape: Shape, rng: np.random.Generator) -> Layer:
        """The layer for inputs of this shape, its first weights drawn. Raises `InputError` where it does not fit."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = super().__get_pydantic_json_schema__(schema, handler)
        if inspect.isabstract(cls):
            found["anyOf"].append({"enum": list(ACTIVATIONS)})
        return found


class Conv(LayerSpec):
    """A convolution with so many output channels, `Conv(8, kernel=3)`: see `Conv2d`."""

    channels: Annotated[int, Field(ge=1, description="output channels")]
    kernel: Steps
    stride: Steps = (1, 1)
    padding: Margins = (0, 0)
    dilation: Steps = (1, 1)
    groups: Annotated[int, Field(ge=1)] = 1

    def __init__(self, channels: int | None = None, **sizes: Any) -> None:
        super().__init__(channels=channels, **sizes)

    def layer(self, shape: Shape, rng: np.random.Generator) -> Conv2d:
        check_groups(self.groups, shape[0], self.channels)
        seen = (shape[0] // self.groups, *self.kernel)
        kernels = _he(rng, (self.channels, *seen), math.prod(seen))
        rest = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        return Conv2d.from_kernels(kernels, np.zeros(self.channels, np.float32), shape, **rest)


class Linear(LayerSpec):
    """A fully connected layer with so many outputs, `Linear(10)`: see `Dense`."""

    outputs: Annotated[int, Field(ge=1)]

    def __init__(self, outputs: int | None = None, **sizes: Any) -> None:
        super().__init__(outputs=outputs, **sizes)

    def layer(self, shape: Shape, rng: np.random.Generator) -> Dense:
        n_in = math.prod(shape)
        return Dense(_he(rng, (n_in, self.outputs), n_in), np.zeros(self.outputs, np.float32))


class Recurrent(LayerSpec):
    """A fully connected layer of so many spiking neurons that also see their own spikes of the step before.

    `Recurrent(32)`, for `snn`, which gives it its steps and neurons: see `RecurrentDense`.
    """

    outputs: Annotated[int, Field(ge=1)]

    def __init__(self, outputs: int | None = None, **sizes: Any) -> None:
        super().__init__(outputs=outputs, **sizes)

    def layer(self, shape: Shape, rng: np.random.Generator) -> RecurrentDense:
        n = self.outputs
        weight = np.concatenate([_he(rng, (fan_in, n), fan_in) for fan_in in (math.prod(shape), n)])
        return RecurrentDense(weight, np.zeros(n, np.float32), steps=1)


class RecurrentConv(LayerSpec):
    """A convolution of spiking neurons that also see their neighbours' spikes of the step before.

    `RecurrentConv(8, kernel=3)`, for `snn`, which gives it its steps and neurons. Its output is as high and wide as its
    input, so it takes no stride: see `RecurrentConv2d`.
    """

    channels: Annotated[int, Field(ge=1, description="output channels")]
    kernel: Steps

    def __init__(self, channels: int | None = None, **sizes: Any) -> None:
        super().__init__(channels=channels, **sizes)

    def layer(self, shape: Shape, rng: np.random.Generator) -> RecurrentConv2d:
        n, seen = self.channels, math.prod(self.kernel)
        weight = np.concatenate([_he(rng, (fan_in, n), fan_in) for fan_in in (shape[0] * seen, n * seen)])
        return RecurrentConv2d(weight, np.zeros(n, np.float32), shape, self.kernel, steps=1)


class _Pool(LayerSpec):
    kernel: Steps
    stride: Steps | None = None
    ceil: bool = False

    def __init__(self, kernel: Sides | None = None, **sizes: Any) -> None:
        super().__init__(kernel=kernel, **sizes)


class MaxPool(_Pool):
    """The largest value of each window, `MaxPool(2)`: see `MaxPool2d`."""

    def layer(self, shape: Shape, rng: np.random.Generator) -> MaxPool2d:
        return MaxPool2d(shape, self.kernel, self.stride, self.ceil)


class AvgPool(_Pool):
    """The mean of each window, `AvgPool(2)`: see `AvgPool2d`."""

    def layer(self, shape: Shape, rng: np.random.Generator) -> AvgPool2d:
        return AvgPool2d(shape, self.kernel, self.stride, self.ceil)


class Activation(LayerSpec):
    """A function of every value, "relu", "sigmoid", "step" or "tanh"; a layer's name in a list stands for it."""

    function: str

    @field_validator("function")
    @classmethod
    def _known(cls, function: str) -> str:
        if function not in ACTIVATIONS:
            raise RuleBroken("unknown activation", suggestion(function, list(ACTIVATIONS)), function)
        return function

    def layer(self, shape: Shape, rng: np.random.Generator) -> Layer:
        return ACTIVATIONS[self.function]()


def named(value: Any) -> Any:
    """The name of an activation as the layer it stands for; anything else as it is."""
    return Activation(function=value) if isinstance(value, str) else value


def cnn(image: Sequence[int], layers: Sequence[LayerSpec | str], *, seed: int = 0) -> Network:
    """A network for images `(channels, height, width)`, from layers by their sizes.

        cnn((1, 28, 28), [Conv(8, kernel=3), "relu", MaxPool(2), Linear(10)])

    Samples are flat, `(batch, channels * height * width)`, channel after channel, row after row; a `Linear` layer takes
    them as they are. Weights float32, normal with mean 0 and variance 2 / (inputs of an output) (He et al., ICCV 2015);
    biases 0. Raises `InputError`, or `ParameterError` for an unknown activation, where a layer does not fit.
    """
    return Network(tuple(chain(check_image("cnn.image", tuple(image)), layers, seed)))


def chain(shape: Shape, layers: Sequence[LayerSpec | str | int], seed: int) -> list[Layer]:
    """Layers by their sizes one after the other, from inputs of this shape on. Raises `InputError` as `cnn`."""
    streams, made = Streams(seed).at("cnn"), list[Layer]()
    for i, spec in enumerate(map(named, layers)):
        if not isinstance(spec, LayerSpec):
            remedy = f"write Linear({spec})" if isinstance(spec, int) else "write Conv(8, kernel=3)"
            rule = "must be a layer by its sizes, or the name of an activation"
            raise InputError(f"cnn.layers[{i}]", rule, spec, remedy)
        try:
            made.append(spec.layer(shape, streams.at("layer", i).rng("weight")))
        except InputError as error:
            (place,), rule, value, remedy = error.problem
            raise InputError(f"cnn.layers[{i}]: {place}", rule, value, remedy) from None
        shape = _shape_after(made[-1], shape)
    return made


def _shape_after(layer: Layer, shape: Shape) -> Shape:
    if isinstance(layer, ImageLayer):
        return layer.out_shape
    return shape if layer.n_out is None else (layer.n_out, 1, 1)


def _he(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Normal weights of variance 2 / fan_in, float32."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32((2 / fan_in) ** 0.5)
