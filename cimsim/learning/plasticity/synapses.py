"""The cells of a chip as what competing neurons learn with: as numbers for the compiled loop, or the chip itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cimsim.backend import backend_name, to_host
from cimsim.chip import Chip
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import OffsetColumn
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser, Pulses
from cimsim.crossbar.single import SingleCell
from cimsim.crossbar.tile import Place, Tile
from cimsim.crossbar.wires.sensitivity import attenuation
from cimsim.kernels.stdp import Synapses
from device_models.device import Cells, Device
from device_models.faults import WORKING
from device_models.streams import Streams
from device_models.update import DecayingStepUpdate
from device_models.update.affine import AffineUpdate
from device_models.update.base import spans
from device_models.window import Array

SIGMAS = 1024  # points of the table of read noise
LATER = 1e6  # seconds


def follows(chip: Chip, matrix: AnalogMatrix) -> bool:
    """Whether the compiled loop knows all that happens between a spike and a neuron, and to a cell that is pulsed."""
    spec, device, tile = chip.spec, matrix.design.device, matrix.tiles[0, 0]
    plain = spec.dac is None and spec.adc is None and spec.neurons is None and not tile.nonlinear
    single = isinstance(spec.weights, SingleCell) or (isinstance(spec.weights, OffsetColumn) and not tile.noisy)
    known = isinstance(device.update, AffineUpdate | DecayingStepUpdate) and device.half_select is None
    steady = device.faults is None or device.faults.endurance is None
    return plain and single and known and steady and _still(device) and backend_name(tile.cells.g) == "numpy"


def gathered(matrix: AnalogMatrix) -> Synapses:
    """The cells of all tiles as the compiled loop takes them."""
    inputs, neurons = matrix.shape
    device, law = matrix.design.device, matrix.design.device.read_noise
    per_siemens = matrix.design.scheme.worths()[0] * matrix.weight_scale / device.window.span
    state, highest = np.zeros((8, neurons, inputs)), 0.0
    gain, offset = np.zeros((neurons, inputs), np.float32), np.zeros((neurons, inputs), np.float32)
    received = np.zeros((neurons, inputs), np.int64)
    for place, (columns, rows) in _places(matrix):
        tile, n = matrix.tiles[place], columns.stop - columns.start
        share = attenuation(device.conductance(tile.cells), tile.g_eff)[0]
        state[:, columns, rows] = np.moveaxis(_numbers(device, tile.cells)[..., :n], -1, 1)
        gain[columns, rows] = per_siemens * share[:, :n].T
        if matrix.design.scheme.reference:
            offset[columns, rows] = per_siemens * tile.g_eff[0, :, n]
        received[columns, rows] = tile.cells.pulses[0, :, :n].T
        highest = max(highest, float(tile.cells.limits.g_max.max()))
    table = np.zeros(2) if law is None else law.sigma(np.linspace(0.0, highest, SIGMAS), np.zeros(()))
    g = state[0].astype(np.float32)
    variance = np.zeros((0, 0), np.float32) if law is None else (_looked_up(table, state[0], highest) * gain) ** 2
    signals = np.ascontiguousarray((g * gain - offset).T)
    noise = np.ascontiguousarray(variance.T, np.float32)
    curved = isinstance(device.update, DecayingStepUpdate)
    return Synapses(state, curved, gain, offset, signals, noise, table, highest, received)


def returned(matrix: AnalogMatrix, synapses: Synapses, streams: Streams) -> AnalogMatrix:
    """The matrix with its cells as they have become."""
    cells: dict[Place, Cells] = {}
    for place, (columns, rows) in _places(matrix):
        g, received = synapses.state[0, columns, rows].T, synapses.received[columns, rows].T
        cells[place] = _after(matrix.tiles[place], g, received, streams.at("tile", *place))
    return matrix.with_cells(cells).at_zero()


@dataclass
class Carried:
    """A chip as the carrier of `kernels.stdp_plain`: reads through its converters, pulses by its devices, any of them.

    Attributes:
        chip: what the matrix is part of.
        matrix: as it has become.
        streams: those of its pulses.
        draws: those of its reads.
        pulser: what sends pulses.
        sent: what was sent.
        turns: how often.
    """

    chip: Chip
    matrix: AnalogMatrix
    streams: Streams
    draws: Draws
    pulser: Pulser
    sent: Pulses
    turns: int = 0

    @classmethod
    def of(cls, chip: Chip, matrix: AnalogMatrix, streams: Streams) -> Carried:
        """The carrier of a chip's matrix."""
        draws = Draws(streams.at("reads"), matrix.tiles[0, 0].signals)
        return cls(chip, matrix, streams, draws, Pulser(matrix), Pulses())

    @property
    def inputs(self) -> int:
        """Word lines."""
        return self.matrix.shape[0]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """What the neurons, which live on the host, take when these inputs fire together."""
        x = np.zeros((1, self.inputs), np.float32)
        x[0, rows] = 1
        return to_host(self.chip.sensed(0, self.matrix, self.draws)(self.matrix.tiles[0, 0].beside(x))[0])

    def pulse(self, neuron: int, n: np.ndarray) -> None:
        """Send signed numbers of pulses to the cells of one neuron."""
        counts = np.zeros(self.matrix.shape, np.int64)
        counts[:, neuron] = n
        here, self.turns = self.streams.at("pulses", self.turns), self.turns + 1
        wanted = self.matrix.tiles[0, 0].beside(counts)
        self.matrix, more = self.pulser.pulse(self.matrix, wanted, here, exact=False)
        self.sent += more


