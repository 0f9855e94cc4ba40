"""AdcBank: the ADCs of one tile with their ranges and fabricated errors, ready to convert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cimsim.crossbar.converters.adc import AnyADC
from cimsim.crossbar.converters.lines import LineErrors
from cimsim.kernels import Noise, Table, Uniform, kernels_for
from device_models.window import Array


@dataclass(frozen=True)
class AdcBank:
    """The ADCs of one tile's columns: code = floor(scale i + shift) held to 0..top, or as the table says.

    All arrays have one value per column. A code stands for the current `first + code * step` (amperes), the middle of
    the currents that give it. `variance` is that of the converters' noise, amperes^2 at their input, None without any.
    `table` holds the transitions one by one where they are not even.
    """

    scale: Array
    shift: Array
    first: Array
    step: Array
    top: int
    variance: Array | None
    table: Table | None = None

    @classmethod
    def make(
        cls, adc: AnyADC, low: np.ndarray, high: np.ndarray, errors: LineErrors, lines: np.ndarray | None = None
    ) -> AdcBank:
        """Converters with ranges `low` to `high` amperes (one for all or one per converter), and their errors.

        `lines` is the number of the converter that serves each column; None gives each column its own.
        """
        lines = np.arange(errors.gain.size) if lines is None else lines
        n = int(lines.max()) + 1
        low, high = (np.broadcast_to(np.asarray(end, np.float64), (n,)) for end in (low, high))
        gain, offset = adc.gains(errors, n), adc.offset_spread * errors.offset[:n] * (high - low)
        step = (high - low) / 2**adc.bits
        scale, shift = gain / step, (offset - low) / step
        # A whole number of rounded steps, where 0 A is on a code: then that code stands for exactly 0 A in float32.
        first = np.round(low / step + 0.5, 6).astype(np.float32) * np.float32(step)
        columns = {"scale": scale, "shift": shift, "first": first, "step": step}
        columns = {name: x.astype(np.float32)[lines] for name, x in columns.items()}
        variance = np.square(adc.noise * (high - low)).astype(np.float32)[lines] if adc.noise else None
        bank = cls(**columns, top=2**adc.bits - 1, variance=variance)
        return replace(bank, table=_table(adc, low, high, (gain, offset), (errors, lines)))

    @cached_property
    def law(self) -> Uniform | Table:
        """What a kernel needs to convert."""
        return self.table or Uniform(self.scale, self.shift, self.step, self.first, self.top)

    def convert(self, i: Array, noise: Noise) -> None:
        """Turn currents `(batch, columns)` in amperes, in place, into what the digital side takes them for."""
        if self.variance is not None:
            noise.add(i, self.variance)
        kernels_for(i).convert(i, self.law)

    def moved(self, move: Callable[[Array], Array]) -> AdcBank:
        """The same ADCs with their arrays passed through `move`."""
        arrays = {name: move(getattr(self, name)) for name in ("scale", "shift", "first", "step")}
        variance = None if self.variance is None else move(self.variance)
        return replace(self, **arrays, variance=variance, table=self.table and Table(*map(move, self.table)))

    def clipped(self, i: Array) -> float:
        """Share of currents outside the range, noise of the converter aside."""
        u = i * self.scale + self.shift
        return float(((u < 0) | (u >= self.top + 1)).mean())


def _table(
    adc: AnyADC,
    low: np.ndarray,
    high: np.ndarray,
    straight: tuple[np.ndarray, np.ndarray],
    made: tuple[LineErrors, np.ndarray],
) -> Table | None:
    """Transitions and meanings of codes, float32, where they are not even."""
    (gain, offset), (errors, lines) = straight, made
    shares = adc.transitions(errors, len(low))
    if shares is None:
        return None
    edges = (adc.currents(shares, low[:, None], high[:, None]) - offset[:, None]) / gain[:, None]
    middles = (np.arange(2**adc.bits) + 0.5) / 2**adc.bits
    values = adc.currents(middles, low[:, None], high[:, None])
    near = 1e-9 * (high - low)[:, None]  # a code that stands for 0 A but for rounding
    values = np.where(np.abs(values) < near, 0.0, values)
    return Table(edges.astype(np.float32), values.astype(np.float32), lines.astype(np.int64))
