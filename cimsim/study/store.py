"""Store: the results of a study in a directory, kept row by row, so that a stopped run loses nothing and goes on."""

from __future__ import annotations

import csv
import io
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from cimsim.study import paths
from cimsim.study.study import Point, Study
from device_models.cards import read_toml
from device_models.errors import InputError
from device_models.parameters import to_dict

if TYPE_CHECKING:
    import pandas as pd

MEASURED = ("accuracy", "float_accuracy", "cells", "pulses", "failed", "stuck", "adc_clipping", "seconds")
"""Columns of results.csv after the swept paths and the die; `seconds`, the time a row took, is not reproducible."""

Key = tuple[float | str, ...]


class Store:
    """The rows of results.csv, which grows by one line, flushed to the disk, with every `append`.

    Making one claims the directory: it is created if need be, must be empty or hold this very study, and gets
    study.toml. A last line cut short by a crash is dropped; a directory without a row yet is anyone's.
    Raises `InputError` for another study's directory, or one that cannot be written.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self.folder, self.path = folder, folder / "results.csv"
        self.columns = [*study.sweep, "die", *MEASURED]
        if _claimed(folder, study):
            write(folder / "study.toml", resolved(study).encode())
            write(self.path, _line(self.columns))
        self._expected = {key(point, die) for point in study.points() for die in range(study.dies)}
        self.reload()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, wanted: Key) -> bool:
        return wanted in self._rows

    def reload(self) -> None:
        """Count what the file holds, to be right also after an interrupt between a row's writing and its counting."""
        self._rows = self._read()

    def append(self, point: Point, die: int, measured: Mapping[str, Any]) -> None:
        """Keep one row: it is on the disk when this returns. Raises `InputError` if it cannot be written."""
        fields = [str(v) for v in (*point.labels.values(), die, *(measured[name] for name in MEASURED))]
        line = memoryview(_line(fields))
        try:
            with self.path.open("ab", buffering=0) as file:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritten(error) from error
        self._rows[key(point, die)] = fields

    def frame(self, study: Study) -> pd.DataFrame:
        """The rows there are, ordered by point and die."""
        import pandas as pd

        keys = [key(point, die) for point in study.points() for die in range(study.dies)]
        columns = zip(*(self._rows[k] for k in keys if k in self._rows), strict=True)
        return pd.DataFrame({name: _typed(column) for name, column in zip(self.columns, columns, strict=True)})

    def _read(self) -> dict[Key, list[str]]:
        """The whole lines of results.csv by key; the rest of a line cut short is cut off the file as well."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write(self.path, whole)
        header, *lines = list(csv.reader(io.StringIO(whole.decode("utf-8", "replace")))) or [[]]
        if header != self.columns:
            raise InputError(str(self.path), f"must have the columns {', '.join(self.columns)}", ", ".join(header))
        rows = {}
        for number, line in enumerate(lines, start=2):
            found = tuple(map(_plain, line[: -len(MEASURED)]))
            if len(line) != len(self.columns) or found not in self._expected:
                remedy = "remove the line, and the study computes it again"
                raise InputError(f"{self.path}, line {number}", "must be a row of this study", ",".join(line), remedy)
            rows[found] = line
        return rows

    def _unwritten(self, error: OSError) -> InputError:
        remedy = f"{len(self)} rows are kept: make room and run the same command again to go on"
        return InputError(str(self.path), "must be writable", error.strerror or error, remedy)


def key(point: Point, die: int) -> Key:
    """What identifies a row: the swept values and the die, numbers as numbers however they are written."""
    return tuple(_plain(str(value)) for value in (*point.labels.values(), die))


def write(path: Path, content: bytes) -> None:
    """Write a whole file or leave what was there: into a file beside it, which then takes its place.

    A file that holds the same already is left alone. Raises `InputError` if it cannot be written.
    """
    if path.is_file() and path.read_bytes() == content:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        remedy = "make room and run the same command again, finished rows are kept; or choose another directory with -o"
        raise InputError(str(path), "must be writable", error.strerror or error, remedy) from error


def resolved(study: Study) -> str:
    """The whole study as TOML, every default and device written out; reading it back gives an equal study."""
    return tomli_w.dumps(to_dict(study))


def _claimed(folder: Path, study: Study) -> bool:
    """Make sure that the directory can be this study's; whether it is new to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        remedy = "choose another directory with -o"
        raise InputError(str(folder), "must be a directory that can be written", error.strerror, remedy) from error
    own, rows = folder / "study.toml", folder / "results.csv"
    if present and not own.exists():
        got = f"{len(present)} files, {present[0]} for one"
        raise InputError(str(folder), "must be empty or hold this study's results", got, "choose another with -o")
    if not (own.exists() and rows.exists()):
        return True
    found = paths.first_difference(read_toml(own), tomllib.loads(resolved(study)))
    if found is not None and rows.read_bytes().count(b"\n") > 1:
        path, there, here = ("nothing" if part is None else part for part in found)
        rule = f"holds results of a different study, {path} = {there}"
        raise InputError(str(folder), rule, here, "choose another directory with -o")
    return found is not None


def _plain(text: str) -> float | str:
    """A number where the text is one, so that 0 and 0.0 are the same."""
    try:
        return float(text)
    except ValueError:
        return text


def _typed(column: Sequence[str]) -> list[Any]:
    """The fields of a column as whole numbers, else as numbers, else as they are; every number exactly as written."""
    for kind in (int, float):
        try:
            return [kind(text) for text in column]
        except ValueError:
            continue
    return list(column)


def _line(fields: Sequence[str]) -> bytes:
    """One line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue().encode()
