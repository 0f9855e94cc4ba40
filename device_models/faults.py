"""What fabrication does to single cells, drawn once per chip: stuck cells and the spread of the window."""

from __future__ import annotations

import abc
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from device_models.endurance import Endurance
from device_models.errors import InputError
from device_models.parameters import Fraction, RuleBroken, Spread, Variant
from device_models.window import Array, CellLimits

STUCK_HRS, WORKING, STUCK_LRS = -1, 0, 1
STATES = (STUCK_HRS, WORKING, STUCK_LRS)


def _rows(value: object) -> object:
    """Lists within a list, as TOML has them, as tuples."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(tuple(row) if isinstance(row, list) else row for row in value)


Rows = Annotated[tuple[tuple[int, ...], ...], BeforeValidator(_rows)]


class Fabricated(NamedTuple):
    """What fabrication made of each cell.

    `stuck` is int8: STUCK_HRS, WORKING or STUCK_LRS. `min_factor` and `max_factor` multiply the nominal ends of the
    window (dimensionless).
    """

    stuck: np.ndarray
    min_factor: np.ndarray
    max_factor: np.ndarray


class Faults(Variant):
    """Slot of stuck-at faults, device-to-device (D2D) spread and, where given, endurance."""

    endurance: Endurance | None = None

    @abc.abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        """Fabricate cells of the given shape, once per chip."""

    def worn(self, limits: CellLimits, pulses: Array) -> CellLimits:
        """The windows (siemens) of cells that have received so many pulses, from their fresh ones."""
        return limits if self.endurance is None else self.endurance.worn(limits, pulses)


class SpreadWindow(Faults):
    """Faults with a device-to-device spread of both ends of the window: the part all of them share.

    `spread_g_min` and `spread_g_max` are relative to the nominal ends. By `law` a spread s multiplies an end by
    "lognormal": exp(s z - s^2/2) with z normal, so the mean end is the nominal one and the relative standard
    deviation is sqrt(exp(s^2) - 1), s for small s; or "normal": 1 + s z, kept at or above 0.
    """

    spread_g_min: Spread = 0.0
    spread_g_max: Spread = 0.0
    law: Literal["lognormal", "normal"] = "lognormal"

    def _fabricated(self, stuck: np.ndarray, rng: np.random.Generator) -> Fabricated:
        """The stuck cells with factors of their windows; drawn whatever is switched off."""
        z_min, z_max = rng.standard_normal(stuck.shape), rng.standard_normal(stuck.shape)
        factor = _lognormal if self.law == "lognormal" else _normal
        return Fabricated(stuck, factor(z_min, self.spread_g_min), factor(z_max, self.spread_g_max))


class CellFaults(SpreadWindow):
    """Independent stuck cells at the given rates, and the spread of the window."""

    stuck_lrs: Fraction = 0.0
    stuck_hrs: Fraction = 0.0

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        if self.stuck_lrs + self.stuck_hrs > 1:
            got = f"{self.stuck_lrs:g} + {self.stuck_hrs:g}"
            raise RuleBroken("stuck_lrs + stuck_hrs must not exceed 1 (fractions of all cells)", value=got)
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        """Fabricate cells; every draw is made whatever is switched off, so no effect moves another's draw."""
        chance = rng.random(shape)
        stuck = np.where(chance < self.stuck_lrs, STUCK_LRS, WORKING)
        stuck = np.where(chance >= 1 - self.stuck_hrs, STUCK_HRS, stuck).astype(np.int8)
        return self._fabricated(stuck, rng)


