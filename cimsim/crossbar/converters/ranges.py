"""Ranges of ADCs, measured on the chip.

`choose_range` finds the range from currents, and an ADC without one refuses to convert. A sweep of bits at a fixed
wrong range would measure the range, not the bits.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from cimsim.crossbar.converters.adc import AnyADC, LogADC, with_zero_on_a_code
from cimsim.kernels import kernels_for
from device_models.errors import InputError

CALIBRATION_SAMPLES = 50_000  # values an MSE search looks at: its optimum is flat, more change nothing
Limits = tuple[np.ndarray, np.ndarray]
Where = TypeVar("Where", bound=Hashable)


def choose_range(adc: AnyADC, currents: np.ndarray) -> tuple[float, float]:
    """The range in amperes that one ADC takes after seeing `currents`: see `choose_ranges`."""
    low, high = choose_ranges(adc, np.asarray(currents).reshape(1, -1))
    return float(low[0]), float(high[0])


def choose_ranges(adc: AnyADC, currents: np.ndarray) -> Limits:
    """Low and high ends in amperes, `(n,)` each, for n ADCs that have seen currents `(n, samples)`.

    A range that holds 0 is widened by less than two codes, so that 0 A is in the middle of one: no current, no output.
    Raises `InputError` for currents that are not finite.
    """
    if adc.range is not None:
        low, high = (np.full(len(currents), end) for end in adc.range)
        return low, high
    if not np.isfinite(currents).all():
        raise InputError("calibration", "currents must be finite (amperes)", "NaN or inf", "check weights and inputs")
    low, high = currents.min(axis=1).astype(np.float64), currents.max(axis=1).astype(np.float64)
    if adc.calibration == "percentile":
        tail = (100 - adc.percentile) / 2
        low, high = np.percentile(currents, [tail, 100 - tail], axis=1)
    elif adc.calibration == "mse":
        low, high = _least_error(adc.bits, currents, low, high)
    size = np.maximum(np.abs(low), np.abs(high))
    same = high - low < 1e-9 * np.maximum(size, 1e-12)  # one value only: any range that holds it will do
    margin = np.where(same, 1e-6 * np.maximum(np.abs(low), 1e-9), 0.0)
    low, high = low - margin, high + margin
    return (low, high) if isinstance(adc, LogADC) else with_zero_on_a_code(adc.bits, low, high)


def tile_ranges(
    adc: AnyADC, currents: Mapping[Where, np.ndarray], lines: Mapping[Where, np.ndarray]
) -> dict[Where, Limits]:
    """Low and high ends of each tile's ADCs, one value for all or one per converter.

    `currents` are those of each tile, `(samples, columns)`; `lines` the number of each column's converter.
    """
    if adc.per == "layer":
        every = np.concatenate([i.ravel() for i in currents.values()])
        return dict.fromkeys(currents, choose_ranges(adc, every[None]))
    if adc.per == "tile":
        return {place: choose_ranges(adc, i.reshape(1, -1)) for place, i in currents.items()}
    return {place: _by_converter(adc, i, lines[place]) for place, i in currents.items()}


def _by_converter(adc: AnyADC, i: np.ndarray, lines: np.ndarray) -> Limits:
    """Ranges of converters, those that serve equally many columns at once."""
    seen = [i[:, lines == line].ravel() for line in range(lines.max() + 1)]
    sizes = np.array([one.size for one in seen])
    low, high = np.empty((2, len(seen)))
    for size in np.unique(sizes):
        which = np.flatnonzero(sizes == size)
        low[which], high[which] = choose_ranges(adc, np.stack([seen[k] for k in which]))
    return low, high


def _least_error(bits: int, currents: np.ndarray, low: np.ndarray, high: np.ndarray) -> Limits:
    """Draw in the high ends of the full ranges, then the low ones, to the least mean squared error of the codes."""
    n = currents.shape[1]
    picked = np.linspace(0, n - 1, min(n, CALIBRATION_SAMPLES)).astype(np.int64)
    sample = np.sort(currents, axis=1)[:, picked]  # by rank: the same law whatever the order of the columns
    shares = np.geomspace(1.0, 0.05, 60)
    high = _best(bits, sample, [(low, low + s * (high - low)) for s in shares])[1]
    low = _best(bits, sample, [(high + s * (low - high), high) for s in shares])[0]
    return low, high


def _best(bits: int, sample: np.ndarray, tried: list[Limits]) -> Limits:
    """Of the ranges tried, those with the least error, each ADC by itself."""
    errors = []
    for limits in tried:
        low, high = with_zero_on_a_code(bits, *limits)
        step = np.where(high > low, high - low, 1.0) / 2**bits
        errors.append(kernels_for(sample).squared_error(sample, low, step, 2**bits - 1))
    best = np.argmin(errors, axis=0)
    low, high = (np.stack(ends)[best, np.arange(best.size)] for ends in zip(*tried, strict=True))
    return low, high
