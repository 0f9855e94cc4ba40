"""Replicas: copies of one weight matrix on tiles of their own, among which reads are dealt out.

A convolution reads its kernels once for every patch. Copies of the kernels read several patches at a time, each with
the errors of its own devices: Yao et al., Nature 577, 641 (2020), ran three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from cimsim.crossbar.converters import AnyADC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.tile import Tile
from device_models.device import WriteReport
from device_models.errors import InputError
from device_models.parameters import FloatPair
from device_models.streams import Streams
from device_models.window import Array

Share = tuple[AnalogMatrix, slice | np.ndarray, Draws]


@dataclass(frozen=True)
class Replicas:
    """Two or more copies of a matrix; it answers what `AnalogMatrix` answers, as one matrix would.

    Attributes:
        copies: of the same weights and design, each fabricated and written by itself.
        run: consecutive reads that go to one copy: 1 deals them out one by one (round robin), as many as a sample has
            give every sample to one copy.
    """

    copies: tuple[AnalogMatrix, ...]
    run: int = 1

    @classmethod
    def program(cls, w: np.ndarray, design: Design, streams: Streams, copies: int, run: int = 1) -> Replicas:
        """Fabricate and write copies of the weights `(n_in, n_out)`; the first is the matrix without others."""
        places = [streams, *(streams.at("copy", c) for c in range(1, copies))]
        return cls(tuple(AnalogMatrix.program(w, design, place) for place in places), run)

    @property
    def design(self) -> Design:
        """What all tiles share."""
        return self.copies[0].design

    @property
    def shape(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return self.copies[0].shape

    @property
    def weight_scale(self) -> float:
        """The weight that spans the window."""
        return self.copies[0].weight_scale

    @property
    def tiles(self) -> dict[tuple[int, int], Tile]:
        """The tiles of the first copy."""
        return self.copies[0].tiles

    @property
    def write(self) -> WriteReport:
        """What programming all copies cost."""
        return WriteReport(*map(sum, zip(*(copy.write for copy in self.copies), strict=True)))

    def matmul(self, x: Array, draws: Draws) -> Array:
        """Outputs `(reads, n_out)` of inputs `(reads, n_in)`, each read by the copy whose turn it is."""
        return self._dealt(x, draws, self.shape[1], AnalogMatrix.matmul)

    def rmatmul(self, e: Array, draws: Draws) -> Array:
        """The transposed product, each read by the copy that took its turn forwards."""
        return self._dealt(e, draws, self.shape[0], AnalogMatrix.rmatmul)

    def clipping(self, x: Array, draws: Draws) -> float:
        """Share of conversions outside the ADC range while the copies see `x`."""
        shares = [(len(x[mine]), copy.clipping(x[mine], own)) for copy, mine, own in self._shares(len(x), draws)]
        return sum(n * share for n, share in shares) / sum(n for n, _ in shares)

    def calibrated(self, x: Array, draws: Draws) -> Replicas:
        """Every copy with its converter ranges measured while it sees the inputs `(reads, n_in)`."""
        return self._each(lambda c, copy: copy.calibrated(x, _own(draws, c)))

    def with_ranges(self, inputs: FloatPair, sums: FloatPair | None) -> Replicas:
        """Every copy with given ranges of its converters."""
        return self._each(lambda c, copy: copy.with_ranges(inputs, sums))

    def calibrated_back(self, e: Array, draws: Draws) -> Replicas:
        """Every copy with the ranges of its transposed read measured while it sees `(reads, n_out)`."""
        return self._each(lambda c, copy: copy.calibrated_back(e, _own(draws, c)))

    def aged(self, seconds: float) -> Replicas:
        """All copies `seconds` later."""
        return self._each(lambda c, copy: copy.aged(seconds))

    def with_adc(self, adc: AnyADC | None) -> Replicas:
        """The same cells behind another ADC."""
        return self._each(lambda c, copy: copy.with_adc(adc))

    def moved(self, move: Callable[[Array], Array]) -> Replicas:
        """All copies with every array passed through `move`."""
        return self._each(lambda c, copy: copy.moved(move))

    def weights(self) -> Array:
        """The mean of the weights the copies hold, `(n_in, n_out)` float64."""
        total = self.copies[0].weights()
        for copy in self.copies[1:]:
            total = total + copy.weights()
        return total / len(self.copies)

    def _each(self, change: Callable[[int, AnalogMatrix], AnalogMatrix]) -> Replicas:
        return replace(self, copies=tuple(change(c, copy) for c, copy in enumerate(self.copies)))

    def _dealt(
        self, x: Array, draws: Draws, n_out: int, product: Callable[[AnalogMatrix, Array, Draws], Array]
    ) -> Array:
        y = np.zeros_like(x, shape=(len(x), n_out), dtype=np.float32)
        for copy, mine, own in self._shares(len(x), draws):
            y[mine] = product(copy, x[mine], own)
        return y

    def _shares(self, n: int, draws: Draws) -> Iterator[Share]:
        """Each copy with its reads of the next `n` and their noise, which goes by a read's turn at its copy."""
        rows = draws.rows(n)
        number = rows.row + np.arange(n)
        turn, whose = np.divmod(number // self.run, len(self.copies))
        for c, copy in enumerate(self.copies):
            mine = np.flatnonzero(whose == c)
            if mine.size:
                first = int(turn[mine[0]] * self.run + number[mine[0]] % self.run)
                yield copy, mine, Draws(rows.streams.at("copy", c), rows.like, first)


def _own(draws: Draws, c: int) -> Draws:
    """Draws for a copy of its own, beside those of the others."""
    rows = draws.rows(0)
    return Draws(rows.streams.at("copy", c), rows.like, rows.row)


def check_copies(copies: int, where: str = "replicas") -> None:
    """Raise `InputError` unless `copies` is a whole number of 1 or more."""
    if isinstance(copies, bool) or not isinstance(copies, int | np.integer) or copies < 1:
        raise InputError(where, "must be a whole number of copies, 1 or more", copies, "1 is no replication")
