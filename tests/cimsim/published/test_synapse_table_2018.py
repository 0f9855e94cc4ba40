from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.learning.rules import Step
from cimsim.published import Effort, Result, synapse_table_2018
from cimsim.published.synapse_perceptron import BehindAccess, Perceptron, TopColumn
from cimsim.published.synapse_table_2018 import IDEAL, images, online, software, thirds
from device_models import cards
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.streams import Streams
from device_models.update import ExponentialUpdate
from device_models.window import Window


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


def by_the_conventions(u: list[np.ndarray], x: np.ndarray, label: int, ratio: float, *, v3: bool) -> list[np.ndarray]:
    """Hidden and output values of a sample and what it adds to weights `u` of 0 to 1, by the code's conventions.

    `ratio`: of the lowest to the highest conductance.
    """
    x_i, a = x, []
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


def shares(net: Perceptron, window: Window) -> list[np.ndarray]:
    """Where in the window the cells of both layers are."""
    return [(layer.tiles[0, 0].cells.g[0, :, :-1] - window.g_min) / window.span for layer in net.layers]


NARROW = IDEAL.replace(window=Window(g_min=2.5e-6, g_max=5e-6))  # full columns are at twice a full window's code


@pytest.mark.parametrize(("device", "v3"), [(IDEAL, False), (IDEAL, True), (NARROW, True)])
def test_samples_are_read_and_learned_by_the_conventions(device: Device, v3: bool, mnist_here: None):
    net = Perceptron.made(device, thirds(0, v3=v3), v3=v3, seed=0)
    x, y = images(60, 10)[:2]
    moved, ratio = 0, device.window.g_min / device.window.g_max
    for k in range(60):
        u = shares(net, device.window)
        hidden, output, *changes = by_the_conventions(u, x[k].astype(float), y[k], ratio, v3=v3)
        read = net.forward(x[k : k + 1])
        np.testing.assert_allclose(read[0][0], hidden, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(read[1][0], output, rtol=2e-4, atol=1e-6)
        net.learn(x[k : k + 1], y[k : k + 1], k)
        for before, change, after in zip(u, changes, shares(net, device.window), strict=True):
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
    moved = after.tiles[0, 0].cells.g[0, 5, 7] - net.layers[0].tiles[0, 0].cells.g[0, 5, 7]
    room = IDEAL.window.g_max - net.layers[0].tiles[0, 0].cells.g[0, 5, 7]
    assert moved == pytest.approx(min(room, 6 / 64 * IDEAL.window.span), rel=1e-6)


@pytest.mark.parametrize(("v3", "access"), [(False, 0.0), (False, 20e3), (True, 0.0)])
def test_samples_are_read_one_by_one_as_by_the_chip(v3: bool, access: float, mnist_here: None):
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=1, nl_down=-1, c2c=0.02)
    net = Perceptron.made(IDEAL.replace(update=law), thirds(3, v3=v3), v3=v3, seed=3, access=access)
    x, y, *_ = images(1000, 10)
    net.learn(x[:600], y[:600], 0)
    found, k = tuple(np.empty(n) for n in (100, 100, 10)), 600
    while k < 1000:
        k += net.read_until_due(x[k:], y[k:], found)[0]
        hidden, output = (a[0] for a in net.forward(x[k - 1 : k]))
        np.testing.assert_allclose(found[0], hidden, rtol=1e-4, atol=1e-6)
        error = 2 * output * (1 - output) * (output - np.eye(10)[y[k - 1]])
        np.testing.assert_allclose(found[2], error, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("v3", [False, True])
def test_samples_learned_together_are_learned_one_by_one(v3: bool, mnist_here: None):
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=1, nl_down=-1, c2c=0.02)
    x, y, *_ = images(120, 10)
    together, alone = (Perceptron.made(IDEAL.replace(update=law), thirds(3, v3=v3), v3=v3, seed=3) for _ in range(2))
    together.learn(x, y, 0)
    for k in range(120):
        alone.learn(x[k : k + 1], y[k : k + 1], k)
    for a, b in zip(together.layers, alone.layers, strict=True):
        np.testing.assert_array_equal(a.tiles[0, 0].cells.g, b.tiles[0, 0].cells.g)
        assert a.tiles[0, 0].cells.pulses.sum() > 100


@pytest.mark.parametrize(("name", "how"), [("ideal", "V1/V2"), ("ideal", "V3"), ("AlOx/HfO2 behind 6 kΩ", "V1/V2")])
def test_a_whole_run_is_as_long_as_the_papers(name: str, how: str):
    assert synapse_table_2018._length(name, how, Effort(whole=True)) == 1_000_000