def _places(matrix: AnalogMatrix) -> list[tuple[Place, tuple[slice, slice]]]:
    """Tiles, and where their cells lie in arrays (neurons, inputs)."""
    return [(p, (matrix.columns[p[1]], matrix.rows[p[0]])) for p in matrix.places]


def _still(device: Device) -> bool:
    """Whether read noise is Gaussian, independent from read to read, and the same at all times."""
    law, g = device.read_noise, np.linspace(device.window.g_min, device.window.g_max, 5)
    return law is None or (law.gaussian and np.array_equal(law.sigma(g, np.zeros(())), law.sigma(g, np.array(LATER))))


def _numbers(device: Device, cells: Cells) -> np.ndarray:
    """The state of `kernels.stdp.Synapses`, `(8, rows, columns)`, of a tile's one array."""
    law, limits, g = device.update, device.limits(cells), device.conductance(cells)
    assert isinstance(law, AffineUpdate | DecayingStepUpdate)
    own, span, curved = law.own(cells.variation), spans(limits), isinstance(law, DecayingStepUpdate)
    up, down = (_course(law.course(own, span, up=way), span, curved=curved) for way in (True, False))
    low, high = (np.where(cells.stuck == WORKING, end, g) for end in limits)
    numbers = (g, low, *up, high, *down, own["c2c"] * span)
    return np.stack([np.broadcast_to(number, cells.shape)[0] for number in numbers])


def _course(course: tuple[Array, ...], span: Array, *, curved: bool) -> tuple[Array, Array]:
    """Bend and step of a law in one direction, its distances in siemens."""
    if curved:
        step, beta = course
        return -beta / span, step * span
    bend, step = course
    return bend, step * span


def _looked_up(table: np.ndarray, g: np.ndarray, highest: float) -> np.ndarray:
    """Read noise by the table, siemens."""
    sigma: np.ndarray = np.interp(g, np.linspace(0.0, highest, len(table)), table)
    return sigma


def _after(tile: Tile, g: np.ndarray, received: np.ndarray, streams: Streams) -> Cells:
    """A tile's cells after pulses; those that took some start new trajectories."""
    cells, law, n = tile.cells, tile.device.retention, g.shape[1]
    pulses = cells.pulses.copy()
    pulses[0, :, :n] = received
    pulsed, now = pulses != cells.pulses, tile.device.conductance(cells).copy()
    now[0, :, :n] = g
    trajectory = cells.trajectory
    if law is not None and trajectory is not None:
        trajectory = np.where(pulsed, law.draw(now, streams.rng("retention")), trajectory)
    seconds = np.where(pulsed, 0.0, cells.seconds)
    return replace(cells, g=np.where(pulsed, now, cells.g), seconds=seconds, trajectory=trajectory, pulses=pulses)
