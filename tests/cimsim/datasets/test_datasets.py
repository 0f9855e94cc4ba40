from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cimsim import datasets
from cimsim.datasets import files
from cimsim.datasets import idx as idx_files
from cimsim.datasets.idx import IdxFiles, read_idx
from device_models.errors import InputError

STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: np.ndarray) -> bytes:
    """An IDX file by its definition, the oracle of the reader."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def small_set(train: int = 20, test: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = ((train, 4, 3), (train,), (test, 4, 3), (test,))
    return {
        stem: rng.integers(0, 256 if len(n) == 3 else 10, n, np.uint8) for stem, n in zip(STEMS, shapes, strict=True)
    }


def write_set(folder: Path, *, gz: bool = True) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    arrays_by_stem = small_set()
    for stem, array in arrays_by_stem.items():
        (folder / (f"{stem}.gz" if gz else stem)).write_bytes(gzip.compress(idx(array)) if gz else idx(array))
    return arrays_by_stem


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small well-formed set in $CIMSIM_DATA/mnist, for a test to break."""
    monkeypatch.setenv("CIMSIM_DATA", str(tmp_path))
    write_set(tmp_path / "mnist")
    return tmp_path / "mnist"


def refused(*parts: str, name: str = "mnist", **limits: object) -> None:
    """`load` says no in one line that holds all the parts."""
    with pytest.raises(InputError) as caught:
        datasets.load(name, **limits)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


# --- digits ---


def test_digits_are_the_whole_uci_test_part() -> None:
    (x, y), (x_test, y_test) = datasets.load("digits")
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((1437, 64), (1437,), (360, 64), (360,))
    assert (x.dtype, y.dtype, x_test.dtype, y_test.dtype) == (np.float32, np.int64, np.float32, np.int64)
    both = np.concatenate([x, x_test])
    assert both.min() == 0.0
    assert both.max() == 1.0
    np.testing.assert_array_equal(both * 16, np.round(both * 16))
    # Counts per class: the description file of the UCI data set (optdigits.names).
    counts = np.bincount(np.concatenate([y, y_test]))
    np.testing.assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


def test_nearest_class_mean_reads_the_digits() -> None:
    """Pixels belong to their labels: the simplest classifier does far better than chance (0.1)."""
    (x, y), (x_test, y_test) = datasets.load("digits")
    means = np.stack([x[y == k].mean(axis=0) for k in range(10)])
    nearest = ((x_test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == y_test).mean() > 0.8


def test_readme_states_the_hash_and_size_of_the_shipped_file() -> None:
    content = datasets.shipped("digits.csv.gz").read_bytes()
    readme = datasets.shipped("README.md").read_text()
    assert f"{len(content):,} | {hashlib.sha256(content).hexdigest()}" in readme


def test_shipped_file_in_the_package_comes_before_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "cimsim"
    monkeypatch.setattr(files.resources, "files", lambda _: package)
    with pytest.raises(InputError, match=r"note\.txt: must come with the package"):
        datasets.shipped("note.txt")
    for folder in (tmp_path / "data", package / "data"):
        folder.mkdir(parents=True)
        (folder / "note.txt").write_text(folder.parent.name)
        assert datasets.shipped("note.txt").read_text() == folder.parent.name


# --- MNIST itself ---


def test_real_mnist(real_data: Path) -> None:
    if not (real_data / "mnist").is_dir():
        pytest.skip(f"no mnist in {real_data}")
    (x, y), (x_test, y_test) = datasets.load("mnist")
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((60000, 784), (60000,), (10000, 784), (10000,))
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert (x.min(), x.max(), x_test.min(), x_test.max()) == (0.0, 1.0, 0.0, 1.0)
    np.testing.assert_array_equal(np.bincount(y), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    np.testing.assert_array_equal(np.bincount(y_test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    # Mean and spread of the training pixels, as everyone normalises them.
    assert (x.mean(dtype=float), x.std(dtype=float)) == pytest.approx((0.1307, 0.3081), abs=5e-5)


# --- IDX files in CIMSIM_DATA ---


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_local_files_are_read_plain_or_gzipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, gz: bool
) -> None:
    monkeypatch.setenv("CIMSIM_DATA", str(tmp_path))
    written = write_set(tmp_path / name, gz=gz)
    (x, y), (x_test, y_test) = datasets.load(name)
    for (pixels, labels), stems in (((x, y), STEMS[:2]), ((x_test, y_test), STEMS[2:])):
        np.testing.assert_array_equal(np.round(pixels * 255).reshape(-1, 4, 3), written[stems[0]])
        np.testing.assert_array_equal(labels, written[stems[1]])


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3)), st.booleans())
def test_idx_round_trip(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, gz: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip"
    path.write_bytes(gzip.compress(idx(array)) if gz else idx(array))
    np.testing.assert_array_equal(read_idx(path, axes=3), array)


@given(arrays(np.uint8, (2, 3, 3)), st.booleans(), st.data())
def test_every_truncation_is_refused(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, gz: bool, data: st.DataObject
) -> None:
    whole = gzip.compress(idx(array)) if gz else idx(array)
    path = tmp_path_factory.getbasetemp() / "truncated"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match="truncated: must"):
        read_idx(path, axes=3)


