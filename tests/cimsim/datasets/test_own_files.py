"""The sets that are read from the user's own folder: faces, event recordings, spoken digits."""

from __future__ import annotations

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from cimsim import datasets
from cimsim.datasets.idx import read_idx
from cimsim.datasets.speech import decode_wav
from device_models.errors import InputError

FILES = {
    "olivetti-faces": "olivetti-faces/olivettifaces.mat",
    "nmnist-small": "nmnist-small/nmnist_small.tar.xz",
    "spoken-digits": "fsdd-spoken-digits/fsdd_recordings.tar.xz",
}


def there(real_data: Path, name: str) -> None:
    if not (real_data / FILES[name]).is_file():
        pytest.skip(f"no {FILES[name]} in {real_data}")


Parts = tuple[datasets.Samples, datasets.Samples]


def linear_read_out(parts: Parts) -> float:
    """Accuracy of ridge regression on the labels, in its dual form: values belong to their labels."""
    (x, y), (x_test, y_test) = parts
    x, x_test = x - x.mean(axis=0), x_test - x.mean(axis=0)
    weights = np.linalg.solve(x @ x.T + 10 * np.eye(len(x)), np.eye(y.max() + 1)[y])
    return float(((x_test @ x.T @ weights).argmax(axis=1) == y_test).mean())


def check_form(parts: Parts, train: int, test: int, features: int) -> None:
    (x, y), (x_test, y_test) = parts
    assert (x.shape, y.shape) == ((train, features), (train,))
    assert (x_test.shape, y_test.shape) == ((test, features), (test,))
    assert {a.dtype for a in (x, x_test)} == {np.dtype(np.float32)}
    assert {a.dtype for a in (y, y_test)} == {np.dtype(np.int64)}
    assert x.min() >= 0
    assert x.max() <= 1


# --- the data themselves ---


def test_real_faces(real_data: Path) -> None:
    there(real_data, "olivetti-faces")
    (x, y), (x_test, y_test) = parts = datasets.load("olivetti-faces")
    check_form(parts, 320, 80, 4096)
    np.testing.assert_array_equal(np.bincount(y), 8)
    np.testing.assert_array_equal(np.bincount(y_test), 2)
    assert linear_read_out(parts) >= 0.93
    plain = real_data / "olivetti-faces" / "olivetti_faces_400x64x64_uint8.npy"
    if plain.is_file():
        images = np.load(plain).reshape(40, 10, 4096)
        np.testing.assert_array_equal(np.round(x_test * 255), np.concatenate([images[:, 0], images[:, 5]]))
        np.testing.assert_array_equal(np.round(x[:40] * 255), images[:, 1])


def test_real_events(real_data: Path) -> None:
    there(real_data, "nmnist-small")
    (x, y), (_, y_test) = parts = datasets.load("nmnist-small")
    check_form(parts, 1000, 100, 2312)
    (events, labels), (events_test, labels_test) = datasets.load_events("nmnist-small")
    np.testing.assert_array_equal(labels, y)
    np.testing.assert_array_equal(labels_test, y_test)
    assert (len(events), len(events_test)) == (1000, 100)
    assert np.mean([len(e.time) for e in events]) == pytest.approx(4133, abs=1)
    assert all(np.all(np.diff(e.time) >= 0) and 0.29 < e.time[-1] < 0.32 for e in events)
    first = [(n, int(not e.polarity[0]), e.y[0], e.x[0]) for n, e in enumerate(events)]
    assert np.all(x.reshape(-1, 2, 34, 34)[tuple(np.transpose(first))] > 0)
    assert linear_read_out(parts) >= 0.75
    if (real_data / "mnist").is_dir():  # the recordings show MNIST's first images
        train, test = (f"{stem}-labels-idx1-ubyte.gz" for stem in ("train", "t10k"))
        np.testing.assert_array_equal(labels, read_idx(real_data / "mnist" / train, axes=1)[:1000])
        np.testing.assert_array_equal(labels_test, read_idx(real_data / "mnist" / test, axes=1)[:100])


