from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from device_models.cards import parse
from device_models.checks import check_device
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.faults import STUCK_HRS, STUCK_LRS, WORKING, CellFaults, Fabricated, FaultMap, Faults
from device_models.parameters import to_dict
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_counts, assert_independent, assert_normal, assert_rate

SHAPE = (300, 400)


def made(faults: CellFaults, shape: tuple[int, ...] = SHAPE) -> Fabricated:
    return faults.draw(shape, Streams(0).rng("faults"))


@pytest.mark.parametrize(("lrs", "hrs"), [(0.01, 0.0), (0.0, 0.01), (0.001, 0.004), (0.3, 0.6)])
def test_cells_stick_at_the_rates_asked_for(lrs: float, hrs: float) -> None:
    stuck = made(CellFaults(stuck_lrs=lrs, stuck_hrs=hrs)).stuck
    assert stuck.dtype == np.int8
    assert_rate(stuck == STUCK_LRS, lrs)
    assert_rate(stuck == STUCK_HRS, hrs)


@pytest.mark.parametrize(
    ("lrs", "hrs", "states"),
    [(0.0, 0.0, {WORKING}), (1.0, 0.0, {STUCK_LRS}), (0.0, 1.0, {STUCK_HRS}), (0.5, 0.5, {STUCK_LRS, STUCK_HRS})],
)
def test_rates_of_none_and_all_are_exact(lrs: float, hrs: float, states: set[int]) -> None:
    assert set(np.unique(made(CellFaults(stuck_lrs=lrs, stuck_hrs=hrs)).stuck)) == states


def test_stuck_cells_lie_anywhere() -> None:
    stuck = made(CellFaults(stuck_lrs=0.05)).stuck != WORKING
    for per_line in (stuck.sum(axis=0), stuck.sum(axis=1)):
        dispersion = ((per_line - per_line.mean()) ** 2).sum() / (per_line.mean() * 0.95)
        assert 1e-3 < stats.chi2.cdf(dispersion, per_line.size - 1) < 1 - 1e-3


@pytest.mark.parametrize("spread", [0.05, 0.5])
def test_window_ends_spread_lognormally_around_the_nominal_one(spread: float) -> None:
    fab = made(CellFaults(spread_g_min=spread, spread_g_max=2 * spread))
    for factor, s in ((fab.min_factor, spread), (fab.max_factor, 2 * spread)):
        assert_normal(np.log(factor), -(s**2) / 2, s)
        relative = np.sqrt(np.expm1(s**2))
        assert factor.mean() == pytest.approx(1.0, abs=5 * relative / np.sqrt(factor.size))
        assert factor.std() == pytest.approx(relative, rel=0.05)
    assert_independent(fab.min_factor, fab.max_factor)


def test_without_spread_every_window_is_the_nominal_one() -> None:
    fab = made(CellFaults(stuck_lrs=0.1))
    assert (fab.min_factor == 1.0).all()
    assert (fab.max_factor == 1.0).all()


def test_each_effect_is_drawn_whatever_the_others_are() -> None:
    both = CellFaults(stuck_lrs=0.1, stuck_hrs=0.1, spread_g_min=0.1, spread_g_max=0.2)
    for name in ("stuck_lrs", "stuck_hrs", "spread_g_min", "spread_g_max"):
        all_on, one_off = made(both), made(both.replace(**{name: 0.0}))
        state = {"stuck_lrs": STUCK_LRS, "stuck_hrs": STUCK_HRS}.get(name)
        kept = all_on.stuck != state if state else np.ones(SHAPE, dtype=bool)
        np.testing.assert_array_equal(one_off.stuck[kept], all_on.stuck[kept])
        if name != "spread_g_min":
            np.testing.assert_array_equal(one_off.min_factor, all_on.min_factor)
        if name != "spread_g_max":
            np.testing.assert_array_equal(one_off.max_factor, all_on.max_factor)


def test_more_cells_stick_where_the_rate_is_higher_the_same_ones_among_them() -> None:
    few, many = (made(CellFaults(stuck_lrs=rate)).stuck for rate in (0.01, 0.02))
    assert (many[few == STUCK_LRS] == STUCK_LRS).all()


