"""The few inner loops that decide the speed of a chip, in three forms with the same names.

`cpu` holds compiled loops for NumPy arrays, `gpu` kernels for CuPy arrays; `plain` the same in array functions, for any
other library. `read_tiles` is in `cpu` alone: elsewhere tiles are read one by one.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from cimsim.backend import backend_name
from cimsim.kernels.laws import Gaussian, Noise, Sheet, Sums, Table, Uniform
from device_models.streams import Streams
from device_models.window import Array

__all__ = ["Gaussian", "Noise", "Sheet", "Sums", "Table", "Uniform", "kernels_for", "noise"]


def kernels_for(x: Array) -> ModuleType:
    """The module of loops for arrays of the library that holds `x`."""
    return _kernels_of(backend_name(x))


@cache
def _kernels_of(library: str) -> ModuleType:
    if library == "numpy":
        from cimsim.kernels import cpu

        return cpu
    if library == "cupy":
        from cimsim.kernels import gpu

        return gpu
    from cimsim.kernels import plain

    return plain


def noise(like: Array, streams: Streams, role: str, row: int = 0) -> Noise:
    """The noise of a role for the samples from number `row` on, drawn in the library that holds `like`."""
    source: Noise = kernels_for(like).noise(like, streams, role, row)
    return source


def pulse_kernels_for(x: Array) -> ModuleType:
    """The module of loops of training by pulses for arrays of the library that holds `x`."""
    if backend_name(x) == "numpy":
        from cimsim.kernels import pulses_steps

        return pulses_steps
    from cimsim.kernels import pulses_plain

    return pulses_plain
