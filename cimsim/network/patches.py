"""Cutting images into patches and adding patches back (im2col and its transpose), in any array library."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cimsim.network.images import Pair, Shape, Windows
from device_models.window import Array

_BLOCK = 2**18  # numbers in the patches of one block of images: they stay in the cache, and memory stays flat

# glibc gives large freed arrays back to the system, page by page again at the next layer, until one this large has been
# freed (mallopt(3), M_MMAP_THRESHOLD): a step of training takes 1.6 times as long without.
np.empty(2**22, np.float32)


@dataclass(frozen=True)
class Patches:
    """Where the patches of an image lie: its shape (channels, height, width), and sides along height and width."""

    image: Shape
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @cached_property
    def windows(self) -> tuple[Windows, Windows]:
        """The places of patches along height and width."""
        sides = zip(self.padded, self.kernel, self.stride, self.dilation, strict=True)
        vertical, horizontal = (Windows.along(*side) for side in sides)
        return vertical, horizontal

    @property
    def padded(self) -> Pair:
        """Height and width of an image with the zeros around it."""
        return self.image[1] + 2 * self.padding[0], self.image[2] + 2 * self.padding[1]

    @property
    def reach(self) -> Pair:
        """Height and width that a dilated kernel covers."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    @property
    def count(self) -> int:
        """Patches of an image."""
        return self.windows[0].count * self.windows[1].count

    @property
    def rows(self) -> int:
        """Numbers in a patch."""
        return self.image[0] * math.prod(self.kernel)

    def blocks(self, n: int) -> Iterator[slice]:
        """`n` images in blocks whose patches fit into the cache."""
        size = max(1, _BLOCK // (self.count * self.rows))
        return (slice(start, min(start + size, n)) for start in range(0, n, size))

    def cut(self, x: Array) -> Array:
        """The patches `(n * count, rows)` of flat images `(n, features)`; in memory, columns lie whole."""
        images = self._framed(x.reshape(-1, *self.image)).swapaxes(0, 1)
        patches = np.empty_like(x, shape=(self.rows, len(x) * self.count))
        for element, (rows, columns) in zip(self._elements(patches), self._views(), strict=True):
            element[...] = images[:, :, rows, columns]
        return patches.T

    def added(self, d: Array) -> Array:
        """The transpose of `cut`: patches `(n * count, rows)` summed where they overlap, `(n, features)`."""
        n = len(d) // self.count
        images = np.zeros_like(d, shape=(self.image[0], n, *self.padded))
        for element, (rows, columns) in zip(self._elements(d.T), self._views(), strict=True):
            images[:, :, rows, columns] += element
        (top, left), (_, height, width) = self.padding, self.image
        return images[:, :, top : top + height, left : left + width].swapaxes(0, 1).reshape(n, -1)

    def _views(self) -> Iterator[tuple[slice, slice]]:
        """For each element of the kernel in turn, where it lies in the patches of a padded image."""
        vertical, horizontal = self.windows
        return ((rows, columns) for rows in vertical.slices() for columns in horizontal.slices())

    def _elements(self, patches: Array) -> Iterator[Array]:
        """Patches `(rows, n * count)` element by element of the kernel, each `(channels, n, height, width)`."""
        vertical, horizontal = self.windows
        split = patches.reshape(self.image[0], math.prod(self.kernel), -1, vertical.count, horizontal.count)
        return (split[:, k] for k in range(split.shape[1]))

    def _framed(self, images: Array) -> Array:
        """Images `(n, channels, height, width)` with zeros around them."""
        (top, left), (_, height, width) = self.padding, self.image
        if not (top or left):
            return images
        framed = np.zeros_like(images, shape=(*images.shape[:2], *self.padded))
        framed[:, :, top : top + height, left : left + width] = images
        return framed
