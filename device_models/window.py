"""The conductance window of a device: its ends and its programmable levels."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.parameters import Parameters, RuleBroken, Siemens

Array = Any  # numpy.ndarray, or any array that answers NumPy's functions (CuPy)


class Limits(Protocol):
    """Ends of a window in siemens: one pair for a device type, or one pair per cell."""

    @property
    def g_min(self) -> Array: ...

    @property
    def g_max(self) -> Array: ...


class CellLimits(NamedTuple):
    """The windows of single cells, arrays that broadcast against their conductances (siemens)."""

    g_min: Array
    g_max: Array


class Window(Parameters):
    """The nominal window of a device, in siemens.

    `levels` is the number of states that can be told apart, None for a continuous device; they are spaced evenly
    in conductance ("linear") or in its logarithm ("log").
    """

    g_min: Siemens
    g_max: Siemens
    levels: int | None = Field(default=None, ge=2, le=65536)
    spacing: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.g_min >= self.g_max:
            got = f"g_min={self.g_min:g} and g_max={self.g_max:g}"
            raise RuleBroken("g_min must be below g_max (siemens)", "exchange them or check the unit", value=got)
        if self.spacing == "log" and self.g_min == 0:
            raise RuleBroken("log spacing needs g_min above 0 siemens", "use linear spacing", value="g_min=0")
        return self

    @property
    def span(self) -> float:
        """Width of the window, siemens."""
        return self.g_max - self.g_min

    def level_values(self) -> np.ndarray:
        """Conductances of all levels in rising order, siemens; empty for a continuous device."""
        if self.levels is None:
            return np.empty(0)
        space = np.linspace if self.spacing == "linear" else np.geomspace
        return np.asarray(space(self.g_min, self.g_max, self.levels), dtype=np.float64)

    def quantise(self, g: np.ndarray) -> np.ndarray:
        """The nearest level to each conductance; a continuous window only clips to its ends."""
        g = np.asarray(np.clip(g, self.g_min, self.g_max))
        if self.levels is None:
            return g
        if self.spacing == "linear":
            step = self.span / (self.levels - 1)
            return np.asarray(np.minimum(self.g_min + np.rint((g - self.g_min) / step) * step, self.g_max))
        values = self.level_values()
        nearest = values[np.searchsorted((values[1:] + values[:-1]) / 2, g)]
        return np.where(np.isnan(g), np.nan, nearest)  # the search would place NaN at the top


def clip_to(g: Array, limits: Limits) -> Array:
    """Conductances held within a window, siemens."""
    return np.clip(g, limits.g_min, limits.g_max)
