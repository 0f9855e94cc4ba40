"""The noise of one call and those after it: each source named by what it is for and where."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cimsim.kernels import Noise, noise
from device_models.streams import Streams
from device_models.window import Array


@dataclass(frozen=True)
class Rows:
    """The noise of consecutive samples, drawn where the arrays live. `row` is the number of the first of them."""

    streams: Streams
    like: Array
    row: int = 0
    _made: dict[tuple[str | int, ...], Noise] = field(default_factory=dict)

    def noise(self, role: str, *place: str | int) -> Noise:
        """The noise of a role at a place below these streams."""
        key = (*place, role)
        if key not in self._made:
            self._made[key] = noise(self.like, self.streams.at(*place), role, self.row)
        return self._made[key]

    def after(self, n: int) -> Rows:
        """The samples from the n-th of these on."""
        return replace(self, row=self.row + n, _made={})

    def of_call(self, call: int) -> Rows:
        """The same samples in one of several calls that all of them take part in."""
        return replace(self, streams=self.streams.at("call", call), _made={})


class Draws:
    """What calls draw one after the other: each sample that is read has a number, and its noise goes by that number.

    With `calls` above 1 the same samples come in so many calls, step by step in time, before the next ones do: a
    sample's noise goes by its number and the number of the call.
    """

    def __init__(self, streams: Streams, like: Array, row: int = 0, calls: int = 1) -> None:
        self._next, self._calls, self._call = Rows(streams, like, row), calls, 0

    def rows(self, n: int) -> Rows:
        """The noise of the next `n` samples."""
        now = self._next if self._calls == 1 else self._next.of_call(self._call)
        self._call = (self._call + 1) % self._calls
        if self._call == 0:
            self._next = self._next.after(n)
        return now
