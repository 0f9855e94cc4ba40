"""Neurons that compete, step by step in array functions, on the host; cells may be of any kind and live anywhere."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cimsim.kernels.stdp import Events, Race


class Carrier(Protocol):
    """What holds the synapses: a chip, say."""

    @property
    def inputs(self) -> int:
        """Inputs."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """What the neurons take, (neurons,), when these inputs fire together."""

    def pulse(self, neuron: int, n: np.ndarray) -> None:
        """Send signed numbers of pulses (inputs,) to the cells of one neuron."""


def compete(events: Events, carrier: Carrier, thresholds: np.ndarray, race: Race) -> np.ndarray:
    """Wins of every neuron, `(samples, neurons)` int32; `thresholds` `(neurons,)` float64 change in place."""
    wins = np.zeros((events.samples, len(thresholds)), np.int32)
    for sample in range(events.samples):
        _one_sample(events, sample, carrier, thresholds, race, wins[sample])
    return wins


def _one_sample(
    events: Events, sample: int, carrier: Carrier, thresholds: np.ndarray, race: Race, wins: np.ndarray
) -> None:
    """A presentation, from potentials of 0."""
    u = np.zeros_like(thresholds, dtype=np.float32)
    last, held = np.full(carrier.inputs, -race.window), 0
    for t in range(events.steps):
        first = sample * events.steps + t
        rows = events.rows[events.starts[first] : events.starts[first + 1]]
        last[rows] = t
        if held:
            held -= 1
            continue
        u = u * np.float32(race.decay)
        if len(rows):
            u = u + carrier.read(rows)
        above = u - thresholds
        winner = int(np.argmax(above))
        if above[winner] < 0:
            continue
        wins[winner] += 1
        u, held = np.zeros_like(u), race.hold
        if race.learn:
            carrier.pulse(winner, np.where(t - last < race.window, race.up, -race.down))
            thresholds[winner] += race.rise
    if race.learn:
        thresholds[:] = np.maximum(thresholds - race.fall, race.lowest)
