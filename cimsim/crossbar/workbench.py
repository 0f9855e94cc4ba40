"""Workbench: what the compiled loops of `kernels.pulses_cpu` need of a tile, made once and used for every pulse."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cimsim.backend import backend_name
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import Design, cuts
from cimsim.crossbar.reference import ReferenceCell
from cimsim.crossbar.tile import Tile
from cimsim.crossbar.wires import effective_conductance
from device_models.faults import WORKING
from device_models.streams import Streams
from device_models.update.affine import AffineUpdate
from device_models.update.base import spans
from device_models.window import Array

if TYPE_CHECKING:
    from cimsim.kernels.pulses_cpu import Bench
    from cimsim.kernels.pulses_trains import Trains

STEEPEST = 1 - 1e-7  # bends below -STEEPEST are set to it, to have a logarithm


class Lines(NamedTuple):
    """What drives the lines of one side: values `(batch, lines)`, and the chance of a pulse per unit of each sample."""

    values: Array
    gains: np.ndarray


@dataclass(eq=False)
class Workbench:
    """The cells of a tile under pulses, a cache line each, and how its signals follow from them.

    Attributes:
        design: what the tiles of the matrix share.
        memory: `(rows, columns, arrays, 8)` words of eight bytes, see `kernels.pulses_cpu.Bench`.
        mix, reference: signals from arrays, and what they take of the reference column.
        step: nominal change of a pulse, siemens.
        lines: the numbers of all word lines.
        _tile, _arrays: the tile whose cells lie in `memory`, and its arrays for the loops.
        _before: pulses its cells had received before this update, where they drift.
    """

    design: Design
    memory: np.ndarray
    mix: np.ndarray
    reference: float
    step: float
    lines: np.ndarray
    _tile: Tile | None = None
    _arrays: Any = None
    _before: np.ndarray | None = None

    @classmethod
    def of(cls, tile: Tile, design: Design) -> Workbench | None:
        """The workbench of a tile, or None where its pulses take the general way."""
        if not _follows(tile, design):
            return None
        mix, reference = _mix(tile, design.scheme)
        lines = np.arange(tile.cells.shape[1], dtype=np.int32)
        return cls(design, _memory(tile), mix, reference, tile.device.pulse_step(), lines)

    def take(self, tile: Tile) -> None:
        """Make the tile the one that is pulsed: a copy of it, unless it lies here already."""
        if tile is not self._tile:
            self._tile = self._laid_out(tile)
            self._arrays = self._for_loops(self._tile)
        if tile.cells.trajectory is not None:
            self._before = self._tile.cells.pulses.copy()

    def _laid_out(self, tile: Tile) -> Tile:
        """The tile with its state in `memory`."""
        from cimsim.kernels.pulses_cpu import CLOCK, RECEIVED, G

        old, device, whole = tile.cells, tile.device, self.memory.view(np.int64)
        now, clock = (np.moveaxis(self.memory[..., k], -1, 0) for k in (G, CLOCK))
        received = np.moveaxis(whole[..., RECEIVED], -1, 0)
        now[:], clock[:], received[:] = device.conductance(old), old.seconds, old.pulses
        g = now if old.trajectory is None else old.g.copy()
        trajectory = None if old.trajectory is None else old.trajectory.copy()
        cells = replace(old, g=g, seconds=clock, pulses=received, trajectory=trajectory)
        seen = now if tile.wires is None else np.array(tile.g_eff, order="C")
        return replace(tile, cells=cells, g_eff=seen, signals=tile.signals.copy())

    def _for_loops(self, tile: Tile) -> Bench:
        from cimsim.kernels.pulses_cpu import LINE, Bench

        wide = self.memory.reshape(-1, LINE // 8)
        views = wide, wide.view(np.int64), wide.view(np.float32)
        wired, paired = tile.wires is not None, isinstance(self.design.scheme, DifferentialPair)
        seen = tile.g_eff if wired else np.zeros((1, 1, 1))
        columns = tile.cells.shape[2]
        return Bench(*views, seen, tile.signals, self.mix, self.reference, columns, paired, wired, 1 / self.step)

    def send(self, n: np.ndarray, lines: np.ndarray, key: np.ndarray, totals: np.ndarray) -> None:
        """Pulse the tile `n` times, `(lines, columns)`, on some word lines.

        `totals`, of SET pulses, RESET pulses and cells written, grow by those sent.
        """
        from cimsim.kernels.pulses_cpu import send

        send(np.ascontiguousarray(n, n.dtype if n.dtype == np.int32 else np.int64), lines, self._arrays, key, totals)

    def coincide_alone(self, x: Lines, d: Lines, lengths: np.ndarray, keys: np.ndarray, totals: np.ndarray) -> None:
        """Draw the trains of word and bit lines and pulse the tile, the only one, where they coincide."""
        from cimsim.kernels.pulses_cpu import coincide_alone

        coincide_alone(*x, *d, lengths, keys, self._arrays, totals)

    def coincide(
        self,
        trains: tuple[Trains, Trains],
        corner: tuple[int, int],
        key: np.ndarray,
        totals: np.ndarray,
        pool: Executor | None,
        threads: int,
    ) -> None:
        """Pulse the tile where trains of rows and columns coincide; each thread of a pool takes some word lines.

        `corner`: the numbers of the tile's first row and column among the lines of the trains. `totals`: as in `send`.
        """
        from cimsim.kernels.pulses_cpu import coincide, share

        arrays, height = self._arrays, len(self.lines)
        if pool is None:
            coincide(*trains, arrays, key, (0, height), corner, totals)
            return
        parts = [(s.start, s.stop) for s in cuts(height, share(height, threads))]
        each = np.zeros((len(parts), 3), np.int64)
        list(pool.map(lambda part, own: coincide(*trains, arrays, key, part, corner, own), parts, each))
        totals += each.sum(axis=0)

    def settled(self, streams: Callable[[], Streams], *, exact: bool, keep: bool) -> Tile:
        """The tile after pulses: its signals follow already; pulsed cells start new trajectories.

        The variance of reads, and exact wires if asked for, are made anew. `keep`: it goes on lying here; else it is a
        value, with arrays of its own.
        """
        tile = self._tile
        assert tile is not None
        if tile.cells.trajectory is not None:
            self._start_trajectories(tile, streams())
        solve = exact and tile.wires is not None
        if solve or tile.device.read_noise is not None:
            made = (tile.device, tile.cells, tile.wires, self.design.scheme)
            g_eff = self._solved(tile) if solve else tile.g_eff
            self._tile = tile = Tile.make(*made, folded=self.design.folded, g_eff=g_eff)
            self._arrays = self._for_loops(tile)
        if keep:
            return tile
        self._tile = None
        own = partial(np.array, order="C")
        cells = tile.cells.each(own)
        g_eff = cells.g if tile.g_eff is tile.cells.g else own(tile.g_eff)
        return replace(tile, cells=cells, g_eff=g_eff)

    def _solved(self, tile: Tile) -> np.ndarray:
        """Effective conductances, the wires solved for the cells as they are now."""
        assert tile.wires is not None
        g = np.ascontiguousarray(tile.device.conductance(tile.cells))
        return np.array(effective_conductance(g, tile.wires))

    def _start_trajectories(self, tile: Tile, streams: Streams) -> None:
        """Where cells drift, the loops work on what they show now; a pulsed cell was written at that."""
        from cimsim.kernels.pulses_cpu import G

        cells, law = tile.cells, tile.device.retention
        assert cells.trajectory is not None
        assert law is not None
        pulsed = np.flatnonzero(cells.pulses != self._before)
        written = np.moveaxis(self.memory[..., G], -1, 0).ravel()[pulsed]
        cells.g.reshape(-1)[pulsed] = written
        flat = cells.trajectory.reshape(len(cells.trajectory), -1)
        flat[:, pulsed] = law.draw(written, streams.rng("retention"))


def _follows(tile: Tile, design: Design) -> bool:
    """Whether the loops know the cells' law: affine, without wear, one or two arrays, on the host."""
    device = tile.device
    steady = device.faults is None or device.faults.endurance is None
    known = isinstance(design.scheme, DifferentialPair | OffsetColumn | ReferenceCell)
    return steady and known and isinstance(device.update, AffineUpdate) and backend_name(tile.cells.g) == "numpy"


