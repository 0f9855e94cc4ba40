"""The generators of one call, and normal numbers drawn fast.

Reads draw one normal number per conversion, which would cost more than the products themselves if drawn one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cimsim.backend import generator
from device_models.streams import Streams
from device_models.window import Array

BLOCK = 16_384  # numbers transformed together: their scratch stays in a core's cache


class Draws:
    """Named generators that live where the arrays live: each made on first use, then continued for one call."""

    def __init__(self, streams: Streams, like: Array) -> None:
        self._streams, self._like = streams, like
        self._made: dict[tuple[str | int, ...], Any] = {}

    def rng(self, role: str, *place: str | int) -> Any:
        """The generator of a role at a place below this call's streams."""
        key = (*place, role)
        if key not in self._made:
            self._made[key] = generator(self._like, self._streams.at(*place), role)
        return self._made[key]


def normals(rng: Any, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers, float32, from a generator of any library.

    A NumPy generator's raw words are transformed block by block (Box and Muller, Ann. Math. Stat. 29, 610 (1958)):
    NumPy's own `standard_normal` is three times slower. The largest number that can come is 6.8.
    """
    if not isinstance(rng, np.random.Generator):
        return rng.standard_normal(shape, dtype=np.float32)
    z = np.empty(int(np.prod(shape)), np.float32)
    for start in range(0, z.size, BLOCK):
        block = z[start : start + BLOCK]
        half = (block.size + 1) // 2
        words = rng.bit_generator.random_raw(half).view(np.uint32)
        block[:] = _box_muller(words[:half], words[half:])[: block.size]
    return z.reshape(shape)


def _box_muller(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two normal numbers from each pair of 32-bit words, float32."""
    half = a.size
    z = np.empty(2 * half, np.float32)
    radius = a.astype(np.float32)
    radius *= np.float32(2**-32)
    np.maximum(radius, np.float32(2**-33), out=radius)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle = b.view(np.int32).astype(np.float32)
    angle *= np.float32(np.pi * 2**-31)
    np.cos(angle, out=z[:half])
    np.sin(angle, out=z[half:])
    z[:half] *= radius
    z[half:] *= radius
    return z
