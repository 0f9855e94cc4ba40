"""One place in the grid of a matrix: its arrays of cells, their wires, and the currents they give.

What cells deliver, and how it varies from read to read, is made here and nowhere above: `signals` and `variance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np

from cimsim.backend import to_host, to_library_of
from cimsim.crossbar.drive import Drive, Products
from cimsim.crossbar.mapping import Reading
from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from cimsim.crossbar.wires.sensitivity import attenuation
from cimsim.kernels import Gaussian, Noise
from device_models.device import Cells, Device
from device_models.errors import InputError
from device_models.read_noise import ReadNoise
from device_models.window import Array

Place = tuple[int, int]  # row and column of a tile among the tiles of a matrix


@dataclass(frozen=True)
class Tile:
    """The arrays of one tile, `(arrays, rows, columns)`, and what its bit lines deliver.

    Attributes:
        device: the kind of cell.
        cells: state of all arrays of the tile.
        wires: wire resistance, or None.
        g_eff: current over word-line voltage with the wires in place, siemens, float64, shape of the cells.
        signals: conductance from each word line to each signal and column, `(rows, signals * columns)`, float32.
        folded: `signals` are outputs already, `(rows, outputs)`: the scheme's sums were taken beforehand.
        variance: variance of `signals` from one read to the next, siemens^2, or None where it is not needed.
        analog: the scheme's `analog` where every read is drawn cell by cell (noise that is not Gaussian), else None.
        mix: the scheme's `analog`.
    """

    device: Device
    cells: Cells
    wires: Wires | None
    g_eff: Array
    signals: Array
    variance: Array | None
    analog: np.ndarray | None
    folded: bool
    mix: np.ndarray

    @classmethod
    def make(
        cls,
        device: Device,
        cells: Cells,
        wires: Wires | None,
        scheme: Reading,
        *,
        folded: bool,
        g_eff: Array | None = None,
    ) -> Tile:
        """A tile of programmed cells.

        `folded`: nothing happens between cells and outputs, so the scheme's sums are taken beforehand where reads are
        exact. `g_eff`: the effective conductance, if known; else the wires are solved.
        """
        g = device.conductance(cells)
        if g_eff is None:
            g_eff = g if wires is None else effective_conductance(g, wires)
        law, analog = device.read_noise, scheme.analog()
        signals, variance, drawn = _by_signal(g_eff, analog), None, None
        if law is not None and law.gaussian:
            variance = _flat(_by_signal(_read_variance(law, cells, g, g_eff), analog**2))
        elif law is not None:
            drawn = analog
        folded = folded and law is None and not _solved_by_input(device, wires)
        signals = scheme.collect(signals) if folded else signals
        return cls(device, cells, wires, g_eff, _flat(signals), variance, drawn, folded, analog)

    @property
    def signals_per_column(self) -> int:
        """Signals that a column of cells gives."""
        return len(self.mix)

    @property
    def nonlinear(self) -> bool:
        """Whether cells and wires have to be solved for every input: `read` then takes the volts on the lines."""
        return _solved_by_input(self.device, self.wires)

    @property
    def read_by_product(self) -> bool:
        """Whether currents, and their variance from read to read, are products of drives and a matrix."""
        return not self.nonlinear and self.analog is None

    @property
    def lines(self) -> int:
        """Lines that are sensed: those of every signal."""
        return self.signals_per_column * int(self.g_eff.shape[-1])

    @property
    def noisy(self) -> bool:
        """Whether reads differ from one to the next."""
        return self.variance is not None or self.analog is not None

    def current(self, v: Array, noise: Noise | None, turn: int = 0) -> Array:
        """Currents in amperes, `(batch, signals * columns)`, for word-line drives `v` in volts, `(batch, rows)`.

        `noise` None gives the mean over reads; `turn` counts the reads of one sample.
        """
        i, gaussian = self.read(Drive(v, Products()), noise, turn)
        if gaussian is not None:
            gaussian.source.add(i, gaussian.variance, gaussian.turn)
        return i

    def read(self, drive: Drive, noise: Noise | None, turn: int) -> tuple[Array, Gaussian | None]:
        """As `current`, with Gaussian noise still to be added, so that it can be added where currents are converted.

        Independent Gaussian reads make a column's current exactly Gaussian with variance v^2 @ S, so it takes a second
        product and one draw per output instead of one draw per cell. Reads that are not Gaussian are drawn cell by
        cell, for every input vector: time grows with the number of cells times the batch, memory with the cells alone.
        What is returned lies in arrays that the next read of the drive's products takes again.
        """
        if self.nonlinear:
            return self._read_nonlinear(drive, noise, turn)
        i = drive.times("current", self.signals)
        return i, self._noise(i, drive, noise, turn)

    def _noise(self, i: Array, drive: Drive, noise: Noise | None, turn: int) -> Gaussian | None:
        """Noise that is drawn cell by cell is added to currents `i`; Gaussian noise is returned."""
        if noise is None:
            return None
        if self.analog is not None:
            i += self._deviations(drive.volts, noise.generators(len(i), turn), self.analog)
        if self.variance is None:
            return None
        return Gaussian(noise, drive.squares_times("variance", self.variance), turn)

    def _read_nonlinear(self, drive: Drive, noise: Noise | None, turn: int) -> tuple[Array, Gaussian | None]:
        """As `read`, where the law of the cells and the wires are solved together for every input.

        `drive` holds the volts on the word lines themselves. Noise is that of ohmic cells that feel f(v).
        """
        assert self.wires is not None
        assert self.device.conduction is not None
        g, conduction = self.device.conductance(self.cells), self.device.conduction
        solved = nonlinear_currents(to_host(g), self.wires, to_host(drive.volts), conduction)
        i = np.moveaxis(_mix(self.mix, np.moveaxis(solved, 1, 0)), 0, 1)
        i = self.beside(i.reshape(len(i), -1).astype(np.float32))
        felt = Drive(conduction.drive(drive.volts).astype(np.float32), Products())
        return i, self._noise(i, felt, noise, turn)

    def current_read_by_read(self, v: Array, rng: Any, scheme: Reading) -> Array:
        """The same law, drawn cell by cell and read by read: the oracle of `current`. Wires scale each cell's noise."""
        exact = v @ _flat(_by_signal(self.g_eff, scheme.analog()))
        return exact + self._deviations(v, repeat(rng, len(v)), scheme.analog())

    def _deviations(self, v: Array, generators: Iterable[Any], analog: np.ndarray) -> Array:
        """What the noise of explicit reads adds to the currents, one read of all cells per row of `v`."""
        assert self.device.read_noise is not None
        g = self.device.conductance(self.cells)
        share = None if self.wires is None else attenuation(g, self.g_eff)
        draw = self.device.read_noise.sampler(g, self.cells.seconds)
        rows = []
        for volts, rng in zip(v, generators, strict=True):
            read = draw(rng) if share is None else draw(rng) * share
            rows.append(_mix(analog, np.matmul(volts, read)).ravel())
        return np.stack(rows).astype(np.float32)

    def held(self, scheme: Reading) -> Array:
        """What `collect` makes of each word line at 1 V: `(rows, outputs)`, siemens, float64, no read noise."""
        return scheme.collect(_by_signal(self.g_eff, scheme.analog()))

    def beside(self, x: np.ndarray) -> Array:
        """An array moved to where the cells live."""
        return to_library_of(x, self.g_eff)

    def with_cells(self, cells: Cells, scheme: Reading, *, folded: bool, exact: bool = True) -> Tile:
        """The tile after its cells changed. Not `exact`: the wires attenuate every change as they did the cell."""
        g_eff = None if exact or self.wires is None else self._near(self.device.conductance(cells))
        return Tile.make(self.device, cells, self.wires, scheme, folded=folded, g_eff=g_eff)

    def _near(self, g: Array) -> Array:
        """Effective conductance for cells near those of the tile, without solving the wires."""
        now = self.device.conductance(self.cells)
        return self.g_eff + (g - now) * attenuation(now, self.g_eff)

    def transposed(self, scheme: Reading, *, folded: bool) -> Tile:
        """The same cells and wires seen from the bit lines, which drive, while the word lines are sensed.

        By reciprocity the current into a line's far end per volt at another's is that of the way back, as long as each
        line ends in the same resistance: bit lines are driven through their sense resistance, word lines sensed
        through their source resistance (at both ends and added, if they are driven from both). Then the effective
        conductance is the transpose.
        """
        if self.nonlinear:
            rule = "cannot be read backwards with nonlinear cells and wires"
            raise InputError(
                "tile", rule, type(self.device.conduction).__name__, "drop the wires or the conduction slot"
            )
        cells = self.cells.each(_swapped)
        g_eff = _swapped(self.g_eff)
        return Tile.make(self.device, cells, self.wires, scheme, folded=folded, g_eff=g_eff)

    def moved(self, move: Any) -> Tile:
        """The tile with every array passed through `move` (to another back end)."""
        variance = None if self.variance is None else move(self.variance)
        return replace(
            self, cells=self.cells.each(move), g_eff=move(self.g_eff), signals=move(self.signals), variance=variance
        )


