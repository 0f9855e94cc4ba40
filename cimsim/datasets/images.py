"""Images cut and shrunk: what small published networks are given of a large data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device_models.errors import InputError

Size = tuple[int, int]
Images = NDArray[np.float32]


def crop(x: Images, shape: Size, to: Size) -> Images:
    """The middle `to` (rows, columns) of images `(n, rows * columns)` of a `shape`; an odd margin is one less above.

    Raises `InputError` for images of another shape or a part that is larger than they are.
    """
    images = _images(x, shape)
    if not all(1 <= part <= side for part, side in zip(to, shape, strict=True)):
        raise InputError("crop.to", f"must be from 1 x 1 to {shape[0]} x {shape[1]}", to, "crop no more than there is")
    top, left = ((side - part) // 2 for side, part in zip(shape, to, strict=True))
    return np.ascontiguousarray(images[:, top : top + to[0], left : left + to[1]]).reshape(len(x), -1)


def shrink(x: Images, shape: Size, to: Size) -> Images:
    """Images `(n, rows * columns)` of a `shape` as means over areas: each pixel of `to` sees its share of the image.

    The mean over the image stays what it is. Raises `InputError` for images of another shape, or for a larger size.
    """
    images = _images(x, shape)
    if not all(1 <= few <= side for few, side in zip(to, shape, strict=True)):
        raise InputError("shrink.to", f"must be from 1 x 1 to {shape[0]} x {shape[1]}", to, "images only shrink")
    rows, columns = (_shares(side, few) for side, few in zip(shape, to, strict=True))
    return np.asarray(rows @ images @ columns.T, np.float32).reshape(len(x), -1)


def _images(x: Images, shape: Size) -> Images:
    if x.ndim != 2 or x.shape[1] != shape[0] * shape[1]:
        rule = f"must be (n, {shape[0] * shape[1]}) for images of {shape[0]} x {shape[1]}"
        raise InputError("images", rule, f"shape {x.shape}", "give the shape that they have")
    return x.reshape(-1, *shape)


def _shares(side: int, few: int) -> NDArray[np.float32]:
    """How much of each of `side` pixels lies in each of `few` equal parts, `(few, side)`; rows add to 1."""
    edges = np.arange(few + 1) * (side / few)
    low, high = np.maximum(edges[:-1, None], np.arange(side)), np.minimum(edges[1:, None], np.arange(1, side + 1))
    return np.asarray(np.maximum(high - low, 0) * (few / side), np.float32)