class FaultMap(SpreadWindow):
    """Stuck cells where a measured array has them, and the spread of the window.

    The map holds -1 (stuck at HRS), 0 (working) or 1 (stuck at LRS) for each cell, rows being word lines. It is given
    as `cells`, or as `file`: a .npy array, or a .csv of one line per row without a header. A relative path counts from
    the working directory.
    Each array of a chip takes the map as an endless plane of its repetitions, cut to the array's size: from the map's
    first cell ("first"), so that an array of the map's size is the map, or from a cell drawn for each array ("drawn"),
    so that the arrays of a larger chip do not all fail at the same places. Of an array with more than two axes every
    (rows, columns) plane is the same cut; one axis is one row.
    """

    file: str | None = Field(default=None, min_length=1)
    cells: Rows | None = None
    start: Literal["first", "drawn"] = "first"

    @model_validator(mode="after")
    def _one_map(self) -> Self:
        if (self.file is None) == (self.cells is None):
            got = "neither" if self.file is None else "both"
            raise RuleBroken("needs either 'file' or 'cells'", "give one of them", got)
        self.states()
        return self

    def states(self) -> np.ndarray:
        """The map, `(rows, columns)` int8. Raises `InputError` where the file cannot be read as one."""
        if self.file is None:
            assert self.cells is not None
            return _given_map(self.cells)
        path = Path(self.file)
        try:
            return _read_map(path, path.stat().st_mtime_ns)
        except OSError as error:
            rule = "must be a fault map one can read"
            raise InputError(self.file, rule, error.strerror or error, "check the path") from None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        """Cut cells of the given shape from the map and draw their windows."""
        states = self.states()
        first = rng.integers(states.shape) * (self.start == "drawn")
        r, c = (
            (np.arange(n) + at) % size for n, at, size in zip((1, 1, *shape)[-2:], first, states.shape, strict=True)
        )
        stuck = np.broadcast_to(states[np.ix_(r, c)].reshape(shape[-2:]), shape).copy()
        return self._fabricated(stuck, rng)


@lru_cache(maxsize=16)
def _given_map(cells: tuple[tuple[int, ...], ...]) -> np.ndarray:
    if len({len(row) for row in cells}) > 1:
        raise RuleBroken("cells must have rows of equal length", value=f"rows of {[len(row) for row in cells]}")
    return _checked(np.array(cells), "cells")


@lru_cache(maxsize=16)
def _read_map(path: Path, changed: int) -> np.ndarray:
    """The map in a file, read again when it has changed since."""
    return _checked(_read_npy(path) if path.suffix == ".npy" else _read_csv(path), str(path))


def _read_npy(path: Path) -> np.ndarray:
    try:
        states: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(str(path), "must be a .npy array", error, "save it with numpy.save") from None
    return states


def _read_csv(path: Path) -> np.ndarray:
    """The cells of a .csv, checked one by one so that the first bad one is named."""
    import csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), "must be a .csv or .npy file", error, "save it as one") from None
    for r, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            got = f"{len(row)} in row {r}"
            raise InputError(str(path), f"must have {len(rows[0])} cells in every row, as in the first", got)
        for c, cell in enumerate(row, start=1):
            if cell.strip() not in ("-1", "0", "1", "+1"):
                rule = f"must hold -1, 0 or 1 at row {r}, column {c}"
                raise InputError(str(path), rule, repr(cell), "leave out headers and indices")
    return np.array([[int(cell) for cell in row] for row in rows])


def _checked(states: np.ndarray, where: str) -> np.ndarray:
    """The map as int8 that no one can change; an `InputError` names the first bad cell."""
    if states.ndim != 2 or 0 in states.shape:
        raise InputError(where, "must be a map of rows and columns", f"shape {states.shape}")
    bad = np.argwhere(~np.isin(states, STATES))
    if len(bad):
        r, c = bad[0]
        got = states[r, c].item()
        raise InputError(where, f"must hold -1, 0 or 1 at row {r + 1}, column {c + 1}", got)
    states = states.astype(np.int8)
    states.flags.writeable = False
    return states


def _lognormal(z: np.ndarray, spread: float) -> np.ndarray:
    return np.exp(spread * z - spread**2 / 2)


def _normal(z: np.ndarray, spread: float) -> np.ndarray:
    return np.maximum(1 + spread * z, 0.0)
