"""Training spiking networks: it learns by each read-out, and the penalty brings rates to where they should be."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim import datasets
from cimsim.learning.offchip import train
from cimsim.learning.spiking import Held, RatePenalty, prepared, restored
from cimsim.network.activity import activity
from cimsim.network.coding import Direct, PoissonRate
from cimsim.network.evaluate import accuracy
from cimsim.network.firing import Spiking
from cimsim.network.layers import Dense
from cimsim.network.network import Network, mlp
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.spiking import snn
from device_models.errors import InputError, ParameterError

(X, Y), (X_TEST, Y_TEST) = datasets.load("digits")


def quiet(net: Network) -> Network:
    """The network with first weights so small that no hidden neuron fires."""
    (first, bias), *rest = [(a.weight, a.bias) for a in net.weighted]
    return net.with_weights([(first * 1e-2, bias), *rest])


@pytest.mark.parametrize(("readout", "least"), [("count", 0.94), ("first", 0.87), ("membrane", 0.94)])
def test_every_read_out_learns(readout: str, least: float) -> None:
    net = train(snn([64, 64, 10], readout=readout), X, Y, epochs=8, seed=0)  # type: ignore[arg-type]
    assert accuracy(net, X_TEST, Y_TEST) >= least


def test_a_code_draws_other_spikes_in_every_step_and_training_repeats() -> None:
    net = snn([64, 16, 10], code=PoissonRate(steps=8))
    trained = [train(net, X[:200], Y[:200], epochs=2, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(trained[0].weights[0], trained[1].weights[0])
    assert not np.array_equal(trained[0].weights[0], train(net, X[:200], Y[:200], epochs=2, seed=4).weights[0])
    assert trained[0].code == net.code
    assert np.any(net.entered(X[:50], 3, row=0) != net.entered(X[:50], 3, row=50))


def test_weight_noise_and_clip_serve_as_for_any_network() -> None:
    net = train(snn([64, 32, 10]), X, Y, epochs=4, weight_noise=0.05, clip=2.5, seed=0)
    assert accuracy(net, X_TEST, Y_TEST) > 0.85
    for weight in net.weights:
        assert np.abs(weight).max() <= 2.6 * weight.std()


def test_the_penalty_is_a_square_of_what_rates_lack_or_exceed() -> None:
    penalty = RatePenalty(low=0.1, high=0.5, strength=3.0)
    spikes = np.zeros((10, 4))
    spikes[:, 1], spikes[:2, 2], spikes[:7, 3] = 1, 1, 1  # rates 0, 1, 0.2, 0.7
    assert penalty.loss(spikes) == pytest.approx(3 * np.mean(np.square([0.1, 0.5, 0.0, 0.2])))
    h, slope = 1e-6, np.zeros(4)
    for k in range(4):
        moved = spikes.copy()
        moved[0, k] += h
        slope[k] = (penalty.loss(moved) - penalty.loss(spikes)) / h
    np.testing.assert_allclose(penalty.gradient(spikes), slope, atol=1e-5)


def test_the_penalty_wakes_dead_neurons() -> None:
    """Hidden neurons that never fire give the last layer nothing, and get no gradient from it but by the penalty."""
    start = quiet(snn([64, 32, 10], neuron=DiscreteLIF(decay=0.5)))
    assert activity(start, X).layers[0].dead == 1
    woken = train(start, X, Y, epochs=6, rates=RatePenalty(low=0.05, strength=100.0), seed=0)
    assert activity(woken, X).layers[0].dead < 0.2
    assert [type(a) for a in woken.layers] == [type(a) for a in start.layers]


def test_the_penalty_lowers_rates() -> None:
    net = snn([64, 32, 10])
    rates = []
    for strength in (None, 300.0):
        penalty = None if strength is None else RatePenalty(low=0.0, high=0.05, strength=strength)
        rates.append(activity(train(net, X, Y, epochs=5, rates=penalty, seed=0), X).layers[0].rate)
    assert rates[1] < 0.6 * rates[0]


def test_a_penalty_needs_neurons_and_an_order() -> None:
    with pytest.raises(InputError, match=r"train\.rates: needs a network with spiking neurons"):
        train(mlp([64, 10]), X, Y, rates=RatePenalty())
    with pytest.raises(ParameterError, match="low must be below high"):
        RatePenalty(low=0.5, high=0.2)


@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_an_input_held_for_all_steps_is_multiplied_once_with_the_same_outcome(readout: str) -> None:
    net = snn([64, 16, 10], code=Direct(steps=5), readout=readout, seed=2)  # type: ignore[arg-type]
    net = net.with_weights([(a.weight.astype(float), a.bias + 0.1) for a in net.weighted])
    quicker = prepared(net, None)
    assert [type(a) for a in quicker.weighted] == [Held, Dense]
    np.testing.assert_allclose(quicker.forward(X[:20]), net.forward(X[:20]), rtol=1e-12)
    (loss, pairs), (expected, exact) = (a.gradients(X[:20], Y[:20]) for a in (quicker, net))
    assert loss == pytest.approx(expected, rel=1e-12)
    for (d_weight, d_bias), (weight, bias) in zip(pairs, exact, strict=True):
        np.testing.assert_allclose(d_weight, weight, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(d_bias, bias, rtol=1e-9, atol=1e-12)
    assert [type(a) for a in restored(quicker).layers] == [type(a) for a in net.layers]


def test_only_a_code_of_constant_inputs_holds_them() -> None:
    assert prepared(snn([64, 16, 10]), None).layers[0].__class__ is Dense
    assert prepared(mlp([64, 10]), None).layers[0].__class__ is Dense


def test_activity_counts_spikes_operations_and_reads() -> None:
    net = snn([64, 32, 10], steps=8)
    seen, x = activity(net, X[:300]), net.entered(X[:300])
    first, last = seen.layers
    assert (first.reads, last.reads, seen.reads) == (8, 8, 16)
    assert first.spikes == pytest.approx(x.sum() / 300)
    assert first.operations == pytest.approx(32 * first.spikes)
    assert first.needed == pytest.approx(np.any(x > 0, axis=1).sum() / 300)
    hidden = net.layers[1]
    assert isinstance(hidden, Spiking)
    fired = hidden.forward(net.layers[0].forward(x))
    assert (last.spikes, first.rate) == (pytest.approx(fired.sum() / 300), pytest.approx(fired.mean()))
    assert first.dead == np.mean(fired.mean(axis=0) == 0)
    assert str(seen).splitlines()[0].split()[:3] == ["layer", "reads", "needed"]
