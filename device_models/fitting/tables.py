"""Measurements as typed tables in SI units, read from CSV files whose headers carry the unit of every column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from device_models.errors import InputError, suggestion

if TYPE_CHECKING:
    import pandas as pd

UNITS = {
    "g": {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "nS": 1e-9},
    "t": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "h": 3600.0},
    "v": {"V": 1.0, "mV": 1e-3},
    "i": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "µA": 1e-6, "nA": 1e-9},
}
UNITS["g_target"] = UNITS["g"]
SHOWN_UNIT = {"g": "uS", "g_target": "uS", "t": "s", "v": "V", "i": "A"}
PLAIN = ("device", "cycle", "pulse", "polarity", "stuck")


class Kind(NamedTuple):
    """A kind of measurement: its columns, and those that tell it from the others."""

    name: str
    needs: tuple[str, ...]
    title: str


KINDS = (
    Kind("pulses", ("pulse", "polarity", "g"), "pulse train"),
    Kind("iv", ("v", "i"), "I-V sweep"),
    Kind("retention", ("t", "g", "g_target"), "retention"),
    Kind("reads", ("t", "g"), "repeated reads"),
    Kind("writes", ("g_target", "g"), "written against target"),
    Kind("faults", ("stuck",), "fault map"),
)
_POLARITY = {
    "+1": 1,
    "1": 1,
    "up": 1,
    "set": 1,
    "ltp": 1,
    "+": 1,
    "-1": -1,
    "down": -1,
    "reset": -1,
    "ltd": -1,
    "-": -1,
}
_STUCK = {"0": 0, "ok": 0, "working": 0, "": 0, "1": 1, "+1": 1, "lrs": 1, "-1": -1, "hrs": -1}
_WORDS = {"polarity": _POLARITY, "stuck": _STUCK}


@dataclass(frozen=True)
class Table:
    """One measurement: columns of equal length in SI units, `device` and `cycle` as whole numbers.

    Attributes:
        kind: "pulses", "iv", "retention", "reads", "writes" or "faults".
        columns: arrays by name, without the unit.
        source: the file's name, or what made the table.
        assumed: what was taken for granted to read the file, one sentence each.
    """

    kind: str
    columns: Mapping[str, np.ndarray]
    source: str
    assumed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def title(self) -> str:
        """The kind in words."""
        return next(kind.title for kind in KINDS if kind.name == self.kind)

    @property
    def devices(self) -> int:
        """How many devices were measured."""
        return len(np.unique(self["device"]))

    def groups(self, *names: str) -> Iterator[np.ndarray]:
        """Row numbers of each combination of values of some columns, in rising order of the combination."""
        keys = np.stack([self[name] for name in names], axis=1)
        _, which = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(which, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(which.ravel()[order])) + 1)

    def save(self, path: str | Path) -> Path:
        """Write the table as CSV, units in the header; `read(path)` gives it back."""
        import pandas as pd

        path = Path(path)
        frame = {}
        for name, values in self.columns.items():
            unit = SHOWN_UNIT.get(name)
            frame[f"{name}_{unit}" if unit else name] = values / UNITS[name][unit] if unit else values
        pd.DataFrame(frame).to_csv(path, index=False)
        return path


def make(kind: str, columns: Mapping[str, np.ndarray], source: str, assumed: tuple[str, ...] = ()) -> Table:
    """A table with its columns checked; a missing `device` or `cycle` means one.

    Raises:
        InputError: too few rows, a negative conductance or time, or a pulse index that does not rise.
    """
    rows = len(next(iter(columns.values())))
    if not rows:
        raise InputError(source, "needs at least one row below the header", "none", "export the measurement again")
    whole = {name: columns[name].astype(np.int64) for name in PLAIN if name in columns}
    ones = {"device": np.zeros(rows, np.int64), "cycle": np.zeros(rows, np.int64)}
    table = Table(kind, {**ones, **columns, **whole}, source, assumed)
    _check(table)
    return table


def read(path: str | Path) -> Table:
    """A measured CSV file as a table; the kind is told from the columns.

    Raises:
        InputError: no such file, not a table, a unit or column missing, or a value (row and column named).
    """
    import pandas as pd

    path = Path(path)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(path.name, "must be an existing file", "nothing there", "check the path") from None
    except OSError as error:
        raise InputError(path.name, "must be a file one can read", error.strerror or error, "check it") from None
    except (pd.errors.EmptyDataError, UnicodeDecodeError):
        raise InputError(path.name, "must be a CSV table with a header", "no text", "export it again") from None
    except pd.errors.ParserError as error:
        got = str(error).replace("Error tokenizing data. C error: ", "").strip()
        raise InputError(path.name, "must have as many fields in each row as in the header", got, "mend it") from None
    frame.columns = [str(c).strip() for c in frame.columns]
    kind = kind_of([str(c) for c in frame.columns], path.name)
    return make(kind, dict(_columns(frame, path.name)), path.name)


def kind_of(header: list[str], where: str) -> str:
    """The kind of a measurement with these column names."""
    have = {_split(name, where)[0] for name in header}
    for kind in KINDS:
        if set(kind.needs) <= have:
            return kind.name
    if len(header) == 1 and ";" in header[0]:
        raise InputError(where, "must separate its columns with commas", "semicolons", "export it as CSV with commas")
    best = max(KINDS, key=lambda kind: len(have & set(kind.needs)) / len(kind.needs))
    missing = ", ".join(_with_unit(name) for name in best.needs if name not in have)
    if len(header) == 1 and ";" in header[0]:
        raise InputError(where, "must separate its columns with commas", "semicolons", "export it as CSV with commas")
    remedy = f"add {missing} for: {best.title}" if have & set(best.needs) else _all_kinds()
    raise InputError(where, "needs the columns of a measurement", ", ".join(header) or "none", remedy)


def merged(tables: list[Table]) -> list[Table]:
    """Tables of one kind joined into one, in the order of `KINDS`; equal device numbers mean the same device."""
    joined = []
    for kind in KINDS:
        same = [table for table in tables if table.kind == kind.name]
        if len(same) > 1:
            names = [name for name in same[0].columns if all(name in table.columns for table in same)]
            columns = {name: np.concatenate([table[name] for table in same]) for name in names}
            said = tuple(dict.fromkeys(line for table in same for line in table.assumed))
            joined.append(replace(same[0], columns=columns, source=", ".join(t.source for t in same), assumed=said))
        else:
            joined += same
    return joined


def _all_kinds() -> str:
    return "; ".join(f"{kind.title}: {', '.join(map(_with_unit, kind.needs))}" for kind in KINDS)


def _with_unit(name: str) -> str:
    return f"{name}_{SHOWN_UNIT[name]}" if name in SHOWN_UNIT else name


def _split(header: str, where: str) -> tuple[str, float]:
    """A column's name and the size of its unit in SI; other columns keep their name and are left alone."""
    if header in PLAIN:
        return header, 1.0
    if header in UNITS:
        remedy = f"write {_with_unit(header)}, or another of {', '.join(UNITS[header])}"
        raise InputError(f"{where}, column '{header}'", "must carry its unit in the header", header, remedy)
    name, _, unit = header.rpartition("_")
    if name in UNITS:
        if unit not in UNITS[name]:
            rule = f"must have a unit of {', '.join(UNITS[name])}"
            raise InputError(f"{where}, column '{header}'", rule, unit, suggestion(unit, list(UNITS[name])))
        return name, UNITS[name][unit]
    return header, 1.0


