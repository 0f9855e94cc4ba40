"""Events of address-event (AER) cameras: a pixel tells when its brightness has risen (ON) or fallen (OFF)."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimsim.datasets.files import BROKEN, content
from device_models.errors import InputError


class Events(NamedTuple):
    """The events of one recording, one value per event in each array.

    Column x and row y of the pixel (int64, from the top left), polarity (bool, True for ON), time (float64, seconds).
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    polarity: NDArray[np.bool_]
    time: NDArray[np.float64]

    def check(self, sensor: tuple[int, int]) -> None:
        """Raise `InputError` unless all events lie on a sensor of (height, width) pixels and at times from 0 on."""
        lengths = {len(part) for part in self}
        if len(lengths) != 1:
            raise InputError("events", "must have as many x, y, polarities and times", sorted(lengths))
        for axis, values, size in (("row", self.y, sensor[0]), ("column", self.x, sensor[1])):
            outside = values[(values < 0) | (values >= size)]
            if outside.size:
                rule = f"must lie on the sensor, {axis}s 0 to {size - 1}"
                raise InputError("events", rule, f"{axis} {outside[0]}", "check the sensor's size")
        wrong = self.time[~(np.isfinite(self.time) & (self.time >= 0))]
        if wrong.size:
            raise InputError("events", "must have times from 0 on (seconds)", wrong[0], "subtract the first time")


def read_bs2(path: Traversable) -> Events:
    """The events of a .bs2 file, the coding of N-MNIST.

    Five bytes an event: column, row, then polarity (1 bit, 1 for ON) and time in microseconds (23 bits), big-endian.
    G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, Front. Neurosci. 9, 437 (2015).
    Raises `InputError` for a file that cannot be read or does not hold whole events.
    """
    return decode_bs2(content(path), str(path))


def decode_bs2(data: bytes, where: str) -> Events:
    """As `read_bs2`, of the content of a file; `where` names it in errors."""
    if len(data) % 5:
        raise InputError(where, "must hold 5 bytes an event", f"{len(data)} bytes", BROKEN)
    rows = np.frombuffer(data, np.uint8).reshape(-1, 5).astype(np.int64)
    last = rows[:, 2] << 16 | rows[:, 3] << 8 | rows[:, 4]
    return Events(rows[:, 0], rows[:, 1], last >> 23 == 1, (last & 0x7FFFFF) / 1e6)
