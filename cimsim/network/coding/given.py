"""No code: samples that are spikes already, of a camera of events or a signal coded elsewhere."""

from __future__ import annotations

from typing import Any

from cimsim.network.coding.base import Code
from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.window import Array


class Given(Code):
    """Spikes as they are: samples are rasters (batch, steps, features), and have no values."""

    def check(self, x: Array) -> Array:
        """The spikes as bool. Raises `InputError` for anything but 0 and 1, and for other axes or lengths."""
        return as_raster(x, self.steps)

    def raster(self, x: Array, rng: Any) -> Array:
        return x

    def values(self, spikes: Array) -> Array:
        raise InputError("Given", "has no values to decode", "spikes", "read the network's output instead")
