"""Spiking networks: built from sizes, run as their neurons' laws say, and asked for what makes sense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cimsim.network.activity import activity
from cimsim.network.build import AvgPool, Conv, Linear
from cimsim.network.coding import Direct, Given, LinearLatency, PoissonRate, RegularRate
from cimsim.network.firing import Spiking
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from cimsim.network.neurons import IF, LIF, DiscreteLIF, run
from cimsim.network.spiking import snn
from cimsim.network.surrogates import Rectangular
from device_models.errors import InputError
from tests.foreign import ForeignArray

X = np.random.default_rng(0).random((6, 20)).astype(np.float32)


def kinds(net: Network) -> list[str]:
    return [type(layer).__name__ for layer in net.layers]


def test_neurons_stand_behind_weights_and_pools() -> None:
    assert kinds(snn([20, 8, 3])) == ["Dense", "Spiking", "Dense", "Spiking", "Count"]
    assert kinds(snn([20, 3], readout="first"))[-1] == "FirstSpike"
    assert kinds(snn([20, 3], readout="membrane")) == ["Dense", "Integrating", "Potential"]
    net = snn([Conv(2, kernel=3), AvgPool(2), Linear(3)], image=(1, 6, 6), steps=4)
    assert kinds(net) == ["Conv2d", "AvgPool2d", "Spiking", "Dense", "Spiking", "Count"]
    assert net.forward(np.full((2, 36), 0.5)).shape == (2, 3)
    assert net.reads == (4 * 16, 4)


def test_settings_arrive() -> None:
    net = snn([20, 8, 3], steps=5, neuron=DiscreteLIF(decay=0.5), surrogate=Rectangular())
    neurons = net.layers[1]
    assert isinstance(neurons, Spiking)
    assert (neurons.steps, neurons.neuron.decay, neurons.surrogate) == (5, 0.5, Rectangular())
    assert net.code == RegularRate(steps=5)
    assert snn([20, 3], code=LinearLatency(steps=9)).steps == 9


def test_a_network_of_one_neuron_fires_as_its_si_neuron_does() -> None:
    """Direct code and weight w: an input x is a constant current, w x in units of the threshold per step."""
    lif, dt, steps = LIF(capacitance=1e-12, tau=20e-3, v_threshold=0.1), 1e-3, 100
    current = np.linspace(4e-12, 20e-12, 9)
    expected = run(lif, np.repeat(current[:, None, None], steps, axis=1), dt).spikes[:, :, 0].sum(axis=1)
    gain = lif.resistance * (1 - np.exp(-dt / lif.tau)) / 0.1  # per ampere
    net = snn([1, 1], code=Direct(steps=steps), neuron=lif, dt=dt)
    net = net.with_weights([(np.array([[20e-12 * gain]]), np.zeros(1))])
    np.testing.assert_array_equal(net.forward((current / 20e-12)[:, None])[:, 0], expected)
    assert expected[-1] > expected[0] == 0


@pytest.mark.parametrize("code", [PoissonRate(steps=12), RegularRate(steps=12), Direct(steps=12)])
def test_the_forward_pass_is_the_loop_over_time(code: PoissonRate) -> None:
    """Step by step through all layers, with the neurons' own steps, in float64."""
    net = snn([20, 8, 3], code=code, seed=3)
    net = net.with_weights([(w.astype(float), np.full(w.shape[1], 0.05)) for w in net.weights])
    vectors = net.entered(net.check(X), seed=4).reshape(6, 12, 20)
    neuron, layers = DiscreteLIF(decay=0.9), net.weighted
    states = [neuron.rest((6, a.n_out)) for a in layers]
    counts = np.zeros((6, 3))
    for t in range(12):
        v = vectors[:, t]
        for k, layer in enumerate(layers):
            states[k], spikes = neuron.step(states[k], v @ layer.weight + layer.bias)
            v = spikes.astype(float)
        counts += v
    np.testing.assert_array_equal(net.forward(X, seed=4), counts)
    assert counts.sum() > 0


def test_what_a_code_draws_does_not_depend_on_how_a_batch_is_cut() -> None:
    net = snn([20, 8, 3], code=PoissonRate(steps=12))
    whole = net.entered(X, seed=1)
    parts = [net.entered(X[:2], seed=1), net.entered(X[2:], seed=1, row=2)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, net.entered(X, seed=2))
    assert whole.mean() == pytest.approx(X.mean(), abs=0.05)


def test_given_spikes_are_taken_as_they_are() -> None:
    spikes = np.random.default_rng(1).random((5, 12, 20)) < 0.3
    net = snn([20, 8, 3], code=Given(steps=12))
    np.testing.assert_array_equal(net.entered(net.check(spikes)), spikes.reshape(-1, 20))
    assert net.predict(spikes.astype(int)).shape == (5,)


