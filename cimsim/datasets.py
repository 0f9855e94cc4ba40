"""Labelled images to train and test on: digits (shipped), MNIST and Fashion-MNIST (downloaded once, or read locally).

Files of MNIST and Fashion-MNIST are IDX (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten
digits"), plain or gzipped. With the environment variable CIMSIM_DATA set they are read from `$CIMSIM_DATA/<name>/`
as they lie there; otherwise they are downloaded once, checked against their SHA-256 and kept in the user's cache.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_models.errors import InputError, suggestion

Samples = tuple[NDArray[np.float32], NDArray[np.int64]]

_GZIP_MAGIC = b"\x1f\x8b"
_BROKEN = "replace the file by a whole one"


class _Raw(NamedTuple):
    """Unscaled samples: pixels uint8 `(n, features)` and labels uint8 `(n,)`."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class _Shipped:
    """A CSV of pixels and last a label, which comes with the package; of `test_every` rows each the first is test."""

    file: str
    test_every: int
    full_scale: int

    def read(self, name: str) -> tuple[_Raw, _Raw]:
        table = np.loadtxt(_content(shipped(self.file)).decode().splitlines(), dtype=np.uint8, delimiter=",")
        raw = _Raw(table[:, :-1], table[:, -1])
        test = np.arange(len(table)) % self.test_every == 0
        return _Raw(*(a[~test] for a in raw)), _Raw(*(a[test] for a in raw))


@dataclass(frozen=True)
class _Idx:
    """Four IDX files below one address, gzipped: images and labels to train on, then to test on."""

    url: str
    sha256: Mapping[str, str]
    full_scale: int = 255

    def read(self, name: str) -> tuple[_Raw, _Raw]:
        images, labels, images_test, labels_test = (self._path(name, stem) for stem in self.sha256)
        return _read_part(images, labels), _read_part(images_test, labels_test)

    def _path(self, name: str, stem: str) -> Path:
        local = os.environ.get("CIMSIM_DATA")
        return _local(Path(local) / name, stem) if local else _fetch(self.url, f"{stem}.gz", self.sha256[stem], name)


_SETS: Mapping[str, _Shipped | _Idx] = {
    "digits": _Shipped("digits.csv.gz", test_every=5, full_scale=16),
    "mnist": _Idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion-mnist": _Idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
}


def names() -> list[str]:
    """The names that `load` knows."""
    return list(_SETS)


def load(name: str, *, train: int | None = None, test: int | None = None) -> tuple[Samples, Samples]:
    """The training and the test part of a data set, `(x, y), (x_test, y_test)`.

    `x` is float32 `(n, features)`, 0 (background) to 1 (full ink), one image a row, row by row; `y` is int64 `(n,)`.
    `train` and `test` keep only that many samples, the first ones. The parts are fixed: MNIST and Fashion-MNIST as
    published; of digits every fifth sample is a test sample (see `data/README.md`).

    Raises `InputError` for an unknown name, a limit out of range, and a file that is missing, broken or not to be had.
    """
    if name not in names():
        raise InputError("data set", "unknown name", name, suggestion(str(name), names()))
    for part, limit in (("train", train), ("test", test)):
        _check_limit(part, limit)
    source = _SETS[name]
    raw, raw_test = source.read(name)
    return (
        _samples(raw, f"train part of {name}", train, source.full_scale),
        _samples(raw_test, f"test part of {name}", test, source.full_scale),
    )


def shipped(file: str) -> Traversable:
    """A data file that comes with the package: in it when installed from a wheel, beside it in a checkout.

    Raises `InputError` if it is in neither place.
    """
    package = resources.files("cimsim")
    for place in (package / "data" / file, Path(str(package)).parent / "data" / file):
        if place.is_file():
            return place
    raise InputError(file, "must come with the package", "no such file", "reinstall cimsim")


def _check_limit(part: str, limit: object) -> None:
    """What can be said of a limit before anything is read or downloaded."""
    valid = isinstance(limit, int | np.integer) and not isinstance(limit, bool) and limit >= 1
    if limit is not None and not valid:
        raise InputError(part, "must be a number of samples, 1 or more", limit, "give None for all")


def _samples(raw: _Raw, where: str, limit: int | None, full_scale: int) -> Samples:
    if limit is not None and limit > len(raw.labels):
        raise InputError(where, f"has {len(raw.labels)} samples", f"a limit of {limit}", "give None for all")
    return np.divide(raw.pixels[:limit], full_scale, dtype=np.float32), raw.labels[:limit].astype(np.int64)


def _local(folder: Path, stem: str) -> Path:
    """The file of a set in the user's own folder, gzipped or plain; never downloaded in its place."""
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return path
    found = ", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder"
    remedy = "put the file there, or unset CIMSIM_DATA to download the set"
    raise InputError(str(folder), f"must hold {stem}.gz or {stem}", found or "an empty folder", remedy)


def _fetch(url: str, file: str, sha256: str, name: str) -> Path:
    """The file from the user's cache, downloaded first if it is not there."""
    import pooch

    remedy = f"set CIMSIM_DATA to a folder that holds {name}/{file}"
    cache = pooch.os_cache("cimsim") / name
    download = pooch.HTTPDownloader(stream=False)  # streaming, it leaves the connection open when the server says no
    try:
        return Path(pooch.retrieve(url + file, f"sha256:{sha256}", file, cache, downloader=download))
    except OSError as error:
        found = f"{type(error).__name__}: {error}"
        raise InputError(url + file, "must be reachable and its copy writable", found, remedy) from error
    except ValueError as error:  # pooch's sign of a wrong hash
        raise InputError(url + file, f"must have the SHA-256 {sha256}", "another", remedy) from error


def _read_part(images: Path, labels: Path) -> _Raw:
    pixels, classes = _read_idx(images, axes=3), _read_idx(labels, axes=1)
    if len(pixels) != len(classes):
        found = f"{len(pixels)} images and {len(classes)} labels"
        raise InputError(str(labels), f"must hold one label for each image of {images.name}", found, _BROKEN)
    if classes.max() > 9:
        raise InputError(str(labels), "must hold labels 0 to 9", int(classes.max()), _BROKEN)
    return _Raw(pixels.reshape(len(pixels), -1), classes)


def _read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file: magic 0x0000_08_axes, big-endian uint32 lengths, then the bytes."""
    data, start = _content(path), 4 + 4 * axes
    magic = bytes((0, 0, 8, axes))
    if data[:4] != magic:
        found = data[:4].hex() or "an empty file"
        raise InputError(str(path), f"must start with the IDX magic {magic.hex()}", found, _BROKEN)
    shape = np.frombuffer(data[4:start].ljust(4 * axes, b"\0"), ">u4").tolist()
    size = start + math.prod(shape)
    if len(data) != size or size == start:
        rule = f"must hold one sample or more and the {size} bytes its header states"
        raise InputError(str(path), rule, f"{len(data)} bytes", _BROKEN)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _content(path: Traversable) -> bytes:
    """The bytes of a file, unpacked if it is gzipped, whatever its name."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(str(path), "must be readable, a gzip file whole", str(error), _BROKEN) from error
