"""A small part of N-MNIST: MNIST digits before an event camera that makes three saccades in some 0.3 s.

G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to spiking neuromorphic datasets
using saccades", Front. Neurosci. 9, 437 (2015); CC BY-SA 4.0. Read from
`$CIMSIM_DATA/nmnist-small/nmnist_small.tar.xz`, the folder `NMNISTsmall` of github.com/bamsumit/slayerPytorch (at
test/test_files): MNIST's training images 1 to 1000 and test images 1 to 100, as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimsim.datasets.base import Raw
from cimsim.datasets.events import Events, decode_bs2
from cimsim.datasets.files import BROKEN, archive, own_file
from device_models.errors import InputError

SENSOR = (34, 34)  # height and width
_FOLDER, _LISTS = "NMNISTsmall", ("train1K.txt", "test100.txt")
_ORIGIN = "the folder NMNISTsmall of github.com/bamsumit/slayerPytorch as tar.xz"


class EventPart(NamedTuple):
    """Recordings and their labels int64 (n,)."""

    events: list[Events]
    labels: NDArray[np.int64]

    def first(self, limit: int | None) -> EventPart:
        """Only that many recordings; None: all."""
        return EventPart(self.events[:limit], self.labels[:limit])


@dataclass(frozen=True)
class NMnist:
    """As samples: how often each pixel fired, up to the full scale, ON then OFF; the times are lost."""

    full_scale: int = 16  # one pixel in 10,000 fires more often, 25 times at most

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training (1000) and the test part (100), counts (n, 2 x 34 x 34)."""
        train, test = (self._counts(part) for part in self.events(name))
        return train, test

    def events(self, name: str) -> tuple[EventPart, EventPart]:
        """The recordings themselves."""
        path = own_file(name, "nmnist-small/nmnist_small.tar.xz", _ORIGIN)
        files = archive(path)
        train, test = (_part(files, listed, str(path)) for listed in _LISTS)
        return train, test

    def _counts(self, part: EventPart) -> Raw:
        n = 2 * SENSOR[0] * SENSOR[1]
        channels = (((~e.polarity) * SENSOR[0] + e.y) * SENSOR[1] + e.x for e in part.events)
        counts = np.stack([np.bincount(c, minlength=n) for c in channels])
        return Raw(np.minimum(counts, self.full_scale).astype(np.uint8), part.labels)


def _part(files: dict[str, bytes], listed: str, where: str) -> EventPart:
    """The recordings that a list names, a line for each after the first: number and class."""
    try:
        lines = files[f"{_FOLDER}/{listed}"].decode().split("\n")[1:]
        numbers, labels = zip(*((int(a), int(b)) for a, b in (line.split() for line in lines if line)), strict=True)
        found = [decode_bs2(files[name], f"{where}: {name}") for name in (f"{_FOLDER}/{n}.bs2" for n in numbers)]
    except KeyError as error:
        raise InputError(where, f"must hold {error.args[0]}", f"{len(files)} others", BROKEN) from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: {listed}", "must list numbers and classes", str(error), BROKEN) from error
    for one in found:
        one.check(SENSOR)
    return EventPart(found, np.array(labels, np.int64))