@pytest.mark.parametrize("readout", ["count", "first", "membrane"])
def test_gradients_reach_every_layer(readout: str) -> None:
    net = snn([20, 8, 3], readout=readout)  # type: ignore[arg-type]
    loss, pairs = net.gradients(X, np.array([0, 1, 2, 0, 1, 2]))
    assert np.isfinite(loss)
    assert all(np.abs(d_weight).max() > 0 for d_weight, _ in pairs)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: snn([20, 3], steps=4, code=Direct(steps=5)), r"snn\.steps: must be the 5 of the code, got 4"),
        (lambda: snn([20, 3], neuron=IF(capacitance=1e-12, v_threshold=0.1)), r"snn\.dt: must be given .* \(seconds\)"),
        (lambda: snn([20, 3], dt=1e-3), r"snn\.dt: has no meaning for a neuron without units"),
        (
            lambda: snn([20, 3], neuron=LIF(capacitance=1e-12, tau=5e-3, v_threshold=0.1), dt=6e-3),
            r"LIF: the time step must be at most the shortest time constant, 0\.005 s, got 0\.006 s",
        ),
        (lambda: snn([20, 3], readout="counts"), "snn.readout: unknown read-out, got counts; did you mean 'count'"),  # type: ignore[arg-type]
        (lambda: snn([20, 3], code="rate"), r"snn\.code: must be a Code, got rate"),  # type: ignore[arg-type]
        (lambda: snn([20, 3], neuron="LIF", dt=1e-3), r"snn\.neuron: must be a DiscreteLIF"),  # type: ignore[arg-type]
        (lambda: snn([20, 3], surrogate="arctan"), r"snn\.surrogate: must be a Surrogate"),  # type: ignore[arg-type]
        (lambda: activity(snn([20, 3]), X[:0]), "x: must hold at least one sample, got none"),
        (lambda: snn([20, 3]).layers[1].forward(X[:5]), "Spiking: must be given samples of 16 vectors each, got 5"),
        (lambda: snn([Linear(3)]), r"snn\.layers: must be two or more, inputs first, got 1"),
        (lambda: snn([20, 3.5]), r"snn\.layers\[1\]: must be an integer above 0 or a Recurrent layer, got 3\.5"),  # type: ignore[list-item]
        (
            lambda: snn([Conv(2, kernel=3), 10], image=(1, 4, 4)),
            r"snn\.layers\[1\]: must be a layer .*; write Linear\(10\)",
        ),
        (
            lambda: snn([Conv(2, kernel=3), "relu", Linear(3)], image=(1, 4, 4)),  # type: ignore[list-item]
            r"snn\.layers\[1\]: must have weights or be a pool, got relu; leave it out",
        ),
        (
            lambda: snn([Conv(2, kernel=3), Conv(2, kernel=5)], image=(1, 4, 4)),
            r"snn\.layers\[1\]: Conv2d\.kernel: must fit into the image of 2 x 2, got 5 x 5",
        ),
        (lambda: snn([20, 3]).forward(X[:, :5]), r"x: must have 20 features per sample, got shape \(6, 5\)"),
        (lambda: snn([20, 3]).forward(2 * X), "x: must lie between 0 and 1"),
        (lambda: snn([20, 3], code=Given(steps=4)).forward(np.full((1, 4, 20), 0.5)), "spikes: must be 0 or 1"),
        (
            lambda: snn([20, 3], code=Given(steps=4)).forward(X > 0.5),
            r"spikes: must have the axes \(batch, steps, features\)",
        ),
        (lambda: snn([20, 3], code=Given(steps=4)).forward(np.zeros((1, 5, 20))), "spikes: must have 4 steps, got 5"),
        (lambda: Network(snn([20, 3]).layers), r"layers\[1\]: must have the steps of the network's code, got 16 steps"),
    ],
)
def test_bad_input_is_named(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_layers_say_what_they_are() -> None:
    net = snn([20, 3], steps=4)
    assert [repr(a) for a in net.layers] == ["Dense(20 -> 3)", "Spiking(4 steps)", "Count(steps=4)"]
    assert isinstance(net.layers[0], Dense)


@pytest.mark.parametrize("readout", ["count", "first", "membrane"])
@pytest.mark.parametrize("code", [RegularRate(steps=9), PoissonRate(steps=9), Direct(steps=9)])
def test_other_array_libraries_run_and_train_it(code: RegularRate, readout: str) -> None:
    net = snn([20, 8, 3], code=code, readout=readout, neuron=DiscreteLIF(decay=0.9, refractory=1))  # type: ignore[arg-type]
    there, y = net.with_layers([layer.moved(ForeignArray) for layer in net.layers]), np.array([0, 1, 2, 0, 1, 2])
    assert isinstance(there.forward(X), ForeignArray)
    assert there.predict(X).shape == (6,)
    loss, pairs = there.gradients(ForeignArray(X), y)
    assert isinstance(pairs[0][0], ForeignArray)
    if not isinstance(code, PoissonRate):  # what is drawn differs from library to library
        expected, here = net.gradients(X, y)
        assert float(loss.get()) == pytest.approx(float(expected), rel=1e-5)
        np.testing.assert_allclose(pairs[0][0].get(), here[0][0], rtol=1e-4, atol=1e-6)