def test_rates_above_one_are_refused() -> None:
    with pytest.raises(ParameterError) as caught:
        CellFaults(stuck_lrs=0.7, stuck_hrs=0.4)
    text = "CellFaults: stuck_lrs + stuck_hrs must not exceed 1 (fractions of all cells), got 0.7 + 0.4"
    assert str(caught.value) == text


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan"), "0.1"])
def test_a_rate_is_a_fraction(rate: object) -> None:
    with pytest.raises(ParameterError, match=r"^CellFaults.stuck_lrs: must be .* \(fraction, 0 to 1\), got "):
        CellFaults(stuck_lrs=rate)  # type: ignore[arg-type]


# --- normal spread ---


def test_window_ends_may_spread_normally_and_stay_at_or_above_zero() -> None:
    fab = made(CellFaults(spread_g_min=0.05, spread_g_max=0.1, law="normal"))
    assert_normal(fab.min_factor, 1.0, 0.05)
    assert_normal(fab.max_factor, 1.0, 0.1)
    assert_independent(fab.min_factor, fab.max_factor)
    wide = made(CellFaults(spread_g_max=1.0, law="normal")).max_factor
    assert wide.min() == 0.0
    assert_rate(wide == 0.0, float(stats.norm.cdf(-1.0)))


def test_the_law_of_the_spread_moves_no_other_draw() -> None:
    a, b = (made(CellFaults(stuck_lrs=0.1, spread_g_max=0.01, law=law)) for law in ("normal", "lognormal"))
    np.testing.assert_array_equal(a.stuck, b.stuck)
    np.testing.assert_allclose(a.max_factor, b.max_factor, atol=0.01**2 * 12)  # alike to first order in the spread


# --- measured maps ---

MAP = ((0, 1, 0), (0, 0, -1))
PLANE = np.array(MAP)


@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (5, 7), (2, 9), (1, 2)])
def test_a_map_is_repeated_and_cut(shape: tuple[int, int]) -> None:
    stuck = made(FaultMap(cells=MAP), shape).stuck
    assert stuck.dtype == np.int8
    np.testing.assert_array_equal(stuck, np.tile(PLANE, (3, 4))[: shape[0], : shape[1]])


def test_arrays_of_other_dimensions_are_planes_or_one_row() -> None:
    np.testing.assert_array_equal(made(FaultMap(cells=MAP), (4, 2, 3)).stuck, np.stack([PLANE] * 4))
    np.testing.assert_array_equal(made(FaultMap(cells=MAP), (5,)).stuck, [0, 1, 0, 0, 1])
    assert made(FaultMap(cells=MAP), ()).stuck == 0
    assert made(FaultMap(cells=MAP), (0, 4)).stuck.shape == (0, 4)


def test_a_drawn_start_shifts_the_plane_and_reaches_every_cell() -> None:
    law, rng = FaultMap(cells=MAP, start="drawn"), Streams(0).rng("faults")
    planes = {tuple(np.roll(PLANE, (-r, -c), axis=(0, 1)).ravel()): 0 for r in range(2) for c in range(3)}
    for _ in range(600):
        planes[tuple(law.draw((2, 3), rng).stuck.ravel())] += 1
    assert_counts(np.array(list(planes.values())), np.full(6, 1 / 6))


def test_a_map_has_a_spread_of_the_window_too() -> None:
    fab = made(FaultMap(cells=MAP, spread_g_max=0.2), SHAPE)
    assert_normal(np.log(fab.max_factor), -(0.2**2) / 2, 0.2)
    assert (fab.min_factor == 1.0).all()