def test_software_learns_by_the_rule_of_the_code(mnist_here: None):
    x, y = images(200, 10)[:2]
    net, u = software(x, y, 50, seed=3), [(w + 1) / 2 for w in thirds(3, v3=True).weights]
    for k in Streams(3).at("software").rng("samples").integers(0, 200, 50):
        hidden = 1 / (1 + np.exp(-x[k] @ (2 * u[0] - 1)))
        output = 1 / (1 + np.exp(-hidden @ (2 * u[1] - 1)))
        s2 = -2 * output * (1 - output) * (np.eye(10)[y[k]] - output)
        s1 = hidden * (1 - hidden) * ((2 * u[1] - 1) @ s2)
        u = [np.clip(u[0] - 0.2 * np.outer(x[k], s1), 0, 1), np.clip(u[1] - 0.1 * np.outer(hidden, s2), 0, 1)]
    for learned, wanted in zip(net.weights, u, strict=True):
        np.testing.assert_allclose(learned, 2 * wanted - 1, atol=1e-5)


ACCESS = 20e3  # ohms: the highest conductance, 5 uS, is seen as 10/11 of it


def test_a_cell_behind_a_resistance_takes_pulses_as_it_does_alone():
    device = IDEAL.replace(update=ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=2.4, nl_down=-4.88))
    seen, g, n = BehindAccess.of(device, ACCESS), np.linspace(0.1e-6, 5e-6, 9), np.arange(-4, 5) * 9
    alone = device.update.pulse(g, n, device.window, Streams(0).rng("pulse"))
    both = seen.update.pulse(1 / (1 / g + ACCESS), n, seen.window, Streams(0).rng("pulse"))
    np.testing.assert_allclose(1 / both, 1 / alone + ACCESS, rtol=1e-12)
    assert 1 / seen.window.g_max == pytest.approx(1 / 5e-6 + ACCESS)
    assert BehindAccess.of(device, 0.0) is device


def test_the_read_out_does_not_reckon_with_a_resistance_behind_cells(mnist_here: None):
    net, x = Perceptron.made(IDEAL, thirds(0, v3=False), v3=False, seed=0, access=ACCESS), images(5, 10)[0]
    seen = net.layers[0].tiles[0, 0].cells.g[0, :, :-1]
    codes = 2 * np.floor(255 / 400 * (x @ seen) / 5e-6) - np.floor(255 / 400 * x.sum(axis=1, keepdims=True))
    found = net.forward(x)[0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-codes / 255 * 400)), rtol=2e-4, atol=1e-6)
    assert seen.max() == pytest.approx(5e-6 / 1.1)


def test_cells_behind_a_resistance_move_by_whole_pulses_of_their_own(mnist_here: None):
    def alone() -> np.ndarray:
        seen = [layer.tiles[0, 0].cells.g[0, :, :-1].ravel() for layer in net.layers]
        return 1 / (1 / np.concatenate(seen) - ACCESS)

    net, (x, y, *_) = Perceptron.made(IDEAL, thirds(0, v3=False), v3=False, seed=0, access=ACCESS), images(60, 10)
    before = alone()
    net.learn(x, y, 0)
    pulses, ended = (alone() - before) / IDEAL.window.span * 64, np.isclose(alone(), 5e-6) | np.isclose(alone(), 1e-7)
    np.testing.assert_allclose(pulses[~ended], np.rint(pulses[~ended]), atol=1e-6)
    assert np.count_nonzero(np.rint(pulses[~ended])) > 100


@pytest.mark.slow
def test_a_device_of_on_off_ratio_2_learns_online_where_codes_have_no_end(mnist_here: None):
    """With codes that end at 255 it stands at chance."""
    assert online(cards.load("taox-tio2-gao-2015"), images(60_000, 2_000), 8_000, v3=True, seed=0)[-1] > 60


@pytest.mark.slow
def test_an_ideal_device_learns_online(mnist_here: None):
    """V1 and V2 start saturated and take several times as long."""
    assert online(IDEAL, images(60_000, 2_000), 8_000, v3=True, seed=0)[-1] > 70


def test_a_small_ratio_leaves_no_negative_weight_unless_read_against_the_middle(result: Result):
    narrow = [result.row(f"TaOx/TiO2, offline, {how}").here for how in ("V1/V2", "V3")]
    wide = [result.row(f"ideal, offline, {how}").here for how in ("V1/V2", "V3")]
    assert narrow[0] < 20
    assert min(narrow[1], *wide) > 75


def test_a_ratio_above_a_half_is_refused():
    with pytest.raises(ParameterError, match="less than or equal"):
        TopColumn(ratio=0.6)
