"""Rule 4.6 of the design, at the weights of a chip: direction, window, and n pulses at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import device_models as dm
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from device_models import update
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import P_LIMIT, assert_same_law

WINDOW = Window(g_min=5e-6, g_max=1e-4)
NOISY = update.ExponentialUpdate(pulses_up=100, pulses_down=60, nl_up=2.0, nl_down=-3.0, c2c=0.01)
SCHEMES = [DifferentialPair(), OffsetColumn()]
N = 50


def made(w: float, scheme: WeightScheme, rule: update.Update = NOISY) -> AnalogMatrix:
    """A matrix of equal weights, but for one that sets the scale to 1."""
    values = np.full((N, N), w)
    values[0, 0] = 1.0
    device = Device(name="pulsed", window=WINDOW, update=rule)
    return AnalogMatrix.program(values, Design(device, (64, 64), scheme, None, None, None, 0.2), Streams(0))


def pulsed(matrix: AnalogMatrix, n: int, seed: int = 1) -> AnalogMatrix:
    return matrix.pulsed(np.full((N, N), n), Streams(seed))[0]


def held(matrix: AnalogMatrix) -> np.ndarray:
    return matrix.weights().ravel()[1:]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("start", [-0.8, 0.0, 0.5])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_mean_goes_where_the_pulses_say(scheme: WeightScheme, start: float, sign: int) -> None:
    matrix = made(start, scheme)
    for n in (1, 3, 10):
        change = sign * (held(pulsed(matrix, sign * n)) - held(matrix))
        assert stats.ttest_1samp(change, 0.0, alternative="less").pvalue > P_LIMIT
        assert change.mean() > 0


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("n", [3, 12, -12])
def test_pulses_at_once_are_pulses_one_by_one_in_distribution(scheme: WeightScheme, n: int) -> None:
    at_once = pulsed(made(0.3, scheme), n)
    one_by_one = made(0.3, scheme)
    for k in range(abs(n)):
        one_by_one = pulsed(one_by_one, int(np.sign(n)), seed=10 + k)
    assert_same_law(held(at_once), held(one_by_one))


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("n", [300, -300])
def test_the_window_holds(scheme: WeightScheme, n: int) -> None:
    for tile in pulsed(made(0.3, scheme), n).tiles.values():
        assert tile.cells.g.min() >= WINDOW.g_min
        assert tile.cells.g.max() <= WINDOW.g_max
    far = held(pulsed(pulsed(made(0.3, scheme), n), n, seed=2))
    assert np.abs(far).max() <= 1 + 1e-9
    assert np.abs(far).mean() > 0.9


@pytest.mark.parametrize("name", [name for name in dm.names() if dm.load(name).update is not None])
def test_cards_move_weights_both_ways(name: str) -> None:
    device = dm.load(name)
    w = Streams(1).rng("w").uniform(-0.5, 0.5, (N, N))
    w[0, 0] = 1.0
    matrix = AnalogMatrix.program(w, Design(device, (64, 64), DifferentialPair(), None, None, None, 0.2), Streams(0))
    for sign in (1, -1):
        change = held(pulsed(matrix, 10 * sign)) - held(matrix)
        least = min(3 * matrix.weight_step, 0.4)  # or 0.4 of the way to the largest weight, where few pulses cross it
        assert sign * np.median(change) > least