def test_limits_keep_the_first_samples(mnist: Path) -> None:
    (x, y), (x_test, y_test) = datasets.load("mnist")
    (x5, y5), (x_test7, y_test7) = datasets.load("mnist", train=5, test=np.int64(7))
    for whole, part, n in ((x, x5, 5), (y, y5, 5), (x_test, x_test7, 7), (y_test, y_test7, 7)):
        np.testing.assert_array_equal(part, whole[:n])
        assert len(part) == n


# --- what is refused ---


def test_unknown_name() -> None:
    refused("data set: unknown name", "got minst", "did you mean 'mnist'?", name="minst")
    known = ["digits", "mnist", "fashion-mnist", "olivetti-faces", "nmnist-small", "spoken-digits"]
    refused("known: digits, mnist", name="x")
    assert datasets.names() == known


@pytest.mark.parametrize("limit", [0, -1, 2.0, True, "10", float("nan")])
def test_limit_that_is_no_number_of_samples(limit: object) -> None:
    refused("train: must be a number of samples, 1 or more", name="digits", train=limit)
    refused("test: must be a number of samples, 1 or more", name="digits", test=limit)


def test_limit_above_the_size(mnist: Path) -> None:
    refused("train part of mnist: has 20 samples", "a limit of 21", train=21)
    refused("test part of digits: has 360 samples", "a limit of 361", name="digits", test=361)


def test_missing_file_is_named_and_not_downloaded(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_files, "fetch", lambda *_: pytest.fail("downloaded in silence"))
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    refused("mnist: must hold t10k-labels-idx1-ubyte.gz or t10k-labels-idx1-ubyte", "unset CIMSIM_DATA")
    refused("fashion-mnist: must hold train-images-idx3-ubyte.gz", "got no such folder", name="fashion-mnist")
    (mnist.parent / "fashion-mnist").mkdir()
    refused("got an empty folder", name="fashion-mnist")


def test_part_of_fashion_mnist_is_not_taken_for_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIMSIM_DATA", str(tmp_path))
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for file in ("train-first3615-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (folder / file).write_bytes(b"")
    refused("must hold train-images-idx3-ubyte.gz", "got train-first3615-images-idx3-ubyte.gz", name="fashion-mnist")


def test_truncated_gzip(mnist: Path) -> None:
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    refused(str(path), "must be readable, a gzip file whole", "ended before", "replace the file by a whole one")


def test_gzip_with_a_flipped_bit_fails_its_crc(mnist: Path) -> None:
    path = mnist / "train-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # the stored CRC-32
    path.write_bytes(content)
    refused(str(path), "a gzip file whole", "CRC check failed")


def test_gzip_with_broken_blocks(mnist: Path) -> None:
    path = mnist / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:10] + b"\xff" * 40)
    refused(str(path), "a gzip file whole", "Error -3")


