"""AnalogMatrix: one weight matrix of any size on tiles, with its converters. `matmul` knows no device and no layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cimsim.backend import generator, to_host
from cimsim.crossbar.converters import ADC, DAC, AdcBank, InputScale, LineErrors, choose_range, word_line_volts
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import WeightScheme
from cimsim.crossbar.tile import Tile
from cimsim.crossbar.wires import Wires
from device_models.device import Cells, Device, WriteReport, stack_cells
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array

Place = tuple[int, int]


@dataclass(frozen=True)
class Design:
    """What every tile of a matrix shares: the choices of a chip's designer."""

    device: Device
    tile: tuple[int, int]
    scheme: WeightScheme
    dac: DAC | None
    adc: ADC | None
    wires: Wires | None
    v_read: float

    @property
    def folded(self) -> bool:
        """Without ADCs nothing stands between cells and outputs, so a tile may add its arrays beforehand."""
        return self.adc is None

    @property
    def full_scale(self) -> float:
        """Current of a cell that spans the window, at full-scale input: the unit of `collect`, amperes."""
        return float(self.device.drive(np.asarray(self.v_read))) * self.device.window.span


@dataclass(frozen=True)
class AnalogMatrix:
    """A programmed weight matrix `(n_in, n_out)`: a value; `aged`, `calibrated`, `with_adc` return new ones.

    Attributes:
        design: what all tiles share.
        weight_scale: the weight that spans the window.
        rows, columns: the cuts of inputs and outputs into tiles.
        tiles: the tiles by place `(row of tiles, column of tiles)`.
        row_errors: fabricated errors of each word line's DAC.
        column_errors: fabricated errors of each tile's ADCs.
        inputs: full scale of the inputs, or None before calibration.
        banks: the ADCs by place, or None before calibration.
        write: what programming cost.
    """

    design: Design
    weight_scale: float
    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    tiles: dict[Place, Tile]
    row_errors: LineErrors
    column_errors: dict[Place, LineErrors]
    inputs: InputScale | None
    banks: dict[Place, AdcBank] | None
    write: WriteReport

    @classmethod
    def program(cls, w: np.ndarray, design: Design, streams: Streams) -> AnalogMatrix:
        """Fabricate tiles for a weight matrix `(n_in, n_out)`, map it, write it and verify it."""
        rows = cuts(w.shape[0], design.tile[0])
        columns = cuts(w.shape[1], design.scheme.data_columns(design.tile[1]))
        scale = float(np.abs(w).max()) or 1.0
        tiles, errors, reports = {}, {}, []
        for place in _grid(rows, columns):
            here = streams.at("tile", *place)
            targets = _targets(w[rows[place[0]], columns[place[1]]], scale, design)
            tiles[place], report = _written(targets, design, here)
            errors[place] = LineErrors.draw(tiles[place].signals_per_column * targets.shape[2], here.rng("adc"))
            reports.append(report)
        inputs = InputScale.of(*design.dac.range) if design.dac is not None and design.dac.range is not None else None
        row_errors = LineErrors.draw(w.shape[0], streams.rng("dac"))
        write = WriteReport(*map(sum, zip(*reports, strict=True)))
        made = cls(design, scale, rows, columns, tiles, row_errors, errors, inputs, None, write)
        return made._with_fixed_ranges()

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.rows[-1].stop, self.columns[-1].stop

    @property
    def places(self) -> list[Place]:
        """The places of all tiles, row by row."""
        return list(_grid(self.rows, self.columns))

    def matmul(self, x: Array, draws: Draws) -> Array:
        """Outputs `(batch, n_out)` float32 of inputs `(batch, n_in)`: an analogue `x @ w` through DACs, cells and ADCs.

        Raises `InputError` where a converter has no range yet.
        """
        scale = self._scale()
        v = self._drives(x, scale, draws)
        y = np.zeros_like(v, shape=(len(v), self.shape[1]))
        for place in self.places:
            r, c = place
            i = self.tiles[place].current(v[:, self.rows[r]], draws.noise("read", *place))
            if self.banks is not None:
                self.banks[place].convert(i, draws.noise("adc", *place))
            y[:, self.columns[c]] += self._collected(self.tiles[place], i)
        y *= np.float32(scale.full * self.weight_scale / self.design.full_scale)
        return y

    def calibrated(self, x: Array, draws: Draws) -> AnalogMatrix:
        """The matrix with converter ranges measured on the chip while it sees the inputs `(batch, n_in)`."""
        dac, adc = self.design.dac, self.design.adc
        inputs = InputScale.of(*dac.range) if dac is not None and dac.range is not None else None
        seen = replace(self, inputs=inputs or InputScale.of(float(x.min()), float(x.max())))
        if adc is None:
            return seen
        currents = {place: to_host(i) for place, i in seen.currents(x, draws)}
        return replace(seen, banks=seen._banks(_ranges(adc, currents)))

    def currents(self, x: Array, draws: Draws) -> Iterator[tuple[Place, Array]]:
        """Place and bit-line currents in amperes, `(batch, signals * columns)`, of every tile, before any ADC."""
        v = self._drives(x, self._scale(converting=False), draws)
        for place in self.places:
            yield place, self.tiles[place].current(v[:, self.rows[place[0]]], draws.noise("read", *place))

    def clipping(self, x: Array, draws: Draws) -> float:
        """Share of conversions outside the ADC range while the matrix sees `x`; 0 without ADCs."""
        if self.banks is None:
            return 0.0
        counts = [(self.banks[place].clipped(i), i.size) for place, i in self.currents(x, draws)]
        return float(sum(share * n for share, n in counts) / sum(n for _, n in counts))

    def aged(self, seconds: float) -> AnalogMatrix:
        """The matrix `seconds` later; converter ranges stay as they were calibrated."""
        return self.with_cells({p: self.design.device.age(t.cells, seconds) for p, t in self.tiles.items()})

    def with_cells(self, cells: dict[Place, Cells], *, exact: bool = True) -> AnalogMatrix:
        """The matrix after the cells of the given places changed. Not `exact`: wires attenuate as they did before."""
        design = self.design
        new = {
            p: self.tiles[p].with_cells(c, design.scheme, folded=design.folded, exact=exact) for p, c in cells.items()
        }
        return replace(self, tiles=self.tiles | new)

    def pulsed(self, n: Array, streams: Streams, *, exact: bool = True) -> tuple[AnalogMatrix, tuple[int, int]]:
        """The matrix after `n` signed pulses per weight `(n_in, n_out)`, and the cells' SET and RESET pulses.

        The scheme says which cells of a weight are pulsed. Every call needs its own streams. `exact`: see `with_cells`.
        """
        cells, up, down = {}, 0, 0
        for place in self.places:
            tile = self.tiles[place]
            here = n[self.rows[place[0]], self.columns[place[1]]]
            counts = self.design.scheme.pulses(here, tile.device.pulses_down(tile.cells))
            cells[place] = tile.device.pulse(
                tile.cells, counts, generator(tile.cells.g, streams.at("tile", *place), "pulse")
            )
            up += int(np.maximum(counts, 0).sum())
            down += int(np.maximum(-counts, 0).sum())
        return self.with_cells(cells, exact=exact), (up, down)

    @property
    def weight_step(self) -> float:
        """Nominal change of a weight by one pulse of one of its cells."""
        device = self.design.device
        return float(device.pulse_step() / device.window.span) * self.weight_scale * self.design.scheme.cell_worth()

    def with_adc(self, adc: ADC | None) -> AnalogMatrix:
        """The same cells behind another ADC, not calibrated yet unless its range is given."""
        design = replace(self.design, adc=adc)
        cells = {place: tile.cells for place, tile in self.tiles.items()}
        return replace(self, design=design, banks=None).with_cells(cells, exact=False)._with_fixed_ranges()

    def targets(self, w: np.ndarray) -> dict[Place, np.ndarray]:
        """Target conductances of every tile for weights `(n_in, n_out)`, siemens, `(arrays, rows, columns)`."""
        return {
            p: _targets(w[self.rows[p[0]], self.columns[p[1]]], self.weight_scale, self.design) for p in self.places
        }

    def weights(self) -> Array:
        """The weights the cells hold now, `(n_in, n_out)` float64: wires and drift included, read noise not."""
        w = np.zeros_like(self.tiles[0, 0].g_eff, shape=self.shape)
        for r, c in self.places:
            held = self.tiles[r, c].held(self.design.scheme)
            w[self.rows[r], self.columns[c]] = held * (self.weight_scale / self.design.device.window.span)
        return w

    def moved(self, move: Callable[[Array], Array]) -> AnalogMatrix:
        """The matrix with every array passed through `move` (to another back end)."""
        banks = None if self.banks is None else {p: bank.moved(move) for p, bank in self.banks.items()}
        return replace(
            self,
            tiles={p: tile.moved(move) for p, tile in self.tiles.items()},
            row_errors=self.row_errors.moved(move),
            column_errors={p: e.moved(move) for p, e in self.column_errors.items()},
            banks=banks,
        )

    def _scale(self, *, converting: bool = True) -> InputScale:
        """The input scale, once it is known that every converter has its range."""
        design = self.design
        remedy = "pass calibrate=x to program, or call chip.calibrate(x), with some training inputs, or give a range"
        if converting and design.adc is not None and self.banks is None:
            raise InputError("ADC", "has no range yet (uncalibrated) and does not convert", "", remedy)
        if self.inputs is not None:
            return self.inputs
        if design.dac is not None:
            raise InputError("DAC", "has no range yet (uncalibrated) and does not convert", "", remedy)
        if design.adc is not None or not design.device.ohmic:
            raise InputError("inputs", "have no full scale yet (uncalibrated)", "", remedy)
        return InputScale(1.0, signed=True)

    def _drives(self, x: Array, scale: InputScale, draws: Draws) -> Array:
        """Voltages of all word lines, as ohmic cells would feel them, float32."""
        x = x.astype(np.float32, copy=False)
        v = word_line_volts(self.design.dac, x, scale, self.design.v_read, self.row_errors, draws.noise("dac"))
        return self.design.device.drive(v)

    def _collected(self, tile: Tile, i: Array) -> Array:
        if tile.folded:
            return i
        return self.design.scheme.collect(i.reshape(len(i), tile.signals_per_column, -1))

    def _with_fixed_ranges(self) -> AnalogMatrix:
        """ADCs whose range is given need no calibration."""
        adc = self.design.adc
        if adc is None or adc.range is None:
            return self
        return replace(self, banks=self._banks({place: adc.range for place in self.places}))

    def _banks(self, ranges: dict[Place, tuple[Array, Array]]) -> dict[Place, AdcBank]:
        """The ADCs of every tile, living where its cells live."""
        adc = self.design.adc
        assert adc is not None
        banks = {}
        for place, (low, high) in ranges.items():
            errors, tile = self.column_errors[place], self.tiles[place]
            host = LineErrors(to_host(errors.gain), to_host(errors.offset))
            bank = AdcBank.make(adc, np.asarray(low, np.float64), np.asarray(high, np.float64), host)
            banks[place] = bank.moved(tile.beside)
        return banks


