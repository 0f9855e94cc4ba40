"""The family of codes for values in [0, 1], and what each of them checks."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from pydantic import Field

from cimsim.backend import is_array
from cimsim.kernels import noise
from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.parameters import Variant
from device_models.streams import Streams
from device_models.window import Array


class Code(Variant):
    """A code of values in [0, 1], one neuron per value, in a window of `steps` time steps.

    Times are in steps: multiply by the neuron's time step for seconds. A code of one's own gives `raster` and `values`.
    """

    steps: int = Field(ge=1, le=1_000_000, description="time steps")

    @abc.abstractmethod
    def raster(self, x: Array, rng: Any) -> Array:
        """Spikes (batch, steps, features), bool, of values (batch, features) that have been checked."""

    @abc.abstractmethod
    def values(self, spikes: Array) -> Array:
        """Values (batch, features) of spikes that have been checked."""

    def encode(self, x: Array, rng: Any = None) -> Array:
        """Spikes (batch, steps, features), bool, of values (batch, features) in [0, 1].

        `rng` is the generator of a code that draws, one that lives where `x` does (`backend.generator`).
        Raises `InputError` for values out of their range, another shape, or a generator that is missing.
        """
        return self.raster(self.check(x), rng)

    def check(self, x: Array) -> Array:
        """The samples as an array that `raster` takes. Raises `InputError` for anything else."""
        return check_values(x)

    def decode(self, spikes: Array) -> Array:
        """Values (batch, features), float64, of spikes (batch, steps, features); see the class for the error.

        Raises `InputError` for spikes that are not 0 or 1, or of another shape.
        """
        return self.values(as_raster(spikes, self.steps))


class SampleDraws:
    """The generator of a code where each sample's draws are fixed by the seed and the sample's number.

    On the CPU they do not depend on how a batch is cut; elsewhere a part of a batch has a generator of its own.
    """

    def __init__(self, like: Array, seed: int, row: int) -> None:
        self._source = noise(like, Streams(seed).at("code"), "code", row)

    def random(self, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
        """Numbers evenly spread over [0, 1), of samples on the first axis."""
        return np.stack([rng.random(shape[1:], dtype=dtype) for rng in self._source.generators(shape[0])])


def check_values(x: Array) -> Array:
    """The values as float array (batch, features); raise `InputError` unless they lie in [0, 1]."""
    x = x if is_array(x) else np.asarray(x, dtype=float)
    if x.ndim != 2 or 0 in x.shape:
        raise InputError("x", "must have the axes (batch, features)", f"shape {x.shape}", "reshape it")
    if x.dtype.kind not in "biuf":
        raise InputError("x", "must hold numbers", f"type {x.dtype}")
    if not bool(np.all((x >= 0) & (x <= 1))):
        got = f"{float(np.min(x)):g} to {float(np.max(x)):g}"
        raise InputError("x", "must lie between 0 and 1", got, "scale it by its full scale, and look for NaN")
    return x if x.dtype.kind == "f" else x.astype(float)


def times(steps: int, like: Array) -> Array:
    """The steps 0, 1, ... as an array (steps, 1) beside `like`, to broadcast against (batch, 1, features)."""
    return np.arange(steps, like=like)[:, None]
