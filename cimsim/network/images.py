"""Images as flat samples: their shape, and the windows that slide over them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cimsim.network.layers import Layer
from device_models.errors import InputError

Shape = tuple[int, int, int]  # channels, height, width; a sample is flattened in this order
Pair = tuple[int, int]  # along height and width
Sides = int | Pair


class ImageLayer(Layer):
    """A layer from images to images: it knows the shapes of both."""

    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        """Channels, height and width of an output; those of an input unless a layer says otherwise."""
        return self.in_shape

    @property
    def n_in(self) -> int:
        """Features per sample at the input."""
        return math.prod(self.in_shape)

    @property
    def n_out(self) -> int:
        """Features per sample at the output."""
        return math.prod(self.out_shape)


@dataclass(frozen=True)
class Windows:
    """The places of a window along one side of an image: how many there are, and what they see.

    Attributes:
        kernel: elements of a window.
        stride: step from one window to the next.
        dilation: step from one element to the next.
        count: number of windows.
    """

    kernel: int
    stride: int
    dilation: int
    count: int

    @classmethod
    def along(cls, side: int, kernel: int, stride: int, dilation: int = 1, *, ceil: bool = False) -> Windows:
        """The windows along a side that holds one or more; `ceil`: also those that hang over its end."""
        rest = side - dilation * (kernel - 1) - 1
        count = (math.ceil(rest / stride) if ceil else rest // stride) + 1
        if (count - 1) * stride >= side:  # a last window that would see nothing
            count -= 1
        return cls(kernel, stride, dilation, count)

    def seen(self, side: int) -> np.ndarray:
        """The elements of a side that each window sees, its kernel's number but at the end; for `dilation` 1."""
        return np.minimum(self.kernel, side - self.stride * np.arange(self.count))

    def slices(self) -> Iterator[slice]:
        """For each element of the window in turn, where it lies in all windows."""
        for start in range(0, self.kernel * self.dilation, self.dilation):
            yield slice(start, start + (self.count - 1) * self.stride + 1, self.stride)


def check_image(where: str, shape: object) -> Shape:
    """`shape` as (channels, height, width). Raises `InputError` if it is not three integers above 0."""
    if not (isinstance(shape, tuple | list) and len(shape) == 3 and all(_is_count(n, 1) for n in shape)):
        rule, remedy = "must be three integers above 0 (channels, height, width)", "for MNIST, (1, 28, 28)"
        raise InputError(where, rule, shape, remedy)
    return int(shape[0]), int(shape[1]), int(shape[2])


def check_sides(where: str, value: object, least: int = 1) -> Pair:
    """`value` as two integers, along height and width; one counts for both. Raises `InputError` for anything else."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if not (len(pair) == 2 and all(_is_count(n, least) for n in pair)):
        rule = f"must be an integer of {least} or more, or two of them (height, width)"
        raise InputError(where, rule, value, "write 3 for 3 x 3" if least else "write 0 for none")
    return int(pair[0]), int(pair[1])


def as_pair(sides: Sides) -> Pair:
    """One number for height and width, or a number for each, as two."""
    return (sides, sides) if isinstance(sides, int) else sides


def check_fit(where: str, window: Pair, image: Pair, over: str = "image") -> None:
    """Raises `InputError` if a window is larger than what it slides over."""
    if window[0] > image[0] or window[1] > image[1]:
        rule = f"must fit into the {over} of {times(image)}"
        raise InputError(where, rule, times(window), "choose a smaller one, or start from larger images")


def times(sides: tuple[int, ...]) -> str:
    """Sides as text: 8 x 26 x 26."""
    return " x ".join(map(str, sides))


def _is_count(n: object, least: int) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and int(n) >= least
