"""Conversion: rates are the activations, to within a spike, and the network classifies as it did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cimsim import datasets
from cimsim.learning.conversion import to_spiking
from cimsim.learning.offchip import train
from cimsim.network.build import AvgPool, Conv, Linear, MaxPool, cnn
from cimsim.network.coding import Direct, Given, RegularRate
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense, ReLU
from cimsim.network.network import Network, mlp
from cimsim.network.norm import BatchNorm2d
from device_models.errors import InputError

(X, Y), (X_TEST, Y_TEST) = datasets.load("digits")
NET = train(mlp([64, 32, 10]), X, Y, epochs=10, seed=0)


def test_with_one_layer_the_potentials_are_the_logits() -> None:
    net = mlp([64, 10], seed=1)
    spiking = to_spiking(net, X, code=Direct(steps=7))
    np.testing.assert_allclose(spiking.forward(X_TEST) / 7, net.forward(X_TEST), rtol=1e-4, atol=1e-5)


def test_hidden_rates_are_activations_over_the_level_to_within_a_spike() -> None:
    """With the direct code and reset by subtraction the number of spikes is the input's sum, rounded (0.5 to start)."""
    steps = 200
    spiking = to_spiking(NET, X, code=Direct(steps=steps), percentile=100.0)
    spikes = spiking.trace(X)[1].y.reshape(len(X), steps, -1)
    hidden = NET.trace(X)[1].y
    np.testing.assert_allclose(spikes.sum(axis=1), hidden / hidden.max() * steps, atol=0.51)


def test_accuracy_comes_with_steps() -> None:
    before = accuracy(NET, X_TEST, Y_TEST)
    after = [accuracy(to_spiking(NET, X, steps=steps), X_TEST, Y_TEST) for steps in (1, 64)]
    assert after[0] < before - 0.05
    assert after[1] == pytest.approx(before, abs=0.006)


def test_a_lower_percentile_gives_higher_rates() -> None:
    rates = [to_spiking(NET, X, code=RegularRate(steps=32), percentile=p).trace(X)[1].y.mean() for p in (100.0, 95.0)]
    assert rates[1] > 1.3 * rates[0]


def test_convolutions_pools_and_norms_convert() -> None:
    net = train(cnn((1, 8, 8), [Conv(6, kernel=3), "relu", AvgPool(2), Linear(10)]), X, Y, epochs=8, seed=0)
    conv, relu, *rest = net.layers
    norm = BatchNorm2d(*(np.full(6, v, np.float32) for v in (0.1, 1.0, 1.2, 0.05)), (6, 6, 6))
    net = Network((conv, norm, relu, *rest))
    spiking = to_spiking(net, X, steps=64)
    assert [type(a).__name__ for a in spiking.layers] == [
        "Conv2d", "Spiking", "AvgPool2d", "Spiking", "Dense", "Integrating", "Potential"
    ]  # fmt: skip
    assert np.isin(spiking.trace(X[:20])[4].x, (0, 1)).all()
    assert accuracy(spiking, X_TEST, Y_TEST) == pytest.approx(accuracy(net, X_TEST, Y_TEST), abs=0.02)


@pytest.mark.parametrize(
    ("convert", "sentence"),
    [
        (lambda: to_spiking(mlp([64, 8, 10], activation="tanh"), X), r"layers\[1\]: must be a ReLU, after a layer"),
        (
            lambda: to_spiking(cnn((1, 8, 8), [Conv(2, kernel=3), "relu", MaxPool(2), Linear(10)]), X),
            r"layers\[2\]: must be Dense, Conv2d, ReLU, AvgPool2d .* got MaxPool2d",
        ),
        (lambda: to_spiking(Network((*NET.layers, ReLU())), X), r"layers\[2\]: must be the last layer, got ReLU"),
        (lambda: to_spiking(to_spiking(NET, X), X), "must be a network without a code"),
        (lambda: to_spiking(NET, X, code=Given(steps=4)), r"to_spiking\.code: must be a Code of values, got Given"),
        (lambda: to_spiking(NET, X, percentile=0.999), "must be above 50 and at most 100, got 0.999"),
        (lambda: to_spiking(NET, 20 * X).forward(20 * X), "x: must lie between 0 and 1"),
        (lambda: to_spiking(NET, X[:, :5]), "x: must have 64 features per sample"),
    ],
)
def test_what_has_no_spiking_counterpart_is_refused(convert: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        convert()


def test_layers_that_never_activate_stay_silent() -> None:
    net = Network((Dense(-np.ones((64, 4)), np.zeros(4)), ReLU(), Dense(np.ones((4, 2)), np.array([0.5, 0.25]))))
    np.testing.assert_allclose(to_spiking(net, X, code=Direct(steps=4)).forward(X), np.tile([2.0, 1.0], (len(X), 1)))
