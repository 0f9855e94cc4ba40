"""AnalogMatrix: one weight matrix of any size on tiles, with its converters. `matmul` knows no device and no layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cimsim.backend import generator
from cimsim.crossbar.converters import DAC, AdcBank, AnyADC, InputScale, LineErrors
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import Transposed, WeightScheme
from cimsim.crossbar.ranging import calibrated, clipping, ready, with_adc, with_ranges, with_zero
from cimsim.crossbar.reader import Reader
from cimsim.crossbar.side import Side
from cimsim.crossbar.tile import Place, Tile
from cimsim.crossbar.wires import Wires
from device_models.device import Cells, Device, WriteReport, stack_cells
from device_models.parameters import FloatPair
from device_models.streams import Streams
from device_models.window import Array


@dataclass(frozen=True)
class Design:
    """What every tile of a matrix shares: the choices of a chip's designer.

    `dac` and `adc` serve `matmul`, `back_dac` and `back_adc` the transposed read; None is ideal. `weight_range` is the
    weight that spans the window, None the matrix's own largest.
    """

    device: Device
    tile: tuple[int, int]
    scheme: WeightScheme
    dac: DAC | None
    adc: AnyADC | None
    wires: Wires | None
    v_read: float
    back_dac: DAC | None = None
    back_adc: AnyADC | None = None
    weight_range: float | None = None

    @property
    def folded(self) -> bool:
        """Without ADCs nothing stands between cells and outputs, so a tile may add its arrays beforehand."""
        return self.adc is None

    @property
    def full_scale(self) -> float:
        """Current of a cell that spans the window, at full-scale input: the unit of outputs, amperes."""
        return float(self.device.drive(np.asarray(self.v_read))) * self.device.window.span

    def tiles(self, shape: tuple[int, ...]) -> int:
        """Tiles that a weight matrix `(n_in, n_out)` takes."""
        return len(cuts(shape[0], self.tile[0])) * len(cuts(shape[1], self.scheme.data_columns(self.tile[1])))

    def sides(self, weight_scale: float, rows: tuple[slice, ...], columns: tuple[slice, ...]) -> tuple[Side, Side]:
        """Both directions of reading weights of which the largest is `weight_scale`, before fabrication."""
        cell = (self.device, self.v_read, weight_scale / self.full_scale)
        raw = self.wires is not None and not self.device.ohmic
        forward = Side(self.scheme, *cell, self.dac, self.adc, rows, columns, raw=raw)
        return forward, Side(Transposed(self.scheme), *cell, self.back_dac, self.back_adc, columns, rows)


@dataclass(frozen=True)
class AnalogMatrix:
    """A programmed weight matrix `(n_in, n_out)`: a value; `aged`, `calibrated`, `with_adc` return new ones.

    Attributes:
        design: what all tiles share.
        weight_scale: the weight that spans the window.
        rows, columns: the cuts of inputs and outputs into tiles.
        tiles: the tiles by place `(row of tiles, column of tiles)`.
        forward, back: the converters of `matmul` and of `rmatmul`.
        write: what programming cost.
    """

    design: Design
    weight_scale: float
    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    tiles: dict[Place, Tile]
    forward: Side
    back: Side
    write: WriteReport

    @classmethod
    def program(cls, w: np.ndarray, design: Design, streams: Streams) -> AnalogMatrix:
        """Fabricate tiles for a weight matrix `(n_in, n_out)`, map it, write it and verify it."""
        rows = cuts(w.shape[0], design.tile[0])
        columns = cuts(w.shape[1], design.scheme.data_columns(design.tile[1]))
        scale = design.weight_range or float(np.abs(w).max()) or 1.0
        tiles, reports = {}, []
        for r, c in _grid(rows, columns):
            targets = _targets(w[rows[r], columns[c]], scale, design)
            tiles[r, c], report = _written(targets, design, streams.at("tile", r, c))
            reports.append(report)
        write = WriteReport(*map(sum, zip(*reports, strict=True)))
        forward, back = design.sides(scale, rows, columns)
        forward = ready(forward.fabricated({p: t.lines for p, t in tiles.items()}, streams), tiles)
        made = cls(design, scale, rows, columns, tiles, forward, back, write)
        if back.dac is None and back.adc is None:
            return made
        lines = {(c, r): t.signals_per_column * t.g_eff.shape[1] for (r, c), t in tiles.items()}
        return replace(made, back=ready(back.fabricated(lines, streams, "back "), made.turned))

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.rows[-1].stop, self.columns[-1].stop

    @property
    def copies(self) -> tuple[AnalogMatrix]:
        """The matrix itself, its only copy: see `Replicas`."""
        return (self,)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places of all tiles, row by row."""
        return tuple(_grid(self.rows, self.columns))

    @property
    def inputs(self) -> InputScale | None:
        """Full scale of the inputs, or None before calibration."""
        return self.forward.inputs

    @property
    def banks(self) -> dict[Place, AdcBank] | None:
        """The ADCs by place, or None before calibration."""
        return self.forward.banks

    @property
    def row_errors(self) -> LineErrors:
        """Fabricated errors of each word line's DAC."""
        return self.forward.row_errors

    @property
    def column_errors(self) -> dict[Place, LineErrors]:
        """Fabricated errors of each tile's ADCs."""
        return self.forward.column_errors

    @cached_property
    def turned(self) -> dict[Place, Tile]:
        """The tiles seen from their bit lines, by place `(column of tiles, row of tiles)`: see `Tile.transposed`."""
        reading, folded = Transposed(self.design.scheme), self.design.back_adc is None
        return {(c, r): self.tiles[r, c].transposed(reading, folded=folded) for c, r in _grid(self.columns, self.rows)}

    def matmul(self, x: Array, draws: Draws) -> Array:
        """Outputs `(batch, n_out)` float32 of inputs `(batch, n_in)`: an analogue `x @ w` through DACs, cells and ADCs.

        Raises `InputError` where a converter has no range yet.
        """
        return self._reader.product(x, draws.rows(len(x)))

    @cached_property
    def _reader(self) -> Reader:
        return Reader.of(self.forward, self.tiles)

    def rmatmul(self, e: Array, draws: Draws) -> Array:
        """The transposed product `e @ w.T`, `(batch, n_out)` to `(batch, n_in)` float32, through the same cells.

        The bit lines are driven and the word lines sensed, with converters of their own. Every read draws its own
        noise. A reference column is read by itself at full scale, and subtracted times the sum of the inputs.
        Raises `InputError` where a converter has no range yet.
        """
        return self._back_reader.product(e, draws.rows(len(e)))

    @cached_property
    def _back_reader(self) -> Reader:
        return Reader(self.back, self.turned)

    def calibrated(self, x: Array, draws: Draws) -> AnalogMatrix:
        """The matrix with converter ranges measured on the chip while it sees the inputs `(batch, n_in)`."""
        return replace(self, forward=calibrated(self.forward, self.tiles, x, draws.rows(len(x))))

    def with_ranges(self, inputs: FloatPair, sums: FloatPair | None) -> AnalogMatrix:
        """The matrix with given ranges of its converters: see `Side.with_ranges`."""
        return replace(self, forward=with_ranges(self.forward, self.tiles, inputs, sums))

    def calibrated_back(self, e: Array, draws: Draws) -> AnalogMatrix:
        """The matrix with the ranges of its transposed read measured while it sees `(batch, n_out)`."""
        return replace(self, back=calibrated(self.back, self.turned, e, draws.rows(len(e))))

    def currents(self, x: Array, draws: Draws) -> Iterator[tuple[Place, Array]]:
        """Place and bit-line currents of every tile, as they reach its ADCs, for a read-out of another kind.

        Amperes, `(passes * batch, signals * columns)`: one pass after the other, signals as `scheme.analog` mixes them.
        An integrate-and-fire neuron on each column takes them as they are (inputs in one pass, pairs subtracted
        "analog": `(batch, n_out of the tile)`); columns of tiles one above the other are to be added.
        """
        return self.forward.currents(self.tiles, x, draws.rows(len(x)))

    def clipping(self, x: Array, draws: Draws) -> float:
        """Share of conversions outside the ADC range while the matrix sees `x`; 0 without ADCs."""
        return clipping(self.forward, self.tiles, x, draws.rows(len(x)))

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
        return self.with_cells(cells, exact=exact).at_zero(), (up, down)

    @cached_property
    def weight_step(self) -> float:
        """Nominal change of a weight by one pulse of one of its cells."""
        device = self.design.device
        return float(device.pulse_step() / device.window.span) * self.weight_scale * self.design.scheme.cell_worth()

    def with_adc(self, adc: AnyADC | None) -> AnalogMatrix:
        """The same cells behind another ADC, not calibrated yet unless its range is given."""
        cells = {place: tile.cells for place, tile in self.tiles.items()}
        made = replace(self, design=replace(self.design, adc=adc)).with_cells(cells, exact=False)
        return replace(made, forward=with_adc(made.forward, made.tiles, adc))

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

    def at_zero(self) -> AnalogMatrix:
        """The matrix once its offsets, where inputs have one, are measured again."""
        forward = self.forward if self.forward.zero is None else with_zero(self.forward, self.tiles)
        back = self.back if self.back.zero is None else with_zero(self.back, self.turned)
        return replace(self, forward=forward, back=back)

    def moved(self, move: Callable[[Array], Array]) -> AnalogMatrix:
        """The matrix with every array passed through `move` (to another back end)."""
        tiles = {p: tile.moved(move) for p, tile in self.tiles.items()}
        return replace(self, tiles=tiles, forward=self.forward.moved(move), back=self.back.moved(move))