Tiles = Mapping[Place, Tile]


def _read_variance(law: ReadNoise, cells: Cells, g: Array, g_eff: Array) -> Array:
    """Variance of each cell's share of the current, siemens^2.

    With wires, a cell's noise reaches the sense amplifier attenuated as its current is. This overestimates its standard
    deviation, at most by the share of the current that the wires cost.
    """
    return (law.sigma(g, cells.seconds) * attenuation(g, g_eff)) ** 2


def _solved_by_input(device: Device, wires: Wires | None) -> bool:
    """Whether an array is no matrix: a nonlinear law behind resistance."""
    return wires is not None and not device.ohmic


def _mix(weights: np.ndarray, arrays: Array) -> Array:
    """Sums over the arrays, the first axis of `arrays`, with the given weights `(signals, arrays)`."""
    rows = [sum(float(w) * arrays[k] for k, w in enumerate(row) if w) for row in weights]
    return np.stack(rows)


def _by_signal(g: Array, analog: np.ndarray) -> Array:
    """Conductances to each signal, `(rows, signals, columns)`: a row is what one word line at 1 V delivers."""
    return np.moveaxis(_mix(analog, g), 0, 1)


def _swapped(x: Array) -> Array:
    """Rows and columns exchanged; a single number stays what it is."""
    return np.swapaxes(x, -1, -2) if x.ndim > 1 else x


def _flat(x: Array) -> Array:
    return x.reshape(x.shape[0], -1).astype(np.float32)