def _memory(tile: Tile) -> np.ndarray:
    """A cache line for every cell, `(rows, columns, arrays, 8)`, with its law; its state is still to be laid out."""
    from cimsim.kernels.pulses_cpu import BEND, HIGH, LINE, LOW, SHIFT, SIGMA

    device, cells = tile.device, tile.cells
    law, limits, g = device.update, device.limits(cells), device.conductance(cells)
    assert isinstance(law, AffineUpdate)
    own, span = law.own(cells.variation), spans(limits)
    memory = _aligned((*cells.shape[1:], cells.shape[0], LINE // 8), LINE)
    wide, narrow = np.moveaxis(memory, 2, 0), np.moveaxis(memory.view(np.float32), 2, 0)
    for word, end in zip((LOW, HIGH), limits, strict=True):
        wide[..., word] = np.where(cells.stuck == WORKING, end, g)
    for down in (0, 1):
        bend, step = law.course(own, span, up=not down)
        narrow[..., BEND + down], narrow[..., SHIFT + down] = np.maximum(bend, -STEEPEST), step * span
    narrow[..., SIGMA] = own["c2c"] * span
    return memory


def _aligned(shape: tuple[int, ...], line: int) -> np.ndarray:
    """Zeros of float64 that start at a whole cache line."""
    size = math.prod(shape)
    room = np.zeros(size + line // 8)
    start = -room.ctypes.data % line // 8
    return room[start : start + size].reshape(shape)


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