def test_real_spoken_digits(real_data: Path) -> None:
    there(real_data, "spoken-digits")
    part, part_test = datasets.load_recordings("spoken-digits")
    speakers = {one.speaker for one in part}
    assert len(speakers) == 6
    assert {(r.digit, r.speaker, r.take) for r in part_test} == {
        (d, s, t) for d in range(10) for s in speakers for t in range(5)
    }
    assert {(r.digit, r.speaker, r.take) for r in part} == {
        (d, s, t) for d in range(10) for s in speakers for t in range(5, 50)
    }
    assert [(r.digit, r.speaker) for r in part[:60]] == [(d, s) for d in range(10) for s in sorted(speakers)]
    (_, y), (_, y_test) = parts = datasets.load("spoken-digits")
    check_form(parts, 2700, 300, 1600)
    np.testing.assert_array_equal(y, [one.digit for one in part])
    np.testing.assert_array_equal(y_test, [one.digit for one in part_test])
    lengths = np.array([len(one.samples) for one in part + part_test]) / 8000
    assert (lengths > 1).mean() < 0.01
    assert np.median(lengths) == pytest.approx(0.42, abs=0.01)
    assert linear_read_out(parts) >= 0.92


def test_limits_keep_the_first_samples_of_each_kind(real_data: Path) -> None:
    """Parts are ordered so that a limit takes every class alike."""
    there(real_data, "olivetti-faces")
    (_, y), _ = datasets.load("olivetti-faces", train=80)
    np.testing.assert_array_equal(np.bincount(y), 2)


# --- sets made up to be broken ---


