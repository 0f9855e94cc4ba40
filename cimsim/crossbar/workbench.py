"""Workbench: what the compiled loops of `kernels.pulses_cpu` need of a tile, made once and used for every pulse."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cimsim.backend import backend_name
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import Design, cuts
from cimsim.crossbar.reference import ReferenceCell
from cimsim.crossbar.tile import Tile
from device_models.faults import WORKING
from device_models.streams import Streams
from device_models.update.affine import AffineUpdate
from device_models.update.base import spans

if TYPE_CHECKING:
    from cimsim.kernels.pulses_cpu import Bench

STEEPEST = 1 - 1e-12  # bends below -STEEPEST are set to it, to have a logarithm


@dataclass(eq=False)
class Workbench:
    """The numbers of a tile's cells, and how its signals follow from them.

    Attributes:
        design: what the tiles of the matrix share.
        state: `(rows, columns, arrays, 8)`, see `kernels.pulses_cpu.Bench`.
        mix, reference: signals from arrays, and what they take of the reference column.
        step: nominal change of a pulse, siemens.
        _kept, _now, _before: conductances at the last write, now (the same where nothing drifts), and pulses received
            before this update, of the tile at hand.
    """

    design: Design
    state: np.ndarray
    mix: np.ndarray
    reference: float
    step: float
    _kept: np.ndarray | None = None
    _now: np.ndarray | None = None
    _before: np.ndarray | None = None

    @classmethod
    def of(cls, tile: Tile, design: Design) -> Workbench | None:
        """The workbench of a tile, or None where its pulses take the general way."""
        if not _follows(tile, design):
            return None
        mix, reference = _mix(tile, design.scheme)
        return cls(design, _state(tile), mix, reference, tile.device.pulse_step())

    def own(self, tile: Tile, *, in_place: bool) -> Tile:
        """The tile with arrays that may be written to: copies, unless they have been made `in_place` before."""
        if not in_place or tile.cells.g is not self._kept:
            tile = self._copied(tile)
        if tile.cells.trajectory is not None:
            self._before = tile.cells.pulses.copy()
        return tile

    def _copied(self, tile: Tile) -> Tile:
        old, device = tile.cells, tile.device
        g, clock = old.g.copy(), np.broadcast_to(old.seconds, old.shape).copy()
        trajectory = None if old.trajectory is None else old.trajectory.copy()
        cells = replace(old, g=g, seconds=clock, pulses=old.pulses.copy(), trajectory=trajectory)
        self._kept, self._now = g, g if trajectory is None else np.array(device.conductance(old))
        self.state[..., 0] = np.moveaxis(self._now, 0, -1)
        seen = self._now if tile.wires is None else tile.g_eff.copy()
        return replace(tile, cells=cells, g_eff=seen, signals=tile.signals.copy())

    def send(self, tile: Tile, n: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Pulse a tile of its own `n` times, `(rows, columns)`: SET and RESET pulses, cells written."""
        from cimsim.kernels import pulses_cpu

        n = np.ascontiguousarray(n, n.dtype if n.dtype == np.int32 else np.int64)
        return pulses_cpu.send(n, self._arrays(tile), key)

    def coincide(self, tile: Tile, rows: np.ndarray, columns: np.ndarray, key: np.ndarray, threads: int) -> np.ndarray:
        """Pulse a tile of its own where trains coincide; each thread takes some word lines. Returns as `send`."""
        from cimsim.kernels import pulses_cpu

        rows, columns, arrays = np.ascontiguousarray(rows), np.ascontiguousarray(columns), self._arrays(tile)
        parts = [(s.start, s.stop) for s in cuts(rows.shape[1], pulses_cpu.share(rows.shape[1], threads))]
        if len(parts) == 1:
            return pulses_cpu.coincide(rows, columns, arrays, key, parts[0])
        with ThreadPoolExecutor(len(parts)) as pool:
            sent = pool.map(lambda part: pulses_cpu.coincide(rows, columns, arrays, key, part), parts)
            totals: np.ndarray = sum(sent, np.zeros(3, np.int64))
        return totals

    def settled(self, tile: Tile, streams: Streams, *, exact: bool) -> Tile:
        """The tile after pulses: its signals follow already; pulsed cells start new trajectories.

        The variance of reads, and exact wires if asked for, are made anew.
        """
        self._start_trajectories(tile, streams)
        if exact and tile.wires is not None:
            return tile.with_cells(tile.cells, self.design.scheme, folded=self.design.folded)
        if tile.device.read_noise is None:
            return tile
        made = (tile.device, tile.cells, tile.wires, self.design.scheme)
        return Tile.make(*made, folded=self.design.folded, g_eff=tile.g_eff)

    def _start_trajectories(self, tile: Tile, streams: Streams) -> None:
        """Where cells drift, the loops work on what they show now; a pulsed cell was written at that."""
        cells, law = tile.cells, tile.device.retention
        if cells.trajectory is None or law is None:
            return
        pulsed = np.flatnonzero(cells.pulses != self._before)
        assert self._now is not None
        written = self._now.ravel()[pulsed]
        cells.g.reshape(-1)[pulsed] = written
        flat = cells.trajectory.reshape(len(cells.trajectory), -1)
        flat[:, pulsed] = law.draw(written, streams.rng("retention"))

    def _arrays(self, tile: Tile) -> Bench:
        from cimsim.kernels.pulses_cpu import Bench

        cells = tile.cells
        arrays = (self.state, self._now, tile.g_eff, cells.pulses, cells.seconds, tile.signals)
        paired = isinstance(self.design.scheme, DifferentialPair)
        return Bench(*arrays, self.mix, self.reference, paired, tile.wires is not None, self.step)


