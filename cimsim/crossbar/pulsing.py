"""Pulses to the cells of a matrix, again and again: what a training on the chip sends.

Laws whose pulse is an affine map (`AffineUpdate`), on cells that do not wear, take a compiled loop that
touches only what is pulsed; every other device goes through `Device.pulse`, whose answers have the same law.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from cimsim.backend import generator
from cimsim.crossbar.mapping import DifferentialPair
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.tile import Place, Tile
from cimsim.crossbar.workbench import Lines, Workbench
from cimsim.kernels import pulses_plain
from cimsim.kernels.parts import available_cores
from device_models.device import Cells, Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array

ALONE = 200_000  # meetings of trains below which a second thread costs more than it saves


@dataclass(frozen=True)
class Pulses:
    """What an update sent: SET and RESET pulses, cells written (each time one is), and joules (NaN: not known)."""

    up: int = 0
    down: int = 0
    written: int = 0
    energy: float = 0.0

    def __add__(self, other: Pulses) -> Pulses:
        """Both together."""
        counts = (self.up + other.up, self.down + other.down, self.written + other.written)
        return Pulses(*counts, self.energy + other.energy)


class Pulser:
    """Sends pulses to the cells of one matrix and of those it becomes; keeps what pulses do not change.

    `in_place`: whoever gives a matrix gives it away, and the one that comes back may be itself, changed. Otherwise
    matrices are values.
    """

    def __init__(self, matrix: AnalogMatrix, *, in_place: bool = False) -> None:
        self.in_place = in_place
        self._benches = {place: Workbench.of(tile, matrix.design) for place, tile in matrix.tiles.items()}
        self._followed = all(bench is not None for bench in self._benches.values())
        self._joules = pulse_energy(matrix.design.device)
        self._pool: ThreadPoolExecutor | None = None

    def pulse(
        self, matrix: AnalogMatrix, n: Array, streams: Streams, *, exact: bool = True, rows: np.ndarray | None = None
    ) -> tuple[AnalogMatrix, Pulses]:
        """The matrix after `n` signed pulses per weight `(n_in, n_out)`; the scheme says which cells take them.

        `rows`: the numbers of the inputs that `n` is about, in rising order; None is all of them. Every call needs
        streams of its own. Not `exact`: the wires attenuate every change as they did the cell.
        """
        new, totals, keys = {}, np.zeros(3, np.int64), _parts(streams.key("pulses"), len(matrix.places))
        for place, key in zip(matrix.places, keys[2:], strict=True):
            tile, bench, cut = matrix.tiles[place], self._benches[place], matrix.rows[place[0]]
            wanted = n[:, matrix.columns[place[1]]]
            if bench is None:
                wanted = wanted[cut] if rows is None else _among(wanted, rows, cut)
                counts = matrix.design.scheme.pulses(wanted, tile.device.pulses_down(tile.cells))
                new[place], sent = _sent(matrix, place, counts, streams.at("tile", *place), exact=exact)
                totals += sent
                continue
            if rows is None:
                wanted, lines = wanted[cut], bench.lines
            else:
                here = slice(*np.searchsorted(rows, (cut.start, cut.stop)))
                wanted, lines = wanted[here], rows[here] - cut.start
            bench.take(tile)
            bench.send(wanted, lines, key, totals)
            new[place] = self._settled(bench, streams, place, exact=exact)
        return changed(matrix, new), self._counted(totals)

    def pulse_both(
        self, matrix: AnalogMatrix, n: Array, streams: Streams, *, exact: bool = True
    ) -> tuple[AnalogMatrix, Pulses]:
        """As `pulse`, but both cells of a pair take all the pulses, the one as many up as the other down.

        Raises `InputError` for a weight scheme without pairs.
        """
        if not isinstance(matrix.design.scheme, DifferentialPair):
            rule, got = "must hold a pair of cells to pulse both", type(matrix.design.scheme).__name__
            raise InputError("weights", rule, got, "use DifferentialPair, or pulse one cell")
        new, totals = {}, np.zeros(3, np.int64)
        for place in matrix.places:
            wanted = n[matrix.rows[place[0]], matrix.columns[place[1]]]
            counts, here = np.stack([wanted, -wanted]), streams.at("tile", *place)
            new[place], sent = _sent(matrix, place, counts, here, exact=exact)
            totals += sent
        return changed(matrix, new), self._counted(totals)

    def coincide(
        self, matrix: AnalogMatrix, x: Lines, d: Lines, lengths: np.ndarray, streams: Streams, *, exact: bool = True
    ) -> tuple[AnalogMatrix, Pulses]:
        """The matrix after random trains of pulses on its lines: where they coincide, weights change by -sign(x d).

        Sample after sample, each with trains of its own number of slots, `lengths` `(batch,)`. `exact` as in `pulse`.
        """
        if not self._followed:
            return self._one_by_one(matrix, x, d, lengths, streams, exact=exact)
        keys, totals = _parts(streams.key("pulses"), len(matrix.places)), np.zeros(3, np.int64)
        benches = {place: self._taken(matrix, place) for place in matrix.places}
        if len(benches) == 1 and x.values.shape[1] * d.values.size < ALONE:
            benches[0, 0].coincide_alone(x, d, lengths, keys, totals)
        else:
            self._coincide(matrix, benches, (x, d), lengths, keys, totals)
        new = {place: self._settled(bench, streams, place, exact=exact) for place, bench in benches.items()}
        return changed(matrix, new), self._counted(totals)

    def _coincide(
        self,
        matrix: AnalogMatrix,
        benches: dict[Place, Workbench],
        sides: tuple[Lines, Lines],
        lengths: np.ndarray,
        keys: np.ndarray,
        totals: np.ndarray,
    ) -> None:
        """Trains for all tiles, to one after the other, each on all cores where there is enough for them to do."""
        from cimsim.kernels.pulses_trains import pulse_trains

        rows, columns = (pulse_trains(*side, lengths, key) for side, key in zip(sides, keys, strict=False))
        threads = available_cores() if rows.counts.dot(columns.counts) > ALONE else 1
        for (place, bench), key in zip(benches.items(), keys[2:], strict=True):
            corner = matrix.rows[place[0]].start, matrix.columns[place[1]].start
            bench.coincide((rows, columns), corner, key, totals, self._workers(threads), threads)

    def _taken(self, matrix: AnalogMatrix, place: Place) -> Workbench:
        """The workbench of a place, its tile upon it."""
        bench = self._benches[place]
        assert bench is not None
        bench.take(matrix.tiles[place])
        return bench

    def _workers(self, threads: int) -> Executor | None:
        """Threads that are started once; None for one alone."""
        if threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        return self._pool if threads > 1 else None

    def _settled(self, bench: Workbench, streams: Streams, place: Place, *, exact: bool) -> Tile:
        return bench.settled(partial(streams.at, "tile", *place), exact=exact, keep=self.in_place)

    def _one_by_one(
        self, matrix: AnalogMatrix, x: Lines, d: Lines, lengths: np.ndarray, streams: Streams, *, exact: bool
    ) -> tuple[AnalogMatrix, Pulses]:
        """`coincide` with a pass over all cells for each sample."""
        slots, trains = np.asarray(lengths, like=x.values), []
        for name, side in (("rows", x), ("columns", d)):
            gains = np.asarray(side.gains, like=side.values)
            trains.append(pulses_plain.pulse_trains(side.values, gains, slots, generator(side.values, streams, name)))
        sent = Pulses()
        for b, (rows, columns) in enumerate(zip(*trains, strict=True)):
            n, last = pulses_plain.coincidences(rows, columns), b == len(lengths) - 1
            matrix, more = self.pulse(matrix, n, streams.at("sample", b), exact=exact and last)
            sent += more
        return matrix, sent

    def _counted(self, totals: np.ndarray) -> Pulses:
        up, down, written = totals.tolist()
        return Pulses(up, down, written, self._joules * (up + down) if up + down else 0.0)


def _parts(key: np.ndarray, tiles: int) -> np.ndarray:
    """The keys of trains of rows, of columns, and of pulses to each tile: their counters differ in a word."""
    mixed: np.ndarray = key ^ _masks(2 + tiles)
    return mixed


@cache
def _masks(parts: int) -> np.ndarray:
    k = np.arange(parts, dtype=np.uint32)
    return np.stack([0 * k, 0 * k, k, k], axis=1)


def pulse_energy(device: Device) -> float:
    """Joules of one pulse, as the device's programming slot states them; NaN where it does not."""
    return float(getattr(device.programming, "pulse_energy", 0.0)) or math.nan