def cuts(n: int, size: int) -> tuple[slice, ...]:
    """A range cut into parts of `size`, the last one as long as what is left."""
    return tuple(slice(start, min(start + size, n)) for start in range(0, n, size))


def _grid(rows: tuple[slice, ...], columns: tuple[slice, ...]) -> Iterator[Place]:
    return ((r, c) for r in range(len(rows)) for c in range(len(columns)))


def _targets(w: np.ndarray, scale: float, design: Design) -> np.ndarray:
    """Target conductances of one tile."""
    return design.scheme.targets(np.asarray(w, np.float64) / scale, design.device.window)


def _written(targets: np.ndarray, design: Design, streams: Streams) -> tuple[Tile, WriteReport]:
    """Fabricate and write the arrays of one tile, each from streams of its own."""
    made = [_one_array(g, design.device, streams.at("array", k)) for k, g in enumerate(targets)]
    cells = stack_cells([cells for cells, _ in made])
    report = WriteReport(*map(sum, zip(*[report for _, report in made], strict=True)))
    return Tile.make(design.device, cells, design.wires, design.scheme, folded=design.folded), report


def _one_array(g: np.ndarray, device: Device, streams: Streams) -> tuple[Cells, WriteReport]:
    return device.program(device.fabricate(g.shape, streams), g, streams)


def _ranges(adc: ADC, currents: dict[Place, np.ndarray]) -> dict[Place, tuple[Any, Any]]:
    """Low and high end of each tile's ADCs, as scalars or one value per column."""
    if adc.per == "layer":
        shared = choose_range(adc, np.concatenate([i.ravel() for i in currents.values()]))
        return dict.fromkeys(currents, shared)
    if adc.per == "tile":
        return {place: choose_range(adc, i) for place, i in currents.items()}
    by_column = {place: np.array([choose_range(adc, column) for column in i.T]).T for place, i in currents.items()}
    return {place: (low, high) for place, (low, high) in by_column.items()}
