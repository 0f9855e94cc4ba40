"""TileSheet: the tiles of a matrix laid out on the host for one compiled call that reads them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from cimsim.backend import backend_name
from cimsim.crossbar.converters import AdcBank
from cimsim.crossbar.draws import Rows
from cimsim.crossbar.side import Side
from cimsim.crossbar.tile import Place, Tiles
from cimsim.kernels import Noise, Sheet, Sums, Table, Uniform, kernels_for
from cimsim.kernels.parts import available_cores
from device_models.window import Array

NUMBERS = 3 * 2**17  # at once, which stay in the cache
LEAST, MOST = 64, 256  # samples at once
PART = 2**18  # inputs that a thread takes at once
NOTHING = np.zeros(0, np.float32)


class Read(NamedTuple):
    """One read of all tiles: which turn of its samples, what it is worth, and their noise (None: the mean of reads)."""

    turn: int
    worth: float
    rows: Rows | None

    def noise(self, role: str, place: Place) -> Noise | None:
        """The noise of a role at a place."""
        return None if self.rows is None else self.rows.noise(role, *place)


@dataclass(frozen=True)
class TileSheet:
    """Tiles that are read by products, as kernels take them: a value.

    Attributes:
        places: those of the tiles, column by column.
        sheet: what they deliver and how it is converted.
        worths, reference: see `Sums`.
    """

    places: list[Place]
    sheet: Sheet
    worths: np.ndarray
    reference: bool

    @classmethod
    def of(cls, side: Side, tiles: Tiles) -> TileSheet | None:
        """The sheet of tiles on the host, or None where a tile is more than products."""
        places = sorted(tiles, key=lambda place: place[::-1])
        made = [tiles[p] for p in places]
        if side.reading.driven_reference or not all(tile.read_by_product for tile in made):
            return None
        if backend_name(made[0].signals) != "numpy":
            return None
        ends = [0, *accumulate(tile.signals.shape[1] for tile in made)]
        spans = [(r, *ends[t : t + 2], side.sensed[c].start) for t, (r, c) in enumerate(places)]
        banks = [] if side.banks is None else [side.banks[p] for p in places]
        sheet = Sheet(
            np.array([0, *(cut.stop for cut in side.driven)], np.int64),
            np.array(spans, np.int64),
            _flat([tile.signals for tile in made]),
            _flat([tile.variance for tile in made if tile.variance is not None]),
            _flat([bank.variance for bank in banks if bank.variance is not None]),
            _law(banks),
        )
        folded = made[0].folded
        worths = np.ones(1, np.float32) if folded else np.array(side.reading.worths(), np.float32)
        return cls(places, sheet, worths, side.reading.reference and not folded)

    @cached_property
    def block(self) -> int:
        """Samples at once: their drives and the currents of a tile, and the squares and variances of these."""
        _, start, stop, _ = self.sheet.spans.T
        numbers = (self.sheet.cuts[-1] + (stop - start).max()) * (2 if self.sheet.variances.size else 1)
        return int(min(max(2 ** np.floor(np.log2(NUMBERS / numbers)), LEAST), MOST))

    def samples(self, n: int) -> int:
        """Samples of `n` that a thread takes at once: whole blocks, so that results do not depend on the threads."""
        block, width = self.block, int(self.sheet.cuts[-1])
        share = -(-n // available_cores())
        return max(min(-(-share // block), PART // width // block), 1) * block

    def add(self, y: Array, start: int, volts: Array, read: Read) -> None:
        """One read of all tiles: their outputs are added to `y[start:]`."""
        sheet = self.sheet
        noises = self._noises(read, "read", sheet.variances), self._noises(read, "adc", sheet.converters)
        sums = Sums(self.worths, self.reference, read.worth)
        kernels_for(volts).read_tiles(y, start, volts, sheet, sums, noises, read.turn, self.block)

    def _noises(self, read: Read, role: str, variances: np.ndarray) -> list[Noise]:
        """Each tile's noise, none where reads are exact."""
        if read.rows is None or not variances.size:
            return []
        return [read.rows.noise(role, *place) for place in self.places]


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one after the other; a single one as it lies in memory."""
    if len(arrays) == 1:
        return arrays[0].reshape(-1)
    return np.concatenate([x.reshape(-1) for x in arrays]) if arrays else NOTHING


def _law(banks: list[AdcBank]) -> Uniform | Table | None:
    """The ADCs of all tiles as one law."""
    if not banks:
        return None
    tables = [bank.table for bank in banks if bank.table is not None]
    if not tables:
        names = ("scale", "shift", "step", "first")
        scale, shift, step, first = (np.concatenate([getattr(bank, name) for bank in banks]) for name in names)
        return Uniform(scale, shift, step, first, banks[0].top)
    before = [0, *accumulate(len(table.edges) for table in tables)]
    lines = [table.lines + n for table, n in zip(tables, before, strict=False)]
    return Table(np.concatenate([x.edges for x in tables]), np.concatenate([x.values for x in tables]), _flat(lines))
