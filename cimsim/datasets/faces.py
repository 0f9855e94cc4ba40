"""The Olivetti faces: 40 subjects, ten images each, 64 x 64 pixels.

F. Samaria and A. Harter, "Parameterisation of a stochastic model for human face identification", WACV (1994); taken
1992 to 1994 at the Olivetti Research Laboratory (AT&T Laboratories Cambridge), for research with credit. Read from
`$CIMSIM_DATA/olivetti-faces/olivettifaces.mat`, S. Roweis's file: variable `faces`, uint8 (4096, 400), image k in
column k, column by column, of subject k // 10.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimsim.datasets.base import Raw
from cimsim.datasets.files import BROKEN, own_file
from device_models.errors import InputError

SUBJECTS, TAKES, SIDE = 40, 10, 64
_ORIGIN = "S. Roweis's MATLAB file of the Olivetti faces"


@dataclass(frozen=True)
class OlivettiFaces:
    """Of each subject's ten images the first and the sixth are test; both parts go image by image, then by subject."""

    full_scale: int = 255

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training (320) and the test part (80); pixels row by row."""
        columns = _faces(own_file(name, "olivetti-faces/olivettifaces.mat", _ORIGIN))
        upright = columns.T.reshape(SUBJECTS, TAKES, SIDE, SIDE).swapaxes(2, 3)
        images = upright.reshape(SUBJECTS, TAKES, -1).swapaxes(0, 1)
        test = np.arange(TAKES) % 5 == 0
        return _part(images[~test]), _part(images[test])


def _part(images: NDArray[np.uint8]) -> Raw:
    """Samples of images (takes, subjects, pixels)."""
    return Raw(images.reshape(-1, SIDE * SIDE), np.tile(np.arange(SUBJECTS), len(images)))


def _faces(path: Path) -> NDArray[np.uint8]:
    """The variable `faces` of a MATLAB file, checked."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        faces = loadmat(str(path)).get("faces")
    except (ValueError, TypeError, LookupError, NotImplementedError, MatReadError, OSError, zlib.error) as error:
        raise InputError(str(path), "must be a readable MATLAB file", str(error), BROKEN) from error
    shape = (SIDE * SIDE, SUBJECTS * TAKES)
    if faces is None or faces.shape != shape or faces.dtype != np.uint8:
        found = "none" if faces is None else f"{faces.dtype} {faces.shape}"
        raise InputError(str(path), f"must hold a variable faces, uint8 {shape}", found, BROKEN)
    return np.asarray(faces, np.uint8)
