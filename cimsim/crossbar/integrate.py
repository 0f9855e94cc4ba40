"""Integrate: bit lines that feed neuron circuits directly, without an ADC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from cimsim.backend import to_library_of
from cimsim.crossbar.converters.lines import LineErrors
from device_models.parameters import Parameters, Spread
from device_models.window import Array


class Integrate(Parameters):
    """The input stages of neuron circuits, one per output of a layer, which take the currents of all its tiles as sum.

    A current i reaches the membrane as (1 + gain error) i + offset, with i held to `saturation` either way. Errors are
    normal and drawn once per chip; `offset_spread` and `saturation` are currents at read voltage. A layer's copies
    share its circuits. Mismatch of silicon neurons: Indiveri et al., Front. Neurosci. 5, 73 (2011).
    """

    gain_spread: Spread = 0.0
    offset_spread: float = Field(default=0.0, ge=0, le=1, description="amperes")
    saturation: float | None = Field(default=None, gt=0, le=1, description="amperes")

    def behind(self, product: Callable[[Array], Array], unit: float, errors: LineErrors) -> Callable[[Array], Array]:
        """The product as it reaches the membranes; its outputs are currents times `unit`."""

        def reached(v: Array) -> Array:
            y = product(v)
            if self.saturation is not None:
                np.clip(y, -self.saturation * unit, self.saturation * unit, out=y)
            gain = np.float32(1) + np.float32(self.gain_spread) * to_library_of(errors.gain, y)
            return y * gain + np.float32(self.offset_spread * unit) * to_library_of(errors.offset, y)

        return reached
