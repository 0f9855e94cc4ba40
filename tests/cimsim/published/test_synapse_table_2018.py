from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.crossbar.draws import Draws
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
    net = Perceptron.made(IDEAL, thirds(0), v3=v3, seed=0)
    g, window = net.layers[0].tiles[0, 0].cells.g[0, :, :-1], IDEAL.window
    middle = (window.g_min + window.g_max) / 2
    wanted = 2 * (g - middle) / window.span if v3 else 2 * g / window.g_max - 1
    np.testing.assert_allclose(net.layers[0].weights(), wanted, atol=1e-9)


def test_codes_count_the_full_current_of_all_rows():
    net, window = Perceptron.made(IDEAL, thirds(0), v3=True, seed=0), IDEAL.window
    x = (np.random.default_rng(0).random((4, 400)) < 0.2).astype(np.float32)
    g = net.layers[0].tiles[0, 0].cells.g[0]
    digits = np.floor(256 * (x @ g) / (400 * window.span)) + 0.5
    draws = Draws(Streams(0), x)
    wanted = 2 * (digits[:, :-1] - digits[:, -1:]) / 256 * 400
    np.testing.assert_allclose(net.layers[0].matmul(x, draws), wanted, atol=1e-3)


@pytest.mark.parametrize("v3", [False, True])
def test_pulses_are_the_change_over_the_window_times_the_states(v3: bool):
    net = Perceptron.made(IDEAL, thirds(0), v3=v3, seed=0)
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


def test_a_small_ratio_leaves_no_negative_weight_unless_read_against_the_middle(result: Result):
    narrow = [result.row(f"TaOx/TiO2, offline, {how}").here for how in ("V1/V2", "V3")]
    wide = [result.row(f"ideal, offline, {how}").here for how in ("V1/V2", "V3")]
    assert narrow[0] < 30
    assert min(narrow[1], *wide) > 65


def test_a_ratio_above_a_half_is_refused():
    with pytest.raises(ParameterError, match="less than or equal"):
        TopColumn(ratio=0.6)
