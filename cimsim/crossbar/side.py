"""Side: one direction of reading the tiles of a matrix, with the converters of the lines driven and sensed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cimsim.backend import backend_name, to_host
from cimsim.crossbar.converters import DAC, AdcBank, AnyADC, InputScale, LineErrors, shared_lines, tile_ranges
from cimsim.crossbar.converters.dac import passes, taken
from cimsim.crossbar.converters.ranges import Limits
from cimsim.crossbar.draws import Rows
from cimsim.crossbar.drive import Drive, Products, by_line
from cimsim.crossbar.mapping import Reading, Transposed
from cimsim.crossbar.tile import Tile
from cimsim.kernels import Gaussian, Noise, Sums, kernels_for
from cimsim.kernels.parts import each_part
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import FloatPair
from device_models.streams import Streams
from device_models.window import Array

Place = tuple[int, int]
Tiles = Mapping[Place, Tile]
NUMBERS, NUMBERS_ELSEWHERE = 3 * 2**16, 2**23  # inputs and currents at once, on the host (in its cache) and elsewhere
LEAST, MOST = 64, 8192  # samples at once
ONE = np.ones(1, np.float32)
UNMADE = LineErrors(np.zeros(0), np.zeros(0))


class Read(NamedTuple):
    """One read of all tiles: which turn of its samples, what it is worth, and their noise (None: the mean of reads)."""

    turn: int
    worth: float
    rows: Rows | None

    def noise(self, role: str, place: Place) -> Noise | None:
        """The noise of a role at a place."""
        return None if self.rows is None else self.rows.noise(role, *place)


@dataclass(frozen=True)
class Side:
    """One direction of reading: a value. What it reads, the tiles, is given at each call.

    Attributes:
        reading: which currents are added, and what they are worth.
        device: the kind of cell.
        v_read: volts on a line for an input of full scale.
        unit: the output that 1 A stands for when inputs of 1 have full scale.
        dac, adc: design of the converters; None is ideal.
        driven, sensed: the cuts of inputs and outputs into tiles.
        row_errors: fabricated errors of each driven line's DAC.
        column_errors: fabricated errors of each tile's ADCs, one per sensed line and signal.
        inputs: full scale of the inputs, or None before calibration.
        banks: the ADCs by place, or None before calibration.
        zero: what inputs of 0 give, `(outputs,)`, where the DAC adds half its range; else None.
        raw: whether tiles take the volts on their lines, and not what ohmic cells would feel of them.
    """

    reading: Reading
    device: Device
    v_read: float
    unit: float
    dac: DAC | None
    adc: AnyADC | None
    driven: tuple[slice, ...]
    sensed: tuple[slice, ...]
    row_errors: LineErrors = UNMADE
    column_errors: dict[Place, LineErrors] = field(default_factory=dict)
    inputs: InputScale | None = None
    banks: dict[Place, AdcBank] | None = None
    zero: Array | None = None
    raw: bool = False

    @property
    def turns(self) -> int:
        """Passes that one input takes; before calibration, for inputs of 0 and more."""
        return 1 if self.dac is None else self.dac.turns(self.inputs or InputScale(1.0, signed=False))

    def fabricated(self, lines: Mapping[Place, int], streams: Streams, name: str = "") -> Side:
        """The side with the errors of its converters drawn; `name` sets its draws apart.

        `lines` is the number of lines that each tile's ADCs serve, those of every signal.
        """
        errors = {p: LineErrors.draw(n, streams.at("tile", *p), f"{name}adc") for p, n in lines.items()}
        rows = LineErrors.draw(self.driven[-1].stop, streams, f"{name}dac")
        return replace(self, row_errors=rows, column_errors=errors, inputs=self._given_inputs())

    def product(self, tiles: Tiles, x: Array, rows: Rows) -> Array:
        """Outputs `(batch, outputs)` float32 for inputs `(batch, inputs)`; `rows` is the noise of these samples.

        Memory beside inputs and outputs does not grow with the batch.
        """
        y = self._sums(tiles, x, self.scale(), rows)
        if self.zero is not None:
            y -= self.zero
        return y

    def joined(self, tiles: Tiles) -> tuple[Side, Tiles]:
        """Side and tiles for `product`: one large tile where tiles give outputs, which are only to be added."""
        if len(tiles) == 1 or self.reading.driven_reference or not all(tile.folded for tile in tiles.values()):
            return self, tiles
        grid = [[tiles[r, c].signals for c in range(len(self.sensed))] for r in range(len(self.driven))]
        whole = np.concatenate([np.concatenate(row, axis=1) for row in grid])
        driven, sensed = ((slice(0, n),) for n in whole.shape)
        return replace(self, driven=driven, sensed=sensed), {(0, 0): replace(tiles[0, 0], signals=whole)}

    def currents(self, tiles: Tiles, x: Array, rows: Rows) -> Iterator[tuple[Place, Array]]:
        """Place and currents in amperes of every tile before any ADC, `(passes * batch, signals * lines)`."""
        drives = [v for v, _ in self._drives(x, self.scale(converting=False), rows)]
        for place, tile in tiles.items():
            noise, here = rows.noise("read", *place), [self._at_tile(v, place[0]) for v in drives]
            if self.reading.driven_reference:
                here.append(self._reference_drive(here[0]))
            yield place, np.concatenate([tile.current(v, noise, turn) for turn, v in enumerate(here)])

    def calibrated(self, tiles: Tiles, x: Array, rows: Rows) -> Side:
        """The side with ranges measured while it sees the inputs `(batch, inputs)`."""
        seen = replace(self, inputs=self._given_inputs() or InputScale.of(float(x.min()), float(x.max())))
        if self.adc is None:
            return seen.with_zero(tiles)
        currents = {place: to_host(i) for place, i in seen.currents(tiles, x, rows)}
        return seen._with_banks(tiles, tile_ranges(self.adc, currents, self._converters(tiles))).with_zero(tiles)

    def clipping(self, tiles: Tiles, x: Array, rows: Rows) -> float:
        """Share of conversions outside the range of the ADC while `x` is read; 0 without ADCs."""
        if self.banks is None:
            return 0.0
        counts = [(self.banks[place].clipped(i), i.size) for place, i in self.currents(tiles, x, rows)]
        return float(sum(share * n for share, n in counts) / sum(n for _, n in counts))

    def with_adc(self, adc: AnyADC | None, tiles: Tiles) -> Side:
        """The side with another ADC, not calibrated yet unless its range is given."""
        return replace(self, adc=adc, banks=None, zero=None).ready(tiles)

    def ready(self, tiles: Tiles) -> Side:
        """The side as far as given ranges make it: an ADC whose range is given needs no calibration."""
        if self.adc is None or self.adc.range is None:
            return self.with_zero(tiles)
        low, high = (np.array([end]) for end in self.adc.range)
        return self._with_banks(tiles, dict.fromkeys(tiles, (low, high))).with_zero(tiles)

    def with_ranges(self, tiles: Tiles, inputs: FloatPair, sums: FloatPair | None) -> Side:
        """The side with given ranges of its inputs and, in units of its outputs, of what its tiles deliver."""
        seen = replace(self, inputs=InputScale.of(*inputs))
        if self.adc is None or sums is None:
            return seen.ready(tiles)
        ends = np.array(sums) / (self.unit * seen.scale(converting=False).full)
        return seen._with_banks(tiles, dict.fromkeys(tiles, (ends[:1], ends[1:]))).with_zero(tiles)

    def with_zero(self, tiles: Tiles) -> Side:
        """The side once it has measured what inputs of 0 give, where that is needed and ranges are set."""
        if self.dac is None or self.inputs is None or not self.dac.shifts(self.inputs):
            return replace(self, zero=None)
        if self.adc is not None and self.banks is None:
            return self
        like = next(iter(tiles.values())).signals
        rest = np.zeros_like(like, shape=(1, self.driven[-1].stop))
        side, tiles = self.joined(tiles)  # as `product` adds them up, so that both round alike
        return replace(self, zero=side._sums(tiles, rest, self.inputs, None)[0])

    def scale(self, *, converting: bool = True) -> InputScale:
        """The input scale, once it is known that every converter has its range."""
        if converting and self.adc is not None and self.banks is None:
            raise self._uncalibrated("ADC", "has no range yet (uncalibrated) and does not convert")
        if self.inputs is not None:
            return self.inputs
        if self.dac is not None:
            raise self._uncalibrated("DAC", "has no range yet (uncalibrated) and does not convert")
        if self.adc is not None or not self.device.ohmic:
            raise self._uncalibrated("inputs", "have no full scale yet (uncalibrated)")
        return InputScale(1.0, signed=True)

    def _uncalibrated(self, part: str, rule: str) -> InputError:
        if isinstance(self.reading, Transposed):
            return InputError(f"back {part}", rule, "", "call chip.calibrate_back(layer, e) with some errors")
        remedy = "pass calibrate=x to program, or call chip.calibrate(x), with some training inputs, or give a range"
        return InputError(part, rule, "", remedy)

    def moved(self, move: Callable[[Array], Array]) -> Side:
        """The side with every array passed through `move` (to another back end)."""
        return replace(
            self,
            row_errors=self.row_errors.moved(move),
            column_errors={p: e.moved(move) for p, e in self.column_errors.items()},
            banks=None if self.banks is None else {p: bank.moved(move) for p, bank in self.banks.items()},
            zero=None if self.zero is None else move(self.zero),
        )

    def _sums(self, tiles: Tiles, x: Array, scale: InputScale, rows: Rows | None) -> Array:
        """What all reads add up to, as outputs; `rows` None takes the mean over reads."""
        x = x.astype(np.float32, copy=False)
        y = np.zeros_like(x, shape=(self.sensed[-1].stop, len(x))).T  # columns whole in memory, as kernels want them

        def part(start: int, stop: int) -> None:
            own = None if rows is None else rows.after(start)
            self._add(y, start, tiles, self._laid(x[start:stop]), scale, own)

        each_part(part, x, self._block(tiles, x))
        return y

    def _laid(self, x: Array) -> Array:
        """Inputs as products are fastest with them; to move them pays where several tiles share a line."""
        return by_line(x) if len(self.sensed) > 1 else x

    def _block(self, tiles: Tiles, x: Array) -> int:
        """Samples at once: their inputs, their currents and the variances of these stay in the cache."""
        currents = max(int(tile.signals.shape[1]) * (1 + tile.noisy) for tile in tiles.values())
        in_cache = NUMBERS if backend_name(x) == "numpy" else NUMBERS_ELSEWHERE
        return min(max(in_cache // (int(x.shape[1]) + currents), LEAST), MOST)

    def _add(self, y: Array, start: int, tiles: Tiles, x: Array, scale: InputScale, rows: Rows | None) -> None:
        """Pass after pass, tile after tile; then the reference lines, if they are driven: `x` gives `y[start:...]`."""
        turn, products, unit = 0, Products(), scale.full * self.unit
        for v, worth in self._drives(x, scale, rows):
            read = Read(turn, worth * unit, rows)
            drives = [Drive(self._at_tile(v, r), products, str(r)) for r in range(len(self.driven))]
            for place, tile in tiles.items():
                self._read(y, (start, self.sensed[place[1]].start), tile, drives[place[0]], place, read)
            turn += 1
        if self.reading.driven_reference:
            self._subtract_references(
                y[start : start + len(x)], tiles, taken(self.dac, x, scale), Read(turn, unit, rows)
            )

    def _read(self, y: Array, at: Place, tile: Tile, drive: Drive, place: Place, read: Read) -> None:
        """One read of one tile: its outputs, times the worth of the read, are added to `y` from `at` on."""
        noise = read.noise("read", place) if tile.noisy else None
        i, cells = tile.read(drive, noise, read.turn)
        bank, converters = None if self.banks is None else self.banks[place], None
        if bank is not None and bank.variance is not None and (noise := read.noise("adc", place)) is not None:
            converters = Gaussian(noise, bank.variance, read.turn)
        sums = Sums(ONE if tile.folded else self._worths, self.reading.reference and not tile.folded, read.worth)
        kernels_for(i).read_out(y, at, i, sums, None if bank is None else bank.law, (cells, converters))

    def _subtract_references(self, y: Array, tiles: Tiles, share: Array, read: Read) -> None:
        """A read of each reference line alone, at full scale, times the sum of the inputs, which is known digitally."""
        for place, tile in tiles.items():
            driven, sensed = self.driven[place[0]], self.sensed[place[1]]
            alone = np.zeros_like(y, shape=(sensed.stop - sensed.start, len(y))).T
            drive = Drive(self._reference_drive(self._at_tile(share, place[0])), Products())
            self._read(alone, (0, 0), tile, drive, place, read)
            y[:, sensed] -= alone * share[:, driven].sum(axis=1)[:, None]

    def _drives(self, x: Array, scale: InputScale, rows: Rows | None) -> Iterator[tuple[Array, float]]:
        """Volts of all driven lines, as ohmic cells would feel them unless `raw`, and their worth, pass by pass."""
        noise = None if rows is None else rows.noise("dac")
        for volts, worth in passes(
            self.dac, x.astype(np.float32, copy=False), scale, self.v_read, self.row_errors, noise
        ):
            if self.raw:
                yield volts, worth
            elif self.dac is None:
                yield self.device.drive(volts), worth
            else:
                yield self.dac.ohmic_volts(volts, self.device, self.v_read), worth

    @cached_property
    def _worths(self) -> np.ndarray:
        return np.array(self.reading.worths(), np.float32)

    def _at_tile(self, v: Array, r: int) -> Array:
        """What drives the tiles at one cut of the inputs; a reference line is at rest meanwhile."""
        here = v[:, self.driven[r]]
        return np.concatenate([here, np.zeros_like(here[:, :1])], axis=1) if self.reading.driven_reference else here

    def _reference_drive(self, like: Array) -> Array:
        """Full scale on the reference line, nothing on the others, as ohmic cells would feel it."""
        v = np.zeros_like(like)
        v[:, -1] = float(self.device.drive(np.asarray(self.v_read)))
        return v

    def _given_inputs(self) -> InputScale | None:
        return None if self.dac is None or self.dac.range is None else InputScale.of(*self.dac.range)

    def _converters(self, tiles: Tiles) -> dict[Place, np.ndarray]:
        """The number of the ADC that serves each sensed line, by place."""
        assert self.adc is not None
        signals = {p: t.signals_per_column for p, t in tiles.items()}
        return {p: shared_lines(n, tiles[p].lines // n, self.adc.share) for p, n in signals.items()}

    def _with_banks(self, tiles: Tiles, limits: Mapping[Place, Limits]) -> Side:
        """The side with its ADCs, which live where the cells live."""
        assert self.adc is not None
        banks, lines = {}, self._converters(tiles)
        for place, tile in tiles.items():
            errors = self.column_errors[place].moved(to_host)
            banks[place] = AdcBank.make(self.adc, *limits[place], errors, lines[place]).moved(tile.beside)
        return replace(self, banks=banks)
