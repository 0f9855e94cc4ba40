from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cimsim.study.store import MEASURED, Store, key, resolved, write
from cimsim.study.study import Study
from device_models.errors import InputError

ROW = {name: 0.5 for name in MEASURED}


@pytest.fixture
def study(tiny: dict[str, Any]) -> Study:
    return Study(**tiny)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The operating system cuts a file at this size and refuses the rest, as a disk does that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(store: Store, study: Study) -> None:
    for point in study.points():
        for die in range(study.dies):
            store.append(point, die, ROW)


def test_rows_come_back_ordered_by_point_and_die_whatever_the_order_of_writing(tmp_path: Path, study: Study) -> None:
    store, points = Store(tmp_path, study), study.points()
    written = [(p, die) for die in (1, 0) for p in reversed(points)]
    for i, (point, die) in enumerate(written):
        store.append(point, die, ROW | {"accuracy": i / 10})
    table = Store(tmp_path, study).frame(study)
    assert list(table.columns) == ["chip.adc.bits", "inference.age", "die", *MEASURED]
    assert table["chip.adc.bits"].tolist() == [2, 2, 2, 2, 6, 6, 6, 6]
    assert table["inference.age"].tolist() == [0.0, 0.0, 1e6, 1e6] * 2
    assert table["die"].tolist() == [0, 1] * 4
    assert table["accuracy"].tolist() == [0.7, 0.3, 0.6, 0.2, 0.5, 0.1, 0.4, 0.0]


def test_an_axis_of_several_paths_is_one_column(tmp_path: Path, tiny: dict[str, Any]) -> None:
    axis = "chip.wires.word, chip.wires.bit"
    study = Study(**tiny | {"sweep": {axis: [0.0, 2.5]}})
    fill(Store(tmp_path, study), study)
    again = Store(tmp_path, study)
    assert all(key(point, die) in again for point in study.points() for die in range(2))
    assert again.frame(study)[axis].tolist() == [0.0, 0.0, 2.5, 2.5]


def test_numbers_survive_the_file_bit_by_bit(tmp_path: Path, study: Study) -> None:
    store = Store(tmp_path, study)
    store.append(study.points()[0], 0, ROW | {"accuracy": 0.1 + 0.2, "adc_clipping": 1 / 3})
    assert Store(tmp_path, study).frame(study).loc[0, ["accuracy", "adc_clipping"]].tolist() == [0.1 + 0.2, 1 / 3]


def test_every_row_is_in_the_file_when_append_returns(tmp_path: Path, study: Study) -> None:
    store = Store(tmp_path, study)
    for die in range(2):
        store.append(study.points()[0], die, ROW)
        assert store.path.read_text().count("\n") == die + 2


def test_a_line_cut_short_is_dropped_wherever_it_is_cut(tmp_path: Path, study: Study) -> None:
    store = Store(tmp_path, study)
    fill(store, study)
    whole = store.path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        store.path.write_bytes(whole[:cut])
        again = Store(tmp_path, study)
        assert len(again) == 7
        assert key(study.points()[-1], 1) not in again
        again.append(study.points()[-1], 1, ROW)
        assert store.path.read_bytes() == whole


def test_the_same_numbers_written_otherwise_are_the_same_point(tmp_path: Path, tiny: dict[str, Any]) -> None:
    fill(Store(tmp_path, Study(**tiny)), Study(**tiny))
    tiny["sweep"] = {"chip.adc.bits": [2, 6], "inference.age": [0, 1_000_000]}
    assert len(Store(tmp_path, Study(**tiny))) == 8


def test_a_full_disk_keeps_the_rows_before_it_and_the_study_goes_on_afterwards(tmp_path: Path, study: Study) -> None:
    store, points = Store(tmp_path, study), study.points()
    store.append(points[0], 0, ROW)
    with files_no_longer_than(store.path.stat().st_size + 20), pytest.raises(InputError) as caught:
        store.append(points[0], 1, ROW)
    assert str(caught.value) == (
        f"{store.path}: must be writable, got File too large; "
        "1 rows are kept: make room and run the same command again to go on"
    )
    assert not store.path.read_bytes().endswith(b"\n")
    again = Store(tmp_path, study)
    assert len(again) == 1
    fill(again, study)
    assert len(Store(tmp_path, study)) == 8


def test_no_space_left_is_said_so(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, study)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"results\.csv: must be writable, got No space left on device; 0 rows"):
        store.append(study.points()[0], 0, ROW)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    write(path, b"old")
    with (
        files_no_longer_than(10),
        pytest.raises(InputError, match=r"summary\.csv: must be writable, got File"),
    ):
        write(path, b"new" * 10)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("summary.csv", b"old")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "holds results of a different study, seed = 5, got 6; choose another directory with -o"),
        (
            {"training": {"epochs": 9, "learning_rate": 0.02}},
            "a different study, training.epochs = 2, got 9",
        ),
        ({"dies": 3}, "holds results of a different study, dies = 2, got 3"),
        ({"title": "x"}, "holds results of a different study, title = "),
    ],
)
def test_another_study_is_refused_with_the_first_difference(
    tmp_path: Path, tiny: dict[str, Any], study: Study, changes: dict[str, Any], message: str
) -> None:
    fill(Store(tmp_path, study), study)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(InputError) as caught:
        Store(tmp_path, Study(**tiny | changes))
    assert message in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_directory_without_a_row_is_free_for_another_study(
    tmp_path: Path, tiny: dict[str, Any], study: Study
) -> None:
    Store(tmp_path, study)
    other = Study(**tiny | {"sweep": {"chip.dac.bits": [3]}})
    store = Store(tmp_path, other)
    fill(store, other)
    assert (tmp_path / "study.toml").read_text() == resolved(other)
    assert len(Store(tmp_path, other)) == 2


def test_a_directory_with_other_files_is_refused(tmp_path: Path, study: Study) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"must be empty or hold this study's results, got 1 files, thesis\.tex"):
        Store(tmp_path, study)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_directory_below_a_file_is_refused(tmp_path: Path, study: Study) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a directory that can be written, got Not a directory"):
        Store(tmp_path / "file" / "results", study)


@pytest.mark.parametrize("line", ["2,0.0,7,1,1,1,1,1,1,1,1\n", "2,0.0,0,1\n", "what is this\n"])
def test_a_line_that_is_no_row_of_the_study_is_refused(tmp_path: Path, study: Study, line: str) -> None:
    store = Store(tmp_path, study)
    with store.path.open("a") as file:
        file.write(line)
    with pytest.raises(InputError, match=r"results\.csv, line 2: must be a row of this study, got .*; remove the line"):
        Store(tmp_path, study)


def test_a_file_with_other_columns_is_refused(tmp_path: Path, study: Study) -> None:
    Store(tmp_path, study).path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"results\.csv: must have the columns chip\.adc\.bits, .*, got a, b"):
        Store(tmp_path, study)
