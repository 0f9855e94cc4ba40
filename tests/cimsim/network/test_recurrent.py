"""Recurrent spiking layers: the loop over time, gradients against differences, and how networks hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cimsim.kernels import membrane_plain
from cimsim.network.activity import activity
from cimsim.network.build import Conv, LayerSpec, Linear, Recurrent, RecurrentConv, cnn
from cimsim.network.coding import Given
from cimsim.network.firing import Integrating, Spiking
from cimsim.network.layers import Dense
from cimsim.network.network import Network, joined
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.recurrent import RecurrentDense, through_time
from cimsim.network.spiking import snn
from cimsim.network.surrogates import ArcTan, FastSigmoid, Rectangular, Surrogate
from device_models.errors import InputError
from tests.foreign import ForeignArray

BATCH, STEPS, N_IN, N = 3, 7, 4, 5
LAWS = [
    DiscreteLIF(decay=0.9),
    DiscreteLIF(decay=0.7, reset="soft", v_reset=-0.2),
    DiscreteLIF(decay=0.8, refractory=2),
]
SPIKES = np.random.default_rng(0).random((6, STEPS, N_IN)) < 0.4
LABELS = np.array([0, 1, 2, 0, 1, 2])


def layer(
    neuron: DiscreteLIF = LAWS[0], *, dtype: type = np.float64, surrogate: Surrogate | None = None
) -> RecurrentDense:
    rng = np.random.default_rng(7)
    weight = rng.normal(0.4, 0.6, (N_IN + N, N)).astype(dtype)
    return RecurrentDense(weight, rng.normal(0, 0.1, N).astype(dtype), STEPS, neuron, surrogate or ArcTan())


def inputs(dtype: type = np.float64) -> np.ndarray:
    return (np.random.default_rng(1).random((BATCH * STEPS, N_IN)) < 0.5).astype(dtype)


def network() -> Network:
    return snn([N_IN, Recurrent(N), 3], code=Given(steps=STEPS), neuron=LAWS[2])


@pytest.mark.parametrize("neuron", LAWS)
def test_the_forward_pass_is_the_loop_over_time(neuron: DiscreteLIF) -> None:
    """Step by step with the neuron's own steps, the weights of inputs and of own spikes apart."""
    a, x = layer(neuron), inputs().reshape(BATCH, STEPS, N_IN)
    state, spikes = neuron.rest((BATCH, N)), np.zeros((BATCH, N))
    currents, fired = [], []
    for t in range(STEPS):
        currents.append(x[:, t] @ a.weight[:N_IN] + spikes @ a.weight[N_IN:] + a.bias)
        state, now = neuron.step(state, currents[-1])
        spikes = now.astype(float)
        fired.append(spikes)
    y = a.forward(inputs())
    np.testing.assert_allclose(y.reshape(BATCH, STEPS, N), np.stack(currents, axis=1), rtol=1e-12)
    behind = Spiking(STEPS, neuron).forward(y)
    np.testing.assert_array_equal(behind.reshape(BATCH, STEPS, N), np.stack(fired, axis=1))
    assert 0.1 < behind.mean() < 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("neuron", LAWS)
def test_its_vectors_are_what_its_product_was_given(neuron: DiscreteLIF, dtype: type) -> None:
    """The spikes that fed back, found again in the currents; also from a product that errs."""
    a, x, seen = layer(neuron, dtype=dtype), inputs(dtype), list[np.ndarray]()
    errors = np.random.default_rng(3)

    def product(v: np.ndarray) -> np.ndarray:
        seen.append(v)
        return (v @ a.weight + errors.normal(0, 0.3, (len(v), N))).astype(dtype)

    y = a.forward(x, product)
    for found, given in zip(a.vectors(x, y), seen, strict=True):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, given)
    np.testing.assert_array_equal(joined(a.vectors(x)), joined(a.vectors(x, a.forward(x))))
    assert a.calls == len(seen) == STEPS


