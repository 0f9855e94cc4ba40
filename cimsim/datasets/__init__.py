"""Labelled samples to train and test on.

| name | samples | features | comes from |
| --- | --- | --- | --- |
| digits | 1437 + 360 | 8 x 8 pixels | shipped |
| mnist, fashion-mnist | 60000 + 10000 | 28 x 28 pixels | CIMSIM_DATA, or downloaded once |
| olivetti-faces | 320 + 80 | 64 x 64 pixels, 40 subjects | CIMSIM_DATA |
| nmnist-small | 1000 + 100 | event counts, 2 x 34 x 34 (ON, OFF) | CIMSIM_DATA; `load_events` gives the events |
| spoken-digits | 2700 + 300 | log mel energies, 50 frames x 32 bands | CIMSIM_DATA; `load_recordings` gives the sound |

With the environment variable CIMSIM_DATA set, files are read from that folder as they lie there; otherwise what can be
downloaded is, once, checked against its SHA-256 and kept in the user's cache. The modules of this folder say which
files, their format, licence and split.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cimsim.datasets.base import Raw, Samples, Source
from cimsim.datasets.events import Events, read_bs2
from cimsim.datasets.faces import OlivettiFaces
from cimsim.datasets.files import shipped
from cimsim.datasets.filter_bank import FilterBank
from cimsim.datasets.idx import FASHION_MNIST, MNIST
from cimsim.datasets.images import crop, shrink
from cimsim.datasets.nmnist import EventPart, NMnist
from cimsim.datasets.speech import Recording, SpokenDigits
from cimsim.datasets.table import DIGITS
from device_models.errors import InputError, suggestion

__all__ = [
    "EventPart",
    "Events",
    "FilterBank",
    "Recording",
    "Samples",
    "crop",
    "load",
    "load_events",
    "load_recordings",
    "names",
    "read_bs2",
    "shipped",
    "shrink",
]

_EVENTS: Mapping[str, NMnist] = {"nmnist-small": NMnist()}
_RECORDINGS: Mapping[str, SpokenDigits] = {"spoken-digits": SpokenDigits()}
_SETS: Mapping[str, Source] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "olivetti-faces": OlivettiFaces(),
    **_EVENTS,
    **_RECORDINGS,
}


def names() -> list[str]:
    """The names that `load` knows."""
    return list(_SETS)


def load(name: str, *, train: int | None = None, test: int | None = None) -> tuple[Samples, Samples]:
    """The training and the test part of a data set, `(x, y), (x_test, y_test)`.

    `x` is float32 `(n, features)` from 0 to 1: images row by row, 0 being the background (of faces black); counts in
    units of 16 events; mel energies, 0 being 60 dB below the recording's largest. `y` is int64 `(n,)`.
    `train` and `test` keep only that many samples, the first ones. The parts are fixed: MNIST and Fashion-MNIST as
    published; of digits every fifth sample is a test sample (see `data/README.md`); of each face the first and the
    sixth image; of the spoken digits the first five takes of each speaker.

    Raises `InputError` for an unknown name, a limit out of range, and a file that is missing, broken or not to be had.
    """
    _check(name, names(), train, test)
    source = _SETS[name]
    raw, raw_test = source.read(name)
    return (
        _samples(raw, f"train part of {name}", train, source.full_scale),
        _samples(raw_test, f"test part of {name}", test, source.full_scale),
    )


def load_events(name: str, *, train: int | None = None, test: int | None = None) -> tuple[EventPart, EventPart]:
    """The training and the test part of a set of event recordings, `(events, y), (events_test, y_test)`.

    Each part is a list of `Events` (x, y, polarity, time in seconds) and labels int64 (n,); parts, limits and errors as
    those of `load`.
    """
    _check(name, list(_EVENTS), train, test)
    part, part_test = _EVENTS[name].events(name)
    _check_size(f"train part of {name}", len(part.events), train)
    _check_size(f"test part of {name}", len(part_test.events), test)
    return part.first(train), part_test.first(test)


def load_recordings(
    name: str, *, train: int | None = None, test: int | None = None
) -> tuple[list[Recording], list[Recording]]:
    """The training and the test part of a set of sounds, lists of `Recording` (samples, digit, speaker, take).

    Parts, limits and errors as those of `load`.
    """
    _check(name, list(_RECORDINGS), train, test)
    part, part_test = _RECORDINGS[name].recordings(name)
    _check_size(f"train part of {name}", len(part), train)
    _check_size(f"test part of {name}", len(part_test), test)
    return part[:train], part_test[:test]


def _check(name: str, known: list[str], train: object, test: object) -> None:
    """What can be said of a name and of limits before anything is read or downloaded."""
    if name not in known:
        raise InputError("data set", "unknown name", name, suggestion(str(name), known))
    for part, limit in (("train", train), ("test", test)):
        valid = isinstance(limit, int | np.integer) and not isinstance(limit, bool) and limit >= 1
        if limit is not None and not valid:
            raise InputError(part, "must be a number of samples, 1 or more", limit, "give None for all")


def _check_size(where: str, size: int, limit: int | None) -> None:
    if limit is not None and limit > size:
        raise InputError(where, f"has {size} samples", f"a limit of {limit}", "give None for all")


def _samples(raw: Raw, where: str, limit: int | None, full_scale: int) -> Samples:
    _check_size(where, len(raw.labels), limit)
    return np.divide(raw.values[:limit], full_scale, dtype=np.float32), raw.labels[:limit].astype(np.int64)
