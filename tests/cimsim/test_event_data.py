"""Spiking networks on recordings in time, beside a linear read-out (ridge) of the very same spikes."""

from __future__ import annotations

import numpy as np
import pytest

import cimsim as cim
from cimsim.datasets import Events
from cimsim.datasets.nmnist import SENSOR
from cimsim.network.coding import DeltaModulation, Given, delayed, to_raster
from cimsim.network.neurons import DiscreteLIF

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_data")]


def linear(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, penalty: float) -> np.ndarray:
    """Labels by ridge regression on all spikes, with the penalty that five-fold cross-validation chose."""
    a, b = (np.c_[v.reshape(len(v), -1), np.ones(len(v))].astype(np.float32) for v in (x, x_test))
    dual = np.linalg.solve(a @ a.T + np.float32(penalty) * np.eye(len(a), dtype=np.float32), np.eye(10)[y])
    return np.asarray((b @ (a.T @ dual.astype(np.float32))).argmax(axis=1))


def test_spoken_digits_by_delta_modulation_of_a_filter_bank() -> None:
    """The linear read-out: 89.0 % of 300 recordings; the network 92.3 %, and with axonal delays 97.3 %."""
    (x, y), (x_test, y_test) = cim.datasets.load("spoken-digits")
    code = DeltaModulation(threshold=0.1)  # 6 dB
    spikes, spikes_test = (code.encode(part.reshape(len(part), 50, 32)) for part in (x, x_test))
    reached = []
    for delays in ([0], [0, 3, 6, 9, 12]):
        late, late_test = (delayed(part, delays) for part in (spikes, spikes_test))
        net = cim.snn([late.shape[2], 128, 10], code=Given(steps=50), neuron=DiscreteLIF(decay=0.9), readout="membrane")
        net = cim.train(net, late, y, epochs=12, batch=50, learning_rate=3e-3, seed=0)
        reached.append(cim.accuracy(net, late_test, y_test))
    assert reached[0] > np.mean(linear(spikes, y, spikes_test, 100.0) == y_test)
    assert reached[1] > 0.95


def test_digits_before_a_camera_of_events() -> None:
    """N-MNIST, 1000 recordings to learn from, pixels two by two: 93 %, the linear read-out 87 % of 100 recordings."""
    (events, y), (events_test, y_test) = cim.datasets.load_events("nmnist-small")
    side, steps = SENSOR[0] // 2, 8
    spikes, spikes_test = (
        to_raster([Events(e.x // 2, e.y // 2, e.polarity, e.time) for e in part], (side, side), steps, 40e-3)
        for part in (events, events_test)
    )
    layers = [cim.Conv(16, kernel=5), cim.AvgPool(2), cim.Conv(32, kernel=3), cim.Linear(10)]
    neuron = DiscreteLIF(decay=0.8)
    net = cim.snn(layers, image=(2, side, side), code=Given(steps=steps), neuron=neuron, readout="membrane")
    net = net.with_weights([(2.5 * a.weight, a.bias) for a in net.weighted])  # few spikes need strong synapses to start
    more, labels = shifted(spikes.reshape(-1, steps, 2, side, side)), np.tile(y, 5)
    net = cim.train(net, more, labels, epochs=10, batch=50, learning_rate=3e-3, seed=0)
    reached = cim.accuracy(net, spikes_test, y_test)
    assert reached > 0.9
    assert reached > np.mean(linear(spikes, y, spikes_test, 100.0) == y_test)


def shifted(x: np.ndarray) -> np.ndarray:
    """The recordings as they are, and a pixel further down, up, right and left."""
    moved = [np.zeros_like(x) for _ in range(4)]
    moved[0][..., 1:, :], moved[1][..., :-1, :] = x[..., :-1, :], x[..., 1:, :]
    moved[2][..., 1:], moved[3][..., :-1] = x[..., :-1], x[..., 1:]
    return np.concatenate([x, *moved]).reshape(5 * len(x), x.shape[1], -1)
