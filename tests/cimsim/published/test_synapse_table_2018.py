from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.learning.rules import Step
from cimsim.published import Result
from cimsim.published.synapse_table_2018 import IDEAL, Perceptron, TopColumn, images, online, thirds
from device_models.errors import ParameterError
from device_models.streams import Streams
from device_models.update import ExponentialUpdate


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("synapse-table-2018", quick=True)


@pytest.mark.parametrize("v3", [False, True])
def test_signed_weights_are_read_by_the_convention(v3: bool):
    net = Perceptron.made(IDEAL, thirds(0, v3=v3), v3=v3, seed=0)
    g, window = net.layers[0].tiles[0, 0].cells.g[0, :, :-1], IDEAL.window
    middle = (window.g_min + window.g_max) / 2
    wanted = 2 * (g - middle) / window.span if v3 else 2 * g / window.g_max - 1
    np.testing.assert_allclose(net.layers[0].weights(), wanted, atol=1e-9)


def by_the_conventions(u: list[np.ndarray], x: np.ndarray, label: int, *, v3: bool) -> list[np.ndarray]:
    """Hidden and output values of a sample and what it adds to weights `u` of 0 to 1, by the code's conventions."""
    ratio, x_i, a = IDEAL.window.g_min / IDEAL.window.g_max, x, []
    for w in u:
        full = len(w) * (1 - ratio if v3 else 1)  # currents are in units of a cell at the top
        currents = (x_i @ (ratio + (1 - ratio) * w), x_i.sum() * ((1 + ratio) / 2 if v3 else 1))
        codes = [np.floor(255 * i / full * (1 + 1e-5)) for i in currents]
        a.append(1 / (1 + np.exp(-((1 if v3 else 2) * codes[0] - codes[1]) / 255 * len(w))))
        x_i = (a[-1] >= 0.5).astype(float)
    s2 = -2 * a[1] * (1 - a[1]) * (np.eye(10)[label] - a[1])
    s1 = a[0] * (1 - a[0]) * ((2 * u[1] - 1) @ s2)
    changes = [-rate * np.outer(*sides) for rate, sides in ((0.2, (x, s1)), (0.1, (a[0], s2)))]
    return a + [np.sign(d) * np.floor(64 * np.abs(d) + 0.5) / 64 for d in changes]


def shares(net: Perceptron) -> list[np.ndarray]:
    """Where in the window the cells of both layers are."""
    window = IDEAL.window
    return [(layer.tiles[0, 0].cells.g[0, :, :-1] - window.g_min) / window.span for layer in net.layers]


@pytest.mark.parametrize("v3", [False, True])
def test_samples_are_read_and_learned_by_the_conventions(v3: bool, mnist_here: None):
    net = Perceptron.made(IDEAL, thirds(0, v3=v3), v3=v3, seed=0)
    x, y = images(60, 10)[:2]
    moved = 0
    for k in range(60):
        u = shares(net)
        hidden, output, *changes = by_the_conventions(u, x[k].astype(float), y[k], v3=v3)
        read = net.forward(x[k : k + 1])
        np.testing.assert_allclose(read[0][0], hidden, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(read[1][0], output, rtol=2e-4, atol=1e-6)
        net.learn(x[k : k + 1], y[k : k + 1], k)
        for before, change, after in zip(u, changes, shares(net), strict=True):
            np.testing.assert_allclose(after, np.clip(before + change, 0, 1), atol=1e-6)
            moved += np.count_nonzero(change)
    assert moved > 1000


@pytest.mark.parametrize("v3", [False, True])
def test_pulses_are_the_change_over_the_window_times_the_states(v3: bool):
    net = Perceptron.made(IDEAL, thirds(0, v3=v3), v3=v3, seed=0)
    x, d = np.zeros((1, 400), np.float32), np.zeros((1, 100), np.float32)
    x[0, 5], d[0, 7] = 1.0, -0.5  # 0.4 x 0.5 of a weight from -1 to 1 is 0.1 of the window: 6.4 pulses up
    after, sent = net.rule.update(Step(net.layers[0], x, d, net.rates[0], Streams(1)))
    assert (sent.up, sent.down) == (6, 0)
    assert net.pulses(0, x, d) == pytest.approx(6.4, rel=1e-5)
    moved = after.tiles[0, 0].cells.g[0, 5, 7] - net.layers[0].tiles[0, 0].cells.g[0, 5, 7]
    room = IDEAL.window.g_max - net.layers[0].tiles[0, 0].cells.g[0, 5, 7]
    assert moved == pytest.approx(min(room, 6 / 64 * IDEAL.window.span), rel=1e-6)


def test_reading_ahead_changes_nothing(mnist_here: None, monkeypatch: pytest.MonkeyPatch):
    data, found = images(200, 100), []
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=1, nl_down=-1, c2c=0.02)
    for ahead in (1, 8):
        monkeypatch.setattr("cimsim.published.synapse_table_2018.READ_AHEAD", ahead)
        found.append(online(IDEAL.replace(update=law), data, 120, v3=True, seed=3))
    assert found[0] == found[1]


@pytest.mark.slow
def test_an_ideal_device_learns_online(mnist_here: None):
    """V1 and V2 start saturated and take several times as long."""
    assert online(IDEAL, images(60_000, 2_000), 8_000, v3=True, seed=0)[-1] > 70


def test_a_small_ratio_leaves_no_negative_weight_unless_read_against_the_middle(result: Result):
    narrow = [result.row(f"TaOx/TiO2, offline, {how}").here for how in ("V1/V2", "V3")]
    wide = [result.row(f"ideal, offline, {how}").here for how in ("V1/V2", "V3")]
    assert narrow[0] < 30
    assert min(narrow[1], *wide) > 65


def test_a_ratio_above_a_half_is_refused():
    with pytest.raises(ParameterError, match="less than or equal"):
        TopColumn(ratio=0.6)
