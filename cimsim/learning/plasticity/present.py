"""Samples as events through the competition: by the compiled loop where it knows the chip, else on the chip itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cimsim.backend import to_host
from cimsim.chip import Chip
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses, pulse_energy
from cimsim.kernels import stdp_plain
from cimsim.kernels.parts import each_part
from cimsim.kernels.stdp import Events, Race, Synapses, events_of
from cimsim.learning.plasticity.competition import Competition
from cimsim.learning.plasticity.synapses import Carried, follows, gathered, returned
from cimsim.network.coding.base import SampleDraws, check_values
from cimsim.network.coding.rate import PoissonRate
from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array

PART = 256  # samples whose spikes are held at once


@dataclass(frozen=True)
class Samples:
    """Values (samples, inputs) from 0 to 1, or spikes (samples, steps, inputs), and how values become spikes."""

    x: np.ndarray
    how: Competition
    seed: int

    @classmethod
    def of(cls, x: Array, inputs: int | None, how: Competition, seed: int) -> Samples:
        """The samples, checked. Raises `InputError` for other shapes, values out of range or spikes not 0 or 1."""
        x = np.asarray(to_host(x))
        checked = as_raster(x, how.steps) if x.ndim == 3 else check_values(x)
        if inputs is not None and checked.shape[-1] != inputs:
            raise InputError("x", f"must have {inputs} features", checked.shape[-1], "one per word line")
        return cls(checked, how, seed)

    def events(self, chosen: np.ndarray, first: int) -> Events:
        """The spikes of some samples; their draws go by the numbers from `first` on."""
        x, code = self.x[chosen], self.how.code()
        if x.ndim == 3:
            return events_of(x)
        if isinstance(code, PoissonRate):
            from cimsim.kernels import stdp_cpu

            key = Streams(self.seed).at("code").key("spikes")
            return stdp_cpu.poisson_events(x, code.steps, code.peak, key, first)
        return events_of(code.encode(x, SampleDraws(x, self.seed, first)))

    def vectors(self, most: int) -> np.ndarray:
        """What the word lines are given in the first steps, at most so many, (steps, inputs) float32."""
        events = self.events(np.arange(min(len(self.x), 1 + most // self.how.steps)), 0)
        n = min(most, len(events.starts) - 1)
        x = np.zeros((n, self.x.shape[-1]), np.float32)
        x[np.repeat(np.arange(n), np.diff(events.starts[: n + 1])), events.rows[: events.starts[n]]] = 1
        return x


class Stage:
    """A chip's matrix with neurons behind it: shows samples, and is changed by them if they are to learn."""

    def __init__(self, chip: Chip, matrix: AnalogMatrix, thresholds: np.ndarray, streams: Streams) -> None:
        self.chip, self.before, self.thresholds, self.streams = chip, matrix, thresholds, streams
        self.totals = np.zeros(3, np.int64)
        self.carried: Carried | None = None
        self.synapses: Synapses | None = gathered(matrix) if follows(chip, matrix) else None
        if self.synapses is None:
            self.carried = Carried.of(chip, matrix, streams)

    def learn(self, samples: Samples, order: np.ndarray, race: Race, first: int) -> np.ndarray:
        """Show samples one after the other, the first of them number `first`; wins (samples, neurons) int32."""
        parts = [self._show(samples.events(part, at), race, at) for part, at in _parts(order, first)]
        return np.concatenate(parts)

    def watch(self, samples: Samples, race: Race) -> np.ndarray:
        """Show all samples while nothing changes; wins (samples, neurons) int32."""
        number = np.arange(len(samples.x))

        def part(start: int, stop: int) -> np.ndarray:
            return self._show(samples.events(number[start:stop], start), race._replace(learn=False), start)

        if self.carried is not None:
            return np.concatenate([part(p[0], p[-1] + 1) for p, _ in _parts(number, 0)])
        return np.concatenate(each_part(part, samples.x, PART))

    def _show(self, events: Events, race: Race, first: int) -> np.ndarray:
        if self.carried is not None:
            return stdp_plain.compete(events, self.carried, self.thresholds, race)
        from cimsim.kernels import stdp_cpu

        assert self.synapses is not None
        wins, totals = stdp_cpu.compete(
            events, self.synapses, self.thresholds, race, self.streams.key("synapses"), first
        )
        self.totals += totals
        return wins

    def sent(self) -> Pulses:
        """What has been sent so far."""
        if self.carried is not None:
            return self.carried.sent
        up, down, written = map(int, self.totals)
        joules = pulse_energy(self.chip.spec.device)
        return Pulses(up, down, written, joules * (up + down) if up + down else 0.0)

    def settled(self) -> AnalogMatrix:
        """The matrix as it is now, its wires solved."""
        if self.carried is not None:
            cells = {place: tile.cells for place, tile in self.carried.matrix.tiles.items()}
            return self.carried.matrix.with_cells(cells).at_zero()
        assert self.synapses is not None
        return returned(self.before, self.synapses, self.streams)


def _parts(order: np.ndarray, first: int) -> Iterator[tuple[np.ndarray, int]]:
    """Parts of an order of samples, and the number of the first of each."""
    for start in range(0, len(order), PART):
        yield order[start : start + PART], first + start
