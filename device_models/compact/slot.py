"""A compact model and a pulse as the `update` slot of a device, so that a card can hold them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

from pydantic import Field, model_validator

from device_models.compact.model import CompactModel
from device_models.compact.pulses import CANDIDATES, Pulse, to_update, window_of
from device_models.streams import Streams
from device_models.tabulated import TabulatedUpdate
from device_models.update import Update
from device_models.window import Array, CellLimits, Limits


class CompactUpdate(Update):
    """The response of a compact model to rectangular SET and RESET pulses: the table `to_update` makes of them.

    `points` is the size of the table. `samples` noisy pulses per point give it the mean and the spread of the model's
    own noise; 0 leaves the noise out. A device's window must lie within what the model reaches, `valid`.
    """

    model: CompactModel
    pulses: Pulse
    points: int = Field(default=513, ge=2, le=CANDIDATES // 2 + 100)
    samples: int = Field(default=0, ge=0, le=10_000)

    @model_validator(mode="after")
    def _moves(self) -> Self:
        """Pulses that move nothing are refused here, and not at the first write."""
        _table(self)
        return self

    @property
    def valid(self) -> CellLimits:
        """The conductances at the bounds of the model's state, siemens."""
        return window_of(self.model, self.pulses.v_read)

    @property
    def table(self) -> TabulatedUpdate:
        """The response as a table."""
        return _table(self)

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """Conductance after n pulses one by one, siemens."""
        return self.table.pulse(g, n, window, rng)

    def step(self, window: Limits) -> Array:
        """Change by one pulse, siemens: the mean over the window and over both directions."""
        return self.table.step(window)

    def symmetry_point(self, window: Limits) -> Array | None:
        """Conductance where one pulse up and one down cancel in the mean, siemens; None where no such point is."""
        return self.table.symmetry_point(window)


@lru_cache(maxsize=32)
def _table(law: CompactUpdate) -> TabulatedUpdate:
    """The table of a law; its noise is drawn from a seed of its own, so that a card is always the same device."""
    if not law.samples:
        return to_update(law.model, law.pulses, points=law.points)
    rng = Streams(0).rng("compact update")
    return to_update(law.model, law.pulses, points=law.points, rng=rng, samples=law.samples)
