"""The inner loops for CuPy arrays: noise, conversion, shift and add in one pass, by the kernels of `read_out.cu`.

Noise is by counter, as on the CPU: a number is the same, to rounding, on either. What comes before the product
is left to array functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import repeat
from typing import Any

import numpy as np

from cimsim.backend import compiled, generator
from cimsim.kernels.laws import Gaussian, Sums, Table, Uniform
from cimsim.kernels.plain import convert, digits, quantise
from device_models.streams import Streams
from device_models.window import Array

__all__ = ["CounterNoise", "convert", "digits", "noise", "quantise", "read_out"]

OPTIONS = ("--fmad=false",)  # a product and a sum are rounded each by itself, as on the host
THREADS, MOST_BLOCKS = 128, 65_535
NOTHING = np.uint64(0)  # the pointer to no array
NO_LAW = (NOTHING,) * 7 + (np.int32(0),)


class CounterNoise:
    """Noise by counter: row r, column c of a turn is the same number however the rows are cut into batches."""

    def __init__(self, like: Array, streams: Streams, role: str, row: int) -> None:
        self.key, self.row = streams.key(role), row
        self._like, self._streams, self._role = like, streams.at("row", row), role

    def add(self, x: Array, variance: Array, turn: int = 0) -> None:
        """Add independent noise of this variance, in place."""
        _launch("add_noise", x.shape, noise_arguments(x, Gaussian(self, variance, turn)))

    def generators(self, n: int, turn: int = 0) -> Iterator[Any]:
        """The library's own generator, `n` times: it goes on from row to row."""
        return repeat(generator(self._like, self._streams, self._role), n)


def noise(like: Array, streams: Streams, role: str, row: int) -> CounterNoise:
    """The noise of a role, from its row `row` on."""
    return CounterNoise(like, streams, role, row)


def read_out(
    y: Array,
    at: tuple[int, int],
    i: Array,
    sums: Sums,
    law: Uniform | Table | None = None,
    noises: tuple[Gaussian | None, Gaussian | None] = (None, None),
) -> None:
    """Noise, conversion, shift and add: adds what a tile's currents are worth to outputs `y` `(samples, outputs)`.

    As `cpu.read_out`; `i` is left as it is.
    """
    columns = i.shape[1] // len(sums.worths) - sums.reference
    part = y[at[0] : at[0] + len(i), at[1] : at[1] + columns]
    _launch("read_out", part.shape, read_out_arguments(part, i, sums, law, noises))


def read_out_arguments(
    y: Array, i: Array, sums: Sums, law: Uniform | Table | None, noises: tuple[Gaussian | None, Gaussian | None]
) -> tuple[Any, ...]:
    """What the kernel `read_out` takes, in its order, for outputs `y` `(samples, columns)`."""
    worths = np.asarray(sums.worths, np.float32, like=i)
    shape = (np.int32(len(i)), np.int32(i.shape[1] // len(worths)))
    added = (worths, np.int32(len(worths)), np.int32(sums.reference), np.float32(sums.worth))
    cells, converters = (_noise(one, i) for one in noises)
    return (y, *_strides(y), i, *_strides(i), *shape, *added, *_law(law), *cells, *converters)


def noise_arguments(x: Array, gaussian: Gaussian) -> tuple[Any, ...]:
    """What the kernel `add_noise` takes, in its order."""
    return (x, *_strides(x), np.int32(len(x)), np.int32(x.shape[1]), *_noise(gaussian, x))


def source() -> str:
    """The text of the kernels, CUDA C."""
    return resources.files("cimsim.kernels").joinpath("read_out.cu").read_text(encoding="utf-8")


@cache
def _kernel(name: str) -> Any:
    return compiled(source(), name, OPTIONS)


def _launch(name: str, shape: tuple[int, int], arguments: tuple[Any, ...]) -> None:
    """One thread a sample and column of `shape`, samples side by side."""
    samples, columns = shape
    if samples and columns:
        _kernel(name)((-(-samples // THREADS), min(columns, MOST_BLOCKS)), (THREADS,), arguments)


def _law(law: Uniform | Table | None) -> tuple[Any, ...]:
    if law is None:
        return NO_LAW
    if isinstance(law, Table):
        return (*(NOTHING,) * 4, law.edges, law.values, law.lines, np.int32(law.edges.shape[1]))
    return (law.scale, law.shift, law.step, law.first, *(NOTHING,) * 3, np.int32(law.top))


def _noise(gaussian: Gaussian | None, x: Array) -> tuple[Any, ...]:
    """Noise for `x`: variance and its strides, 0 where it is the same for all; key, first row and turn."""
    if gaussian is None:
        return (NOTHING, np.int64(0), np.int64(0), *(np.uint32(0),) * 6)
    noise, variance, turn = gaussian
    assert isinstance(noise, CounterNoise)
    variance = np.asarray(variance, np.float32, like=x)
    words = (*noise.key, noise.row % 2**32, turn)
    return (variance, *_strides(np.broadcast_to(variance, x.shape)), *map(np.uint32, words))


def _strides(x: Array) -> tuple[np.int64, ...]:
    """Steps in memory along each axis, in elements."""
    return tuple(np.int64(step // x.itemsize) for step in x.strides)
