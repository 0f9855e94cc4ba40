"""Neurons that compete, compiled: only rows that fire are summed, and only the winner's cells are touched."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.philox import normal_pair, philox
from cimsim.kernels.stdp import Events, Race, Synapses

G, LOW, BEND_UP, STEP_UP, HIGH, BEND_DOWN, STEP_DOWN, SIGMA = range(8)
READ, CODE, PULSE = np.uint32(0), np.uint32(1), np.uint32(2)  # streams of one key; pulses of a train from PULSE on
_UNIT = np.float64(2.0**-32)

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_compiled_loosely = njit(nogil=True, fastmath=True, error_model="numpy", cache=True)


def poisson_events(x: np.ndarray, steps: int, peak: float, key: np.ndarray, first: int) -> Events:
    """Poisson trains of values (samples, inputs) in [0, 1]: a spike in each step with chance `peak` x, on its own.

    A pass over the spikes, not over the steps: the gaps between an input's spikes are geometric. The trains of a sample
    are fixed by the key and its number, `first` for the first one.
    """
    rows = np.empty(int(np.ceil(steps * np.minimum(x, 1).sum())) + x.size + 1, np.int32)
    starts = np.zeros(len(x) * steps + 1, np.int64)
    while not _poisson(np.ascontiguousarray(x), peak, key, first, rows, starts, steps):
        rows = np.empty(2 * len(rows), np.int32)
    return Events(rows[: starts[-1]], starts, steps)


def compete(
    events: Events, synapses: Synapses, thresholds: np.ndarray, race: Race, key: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Wins of every neuron, `(samples, neurons)` int32, and SET pulses, RESET pulses and cells written, `(3,)`.

    `thresholds` `(neurons,)` float64 and the synapses change in place. Draws are fixed by the key and a sample's
    number, `first` for the first one.
    """
    wins, totals = np.zeros((events.samples, len(thresholds)), np.int32), np.zeros(3, np.int64)
    _compete(events, synapses, thresholds, race, key, first, wins, totals)
    return wins, totals


@_compiled
def _poisson(x: Any, peak: Any, key: Any, first: Any, rows: Any, starts: Any, steps: Any) -> bool:
    """Fill in the events; whether they found room."""
    samples, inputs = x.shape
    here, count = np.empty((steps, inputs), np.int32), np.empty(steps, np.int64)
    end = 0
    for b in range(samples):
        count[:] = 0
        for i in range(inputs):
            chance = x[b, i] * peak
            if chance > 0:
                _train(i, np.uint32(first + b), chance, key, here, count)
        for t in range(steps):
            if end + count[t] > len(rows):
                return False
            rows[end : end + count[t]] = here[t, : count[t]]
            end += count[t]
            starts[b * steps + t + 1] = end
    return True


@_compiled
def _train(i: Any, sample: Any, chance: Any, key: Any, here: Any, count: Any) -> None:
    """The spikes of one input."""
    steps, t, k = len(count), -1, 0
    silent = np.log1p(-min(chance, 1 - 1e-12))
    while True:
        word, _, _, _ = philox(np.uint32(i), sample, np.uint32(k), CODE ^ key[2], key[0], key[1])
        t += 1 + int(np.log((np.float64(word) + 0.5) * _UNIT) / silent) if chance < 1 else 1
        if t >= steps:
            return
        here[t, count[t]] = i
        count[t] += 1
        k += 1