def _follows(tile: Tile, design: Design) -> bool:
    """Whether the loops know the cells' law: affine, without wear, one or two arrays, on the host."""
    device = tile.device
    steady = device.faults is None or device.faults.endurance is None
    known = isinstance(design.scheme, DifferentialPair | OffsetColumn | ReferenceCell)
    return steady and known and isinstance(device.update, AffineUpdate) and backend_name(tile.cells.g) == "numpy"


def _state(tile: Tile) -> np.ndarray:
    """The numbers of every cell, `(rows, columns, arrays, 8)`, see `kernels.pulses_cpu.Bench`."""
    device, cells = tile.device, tile.cells
    law, limits, g = device.update, device.limits(cells), device.conductance(cells)
    assert isinstance(law, AffineUpdate)
    own, span = law.own(cells.variation), spans(limits)
    (bend_up, step_up), (bend_down, step_down) = (law.course(own, span, up=up) for up in (True, False))
    low, high = (np.where(cells.stuck == WORKING, end, g) for end in limits)
    up, down = (np.maximum(bend_up, -STEEPEST), step_up * span), (np.maximum(bend_down, -STEEPEST), step_down * span)
    state = np.empty((*cells.shape[1:], cells.shape[0], 8))
    for k, number in enumerate((g, low, *up, high, *down, own["c2c"] * span)):
        state[..., k] = np.moveaxis(np.broadcast_to(number, cells.shape), 0, -1)
    return state


def _mix(tile: Tile, scheme: WeightScheme) -> tuple[np.ndarray, float]:
    """How the tile's signals follow from its arrays, `(signals, arrays)`, and the share of the reference column."""
    analog = scheme.analog()
    if not tile.folded:
        return analog, 0.0
    unit = np.zeros((1, *analog.shape, 3))  # one row, three columns of which the last may be a reference
    for a in range(analog.shape[1]):
        unit[0, :, a, 0] = analog[:, a]
    folded = np.array([[scheme.collect(unit[:, :, a])[0, 0] for a in range(analog.shape[1])]])
    last = np.zeros((1, len(analog), 3))
    last[0, :, -1] = analog[:, 0]
    return folded, -float(scheme.collect(last)[0, 0])
