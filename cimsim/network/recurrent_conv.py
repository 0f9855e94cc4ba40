"""Recurrent convolutions: own spikes are further channels of the image that the kernels slide over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from cimsim.network.conv import Conv2d
from cimsim.network.firing import ARCTAN, NEURON
from cimsim.network.images import ImageLayer, Shape, Sides, as_pair, check_image, check_sides, times
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.recurrent import Recurrence
from cimsim.network.surrogates import Surrogate
from device_models.errors import InputError
from device_models.window import Array


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentConv2d(ImageLayer, Recurrence):
    """A convolution whose neurons, a channel of the image for each kernel, also see their neighbours' last spikes.

    It moves on by one pixel and puts zeros around the image, so that an output is as high and wide as the input and its
    spikes can stand beside it: a patch holds the inputs and the spikes of the step before in the same place. Its
    product is called once per step, with all patches of the samples of a block.

    Attributes:
        weight: `((channels_in + channels_out) * kernel height * kernel width, channels_out)`, as that of a `Conv2d`,
            the input's channels first.
        bias: `(channels_out,)`.
        in_shape: channels, height and width of the images.
        kernel: height and width of a patch, both odd; one number for both.
        steps: time steps of a sample.
        neuron: the law of the membranes, which start from rest.
        surrogate: what stands for the derivative of a spike in the backward pass.

    Raises:
        InputError: sizes that do not fit together.
    """

    weight: Array
    bias: Array
    in_shape: Shape
    kernel: Sides
    steps: int
    neuron: DiscreteLIF = NEURON
    surrogate: Surrogate = ARCTAN

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "in_shape", check_image("RecurrentConv2d.in_shape", self.in_shape))
        kernel = check_sides("RecurrentConv2d.kernel", self.kernel)
        object.__setattr__(self, "kernel", kernel)
        if not (kernel[0] % 2 and kernel[1] % 2):
            rule = "must have odd sides, so that its neurons lie in the middle of what they see"
            raise InputError("RecurrentConv2d.kernel", rule, times(kernel), "take 3, or 5")
        _check_weights(self)

    def __repr__(self) -> str:
        return f"RecurrentConv2d({times(self.in_shape)} -> {times(self.out_shape)}, {self.steps} steps)"

    @property
    def out_shape(self) -> Shape:
        """Channels, height and width of an output."""
        return int(self.weight.shape[1]), *self.in_shape[1:]

    @cached_property
    def cell(self) -> Conv2d:
        """The convolution over the channels of the input and of the layer's own spikes."""
        channels, height, width = self.in_shape
        seen = (channels + int(self.weight.shape[1]), height, width)
        rows, columns = as_pair(self.kernel)
        return Conv2d(self.weight, self.bias, seen, self.kernel, padding=(rows // 2, columns // 2))

    def blocks(self, n: int) -> Iterator[slice]:
        """`n` samples in blocks of which all patches of a step fit into the cache."""
        return self.cell.patches.blocks(n)


def _check_weights(layer: RecurrentConv2d) -> None:
    shape, (height, width) = layer.weight.shape, as_pair(layer.kernel)
    seen = (layer.in_shape[0] + (shape[1] if len(shape) == 2 else 0)) * height * width
    if len(shape) != 2 or shape[0] != seen or shape[1] == 0:
        rule = "must be a matrix ((channels_in + channels_out) * kernel height * kernel width, channels_out)"
        raise InputError("RecurrentConv2d.weight", rule, f"shape {shape}", "put the rows of the inputs first")
    layer.check_bias("output channel")
