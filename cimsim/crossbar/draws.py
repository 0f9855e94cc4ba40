"""The generators of one call: each made on first use by name, then continued."""

from __future__ import annotations

from typing import Any

from cimsim.backend import generator
from device_models.streams import Streams
from device_models.window import Array


class Draws:
    """Named generators that live where the arrays live, kept for the length of one call.

    A batch may be cut into parts of any size: each tile goes on with its own generator, so the draws are the same.
    """

    def __init__(self, streams: Streams, like: Array) -> None:
        self._streams, self._like = streams, like
        self._made: dict[tuple[str | int, ...], Any] = {}

    def rng(self, role: str, *place: str | int) -> Any:
        """The generator of a role at a place below this call's streams."""
        key = (*place, role)
        if key not in self._made:
            self._made[key] = generator(self._like, self._streams.at(*place), role)
        return self._made[key]
