"""The noise of one call: each source named by what it is for and where, and continued from batch to batch."""

from __future__ import annotations

from cimsim.kernels import Noise, noise
from device_models.streams import Streams
from device_models.window import Array


class Draws:
    """Named sources of noise that live where the arrays live: each made on first use, then continued for one call.

    `row` is the number of the first sample, for a batch that is run in parts.
    """

    def __init__(self, streams: Streams, like: Array, row: int = 0) -> None:
        self._streams, self._like, self._row = streams, like, row
        self._made: dict[tuple[str | int, ...], Noise] = {}

    def noise(self, role: str, *place: str | int) -> Noise:
        """The noise of a role at a place below this call's streams."""
        key = (*place, role)
        if key not in self._made:
            self._made[key] = noise(self._like, self._streams.at(*place), role, self._row)
        return self._made[key]
