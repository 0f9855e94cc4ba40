"""The few inner loops that decide the speed of a chip, in two forms with the same names.

`cpu` holds compiled loops for NumPy arrays; `plain` the same in array functions, for CuPy and any other library.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

from cimsim.backend import backend_name
from device_models.streams import Streams
from device_models.window import Array


class Noise(Protocol):
    """A source of noise that goes on from call to call, one row of numbers per sample."""

    def add(self, x: Array, variance: Array) -> None:
        """Add to `x` `(batch, columns)`, in place, independent Gaussian noise of this variance (broadcast to `x`)."""

    def generators(self, n: int) -> Iterator[Any]:
        """Random generators for the next `n` samples, for laws that are drawn another way."""


def kernels_for(x: Array) -> ModuleType:
    """The module of loops for arrays of the library that holds `x`."""
    if backend_name(x) == "numpy":
        from cimsim.kernels import cpu

        return cpu
    from cimsim.kernels import plain

    return plain


def noise(like: Array, streams: Streams, role: str, row: int = 0) -> Noise:
    """The noise of a role from its row `row` on, drawn in the library that holds `like`."""
    source: Noise = kernels_for(like).noise(like, streams, role, row)
    return source
