"""Ranging: the converters of a side get their ranges, measured with its tiles or given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cimsim.backend import to_host
from cimsim.crossbar.converters import AdcBank, AnyADC, InputScale, shared_lines, tile_ranges
from cimsim.crossbar.converters.ranges import Limits
from cimsim.crossbar.draws import Rows
from cimsim.crossbar.reader import Reader
from cimsim.crossbar.side import Side
from cimsim.crossbar.tile import Place, Tiles
from device_models.parameters import FloatPair
from device_models.window import Array


def calibrated(side: Side, tiles: Tiles, x: Array, rows: Rows) -> Side:
    """The side with ranges measured while it sees the inputs `(batch, inputs)`."""
    seen = replace(side, inputs=side.given_inputs or InputScale.of(float(x.min()), float(x.max())))
    if side.adc is None:
        return with_zero(seen, tiles)
    currents = {place: to_host(i) for place, i in seen.currents(tiles, x, rows)}
    ranged = _with_banks(seen, tiles, tile_ranges(side.adc, currents, _converters(side, tiles)))
    return with_zero(ranged, tiles)


def clipping(side: Side, tiles: Tiles, x: Array, rows: Rows) -> float:
    """Share of conversions outside the range of the ADC while `x` is read; 0 without ADCs."""
    if side.banks is None:
        return 0.0
    counts = [(side.banks[place].clipped(i), i.size) for place, i in side.currents(tiles, x, rows)]
    return float(sum(share * n for share, n in counts) / sum(n for _, n in counts))


def with_adc(side: Side, tiles: Tiles, adc: AnyADC | None) -> Side:
    """The side with another ADC, not calibrated yet unless its range is given."""
    return ready(replace(side, adc=adc, banks=None, zero=None), tiles)


def ready(side: Side, tiles: Tiles) -> Side:
    """The side as far as given ranges make it: an ADC whose range is given needs no calibration."""
    if side.adc is None or side.adc.range is None:
        return with_zero(side, tiles)
    low, high = (np.array([end]) for end in side.adc.range)
    return with_zero(_with_banks(side, tiles, dict.fromkeys(tiles, (low, high))), tiles)


def with_ranges(side: Side, tiles: Tiles, inputs: FloatPair, sums: FloatPair | None) -> Side:
    """The side with given ranges of its inputs and, in units of its outputs, of what its tiles deliver."""
    seen = replace(side, inputs=InputScale.of(*inputs))
    if side.adc is None or sums is None:
        return ready(seen, tiles)
    ends = np.array(sums) / (side.unit * seen.scale(converting=False).full)
    return with_zero(_with_banks(seen, tiles, dict.fromkeys(tiles, (ends[:1], ends[1:]))), tiles)


def with_zero(side: Side, tiles: Tiles) -> Side:
    """The side once it has measured what inputs of 0 give, where that is needed and ranges are set."""
    if side.dac is None or side.inputs is None or not side.dac.shifts(side.inputs):
        return replace(side, zero=None)
    if side.adc is not None and side.banks is None:
        return side
    like = next(iter(tiles.values())).signals
    rest = np.zeros_like(like, shape=(1, side.driven[-1].stop))
    return replace(side, zero=Reader.of(side, tiles).sums(rest, side.inputs, None)[0])


def _converters(side: Side, tiles: Tiles) -> dict[Place, np.ndarray]:
    """The number of the ADC that serves each sensed line, by place."""
    assert side.adc is not None
    signals = {p: t.signals_per_column for p, t in tiles.items()}
    return {p: shared_lines(n, tiles[p].lines // n, side.adc.share) for p, n in signals.items()}


def _with_banks(side: Side, tiles: Tiles, limits: Mapping[Place, Limits]) -> Side:
    """The side with its ADCs, which live where the cells live."""
    assert side.adc is not None
    banks, lines = {}, _converters(side, tiles)
    for place, tile in tiles.items():
        errors = side.column_errors[place].moved(to_host)
        banks[place] = AdcBank.make(side.adc, *limits[place], errors, lines[place]).moved(tile.beside)
    return replace(side, banks=banks)
