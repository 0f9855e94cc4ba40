"""Reader: tiles behind their converters, pass after pass, cut into what caches hold and cores share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cimsim.backend import backend_name
from cimsim.crossbar.converters import InputScale
from cimsim.crossbar.converters.dac import taken
from cimsim.crossbar.draws import Rows
from cimsim.crossbar.drive import Drive, Products, by_line
from cimsim.crossbar.sheet import Read, TileSheet
from cimsim.crossbar.side import Side
from cimsim.crossbar.tile import Place, Tile, Tiles
from cimsim.kernels import Gaussian, Sums, kernels_for
from cimsim.kernels.parts import each_part
from device_models.window import Array

NUMBERS, NUMBERS_ELSEWHERE = 3 * 2**16, 2**23  # inputs and currents at once, on the host (in its cache) and elsewhere
LEAST, MOST = 64, 8192  # samples at once
LEAST_FOR_SHEET = 64  # samples: to lay out the tiles anew for fewer takes longer than it saves
ONE = np.ones(1, np.float32)


@dataclass(frozen=True)
class Reader:
    """Tiles and their side, as they are read: a value."""

    side: Side
    tiles: Tiles

    @classmethod
    def of(cls, side: Side, tiles: Tiles) -> Reader:
        """A reader; of tiles that give outputs, which are only to be added, it makes one large tile."""
        if len(tiles) == 1 or side.reading.driven_reference or not all(tile.folded for tile in tiles.values()):
            return cls(side, tiles)
        grid = [[tiles[r, c].signals for c in range(len(side.sensed))] for r in range(len(side.driven))]
        whole = np.concatenate([np.concatenate(row, axis=1) for row in grid])
        driven, sensed = ((slice(0, n),) for n in whole.shape)
        return cls(replace(side, driven=driven, sensed=sensed), {(0, 0): replace(tiles[0, 0], signals=whole)})

    def product(self, x: Array, rows: Rows) -> Array:
        """Outputs `(batch, outputs)` float32 for inputs `(batch, inputs)`; `rows` is the noise of these samples.

        Memory beside inputs and outputs does not grow with the batch. Raises `InputError` where a converter has no
        range yet.
        """
        y = self.sums(x, self.side.scale(), rows)
        if self.side.zero is not None:
            y -= self.side.zero
        return y

    def sums(self, x: Array, scale: InputScale, rows: Rows | None) -> Array:
        """What all reads add up to, as outputs; `rows` None takes the mean over reads."""
        unit, shape = scale.full * self.side.unit, (self.side.sensed[-1].stop, len(x))
        y = np.empty_like(x, np.float32, shape=shape).T  # columns whole in memory, as kernels want them
        sheet = self._sheet if len(x) >= LEAST_FOR_SHEET else None

        def part(start: int, stop: int) -> None:
            y[start:stop] = 0
            own = None if rows is None else rows.after(start)
            here = x[start:stop].astype(np.float32, copy=False)
            here = here if sheet is not None else self._laid(here)
            add, turn = OneByOne(self.side, self.tiles).add if sheet is None else sheet.add, 0
            for volts, worth in self.side.drives(here, scale, own):
                add(y, start, volts, Read(turn, worth * unit, own))
                turn += 1
            if self.side.reading.driven_reference:
                self._subtract_references(y[start:stop], here, scale, Read(turn, unit, own))

        each_part(part, x, self._samples(x) if sheet is None else sheet.samples(len(x)))
        return y

    @cached_property
    def _sheet(self) -> TileSheet | None:
        return TileSheet.of(self.side, self.tiles)

    def _laid(self, x: Array) -> Array:
        """Inputs as products are fastest with them; to move them pays where several tiles share a line."""
        return by_line(x) if len(self.side.sensed) > 1 else x

    def _samples(self, x: Array) -> int:
        """Samples at once: their inputs, their currents and the variances of these stay in the cache."""
        currents = max(int(tile.signals.shape[1]) * (1 + tile.noisy) for tile in self.tiles.values())
        in_cache = NUMBERS if backend_name(x) == "numpy" else NUMBERS_ELSEWHERE
        return min(max(in_cache // (int(x.shape[1]) + currents), LEAST), MOST)

    def _subtract_references(self, y: Array, x: Array, scale: InputScale, read: Read) -> None:
        """A read of each reference line alone, at full scale, times the sum of the inputs, which is known digitally."""
        side, share = self.side, taken(self.side.dac, x, scale)
        for place, tile in self.tiles.items():
            driven, sensed = side.driven[place[0]], side.sensed[place[1]]
            alone = np.zeros_like(y, shape=(sensed.stop - sensed.start, len(y))).T
            drive = Drive(side.reference_drive(side.at_tile(share, place[0])), Products())
            OneByOne(side, self.tiles).read(alone, (0, 0), tile, drive, place, read)
            y[:, sensed] -= alone * share[:, driven].sum(axis=1)[:, None]


class OneByOne:
    """Tiles read one after the other, whatever they are and wherever they live."""

    def __init__(self, side: Side, tiles: Tiles) -> None:
        self._side, self._tiles, self._products = side, tiles, Products()
        self._worths = np.array(side.reading.worths(), np.float32)

    def add(self, y: Array, start: int, volts: Array, read: Read) -> None:
        """One read of all tiles: their outputs are added to `y[start:]`."""
        side = self._side
        drives = [Drive(side.at_tile(volts, r), self._products, str(r)) for r in range(len(side.driven))]
        for place, tile in self._tiles.items():
            self.read(y, (start, side.sensed[place[1]].start), tile, drives[place[0]], place, read)

    def read(self, y: Array, at: Place, tile: Tile, drive: Drive, place: Place, read: Read) -> None:
        """One read of one tile: its outputs, times the worth of the read, are added to `y` from `at` on."""
        noise = read.noise("read", place) if tile.noisy else None
        i, cells = tile.read(drive, noise, read.turn)
        bank, converters = None if self._side.banks is None else self._side.banks[place], None
        if bank is not None and bank.variance is not None and (noise := read.noise("adc", place)) is not None:
            converters = Gaussian(noise, bank.variance, read.turn)
        sums = Sums(ONE if tile.folded else self._worths, self._side.reading.reference and not tile.folded, read.worth)
        kernels_for(i).read_out(y, at, i, sums, None if bank is None else bank.law, (cells, converters))
