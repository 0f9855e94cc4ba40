"""What the loop over time of neurons that compete takes, in two forms with the same results.

`stdp_cpu` holds it compiled, on the numbers of single cells; `stdp_plain` in array functions, on anything that can be
read and pulsed. In every step the potentials u of n neurons leak and take the rows that fire, u <- decay u + sum g;
of those that reach their thresholds the one furthest above wins. Its win is counted, all potentials are set to 0 and
held there for `hold` steps. While they learn, a win sends `up` SET pulses to its inputs that fired in the last `window`
steps, the present one included, and `down` RESET pulses to the others, and raises the winner's threshold by `rise`;
every sample lowers all thresholds by `fall`, to `lowest` at least.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from device_models.window import Array


class Events(NamedTuple):
    """Spikes of samples, sample after sample and step after step, on the host.

    In step t of sample b fire `rows[starts[k] : starts[k + 1]]`, k = b steps + t; rows are int32, starts int64.
    """

    rows: np.ndarray
    starts: np.ndarray
    steps: int

    @property
    def samples(self) -> int:
        """Number of samples."""
        return (len(self.starts) - 1) // self.steps


class Race(NamedTuple):
    """The law of the competition, see the top of the module; `learn` whether cells and thresholds change."""

    decay: float
    hold: int
    window: int
    up: int
    down: int
    rise: float
    fall: float
    lowest: float
    learn: bool


class Synapses(NamedTuple):
    """The cells between inputs and neurons as numbers, all written in place.

    state: (8, neurons, inputs) float64: conductance (siemens), low end, bend and first step upwards, high end, bend and
    first step downwards, standard deviation of a pulse. Stuck cells have low = high. curved: a pulse takes the distance
    x from the end where it starts to x + step exp(bend x); otherwise to x + step + bend x, and not back. gain, offset:
    (neurons, inputs) float32: what a neuron takes of a conductance, gain g - offset. signals: (inputs, neurons)
    float32, that of the conductances now; variance: the same of a read's noise, or (0, 0). sigma: standard deviation of
    a read, siemens, at conductances evenly from 0 to `highest`. received: pulses, (neurons, inputs) int64.
    """

    state: np.ndarray
    curved: bool
    gain: np.ndarray
    offset: np.ndarray
    signals: np.ndarray
    variance: np.ndarray
    sigma: np.ndarray
    highest: float
    received: np.ndarray


def events_of(raster: Array) -> Events:
    """The spikes of a raster (samples, steps, inputs), bool, on the host."""
    samples, steps, _ = raster.shape
    sample, step, row = np.nonzero(raster)
    starts = np.searchsorted(sample * steps + step, np.arange(samples * steps + 1))
    return Events(row.astype(np.int32), starts.astype(np.int64), steps)