@_compiled
def _compete(
    events: Any, synapses: Any, thresholds: Any, race: Any, key: Any, first: Any, wins: Any, totals: Any
) -> None:
    inputs, neurons = synapses.signals.shape
    u, variance, z = np.empty(neurons, np.float32), np.empty(neurons, np.float32), np.empty(neurons + 4, np.float32)
    last, noise = np.empty(inputs, np.int64), np.zeros((max(race.up, race.down), inputs + 4), np.float32)
    signals, noisy, starts, rows = synapses.signals, len(synapses.variance) > 0, events.starts, events.rows
    decay, spread = np.float32(race.decay), np.any(synapses.state[SIGMA] > 0)
    for b in range(wins.shape[0]):
        sample, held = np.uint32(first + b), 0
        u[:], last[:] = 0, -race.window
        for t in range(events.steps):
            k = b * events.steps + t
            fired = rows[starts[k] : starts[k + 1]]
            last[fired] = t
            if held > 0:
                held -= 1
                continue
            _integrate(u, decay, signals, fired)
            if noisy and len(fired) > 0:
                _add_noise(u, synapses.variance, fired, variance, z, (np.uint32(t), sample, key))
            winner = _winner(u, thresholds)
            if winner < 0:
                continue
            wins[b, winner] += 1
            u[:], held = 0, race.hold
            if race.learn:
                for k in range(len(noise) if spread else 0):
                    _normals(noise[k], (inputs + 3) // 4, np.uint32(t), sample, (PULSE + np.uint32(k)) ^ key[2], key)
                _learn(synapses, winner, last, t, race, noise, totals)
                thresholds[winner] += race.rise
        if race.learn:
            for j in range(neurons):
                thresholds[j] = max(thresholds[j] - race.fall, race.lowest)


@_compiled_loosely
def _integrate(u: Any, decay: Any, signals: Any, fired: Any) -> None:
    for j in range(len(u)):
        u[j] *= decay
    for i in fired:
        row = signals[i]
        for j in range(len(u)):
            u[j] += row[j]


@_compiled_loosely
def _add_noise(u: Any, variances: Any, fired: Any, variance: Any, z: Any, place: Any) -> None:
    """Noise of one read: the variances of the cells that are read add up."""
    step, sample, key = place
    variance[:] = 0
    for i in fired:
        row = variances[i]
        for j in range(len(u)):
            variance[j] += row[j]
    _normals(z, (len(u) + 3) // 4, step, sample, READ ^ key[2], key)
    for j in range(len(u)):
        u[j] += np.sqrt(variance[j]) * z[j]


@_compiled_loosely
def _normals(z: Any, quarter: Any, step: Any, sample: Any, stream: Any, key: Any) -> None:
    """4 * quarter normal numbers, as many as find room."""
    n = len(z) - 3
    for q in range(quarter):
        a, b, c, d = philox(np.uint32(q), step, sample, stream, key[0], key[1])
        k = min(4 * q, n - 1)
        z[k], z[k + 1] = normal_pair(a, b)
        z[k + 2], z[k + 3] = normal_pair(c, d)


@_compiled
def _winner(u: Any, thresholds: Any) -> Any:
    """The neuron furthest above its threshold, -1 if none has reached it."""
    winner, most = -1, 0.0
    for j in range(len(u)):
        above = u[j] - thresholds[j]
        if above > most or (winner < 0 and above >= 0):
            winner, most = j, above
    return winner


@_compiled_loosely
def _learn(synapses: Any, j: Any, last: Any, t: Any, race: Any, noise: Any, totals: Any) -> None:
    """Pulse the cells of the winner, and renew what they deliver."""
    state, received, curved = synapses.state, synapses.received[j], synapses.curved
    g, low, high, sigma = state[G, j], state[LOW, j], state[HIGH, j], state[SIGMA, j]
    bend_up, step_up = state[BEND_UP, j], state[STEP_UP, j]
    bend_down, step_down = state[BEND_DOWN, j], state[STEP_DOWN, j]
    ups, working = 0, 0
    for i in range(len(last)):
        up = t - last[i] < race.window
        n = race.up if up else race.down
        ups += up
        sign = 1.0 if up else -1.0
        end, bend, step = (low[i], bend_up[i], step_up[i]) if up else (high[i], bend_down[i], step_down[i])
        for k in range(n):
            x = sign * (g[i] - end)
            x += step * np.exp(bend * x) if curved else step + bend * x
            g[i] = min(max(end + sign * x + sigma[i] * noise[k, i], low[i]), high[i])
        works = high[i] > low[i]
        received[i] += n * works
        working += works * (n > 0)
    totals[0] += race.up * ups
    totals[1] += race.down * (len(last) - ups)
    totals[2] += working
    _renew(synapses, j)


@_compiled_loosely
def _renew(synapses: Any, j: Any) -> None:
    """What the cells of a neuron deliver now."""
    g, gain, offset, signals = synapses.state[G, j], synapses.gain[j], synapses.offset[j], synapses.signals
    for i in range(len(g)):
        signals[i, j] = np.float32(g[i]) * gain[i] - offset[i]
    variance, sigma = synapses.variance, synapses.sigma
    if len(variance) > 0:
        per_siemens, top = (len(sigma) - 1) / synapses.highest, len(sigma) - 2
        for i in range(len(g)):
            at = max(g[i] * per_siemens, 0.0)
            k = min(int(at), top)
            noise = (sigma[k] + (at - k) * (sigma[k + 1] - sigma[k])) * gain[i]
            variance[i, j] = noise * noise