def tar_xz(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def wav(samples: np.ndarray, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CIMSIM_DATA", str(tmp_path))
    return tmp_path


def refused(name: str, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        datasets.load(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", FILES)
def test_a_set_that_is_not_there(name: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(name, f"{name}: must lie in a folder of your own", f"that holds {FILES[name]}")
    monkeypatch.delenv("CIMSIM_DATA")
    refused(name, "got no CIMSIM_DATA; set CIMSIM_DATA to a folder that holds")


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file(name: str, own: Path) -> None:
    path = own / FILES[name]
    path.parent.mkdir()
    for content in (b"", b"<html>", b"\xfd7zXZ\0" + b"\0" * 50):
        path.write_bytes(content)
        refused(name, str(path), "must be a readable", "replace the file by a whole one")


def test_a_cut_archive(own: Path) -> None:
    path = own / FILES["spoken-digits"]
    noise = np.random.default_rng(0).integers(-9999, 9999, 4000, np.int16)
    tar_xz(path, {f"recordings/0_ann_{take}.wav": wav(noise) for take in range(9)})
    assert datasets.load("spoken-digits")[0][0].shape == (4, 1600)
    path.write_bytes(path.read_bytes()[:-3000])
    refused("spoken-digits", "must be a readable tar.xz archive")


def test_faces_of_another_shape(own: Path) -> None:
    path = own / FILES["olivetti-faces"]
    path.parent.mkdir()
    savemat(path, {"faces": np.zeros((4096, 399), np.uint8)})
    refused("olivetti-faces", "must hold a variable faces, uint8 (4096, 400)", "got uint8 (4096, 399)")
    savemat(path, {"images": np.zeros((4096, 400), np.uint8)})
    refused("olivetti-faces", "got none")


def test_faces_are_turned_upright(own: Path) -> None:
    """Column k of the file is image k, column by column."""
    path = own / FILES["olivetti-faces"]
    path.parent.mkdir()
    faces = np.random.default_rng(0).integers(0, 256, (4096, 400), np.uint8)
    savemat(path, {"faces": faces})
    (x, _), (_, y_test) = datasets.load("olivetti-faces")
    second_of_subject_3 = x[3].reshape(64, 64) * 255
    np.testing.assert_allclose(second_of_subject_3[5, 40], faces[40 * 64 + 5, 31], atol=1e-3)
    np.testing.assert_array_equal(y_test, np.tile(np.arange(40), 2))


EVENT = bytes([1, 2, 0x80, 0, 9])
LISTS = {"train1K.txt": b"#sample #class\r\n1\t5\r\n2\t0\r\n", "test100.txt": b"#sample #class\r\n60001\t7\r\n"}
RECORDINGS = {f"{n}.bs2": EVENT * 3 for n in (1, 2, 60001)}


def write_events(own: Path, **changed: bytes) -> None:
    files = LISTS | RECORDINGS | {name.replace("__", "."): data for name, data in changed.items()}
    tar_xz(own / FILES["nmnist-small"], {f"NMNISTsmall/{name}": data for name, data in files.items() if data})


def test_a_small_set_of_events(own: Path) -> None:
    write_events(own)
    (_, y), (x_test, y_test) = datasets.load("nmnist-small")
    assert (list(y), list(y_test)) == ([5, 0], [7])
    expected = np.zeros((2, 34, 34))
    expected[0, 2, 1] = 3 / 16  # ON, row 2, column 1
    np.testing.assert_array_equal(x_test[0], expected.ravel())
    (events, _), _ = datasets.load_events("nmnist-small", train=1)
    assert len(events) == 1
    assert events[0].time[0] == 9e-6


def test_counts_are_cut_at_the_full_scale(own: Path) -> None:
    write_events(own, **{"1__bs2": EVENT * 40})
    (x, _), _ = datasets.load("nmnist-small")
    assert x[0].max() == 1.0


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"2__bs2": EVENT + b"\0"}, ["NMNISTsmall/2.bs2: must hold 5 bytes an event, got 6 bytes"]),
        ({"2__bs2": b""}, ["must hold NMNISTsmall/2.bs2"]),
        ({"train1K__txt": b""}, ["must hold NMNISTsmall/train1K.txt"]),
        ({"train1K__txt": b"#\n1\tx\n"}, ["train1K.txt: must list numbers and classes"]),
        ({"train1K__txt": b"#\n1\n"}, ["train1K.txt: must list numbers and classes"]),
        ({"train1K__txt": b"#\n"}, ["train1K.txt: must list numbers and classes"]),
        ({"1__bs2": bytes([34, 0, 0, 0, 0])}, ["must lie on the sensor, columns 0 to 33, got column 34"]),
    ],
)
def test_events_that_break_their_format(own: Path, changed: dict[str, bytes], parts: list[str]) -> None:
    write_events(own, **changed)
    refused("nmnist-small", *parts)


def test_sounds_come_back_as_they_were_written() -> None:
    samples = np.array([0, 1, -32768, 32767], np.int16)
    decoded = decode_wav(wav(samples), "x.wav")
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded * 32768, samples)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "x.wav: must be a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "x.wav: must be a WAV file"),
        (wav(np.zeros(4, np.int16), rate=16000), r"must be mono, 16 bits, 8000 Hz .* 16000 Hz"),
        (wav(np.zeros(4, np.int16), channels=2), "got 2 channels"),
        (wav(np.zeros(4, np.uint8), width=1), "8 bits"),
        (wav(np.zeros(0, np.int16)), "not empty"),
    ],
)
def test_sounds_that_cannot_be_read(data: bytes, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        decode_wav(data, "x.wav")


def test_recordings_of_one_part_only(own: Path) -> None:
    tar_xz(own / FILES["spoken-digits"], {"recordings/0_ann_1.wav": wav(np.ones(9, np.int16)), "readme.txt": b"x"})
    refused("spoken-digits", "must hold recordings of both parts, got 1")


def test_events_and_recordings_of_sets_that_have_none() -> None:
    with pytest.raises(InputError, match=r"data set: unknown name, got mnist; did you mean 'nmnist-small'"):
        datasets.load_events("mnist")
    with pytest.raises(InputError, match=r"data set: unknown name, got digits; .*spoken-digits"):
        datasets.load_recordings("digits")


def test_limits_out_of_range(own: Path) -> None:
    write_events(own)
    with pytest.raises(InputError, match="train part of nmnist-small: has 2 samples, got a limit of 3"):
        datasets.load_events("nmnist-small", train=3)
    with pytest.raises(InputError, match="test: must be a number of samples"):
        datasets.load_events("nmnist-small", test=0)
