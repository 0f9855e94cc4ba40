"""The inner loops in array functions: for CuPy arrays and any other library that answers NumPy's functions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

from cimsim.backend import generator
from cimsim.kernels.laws import Gaussian, Sums, Table, Uniform
from device_models.streams import Streams
from device_models.window import Array


class GeneratorNoise:
    """Noise from the library's own generator, which goes on from call to call."""

    def __init__(self, rng: Any) -> None:
        self._rng = rng

    def add(self, x: Array, variance: Array, turn: int = 0) -> None:
        """Add independent noise of this variance, in place."""
        z = self._rng.standard_normal(x.shape, dtype=x.dtype)
        z *= np.sqrt(variance)
        x += z

    def generators(self, n: int, turn: int = 0) -> Iterator[Any]:
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


def digits(whole: Array, shift: int, width: int, unit: float) -> Array:
    """`unit` times the digit of `width` bits above the lowest `shift` bits of whole numbers, which keep their sign."""
    above = np.floor(np.abs(whole) * np.float32(2.0**-shift))
    above -= np.floor(above * np.float32(2.0**-width)) * np.float32(2**width)
    return np.sign(whole) * above * np.float32(unit)


def convert(i: Array, law: Uniform | Table) -> None:
    """Currents `(batch, columns)` to codes and to what they mean, in place."""
    if isinstance(law, Table):
        _by_table(i, law)
        return
    i *= law.scale
    i += law.shift
    np.floor(i, out=i)
    np.clip(i, 0, law.top, out=i)
    i *= law.step
    i += law.first


def read_out(
    y: Array,
    at: tuple[int, int],
    i: Array,
    sums: Sums,
    law: Uniform | Table | None = None,
    noises: tuple[Gaussian | None, Gaussian | None] = (None, None),
) -> None:
    """Noise, conversion, shift and add: adds what a tile's currents are worth to outputs `y` `(samples, outputs)`.

    `at` is the sample and the output where those of `i` begin. `i` `(batch, signals * columns)` are the currents,
    which are overwritten; `law` None leaves them unconverted; `noises` are those of the cells and of the converters.
    """
    for one in noises:
        if one is not None:
            one.source.add(i, one.variance, one.turn)
    if law is not None:
        convert(i, law)
    signals = i.reshape(len(i), len(sums.worths), -1)
    total = signals[:, 0] * float(sums.worths[0])
    for s in range(1, len(sums.worths)):
        total = total + signals[:, s] * float(sums.worths[s])
    if sums.reference:
        total = total[:, :-1] - total[:, -1:]
    (row, column), (n, columns) = at, total.shape
    y[row : row + n, column : column + columns] += total * np.float32(sums.worth)


def _by_table(i: Array, law: Table) -> None:
    """All bits one after the other from the highest, every column at once."""
    top = law.edges.shape[1]
    edges, values = law.edges.reshape(-1), law.values.reshape(-1)
    code, bit = np.zeros_like(i, dtype=np.int64), (top + 1) // 2
    while bit:
        reached = i >= np.take(edges, law.lines * top + code + (bit - 1))
        code += bit * reached
        bit //= 2
    i[:] = np.take(values, law.lines * (top + 1) + code)