def changed(matrix: AnalogMatrix, tiles: Mapping[Place, Tile]) -> AnalogMatrix:
    """The matrix with other tiles in some places, what it had derived from the old ones forgotten.

    Where they are the same tiles, with other cells in them, it is the matrix itself.
    """
    if any(tile is not matrix.tiles[place] for place, tile in tiles.items()):
        return replace(matrix, tiles=matrix.tiles | dict(tiles)).at_zero()
    for derived in ("turned", "_reader", "_back_reader"):
        matrix.__dict__.pop(derived, None)
    return matrix if matrix.forward.zero is None and matrix.back.zero is None else matrix.at_zero()


def _among(n: Array, rows: np.ndarray, cut: slice) -> Array:
    """Counts of the given rows among those of a cut of all rows, the others 0."""
    first, last = np.searchsorted(rows, (cut.start, cut.stop))
    every = np.zeros_like(n, shape=(cut.stop - cut.start, n.shape[1]))
    every[(rows[first:last] - cut.start).tolist()] = n[first:last]
    return every


def siemens_per_weight(matrix: AnalogMatrix) -> float:
    """Siemens of one cell per unit of weight."""
    design = matrix.design
    return float(design.device.window.span / (matrix.weight_scale * design.scheme.cell_worth()))


def at_limit(matrix: AnalogMatrix) -> int:
    """Working cells at an end of their own windows; the lower end does not count where a weight of 0 rests there."""
    rests = matrix.design.scheme.targets(np.zeros((1, 1)), matrix.design.device.window).min()
    counted = 0
    for tile in matrix.tiles.values():
        cells, device = tile.cells, tile.device
        g, (low, high), margin = device.conductance(cells), device.limits(cells), 1e-6 * device.window.span
        ended = g >= high - margin
        if rests > device.window.g_min + margin:
            ended = ended | (g <= low + margin)
        counted += int(np.sum(ended & (cells.stuck == 0)))
    return counted


def _sent(
    matrix: AnalogMatrix, place: Place, counts: Array, streams: Streams, *, exact: bool
) -> tuple[Tile, np.ndarray]:
    """A tile after signed pulses per cell by `Device.pulse`, and SET pulses, RESET pulses, cells written."""
    tile = matrix.tiles[place]
    cells: Cells = tile.device.pulse(tile.cells, counts, generator(tile.cells.g, streams, "pulse"))
    written = np.sum((counts != 0) & (tile.cells.stuck == 0))
    sent = [np.sum(np.maximum(counts, 0)), np.sum(np.maximum(-counts, 0)), written]
    made = tile.with_cells(cells, matrix.design.scheme, folded=matrix.design.folded, exact=exact)
    return made, np.array([int(k) for k in sent])
