"""Closed-loop writes of chosen cells of a programmed matrix: the others keep state, clock and trajectory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from cimsim.backend import to_host, to_library_of
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses, changed, siemens_per_weight
from cimsim.crossbar.reference import ReferenceCell
from cimsim.crossbar.tile import Place
from device_models.device import Cells, Device, WriteReport
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array


def rewrite(
    matrix: AnalogMatrix, change: Array, streams: Streams, *, exact: bool = True
) -> tuple[AnalogMatrix, Pulses]:
    """The matrix after its weights were moved by `change` `(n_in, n_out)` with closed-loop writes; 0 is none.

    The goal of a cell is its conductance now plus its share of the change, held to its window, not rounded to levels:
    of a pair the cell that works against the change is lowered first, then the other raised. Where a cell stands is
    read once, with the device's read noise: the write corrects what the read saw. Written are the cells whose goal is
    not where they were seen, through the device's programming slot. What it says of pulses counts as SET
    where a cell is to rise, else as RESET. Writes are drawn on the host.
    """
    goals = {}
    for place in matrix.places:
        host, read = matrix.tiles[place].cells.each(to_host), streams.at("tile", *place).rng("read")
        now = np.asarray(matrix.design.device.read(host, read), np.float64)
        goals[place] = _goals(matrix, host, now, wanted_siemens(matrix, change, place))
    return write_goals(matrix, goals, streams, exact=exact)


def write_goals(
    matrix: AnalogMatrix, goals: Mapping[Place, np.ndarray], streams: Streams, *, exact: bool = True
) -> tuple[AnalogMatrix, Pulses]:
    """The matrix after its cells were written to goals by place (siemens, shape of the cells; NaN: left alone)."""
    new, sent = {}, Pulses()
    for place, goal in goals.items():
        tile = matrix.tiles[place]
        cells, more = write_cells(tile.device, tile.cells.each(to_host), goal, streams.at("tile", *place))
        sent += more
        if more.written:
            cells = cells.each(partial(to_library_of, like=tile.cells.g))
            new[place] = tile.with_cells(cells, matrix.design.scheme, folded=matrix.design.folded, exact=exact)
    return changed(matrix, new), sent


def wanted_siemens(matrix: AnalogMatrix, change: Array, place: Place) -> np.ndarray:
    """What a change of weights `(n_in, n_out)` asks of the cells of one tile, siemens per weight, on the host."""
    here = to_host(change)[matrix.rows[place[0]], matrix.columns[place[1]]]
    return np.asarray(here * siemens_per_weight(matrix), np.float64)


def write_cells(device: Device, cells: Cells, goals: np.ndarray, streams: Streams) -> tuple[Cells, Pulses]:
    """Write cells that are not at their goals (siemens, shape of the cells) yet; NaN leaves a cell alone."""
    now, sent = device.conductance(cells), Pulses()
    for name, due in (("up", goals > now), ("down", goals < now)):
        chosen = np.flatnonzero(due)
        if not len(chosen):
            continue
        written, report = device.program(_taken(cells, chosen), goals.ravel()[chosen], streams.at(name))
        cells = _put(cells, chosen, written)
        sent += _counted(report, up=name == "up")
    return cells, sent


def _goals(matrix: AnalogMatrix, cells: Cells, now: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where the cells of a tile seen at `now` should go, NaN for those left alone; change in siemens per weight."""
    device, scheme = matrix.design.device, matrix.design.scheme
    window = device.window
    goals = np.full(now.shape, np.nan)
    low, high = (np.clip(end, window.g_min, window.g_max) for end in device.limits(cells))
    if isinstance(scheme, DifferentialPair):
        step = pair_steps(wanted, np.where(cells.stuck == 0, now - low, 0))
        return np.where(step != 0, np.clip(now + step, low, high), goals)
    if not isinstance(scheme, OffsetColumn | ReferenceCell):
        raise InputError(type(scheme).__name__, "has no rule for writing its cells", "", "use DifferentialPair")
    columns = wanted.shape[1]
    goal = np.clip(now[0, :, :columns] + wanted, low[0, :, :columns], high[0, :, :columns])
    goals[0, :, :columns] = np.where(wanted != 0, goal, np.nan)
    return goals


def pair_steps(wanted: np.ndarray, room: np.ndarray) -> np.ndarray:
    """How far the cells of pairs go, `(2, rows, columns)`, for a wanted change of their difference `(rows, columns)`.

    The cell that works against the change is lowered by what it is above its bottom, `room`, then the other raised.
    """
    wanted = np.stack([np.maximum(wanted, 0), np.maximum(-wanted, 0)])
    lowered = np.minimum(wanted, np.maximum(room, 0)[::-1])
    return np.asarray((wanted - lowered) - lowered[::-1])


def _taken(cells: Cells, chosen: np.ndarray) -> Cells:
    """The cells of the chosen numbers as an array of their own, `(m,)`."""
    clock, axes = np.broadcast_to(cells.seconds, cells.shape), len(cells.shape)
    return replace(cells, seconds=clock).each(lambda a: _in_a_row(a, axes)[..., chosen])


def _put(cells: Cells, chosen: np.ndarray, new: Cells) -> Cells:
    """The cells with the chosen ones replaced."""

    def merged(old: Array, written: Array) -> Array:
        out = np.array(old, order="C")
        _in_a_row(out, len(cells.shape))[..., chosen] = written
        return out

    clock = merged(np.broadcast_to(cells.seconds, cells.shape), np.broadcast_to(new.seconds, new.shape))
    drift = cells.trajectory is not None and new.trajectory is not None
    trajectory = merged(cells.trajectory, new.trajectory) if drift else cells.trajectory
    return replace(
        cells, g=merged(cells.g, new.g), seconds=clock, trajectory=trajectory, pulses=merged(cells.pulses, new.pulses)
    )


def _in_a_row(a: Array, axes: int) -> Array:
    """An array over cells of so many axes with these as one: a number finds a cell faster than a mask does."""
    return a.reshape(*a.shape[: a.ndim - axes], -1)


def _counted(report: WriteReport, *, up: bool) -> Pulses:
    energy = report.energy or math.nan
    return Pulses(report.pulses * up, report.pulses * (not up), report.cells - report.stuck, energy)