@pytest.mark.parametrize("surrogate", [ArcTan(), FastSigmoid(slope=2.0)])
@pytest.mark.parametrize("neuron", LAWS[:2])
def test_the_gradient_is_that_of_the_smooth_network(neuron: DiscreteLIF, surrogate: Surrogate) -> None:
    """With spikes replaced by the surrogate's integral, whose derivative it is, against central differences."""
    a = layer(neuron)
    law = Spiking(STEPS, neuron).membrane
    worth = np.random.default_rng(5).normal(size=(BATCH, STEPS, N))

    def smooth(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
        """Currents, potentials, spikes and what the product is given."""
        m = wait = s = np.zeros((BATCH, N))
        notes = []
        for t in range(STEPS):
            given = np.concatenate([x[:, t], s], axis=1)
            y = given @ weight + a.bias
            v, s, m, wait = membrane_plain.step(m, wait, y, law, lambda u: surrogate.integral(u - 1))
            notes.append((y, v, s, given))
        return tuple(np.stack(note, axis=1) for note in zip(*notes, strict=True))

    def loss(x: np.ndarray, weight: np.ndarray) -> float:
        return float(np.sum(worth * smooth(x, weight)[0]))

    x, weight, h = inputs().reshape(BATCH, STEPS, N_IN), a.weight, 1e-5
    _, v, spikes, given = smooth(x, weight)
    d, dx = through_time(worth, surrogate.derivative(v - 1), v, spikes, law, a.multiply_transposed)
    d_weight = np.einsum("btr,btc->rc", given, d)
    for at in [(0, 0, 0), (1, 2, 3), (2, STEPS - 1, 1)]:
        moved = np.zeros_like(x)
        moved[at] = h
        slope = (loss(x + moved, weight) - loss(x - moved, weight)) / (2 * h)
        assert dx[at] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    for place in [(0, 0), (3, 4), (N_IN, 0), (N_IN + 2, 3), (N_IN + N - 1, N - 1)]:
        moved = np.zeros_like(weight)
        moved[place] = h
        slope = (loss(x, weight + moved) - loss(x, weight - moved)) / (2 * h)
        assert d_weight[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("neuron", LAWS)
def test_without_weights_of_its_own_spikes_it_is_a_fully_connected_layer(neuron: DiscreteLIF) -> None:
    a, x = layer(neuron), inputs()
    a.weight[N_IN:] = 0
    plain = Dense(a.weight[:N_IN], a.bias)
    y, dy = a.forward(x), np.random.default_rng(4).normal(size=(BATCH * STEPS, N))
    np.testing.assert_allclose(y, plain.forward(x), rtol=1e-12)
    d, dx = a.unrolled(dy, x, y)
    np.testing.assert_allclose(dx, plain.backward(dy, x, y), rtol=1e-12)
    d_weight, d_bias = a.gradient(x, d, y)
    np.testing.assert_allclose(d_weight[:N_IN], plain.gradient(x, dy)[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(d_bias, dy.sum(axis=0), rtol=1e-12)


def test_the_transposed_product_is_called_from_the_last_step_to_the_first() -> None:
    a, x, sent = layer(), inputs(), list[np.ndarray]()

    def transposed(d: np.ndarray) -> np.ndarray:
        sent.append(d)
        return a.multiply_transposed(d)

    y = a.forward(x)
    d, _ = a.unrolled(np.ones_like(y), x, y, transposed)
    np.testing.assert_array_equal(np.stack(sent[::-1]), np.stack(list(a.errors(d))))


def test_neurons_stand_behind_it_and_settings_arrive() -> None:
    net = snn([4, Recurrent(5), 8, Recurrent(3)], steps=6, neuron=LAWS[1], surrogate=Rectangular(), seed=1)
    assert [repr(a) for a in net.layers[::2]] == [
        "RecurrentDense(4 -> 5, 6 steps)",
        "Dense(5 -> 8)",
        "RecurrentDense(8 -> 3, 6 steps)",
        "Count(steps=6)",
    ]
    first = net.layers[0]
    assert isinstance(first, RecurrentDense)
    assert (first.neuron, first.surrogate) == (LAWS[1], Rectangular())
    assert (net.reads, net.reads_per_call, net.n_in) == ((6, 6, 6), (1, 6, 1), 4)
    assert isinstance(snn([4, Recurrent(3)], readout="membrane").layers[1], Integrating)


def test_images_go_to_it_through_a_convolution() -> None:
    net = snn([Conv(2, kernel=3), Recurrent(6), Linear(3)], image=(1, 5, 5), steps=4)
    assert [w.shape for w in net.weights] == [(9, 2), (18 + 6, 6), (6, 3)]
    assert net.forward(np.full((2, 25), 0.5)).shape == (2, 3)


def test_first_weights_of_inputs_and_of_own_spikes_have_the_variance_of_their_numbers() -> None:
    weight = snn([200, Recurrent(100)]).weights[0]
    assert np.std(weight[:200]) == pytest.approx((2 / 200) ** 0.5, rel=0.03)
    assert np.std(weight[200:]) == pytest.approx((2 / 100) ** 0.5, rel=0.03)


def test_the_lowest_layer_that_learns_is_differentiated_through_time() -> None:
    """What stops there in the walk back is only the gradient at its input."""
    net = snn([N_IN, 6, Recurrent(N), 3], code=Given(steps=STEPS))
    x = SPIKES.astype(np.float32)
    whole, part = net.backpropagate(x, LABELS), net.backpropagate(x, LABELS, lowest=1)
    np.testing.assert_array_equal(whole.error(1), part.error(1))
    d_weight = whole.gradients()[1][0]
    np.testing.assert_allclose(part.given(1).T @ part.error(1), d_weight, rtol=1e-4, atol=1e-6)
    assert np.abs(d_weight[6:]).max() > 0


def test_activity_counts_its_own_spikes_on_word_lines() -> None:
    """Inputs, and every spike but those of the last step, which meet no weight again."""
    net = network()
    first, second = activity(net, SPIKES).layers
    fired = net.trace(SPIKES)[1].y.reshape(6, STEPS, N)
    assert first.spikes == pytest.approx((SPIKES.sum() + fired[:, :-1].sum()) / 6)
    assert first.operations == pytest.approx(first.spikes * N)
    assert second.spikes == pytest.approx(fired.sum() / 6)
    assert first.rate == pytest.approx(fired.mean())
    assert fired.sum() > 0


@pytest.mark.parametrize("first", [Recurrent(N), RecurrentConv(3, kernel=3)])
def test_other_array_libraries_run_and_train_it(first: LayerSpec) -> None:
    net = snn([first, Linear(3)], image=(1, 2, 2), code=Given(steps=STEPS), neuron=LAWS[2])
    there = net.with_layers([a.moved(ForeignArray) for a in net.layers])
    loss, pairs = there.gradients(ForeignArray(SPIKES), LABELS)
    expected, here = net.gradients(SPIKES, LABELS)
    assert float(loss.get()) == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(pairs[0][0].get(), here[0][0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: replace(layer(), weight=np.ones((5, 5))), r"RecurrentDense\.weight: must be a matrix \(n_in \+ n_out"),
        (lambda: replace(layer(), bias=np.ones(4)), r"RecurrentDense\.bias: must hold one value per output"),
        (lambda: layer().forward(inputs()[:5]), "RecurrentDense: must be given samples of 7 vectors each, got 5"),
        (
            lambda: cnn((1, 2, 2), [Recurrent(3)]),
            r"layers\[0\]: must have the steps of the network's code, .* with snn",
        ),
        (lambda: snn([Recurrent(3), 2]), r"snn\.layers\[0\]: must be an integer above 0, got Recurrent\(outputs=3\);"),
        (
            lambda: snn([4, Linear(3), 2]),
            r"snn\.layers\[1\]: must be an integer above 0 or a Recurrent layer, got Linear\(outputs=3\); write 3",
        ),
        (lambda: snn([4, Conv(3, kernel=2), 2]), r"snn\.layers\[1\]: must be .* got Conv.*; give the image as well"),
        (lambda: snn([0, Recurrent(3)]), r"snn\.layers\[0\]: must be an integer above 0, got 0"),
        (
            lambda: snn([4, Recurrent(3), 0]),
            r"snn\.layers\[2\]: must be an integer above 0 or a Recurrent layer, got 0;",
        ),
    ],
)
def test_bad_input_is_named(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