@pytest.mark.parametrize("name", ["map.csv", "map.npy"])
def test_a_map_from_a_file_is_the_one_written_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("npy"):
        np.save(path, PLANE.astype(float))
    else:
        path.write_text("0, 1, 0\n0,0,-1\n\n", encoding="utf-8")
    law = FaultMap(file=str(path))
    np.testing.assert_array_equal(law.states(), PLANE)
    np.testing.assert_array_equal(made(law, (5, 7)).stuck, made(FaultMap(cells=MAP), (5, 7)).stuck)
    with pytest.raises(ValueError, match="read-only"):
        law.states()[0, 0] = 1


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("0,1\n", encoding="utf-8")
    law = FaultMap(file=str(path))
    path.write_text("1,0\n", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(law.states(), [[1, 0]])


def test_stuck_cells_of_a_map_stay_where_they_stick() -> None:
    device = Device(name="mapped", window=Window(g_min=1e-6, g_max=1e-4), faults=FaultMap(cells=MAP))
    streams = Streams(0)
    cells, report = device.program(device.fabricate((2, 3), streams), np.full((2, 3), 5e-5), streams)
    np.testing.assert_allclose(device.conductance(cells), np.select([PLANE == 1, PLANE == -1], [1e-4, 1e-6], 5e-5))
    assert report.stuck == 2


@pytest.mark.parametrize(
    "law",
    [
        CellFaults(stuck_lrs=0.1, spread_g_min=0.3, spread_g_max=0.3, law="normal"),
        FaultMap(cells=MAP, start="drawn", spread_g_max=0.1),
    ],
    ids=lambda law: type(law).__name__,
)
def test_a_device_with_the_law_keeps_every_promise(law: Faults) -> None:
    device = Device(name="faulty", window=Window(g_min=1e-6, g_max=1e-4), faults=law)
    check_device(device)
    assert parse(to_dict(device), "card") == device


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("0,1\n0\n", "must have 2 cells in every row, as in the first, got 1 in row 2"),
        ("0,1\n0,2\n", "must hold -1, 0 or 1 at row 2, column 2, got '2'; leave out headers and indices"),
        ("row,column\n0,1\n", "must hold -1, 0 or 1 at row 1, column 1, got 'row'; leave out headers and indices"),
        ("0,,1\n", "must hold -1, 0 or 1 at row 1, column 2, got ''; leave out headers and indices"),
        ("", "must be a map of rows and columns, got shape (0,)"),
    ],
)
def test_a_malformed_file_is_refused_at_its_first_bad_cell(content: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        FaultMap(file=str(path))
    assert str(caught.value) == f"FaultMap.{path}: {text}"


@pytest.mark.parametrize("array", [np.array([[0, 3]]), np.array([[0, np.nan]]), np.array([[0.0, 0.5]])])
def test_a_bad_value_in_an_array_is_refused_by_its_place(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(ParameterError, match=r"must hold -1, 0 or 1 at row 1, column 2, got (3|nan|0\.5)$"):
        FaultMap(file=str(tmp_path / "map.npy"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "FaultMap: needs either 'file' or 'cells', got neither; give one of them"),
        ({"file": "a.csv", "cells": MAP}, "FaultMap: needs either 'file' or 'cells', got both; give one of them"),
        ({"file": "no/such.csv"}, "FaultMap.no/such.csv: must be a fault map one can read, got No such file or dir"),
        ({"cells": ((0, 1), (0,))}, "FaultMap: cells must have rows of equal length, got rows of [2, 1]"),
        ({"cells": ((0, 2),)}, "FaultMap.cells: must hold -1, 0 or 1 at row 1, column 2, got 2"),
        ({"cells": ()}, "FaultMap.cells: must be a map of rows and columns, got shape (0,)"),
        ({"cells": MAP, "start": "last"}, "FaultMap.start: must be 'first' or 'drawn', got 'last'"),
    ],
)
def test_an_impossible_map_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        FaultMap(**values)
    assert str(caught.value).startswith(text)


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.npy").write_text("0,1", encoding="utf-8")
    (tmp_path / "map.csv").write_bytes(b"\xff\xfe\x00\x01")
    for name in ("map.npy", "map.csv"):
        with pytest.raises(ParameterError, match=r"map.(npy|csv): must be a .*(npy|csv)"):
            FaultMap(file=str(tmp_path / name))
