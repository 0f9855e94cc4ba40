"""The Free Spoken Digit Dataset: six speakers say the digits 0 to 9, 50 takes each, mono at 8 kHz.

Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas and A. Thite, "Jakobovski/free-spoken-digit-dataset", Zenodo;
CC BY-SA 4.0. Read from `$CIMSIM_DATA/fsdd-spoken-digits/fsdd_recordings.tar.xz`, the folder `recordings` of
github.com/Jakobovski/free-spoken-digit-dataset, files named <digit>_<speaker>_<take>.wav.
The set's own split: takes 0 to 4 of each speaker and digit are test, 5 to 49 training.
"""

from __future__ import annotations

import io
import re
import wave
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cimsim.datasets.base import Raw
from cimsim.datasets.files import BROKEN, archive, own_file
from cimsim.datasets.filter_bank import FilterBank
from device_models.errors import InputError

RATE = 8000  # hertz
TEST_TAKES = 5
FRAMES = 50  # a second: seven recordings in a thousand are longer and are cut
BANK = FilterBank(rate=RATE, window=32e-3, hop=20e-3, bands=32)
_NAME = re.compile(r"recordings/(\d)_([a-z]+)_(\d+)\.wav")
_ORIGIN = "the folder recordings of github.com/Jakobovski/free-spoken-digit-dataset as tar.xz"


class Recording(NamedTuple):
    """One spoken digit: samples float32 from -1 to 1 at 8 kHz, the digit, the speaker's name and the take."""

    samples: NDArray[np.float32]
    digit: int
    speaker: str
    take: int


@dataclass(frozen=True)
class SpokenDigits:
    """As samples: log mel energies of `BANK`, frame by frame, 50 frames of 32 bands from the start; 0 is silence."""

    full_scale: int = 1

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training (2700) and the test part (300), features (n, 50 x 32)."""
        train, test = (_features(part) for part in self.recordings(name))
        return train, test

    def recordings(self, name: str) -> tuple[list[Recording], list[Recording]]:
        """The recordings themselves: take by take, in each digit by digit, in each speaker by speaker."""
        path = own_file(name, "fsdd-spoken-digits/fsdd_recordings.tar.xz", _ORIGIN)
        named = ((_NAME.fullmatch(file), file, data) for file, data in archive(path).items())
        found = [
            Recording(decode_wav(data, f"{path}: {file}"), int(match[1]), match[2], int(match[3]))
            for match, file, data in named
            if match
        ]
        found.sort(key=lambda one: (one.take, one.digit, one.speaker))
        test = [one for one in found if one.take < TEST_TAKES]
        if not 0 < len(test) < len(found):
            raise InputError(str(path), "must hold recordings of both parts", f"{len(found)}", BROKEN)
        return found[len(test) :], test


def decode_wav(data: bytes, where: str) -> NDArray[np.float32]:
    """The samples, -1 to 1, of a WAV file's content: mono, 16 bits, 8 kHz; `where` names it in errors.

    Raises `InputError` for any other file.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            form = file.getnchannels(), file.getsampwidth(), file.getframerate()
            samples = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise InputError(where, "must be a WAV file", str(error) or "an end too early", BROKEN) from error
    if form != (1, 2, RATE) or not samples:
        found = f"{form[0]} channels, {8 * form[1]} bits, {form[2]} Hz, {len(samples)} bytes"
        raise InputError(where, f"must be mono, 16 bits, {RATE} Hz and not empty", found)
    return np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(32768)


def _features(part: list[Recording]) -> Raw:
    values = np.stack([BANK.features(one.samples, FRAMES).ravel() for one in part])
    return Raw(values, np.array([one.digit for one in part], np.int64))
