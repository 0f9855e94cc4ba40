"""Convolution as one matrix product per image patch, so that a crossbar can do it like any other layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cimsim.network.images import ImageLayer, Shape, Sides, as_pair, check_fit, check_image, check_sides, times
from cimsim.network.layers import Product, Weighted
from cimsim.network.patches import Patches
from device_models.errors import InputError
from device_models.window import Array


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(ImageLayer, Weighted):
    """A convolution (without flipping the kernel, as in every network): each patch times one matrix, plus a bias.

    The matrix is what goes on a crossbar: a row per element of a patch, a column per output channel. With groups it is
    block-diagonal: an output channel sees the inputs of its group only, the other weights are 0, and training leaves
    them there. On a chip they take up cells: a crossbar reads all its rows at once.

    Attributes:
        weight: `(channels_in * kernel height * kernel width, channels_out)`; rows run over channels, height, width.
        bias: `(channels_out,)`.
        in_shape: channels, height and width of the images; samples are flat, `(batch, channels * height * width)`.
        kernel: height and width of a patch, in elements; one number for both, as in what follows.
        stride: step from patch to patch.
        padding: zeros put around the image on each side.
        dilation: step from element to element of a patch.
        groups: groups of input channels, and as many of output channels, that see nothing of each other.

    Raises:
        InputError: sizes that do not fit together.
    """

    weight: Array
    bias: Array
    in_shape: Shape
    kernel: Sides
    stride: Sides = 1
    padding: Sides = 0
    dilation: Sides = 1
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "in_shape", check_image("Conv2d.in_shape", self.in_shape))
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, check_sides(f"Conv2d.{name}", getattr(self, name), least))
        over = "image" if self.padding == (0, 0) else "padded image"
        check_fit("Conv2d.kernel", self.patches.reach, self.patches.padded, over)
        _check_weights(self)

    @classmethod
    def from_kernels(
        cls,
        kernels: Array,
        bias: Array,
        in_shape: Shape,
        *,
        stride: Sides = 1,
        padding: Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
    ) -> Conv2d:
        """A layer from kernels `(channels_out, channels_in / groups, height, width)`, as PyTorch and ONNX keep them.

        Raises `InputError` as the class does.
        """
        if kernels.ndim != 4 or 0 in kernels.shape:
            rule = "must have four axes (channels_out, channels_in / groups, height, width)"
            raise InputError("Conv2d.kernels", rule, f"shape {kernels.shape}", "reshape them")
        channels_out, channels_in, height, width = kernels.shape
        check_groups(groups, channels_in * groups, channels_out)
        weight = _block_diagonal(kernels.reshape(channels_out, -1).T, groups)
        return cls(weight, bias, in_shape, (height, width), stride, padding, dilation, groups)

    def __repr__(self) -> str:
        return f"Conv2d({times(self.in_shape)} -> {times(self.out_shape)})"

    @cached_property
    def patches(self) -> Patches:
        """Where the patches of an image lie."""
        return Patches(self.in_shape, *map(as_pair, (self.kernel, self.stride, self.padding, self.dilation)))

    @property
    def out_shape(self) -> Shape:
        """Channels, height and width of an output."""
        vertical, horizontal = self.patches.windows
        return int(self.weight.shape[1]), vertical.count, horizontal.count

    @property
    def reads_per_sample(self) -> int:
        """Patches of an image."""
        return self.patches.count

    def vectors(self, x: Array, y: Array | None = None) -> Iterator[Array]:
        """The patches of all images `(images * patches, rows)`, one block of images after the other."""
        return (self.patches.cut(x[block]) for block in self.patches.blocks(len(x)))

    def errors(self, dy: Array) -> Iterator[Array]:
        """The error at every patch, `(images * patches, channels_out)`, in the blocks of `vectors`."""
        return (self._by_patch(dy[block]) for block in self.patches.blocks(len(dy)))

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """Every patch through `product`, plus the bias, block by block."""
        product, bias = product or self.multiply, self.bias[:, None]
        channels, places = len(self.bias), self.reads_per_sample
        out = np.empty_like(x, shape=(len(x), channels, places), dtype=self.weight.dtype)
        for block in self.patches.blocks(len(x)):
            y = product(self.patches.cut(x[block])).reshape(-1, places, channels)
            np.add(y.swapaxes(1, 2), bias, out=out[block])
        return out.reshape(len(x), -1)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """`transposed` of the error at every patch, summed where patches overlap, block by block."""
        transposed = transposed or self.multiply_transposed
        dx = np.empty_like(dy, shape=(len(dy), self.n_in), dtype=self.weight.dtype)
        for block in self.patches.blocks(len(dy)):
            dx[block] = self.patches.added(transposed(self._by_patch(dy[block])))
        return dx

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """The sum over patches of `patch.T @ dy`, 0 between groups; and the sum of `dy` over images and patches."""
        d_weight = np.zeros_like(self.weight)
        for v, d in zip(self.vectors(x), self.errors(dy), strict=True):
            d_weight += v.T @ d
        if self.groups > 1:
            d_weight *= self._inside_groups
        return d_weight, dy.reshape(len(dy), len(self.bias), -1).sum(axis=(0, 2))

    def multiply(self, v: Array) -> Array:
        """The exact product `v @ weight`, its columns whole in memory, as the channels of an image are."""
        return (self.weight.T @ v.T).T

    def multiply_transposed(self, d: Array) -> Array:
        """The exact product `d @ weight.T`, its columns whole in memory."""
        return (self.weight @ d.T).T

    @property
    def mask(self) -> Array | None:
        """0 between groups; None where there is one group only."""
        return self._inside_groups if self.groups > 1 else None

    @cached_property
    def _inside_groups(self) -> Array:
        """1 where a weight lies inside its group, else 0."""
        rows, columns = self.weight.shape
        return _block_diagonal(np.ones_like(self.weight, shape=(rows // self.groups, columns)), self.groups)

    def _by_patch(self, y: Array) -> Array:
        """Outputs of some images as `(images * patches, channels_out)`, columns whole in memory."""
        channels = len(self.bias)
        return y.reshape(len(y), channels, -1).swapaxes(0, 1).reshape(channels, -1).T


def check_groups(groups: int, channels_in: int, channels_out: int) -> None:
    """Raises `InputError` if channels cannot be dealt out to so many groups."""
    if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1:
        raise InputError("Conv2d.groups", "must be an integer above 0", groups, "1 lets every output see every input")
    for name, channels in (("input", channels_in), ("output", channels_out)):
        if channels % groups:
            rule = f"must divide the {channels} {name} channels"
            raise InputError("Conv2d.groups", rule, groups, "change the channels or the groups")


def _check_weights(layer: Conv2d) -> None:
    weight, rows = layer.weight.shape, layer.patches.rows
    if len(weight) != 2 or weight[0] != rows or weight[1] == 0:
        rule = f"must be a matrix of {rows} rows, channels_in * kernel height * kernel width"
        raise InputError("Conv2d.weight", rule, f"shape {weight}", "Conv2d.from_kernels takes four-dimensional kernels")
    layer.check_bias("output channel")
    check_groups(layer.groups, layer.in_shape[0], weight[1])


def _block_diagonal(columns: Array, groups: int) -> Array:
    """The weights of each group's rows `(rows / groups, channels_out)` where they stand in the matrix of all rows."""
    rows, channels = columns.shape[0], columns.shape[1] // groups
    matrix = np.zeros_like(columns, shape=(groups, rows, groups, channels))
    for g in range(groups):
        matrix[g, :, g] = columns[:, g * channels : (g + 1) * channels]
    return matrix.reshape(groups * rows, groups * channels)