def cuts(n: int, size: int) -> tuple[slice, ...]:
    """A range cut into parts of `size`, the last one as long as what is left."""
    return tuple(slice(start, min(start + size, n)) for start in range(0, n, size))


def _grid(rows: tuple[slice, ...], columns: tuple[slice, ...]) -> Iterator[Place]:
    return ((r, c) for r in range(len(rows)) for c in range(len(columns)))


def _targets(w: np.ndarray, scale: float, design: Design) -> np.ndarray:
    """Target conductances of one tile."""
    return design.scheme.targets(np.clip(np.asarray(w, np.float64) / scale, -1, 1), design.device.window)


def _written(targets: np.ndarray, design: Design, streams: Streams) -> tuple[Tile, WriteReport]:
    """Fabricate and write the arrays of one tile, each from streams of its own."""
    made = [_one_array(g, design.device, streams.at("array", k)) for k, g in enumerate(targets)]
    cells = stack_cells([cells for cells, _ in made])
    report = WriteReport(*map(sum, zip(*[report for _, report in made], strict=True)))
    return Tile.make(design.device, cells, design.wires, design.scheme, folded=design.folded), report


def _one_array(g: np.ndarray, device: Device, streams: Streams) -> tuple[Cells, WriteReport]:
    return device.program(device.fabricate(g.shape, streams), g, streams)