def _columns(frame: pd.DataFrame, where: str) -> Iterator[tuple[str, np.ndarray]]:
    for header in map(str, frame.columns):
        name, size = _split(header, where)
        if name in UNITS:
            yield name, _numbers(frame[header].to_numpy(), where, header) * size
        elif name in _WORDS:
            yield name, _words(frame[header].to_numpy(), where, header, _WORDS[name])
        elif name in {"pulse", "cycle"}:
            yield name, _numbers(frame[header].to_numpy(), where, header)
        elif name == "device":
            yield name, np.unique(frame[header].to_numpy().astype(str), return_inverse=True)[1]


def _numbers(texts: np.ndarray, where: str, header: str) -> np.ndarray:
    import pandas as pd

    values: np.ndarray = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        place = f"{where}, row {wrong[0] + 2}, column '{header}'"
        raise InputError(place, "must be a number", str(texts[wrong[0]]) or "nothing", "correct it or drop the row")
    return values


def _words(texts: np.ndarray, where: str, header: str, known: dict[str, int]) -> np.ndarray:
    values = [known.get(str(text).strip().lower().removesuffix(".0")) for text in texts]
    if None in values:
        row = values.index(None)
        remedy = f"one of {', '.join(word for word in known if word)}"
        raise InputError(f"{where}, row {row + 2}, column '{header}'", "must be known", str(texts[row]), remedy)
    return np.array(values, dtype=np.int64)


def _check(table: Table) -> None:
    for name in ("g", "g_target", "t"):
        if name in table.columns and len(table) and table[name].min() < 0:
            row, unit = int(np.argmin(table[name] >= 0)), SHOWN_UNIT[name]
            size = UNITS[name][unit]
            place = f"{table.source}, row {row + 2}, column '{_with_unit(name)}'"
            raise InputError(
                place, "must not be negative", f"{table[name][row] / size:g} {unit}", "correct the row or its unit"
            )
    if table.kind == "pulses":
        _check_pulses(table)


def _check_pulses(table: Table) -> None:
    """The index of pulses rises by one step within each train."""
    for rows in table.groups("device", "cycle", "polarity"):
        rising = np.diff(table["pulse"][rows])
        if rising.size and rising.min() <= 0:
            bad = rows[int(np.argmin(rising > 0)) + 1]
            place = f"{table.source}, row {bad + 2}, column 'pulse'"
            rule = "must rise within a device, cycle and polarity"
            raise InputError(place, rule, int(table["pulse"][bad]), "number the trains in 'cycle', or sort the rows")
