"""Pooling: windows of an image reduced to their largest value or their mean, one side after the other."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cimsim.backend import to_library_of
from cimsim.network.images import ImageLayer, Shape, Sides, Windows, as_pair, check_fit, check_image, check_sides, times
from cimsim.network.layers import Product
from device_models.errors import InputError
from device_models.window import Array

_HEIGHT, _WIDTH = -2, -1  # axes


@dataclass(frozen=True, repr=False)
class Pool(ImageLayer, abc.ABC):
    """Each channel's windows reduced to one value.

    Attributes:
        in_shape: channels, height and width of the images.
        kernel: height and width of a window; one number for both.
        stride: step from window to window; None takes windows side by side.
        ceil: whether windows may hang over the image's lower and right end; else what is left over there is dropped.

    Raises:
        InputError: a window larger than the image, or sizes that are none.
    """

    in_shape: Shape
    kernel: Sides
    stride: Sides | None = None
    ceil: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.ceil, bool):
            raise InputError(f"{name}.ceil", "must be true or false", self.ceil, "True keeps windows at the end")
        object.__setattr__(self, "in_shape", check_image(f"{name}.in_shape", self.in_shape))
        object.__setattr__(self, "kernel", check_sides(f"{name}.kernel", self.kernel))
        stride = self.kernel if self.stride is None else check_sides(f"{name}.stride", self.stride)
        object.__setattr__(self, "stride", stride)
        check_fit(f"{name}.kernel", as_pair(self.kernel), self.in_shape[1:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({times(self.in_shape)} -> {times(self.out_shape)})"

    @property
    def out_shape(self) -> Shape:
        """Channels, height and width of an output."""
        return self.in_shape[0], self._windows[0].count, self._windows[1].count

    @cached_property
    def _windows(self) -> tuple[Windows, Windows]:
        sides = zip(self.in_shape[1:], as_pair(self.kernel), as_pair(self.stride or self.kernel), strict=True)
        vertical, horizontal = (Windows.along(*side, ceil=self.ceil) for side in sides)
        return vertical, horizontal


class MaxPool2d(Pool):
    """The largest value of each window; the error goes back to one element that has it, the first by columns."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The largest values, `(batch, n_out)`: along height first, then along width."""
        vertical, horizontal = self._windows
        y = _reduced(np.maximum, x.reshape(-1, *self.in_shape), vertical, _HEIGHT)
        return _reduced(np.maximum, y, horizontal, _WIDTH).reshape(len(x), -1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`dy` where the largest value was, else 0."""
        vertical, horizontal = self._windows
        images, out = x.reshape(-1, *self.in_shape), (-1, *self.out_shape)
        halfway = _reduced(np.maximum, images, vertical, _HEIGHT)
        d = _to_largest(dy.reshape(out), halfway, y.reshape(out), horizontal, _WIDTH)
        return _to_largest(d, images, halfway, vertical, _HEIGHT).reshape(len(x), -1)


class AvgPool2d(Pool):
    """The mean of each window; of one that hangs over the end, the mean of what it sees."""

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The means, `(batch, n_out)`."""
        vertical, horizontal = self._windows
        y = _reduced(np.add, x.reshape(-1, *self.in_shape), vertical, _HEIGHT)
        return (_reduced(np.add, y, horizontal, _WIDTH) * self._shares(x)).reshape(len(x), -1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """Each window's `dy`, in equal shares to what it sees."""
        vertical, horizontal = self._windows
        d = dy.reshape(-1, *self.out_shape) * self._shares(dy)
        d = _spread(d, (*d.shape[:-1], self.in_shape[2]), horizontal, _WIDTH)
        return _spread(d, (len(x), *self.in_shape), vertical, _HEIGHT).reshape(len(x), -1)

    def _shares(self, like: Array) -> Array:
        """One over the number of elements that each window sees, `(height, width)` of an output."""
        seen = [w.seen(side) for w, side in zip(self._windows, self.in_shape[1:], strict=True)]
        return to_library_of(1 / np.outer(*seen), like).astype(like.dtype)


def _at(axis: int, where: slice) -> Any:
    """An index that takes `where` along height or width and all of the rest."""
    return (..., where, slice(None)) if axis == _HEIGHT else (..., where)


def _reduced(ufunc: np.ufunc, x: Array, windows: Windows, axis: int) -> Array:
    """Windows along one axis reduced by a function of two arrays."""
    first, *others = windows.slices()
    y = x[_at(axis, first)].copy()
    for where in others:
        seen = x[_at(axis, where)]
        so_far = y[_at(axis, slice(seen.shape[axis]))]  # fewer where the last window hangs over the end
        ufunc(so_far, seen, out=so_far)
    return y


def _to_largest(dy: Array, x: Array, y: Array, windows: Windows, axis: int) -> Array:
    """Each `dy` at the first element of its window that is the largest, `y`."""
    dx, left = np.zeros_like(x), dy.copy()
    *before, last = windows.slices()
    for where in before:
        reached = dx[_at(axis, where)]
        there = _at(axis, slice(reached.shape[axis]))
        due, hit = left[there], x[_at(axis, where)] == y[there]
        if windows.stride >= windows.kernel:  # no other window comes here
            here = np.multiply(due, hit, out=reached)
        else:
            here = due * hit
            reached += here
        due -= here
    reached = dx[_at(axis, last)]
    reached += left[_at(axis, slice(reached.shape[axis]))]  # none of the others was it
    return dx


def _spread(dy: Array, shape: tuple[int, ...], windows: Windows, axis: int) -> Array:
    """Each `dy` at every element of its window."""
    dx = np.zeros_like(dy, shape=shape)
    for where in windows.slices():
        reached = dx[_at(axis, where)]
        reached += dy[_at(axis, slice(reached.shape[axis]))]
    return dx