@pytest.mark.parametrize(
    ("content", "rule", "got"),
    [
        (b"", "must start with the IDX magic 00000803", "an empty file"),
        (b"<html>", "must start with the IDX magic 00000803", "3c68746d"),
        (idx(np.zeros(20)), "must start with the IDX magic 00000803", "00000801"),
        (idx(np.zeros((20, 4, 3)))[:-1], "the 256 bytes its header states", "255 bytes"),
        (idx(np.zeros((20, 4, 3))) + b"\0", "the 256 bytes its header states", "257 bytes"),
        (idx(np.zeros((0, 4, 3))), "must hold one sample or more", "16 bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "bytes its header states", "16 bytes"),
    ],
)
def test_idx_that_breaks_its_own_header(mnist: Path, content: bytes, rule: str, got: str) -> None:
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    refused(f"{path}: must", rule, f"got {got};")


def test_images_and_labels_that_do_not_match(mnist: Path) -> None:
    path = mnist / "train-labels-idx1-ubyte.gz"
    path.write_bytes(idx(np.zeros(19)))
    refused(f"{path}: must hold one label for each image of train-images-idx3-ubyte.gz", "20 images and 19 labels")
    path.write_bytes(idx(np.full(20, 10)))
    refused(f"{path}: must hold labels 0 to 9, got 10")


# --- downloads ---


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`mnist` comes from a server on this machine, into a cache of this test; the folder served is given."""
    monkeypatch.delenv("CIMSIM_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    folder = tmp_path / "served"
    write_set(folder)
    sha256 = {stem: hashlib.sha256((folder / f"{stem}.gz").read_bytes()).hexdigest() for stem in STEMS}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as http_server:
        source = IdxFiles(f"http://127.0.0.1:{http_server.server_port}/", sha256)
        monkeypatch.setattr(datasets, "_SETS", {"mnist": source})
        threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder
        http_server.shutdown()


def test_download_happens_once(server: Path) -> None:
    (x, _), (_, y_test) = datasets.load("mnist")
    np.testing.assert_array_equal(np.round(x * 255).reshape(-1, 4, 3), small_set()[STEMS[0]])
    for file in server.iterdir():
        file.unlink()
    np.testing.assert_array_equal(datasets.load("mnist")[1][1], y_test)


def test_download_with_a_wrong_hash_is_refused(server: Path, tmp_path: Path) -> None:
    (server / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(7))))
    refused("t10k-labels-idx1-ubyte.gz: must have the SHA-256", "got another", "set CIMSIM_DATA to a folder that holds")
    assert not list((tmp_path / "cache").rglob("t10k-labels*"))


def test_file_the_server_does_not_have(server: Path) -> None:
    (server / "train-images-idx3-ubyte.gz").unlink()
    refused("http://127.0.0.1:", "train-images-idx3-ubyte.gz: must be reachable", "404", "set CIMSIM_DATA")


def test_no_network(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = idx_files.MNIST.sha256
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(datasets, "_SETS", {"mnist": IdxFiles(url, sha256)})
        refused(f"{url}train-images-idx3-ubyte.gz: must be reachable", "ConnectionError", "set CIMSIM_DATA")


def test_published_hashes_are_sha256() -> None:
    for name in ("mnist", "fashion-mnist"):
        sha256 = datasets._SETS[name].sha256
        assert tuple(sha256) == STEMS
        assert all(len(bytes.fromhex(digest)) == 32 for digest in sha256.values())


def test_hashes_are_those_of_the_real_files(real_data: Path) -> None:
    """The canonical MNIST files, and the Fashion-MNIST labels where the partial set holds them."""
    checked = 0
    for folder, name in (("mnist", "mnist"), ("fashion-mnist-partial", "fashion-mnist")):
        for stem, digest in datasets._SETS[name].sha256.items():
            path = real_data / folder / f"{stem}.gz"
            if path.is_file():
                assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
                checked += 1
    if not checked:
        pytest.skip(f"no official files in {real_data}")
