"""The inner loops compiled for the CPU; they let other threads run meanwhile.

Inside, samples run along memory: a line or column of a batch lies whole, so that a loop over samples has the same
constants throughout and becomes vector instructions, be a matrix wide or thin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from cimsim.kernels import loops, tiles_cpu
from cimsim.kernels.laws import Gaussian, Noise, Sheet, Sums, Table, Uniform
from device_models.streams import Streams
from device_models.window import Array


class CounterNoise:
    """Noise by counter: row r, column c of a turn is the same number however the rows are cut into batches."""

    def __init__(self, key: np.ndarray, row: int) -> None:
        self.key, self.row = key, row

    def add(self, x: np.ndarray, variance: np.ndarray, turn: int = 0) -> None:
        """Add independent noise of this variance, in place."""
        columns = _by_column(x)
        loops.add_noise(columns, _noise(Gaussian(self, variance, turn), columns.shape))
        _put_back(x, columns)

    def generators(self, n: int, turn: int = 0) -> Iterator[np.random.Generator]:
        """A generator for each row: the same for a row however the rows are cut into batches."""
        return (self._generator(row, turn) for row in range(self.row, self.row + n))

    def _generator(self, row: int, turn: int) -> np.random.Generator:
        words = [*map(int, self.key), row, *([turn] if turn else [])]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))


def noise(like: Array, streams: Streams, role: str, row: int) -> CounterNoise:
    """The noise of a role, from its row `row` on."""
    return CounterNoise(_key(streams, role), row)


@lru_cache(maxsize=4096)
def _key(streams: Streams, role: str) -> np.ndarray:
    return streams.key(role)


def quantise(x: np.ndarray, scale: float, low: int, high: int, unit: float) -> np.ndarray:
    """`unit` times the whole number nearest to `scale x`, held to `low`..`high`: a DAC without errors."""
    x = x if x.flags.forc else x.copy(order="K")
    out = np.empty_like(x, np.float32)
    loops.quantise(_flat(x), _flat(out), np.float32(scale), np.float32(low), np.float32(high), np.float32(unit))
    return out


def digits(whole: np.ndarray, shift: int, width: int, unit: float) -> np.ndarray:
    """`unit` times the digit of `width` bits above the lowest `shift` bits of whole numbers, which keep their sign."""
    whole = whole if whole.flags.forc else whole.copy(order="K")
    out = np.empty_like(whole, np.float32)
    loops.digits(_flat(whole), _flat(out), np.int32(shift), np.int32(2**width - 1), np.float32(unit))
    return out


def convert(i: np.ndarray, law: Uniform | Table) -> None:
    """Currents `(batch, columns)` to codes and to what they mean, in place."""
    columns = _by_column(i)
    loops.convert(columns, _law(law))
    _put_back(i, columns)


def read_out(
    y: np.ndarray,
    at: tuple[int, int],
    i: np.ndarray,
    sums: Sums,
    law: Uniform | Table | None = None,
    noises: tuple[Gaussian | None, Gaussian | None] = (None, None),
) -> None:
    """Noise, conversion, shift and add in one call: adds what a tile's currents are worth to outputs `y`.

    `y` `(samples, outputs)` has its columns whole in memory; `at` is the sample and the output where those of `i`
    begin. `i` `(batch, signals * columns)` are the currents, which are overwritten while they are in the cache; `law`
    None leaves them unconverted; `noises` are those of the cells and of the converters.
    """
    columns = _by_column(i)
    cells, converters = (_noise(one, columns.shape) for one in noises)
    loops.read_out(
        y.T, at, columns, (sums.worths, sums.reference, np.float32(sums.worth)), _law(law), cells, converters
    )


def read_tiles(
    y: np.ndarray,
    first: int,
    volts: np.ndarray,
    sheet: Sheet,
    sums: Sums,
    noises: tuple[Sequence[Noise], Sequence[Noise]],
    turn: int,
    block: int,
) -> None:
    """All tiles of a sheet in one call: adds what their currents are worth to outputs `y`.

    `y` `(samples, outputs)` has its columns whole in memory; volts `(samples, lines)` give it from sample `first` on.
    `noises` are those of cells and converters, one for each tile, or empty: then there is none of that kind. `block`
    samples are taken at once.
    """
    volts = volts if volts.flags.forc else np.ascontiguousarray(volts)
    (cells, row), (converters, other_row) = (_keys(one, len(sheet.spans)) for one in noises)
    variances = sheet.variances if noises[0] else NO_COLUMN, sheet.converters if noises[1] else NO_COLUMN
    laid = (sheet.cuts, sheet.spans, sheet.cells, *variances, _law(sheet.law))
    worths = (sums.worths, sums.reference, np.float32(sums.worth))
    tiles_cpu.read_tiles(y.T, first, volts, laid, worths, (cells, converters, max(row, other_row), turn), block)


def _keys(noises: Sequence[Noise], tiles: int) -> tuple[np.ndarray, int]:
    """The keys of tiles' noise `(tiles, 4)`, and the row at which it begins (0 without any)."""
    found = [one for one in noises if isinstance(one, CounterNoise)]
    return (np.array([one.key for one in found]), found[0].row) if found else (np.zeros((tiles, 4), np.uint32), 0)


def squared_error(i: np.ndarray, low: np.ndarray, step: np.ndarray, top: int) -> np.ndarray:
    """Mean squared error of even codes 0..top for currents `(n, samples)`: `(n,)`, float64, for n ranges."""
    out = np.empty(len(i))
    loops.squared_error(i, low, step, float(top), out)
    return out


NO_COLUMN, NO_TABLE, NO_LINES = np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
NO_EVEN, NO_EDGES = (NO_COLUMN,) * 4, (NO_TABLE, NO_TABLE, NO_LINES)
NO_NOISE = (NO_TABLE, np.zeros(4, np.uint32), 0, 0)


def _law(law: Uniform | Table | None) -> tuple[Any, ...]:
    """The law as the loops take it, of one type whatever the law: even codes, their top, and the table."""
    if law is None:
        return NO_EVEN, np.float32(-1), NO_EDGES
    if isinstance(law, Table):
        return NO_EVEN, np.float32(law.values.shape[1] - 1), tuple(law)
    return tuple(law[:4]), np.float32(law.top), NO_EDGES


def _noise(gaussian: Gaussian | None, shape: tuple[int, int]) -> tuple[Any, ...]:
    """Noise as the loops take it: variance `(columns, samples or 1)`, empty for none, key, first row and turn."""
    if gaussian is None:
        return NO_NOISE
    source, variance, turn = gaussian
    if variance.shape != shape[::-1]:
        columns, samples = shape
        samples = samples if variance.ndim > 1 and len(variance) > 1 else 1
        variance = np.broadcast_to(variance, (samples, columns)).astype(np.float32)
    assert isinstance(source, CounterNoise)
    return np.ascontiguousarray(variance.T), source.key, source.row, turn


def _by_column(x: np.ndarray) -> np.ndarray:
    """`(columns, samples)` for `(samples, columns)`, each column whole in memory: a view, or a copy."""
    return np.ascontiguousarray(x.T)


def _put_back(x: np.ndarray, columns: np.ndarray) -> None:
    """What was done to `columns`, `_by_column(x)`, to `x` as well."""
    if not x.flags.f_contiguous:
        x[...] = columns.T


def _flat(x: np.ndarray) -> np.ndarray:
    """The numbers of a contiguous array as they lie in memory."""
    return x.reshape(-1) if x.flags.c_contiguous else x.T.reshape(-1)
