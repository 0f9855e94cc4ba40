"""Where the files of data sets lie: shipped with the package, in the user's own folder, or downloaded once."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import zlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from device_models.errors import InputError

BROKEN = "replace the file by a whole one"

_GZIP_MAGIC = b"\x1f\x8b"


def shipped(file: str) -> Traversable:
    """A data file that comes with the package: in it when installed from a wheel, beside it in a checkout.

    Raises `InputError` if it is in neither place.
    """
    package = resources.files("cimsim")
    for place in (package / "data" / file, Path(str(package)).parent / "data" / file):
        if place.is_file():
            return place
    raise InputError(file, "must come with the package", "no such file", "reinstall cimsim")


def data_folder() -> Path | None:
    """The user's own folder of data sets, CIMSIM_DATA; None where it is not set."""
    local = os.environ.get("CIMSIM_DATA")
    return Path(local) if local else None


def own_file(name: str, path: str, origin: str) -> Path:
    """A file of set `name` below CIMSIM_DATA, for sets that are not downloaded; `origin` tells where it comes from.

    Raises `InputError` if it is not there.
    """
    folder = data_folder()
    if folder is None or not (folder / path).is_file():
        found = "no CIMSIM_DATA" if folder is None else f"no {folder / path}"
        remedy = f"set CIMSIM_DATA to a folder that holds {path}, {origin}"
        raise InputError(name, "must lie in a folder of your own", found, remedy)
    return folder / path


def local_file(folder: Path, stem: str) -> Path:
    """The file of a set in the user's own folder, gzipped or plain; never downloaded in its place."""
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return path
    found = ", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder"
    remedy = "put the file there, or unset CIMSIM_DATA to download the set"
    raise InputError(str(folder), f"must hold {stem}.gz or {stem}", found or "an empty folder", remedy)


def fetch(url: str, file: str, sha256: str, name: str) -> Path:
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


def content(path: Traversable) -> bytes:
    """The bytes of a file, unpacked if it is gzipped, whatever its name."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(str(path), "must be readable, a gzip file whole", str(error), BROKEN) from error


def archive(path: Path) -> dict[str, bytes]:
    """The files in a tar.xz archive by name, read in memory: nothing is unpacked to disk.

    Raises `InputError` for a broken archive.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes()), mode="r:xz") as tar:
            return {m.name: extracted.read() for m in tar if (extracted := tar.extractfile(m)) is not None}
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise InputError(str(path), "must be a readable tar.xz archive", str(error), BROKEN) from error
