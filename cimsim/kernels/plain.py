"""The inner loops in array functions: for CuPy arrays and any other library that answers NumPy's functions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

from cimsim.backend import generator
from device_models.streams import Streams
from device_models.window import Array


class GeneratorNoise:
    """Noise from the library's own generator."""

    def __init__(self, rng: Any) -> None:
        self._rng = rng

    def add(self, x: Array, variance: Array) -> None:
        """Add independent noise of this variance, in place."""
        z = self._rng.standard_normal(x.shape, dtype=x.dtype)
        z *= np.sqrt(variance)
        x += z

    def generators(self, n: int) -> Iterator[Any]:
        """The library's own generator, `n` times."""
        return repeat(self._rng, n)


def noise(like: Array, streams: Streams, role: str, row: int) -> GeneratorNoise:
    """The noise of a role; a part that starts at another row has a generator of its own."""
    return GeneratorNoise(generator(like, streams.at("row", row), role))


def quantise(x: Array, scale: float, low: int, high: int, unit: float) -> Array:
    """`unit` times the whole number nearest to `scale x`, held to `low`..`high`: a DAC without errors."""
    u = x * np.float32(scale)
    np.rint(u, out=u)
    np.clip(u, low, high, out=u)
    u *= np.float32(unit)
    return u


def convert(i: Array, scale: Array, shift: Array, top: int, step: Array, first: Array) -> None:
    """Currents to codes and back, in place: `first + step floor(scale i + shift)`, codes held to 0..top, by column."""
    i *= scale
    i += shift
    np.floor(i, out=i)
    np.clip(i, 0, top, out=i)
    i *= step
    i += first
