"""The loop of neurons that compete: compiled and in array functions alike, and each draw by its law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cimsim.kernels import stdp_cpu, stdp_plain
from cimsim.kernels.stdp import Events, Race, Synapses, events_of
from device_models.streams import Streams

INPUTS, NEURONS, STEPS = 30, 7, 40
KEY = Streams(3).key("stdp")
RACE = Race(decay=0.9, hold=2, window=10, up=1, down=1, rise=0.05, fall=0.03, lowest=0.1, learn=True)


def synapses(*, curved: bool = False, c2c: float = 0.0, sigma: float = 0.0, offset: float = 0.0) -> Synapses:
    """Cells of random windows, steps and gains, two of them stuck."""
    rng = Streams(0).rng("cells")
    shape = (NEURONS, INPUTS)
    low, span = rng.uniform(0.0, 0.1, shape), rng.uniform(0.8, 1.2, shape)
    g = low + span * rng.random(shape)
    up, down = rng.uniform(0.02, 0.1, shape), rng.uniform(0.02, 0.1, shape)
    bends = (-3 / span, -2 / span) if curved else (-0.5 * up / span, -0.9 * down / span)
    state = np.stack([g, low, bends[0], up, low + span, bends[1], down, np.full(shape, c2c)])
    state[1, :2, 3] = state[4, :2, 3] = state[0, :2, 3]
    gain, off = rng.uniform(0.8, 1.0, shape).astype(np.float32), np.full(shape, offset, np.float32)
    signals = np.ascontiguousarray((g.astype(np.float32) * gain - off).T)
    variance = np.ascontiguousarray((sigma * gain.T) ** 2) if sigma else np.zeros((0, 0))
    received = np.zeros(shape, np.int64)
    return Synapses(state, curved, gain, off, signals, variance.astype(np.float32), np.full(8, sigma), 2.0, received)


class Numbers:
    """A carrier that holds the same cells and pulses them by formulas of its own."""

    def __init__(self, cells: Synapses) -> None:
        self.cells, self.inputs = cells, INPUTS

    def read(self, rows: np.ndarray) -> np.ndarray:
        delivered = self.cells.gain * self.cells.state[0].astype(np.float32) - self.cells.offset
        return delivered[:, rows].sum(axis=1, dtype=np.float32)

    def pulse(self, neuron: int, n: np.ndarray) -> None:
        g, low, bend_up, step_up, high, bend_down, step_down, _ = self.cells.state[:, neuron]
        for k in range(int(np.abs(n).max())):
            for sign, end, bend, step in ((1, low, bend_up, step_up), (-1, high, bend_down, step_down)):
                x = sign * (g - end)
                gained = step * np.exp(bend * x) if self.cells.curved else step + bend * x
                g[:] = np.where(sign * n > k, np.clip(g + sign * gained, low, high), g)
        self.cells.received[neuron] += np.abs(n) * (high > low)


def spikes(samples: int = 20, chance: float = 0.08) -> Events:
    return events_of(Streams(1).rng("spikes").random((samples, STEPS, INPUTS)) < chance)


@pytest.mark.parametrize("race", [RACE, RACE._replace(learn=False), RACE._replace(up=3, down=2, window=1, hold=1)])
@pytest.mark.parametrize("curved", [False, True])
def test_both_forms_do_the_same(race: Race, curved: bool) -> None:
    one, other = synapses(curved=curved, offset=0.2), synapses(curved=curved, offset=0.2)
    thresholds = [np.linspace(1.0, 2.0, NEURONS) for _ in range(2)]
    wins, totals = stdp_cpu.compete(spikes(), one, thresholds[0], race, KEY, 0)
    np.testing.assert_array_equal(wins, stdp_plain.compete(spikes(), Numbers(other), thresholds[1], race))
    assert wins.sum() > 40
    np.testing.assert_allclose(thresholds[0], thresholds[1], rtol=1e-12)
    np.testing.assert_allclose(one.state, other.state, rtol=1e-9)
    np.testing.assert_array_equal(one.received, other.received)
    delivered = one.gain * one.state[0].astype(np.float32) - one.offset
    np.testing.assert_allclose(one.signals, delivered.T, rtol=1e-5, atol=1e-6)
    sent = (wins.sum() * INPUTS if race.up == race.down == 1 else None) if race.learn else 0
    assert sent is None or totals[0] + totals[1] == sent


def test_samples_in_parts_are_the_same_samples() -> None:
    cells, again = (synapses(c2c=0.01, sigma=0.05) for _ in range(2))
    thresholds, parts = np.ones(NEURONS), np.ones(NEURONS)
    raster = Streams(1).rng("spikes").random((10, STEPS, INPUTS)) < 0.08
    whole, _ = stdp_cpu.compete(events_of(raster), cells, thresholds, RACE, KEY, 5)
    first, _ = stdp_cpu.compete(events_of(raster[:4]), again, parts, RACE, KEY, 5)
    second, _ = stdp_cpu.compete(events_of(raster[4:]), again, parts, RACE, KEY, 9)
    np.testing.assert_array_equal(whole, np.concatenate([first, second]))
    np.testing.assert_array_equal(cells.state, again.state)


def test_the_neuron_furthest_above_its_threshold_wins_and_holds_the_others() -> None:
    """Constant drive by hand: inputs of weight 1 to neuron 0 and 0.9 to neuron 1, no leak, hold 3."""
    state = np.zeros((8, 2, 1))
    state[0, :, 0] = state[1, :, 0] = state[4, :, 0] = 1.0, 0.9
    one = np.ones((2, 1), np.float32)
    cells = Synapses(
        state, False, one, 0 * one, state[0].T.astype(np.float32), np.zeros((0, 0), np.float32), np.zeros(2), 1.0,
        np.zeros((2, 1), np.int64),
    )  # fmt: skip
    race = RACE._replace(decay=1.0, hold=3, rise=1.5, fall=0.0)
    events = events_of(np.ones((1, 20, 1), bool))
    thresholds = np.array([2.0, 1.9])
    wins, _ = stdp_cpu.compete(events, cells, thresholds, race, KEY, 0)
    # Step 2: u = 2.0, 1.8, neuron 0 reaches 2.0 (then 3.5). Steps 3 to 5 held. Step 8: u = 3.0, 2.7, neuron 1 reaches
    # 1.9 (then 3.4). Steps 9 to 11 held. Step 15: u = 4.0, 3.6, both reach theirs, 0 by more. Two steps are left.
    np.testing.assert_array_equal(wins, [[2, 1]])
    np.testing.assert_allclose(thresholds, [5.0, 3.4])


@pytest.mark.parametrize("value", [0.03, 0.5, 1.0])
def test_trains_are_bernoulli_in_every_step(value: float) -> None:
    """Counts are binomial, and steps independent: equal shares of pairs at every lag."""
    x, steps, peak = np.full((400, 25), value), 50, 0.6
    events = stdp_cpu.poisson_events(x, steps, peak, KEY, 0)
    sample_step = np.repeat(np.arange(len(events.starts) - 1), np.diff(events.starts))
    raster = np.zeros((400 * steps, 25), bool)
    raster[sample_step, events.rows] = True
    assert raster.sum() == len(events.rows)
    p, raster = value * peak, raster.reshape(400, steps, 25)
    counts = np.bincount(raster.sum(axis=1).ravel(), minlength=steps + 1)
    expected = stats.binom(steps, p).pmf(np.arange(steps + 1)) * 400 * 25
    kept = expected > 5
    assert stats.chisquare(counts[kept], expected[kept] * counts[kept].sum() / expected[kept].sum()).pvalue > 1e-3
    for lag in (1, 2, 7):
        pairs = (raster[:, lag:] & raster[:, :-lag]).mean()
        assert abs(pairs - p * p) < 4 * p / np.sqrt(raster[:, lag:].size) + 1e-12


def test_trains_go_by_the_number_of_the_sample() -> None:
    x = Streams(0).rng("x").random((6, 20))
    whole, tail = (stdp_cpu.poisson_events(x[k:], 30, 0.5, KEY, k) for k in (0, 4))
    np.testing.assert_array_equal(whole.rows[whole.starts[4 * 30] :], tail.rows)


def test_values_of_one_at_full_rate_fire_in_every_step_and_zeros_never() -> None:
    events = stdp_cpu.poisson_events(np.array([[1.0, 0.0]]), 10, 1.0, KEY, 0)
    np.testing.assert_array_equal(events.rows, np.zeros(10))


def test_noise_of_pulses_and_reads_has_its_declared_size() -> None:
    """One win a sample on cells that do not move in the mean: their steps are noise, normal, of the given sigma."""
    cells = synapses(c2c=0.01)
    cells.state[[2, 3, 5, 6]] = 0
    cells.state[1], cells.state[4], cells.state[0] = -10, 10, 0
    events = events_of(np.ones((300, 1, INPUTS), bool))
    race, moved = RACE._replace(rise=0.0, fall=0.0), []
    for b in range(300):
        before = cells.state[0].copy()
        part = Events(events.rows[:INPUTS], np.array([0, INPUTS]), 1)
        stdp_cpu.compete(part, cells, np.full(NEURONS, -1e3), race, KEY, b)
        moved.append((cells.state[0] - before).sum(axis=0))
    assert stats.kstest(np.ravel(moved) / 0.01, "norm").pvalue > 1e-3


def test_read_noise_decides_between_equals_as_often_as_it_should() -> None:
    """Neuron 1 is 0.1 short of neuron 0; a read of 4 cells has noise 2 sigma each, the difference sqrt(2) as much."""
    cells = synapses(sigma=0.1)
    cells.signals[:], cells.variance[:] = 0.5, 0.01
    cells.signals[:, 2:] = -10
    thresholds = np.full(NEURONS, -2.0)
    thresholds[1] = -1.9
    raster = np.zeros((4000, 1, INPUTS), bool)
    raster[:, :, :4] = True
    wins, _ = stdp_cpu.compete(events_of(raster), cells, thresholds, RACE._replace(learn=False), KEY, 0)
    expected = stats.norm.cdf(0.1 / (0.2 * np.sqrt(2)))
    assert abs(wins[:, 0].mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)
