"""IDX files (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"), plain or gzipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimsim.datasets.base import Raw
from cimsim.datasets.files import BROKEN, content, data_folder, fetch, local_file
from device_models.errors import InputError


@dataclass(frozen=True)
class IdxFiles:
    """Four IDX files below one address, gzipped: images and labels to train on, then to test on."""

    url: str
    sha256: Mapping[str, str]
    full_scale: int = 255

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training and the test part, read from CIMSIM_DATA or downloaded once."""
        images, labels, images_test, labels_test = (self._path(name, stem) for stem in self.sha256)
        return _read_part(images, labels), _read_part(images_test, labels_test)

    def _path(self, name: str, stem: str) -> Path:
        local = data_folder()
        return local_file(local / name, stem) if local else fetch(self.url, f"{stem}.gz", self.sha256[stem], name)


MNIST = IdxFiles(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)
FASHION_MNIST = IdxFiles(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)


def _read_part(images: Path, labels: Path) -> Raw:
    pixels, classes = read_idx(images, axes=3), read_idx(labels, axes=1)
    if len(pixels) != len(classes):
        found = f"{len(pixels)} images and {len(classes)} labels"
        raise InputError(str(labels), f"must hold one label for each image of {images.name}", found, BROKEN)
    if classes.max() > 9:
        raise InputError(str(labels), "must hold labels 0 to 9", int(classes.max()), BROKEN)
    return Raw(pixels.reshape(len(pixels), -1), classes)


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file: magic 0x0000_08_axes, big-endian uint32 lengths, then the bytes."""
    data, start = content(path), 4 + 4 * axes
    magic = bytes((0, 0, 8, axes))
    if data[:4] != magic:
        found = data[:4].hex() or "an empty file"
        raise InputError(str(path), f"must start with the IDX magic {magic.hex()}", found, BROKEN)
    shape = np.frombuffer(data[4:start].ljust(4 * axes, b"\0"), ">u4").tolist()
    size = start + math.prod(shape)
    if len(data) != size or size == start:
        rule = f"must hold one sample or more and the {size} bytes its header states"
        raise InputError(str(path), rule, f"{len(data)} bytes", BROKEN)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
