"""The product of one layer in one step of training: through converters and cells that err, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from cimsim.crossbar.converters import AdcBank
from cimsim.crossbar.matrix import cuts
from cimsim.learning.aware.converters import Converted, Converters
from cimsim.network.layers import Weighted
from device_models.window import Array

Drives = list[tuple[Array, float]]


class RowOut(NamedTuple):
    """What a row of tiles gives: outputs, their slope by the logarithm of the ADC's range, and the share kept."""

    y: Array
    slope: Array
    kept: Array


class Part(NamedTuple):
    """What a part of a batch met on its way: inputs behind the DAC, and of every row of tiles what came of them."""

    entered: Converted
    rows: list[RowOut]


@dataclass
class SensedProduct:
    """A layer's `v @ weight` as a chip makes it, its transpose, and the gradients of what it depends on.

    A weight's change is taken to reach the signals it is made of in proportion to what they count for: of a gradient,
    the share of signals that ADCs cut off, by squared worths, is lost.

    Attributes:
        converters: those of the layer.
        signals: what the cells give each ADC, `(rows, signals, physical columns)`, in weights.
        weight: the weights that the cells hold, `(rows, columns)`.
        input_slope: derivative of the loss by the logarithm of the DAC's range, once it has gone back.
        parts: notes on what has gone forward.
        reverse: whether parts come back in the opposite order, as in a layer whose parts follow from each other.
    """

    converters: Converters
    signals: Array
    weight: Array
    input_slope: float = 0.0
    parts: list[Part] = field(default_factory=list)
    reverse: bool = False

    def __call__(self, v: Array) -> Array:
        """The product of inputs `(reads, rows)`."""
        drives = list(self.converters.drives(v))
        given: Array = sum(np.float32(worth) * drive for drive, worth in drives)
        entered = self.converters.entered(v, given)
        bank = self.converters.bank(self.signals[0].size)
        outs = [] if bank is None else [self._read(rows, drives, bank) for rows in self._cuts]
        self.parts.append(Part(entered, outs))
        return sum(out.y for out in outs) if outs else given @ self.weight

    def transposed(self, d: Array) -> Array:
        """The gradient at the inputs from that at the outputs, of the parts in the order in which they come back."""
        part = next(self._returning)
        dv = np.concatenate([e @ self.weight[rows].T for rows, e in self._kept(part, d)], axis=1)
        self.input_slope += float(np.sum(dv * part.entered.slope))
        return dv * part.entered.inside

    def gradient(self, layer: Weighted, dy: Array) -> tuple[Array, Array, float]:
        """The gradients of weight, bias and logarithm of the ADC's range, from that at the layer's output."""
        d_weight, d_bias, slope = np.zeros_like(self.weight), np.zeros_like(layer.bias), 0.0
        for part, d in zip(self.parts, layer.errors(dy), strict=True):
            for rows, e in self._kept(part, d):
                d_weight[rows] += part.entered.y[:, rows].T @ e
            d_bias += d.sum(axis=0)
            slope += sum(float(np.sum(d * out.slope)) for out in part.rows)
        return d_weight if layer.mask is None else d_weight * layer.mask, d_bias, slope

    def sums(self, v: Array) -> Array:
        """What reaches the ADCs for inputs `(reads, rows)`, of all rows of tiles and passes."""
        drives = [drive for drive, _ in self.converters.drives(v)]
        return np.concatenate([(v[:, rows] @ self._by_line[rows]).ravel() for v in drives for rows in self._cuts])

    def _read(self, rows: slice, drives: Drives, bank: AdcBank) -> RowOut:
        """One row of tiles: every pass converted, then shifted and added."""
        scheme, n = self.converters.design.scheme, self.signals.shape[1]
        y: Array = 0.0
        slope, kept = y, y
        for drive, worth in drives:
            out = self.converters.left(drive[:, rows] @ self._by_line[rows], bank)
            each = [a.reshape(len(drive), n, -1) for a in out]
            inside = each[1][:, :, : self.weight.shape[1]]  # but for a reference column
            y = y + np.float32(worth) * scheme.collect(each[0])
            slope = slope + np.float32(worth) * scheme.collect(each[2])
            kept = kept + np.float32(worth**2) * np.einsum("bsc,s->bc", inside, self._shares)
        return RowOut(y, slope, kept / np.float32(sum(worth**2 for _, worth in drives)))

    def _kept(self, part: Part, d: Array) -> Iterator[tuple[slice, Array]]:
        """The gradient at the sums of each row of tiles: what no ADC cut off."""
        if part.rows:
            return ((rows, d * out.kept) for rows, out in zip(self._cuts, part.rows, strict=True))
        return iter([(slice(None), d)])

    @cached_property
    def _cuts(self) -> tuple[slice, ...]:
        return cuts(len(self.weight), self.converters.design.tile[0])

    @cached_property
    def _by_line(self) -> Array:
        return self.signals.reshape(len(self.signals), -1)

    @cached_property
    def _shares(self) -> Array:
        """What each signal counts for."""
        worths = np.square(self.converters.design.scheme.worths()).astype(self.weight.dtype)
        return worths / worths.sum()

    @cached_property
    def _returning(self) -> Iterator[Part]:
        return reversed(self.parts) if self.reverse else iter(self.parts)
