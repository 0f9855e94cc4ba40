from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from cimsim.network.layers import Dense, ReLU, Sigmoid, Tanh
from cimsim.network.network import Network, mlp, softmax_cross_entropy
from device_models.errors import InputError
from tests.foreign import ForeignArray

shapes = st.lists(st.integers(1, 6), min_size=2, max_size=4)
activations = st.sampled_from([ReLU, Sigmoid, Tanh])


def random_net(sizes: list[int], activation: type, rng: np.random.Generator) -> Network:
    """A float64 network with random weights and biases."""
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [Dense(rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)), activation()]
    return Network(tuple(layers[:-1]))


def pairs(net: Network) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(layer.weight, layer.bias) for layer in net.weighted]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@given(shapes, activations, st.integers(1, 5), st.integers(0, 99))
def test_gradients_are_the_central_differences_of_the_loss(sizes: list[int], act: type, batch: int, seed: int) -> None:
    rng, h = np.random.default_rng(seed), 1e-6
    net = random_net(sizes, act, rng)
    x, y = rng.normal(size=(batch, sizes[0])), rng.integers(0, sizes[-1], batch)
    exact = net.gradients(x, y)[1]
    for layer, (which, values) in ((i, p) for i, pair in enumerate(pairs(net)) for p in enumerate(pair)):
        direction = rng.normal(size=values.shape)

        def loss(step: float, layer: int = layer, which: int = which, direction: np.ndarray = direction) -> float:
            moved = [list(pair) for pair in pairs(net)]
            moved[layer][which] = moved[layer][which] + step * direction
            return float(net.with_weights([(w, b) for w, b in moved]).gradients(x, y)[0])

        slope = (loss(h) - loss(-h)) / (2 * h)
        assert np.sum(exact[layer][which] * direction) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_cross_entropy_is_minus_the_log_softmax_of_the_label(batch: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, y = 5 * rng.normal(size=(batch, classes)), rng.integers(0, classes, batch)
    loss, gradient = softmax_cross_entropy(logits, y)
    assert loss == pytest.approx(-np.mean(log_softmax(logits, axis=1)[np.arange(batch), y]), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)


def test_cross_entropy_closed_forms() -> None:
    assert softmax_cross_entropy(np.zeros((3, 10)), np.array([0, 4, 9]))[0] == pytest.approx(np.log(10))
    loss, gradient = softmax_cross_entropy(np.array([[2.0, 0.5]]), np.array([0]))
    assert loss == pytest.approx(np.log1p(np.exp(-1.5)))
    other = 1 / (1 + np.exp(1.5))
    np.testing.assert_allclose(gradient, [[-other, other]])


def test_cross_entropy_of_huge_float32_logits_is_finite() -> None:
    loss, gradient = softmax_cross_entropy(np.array([[1e30, 0.0, -1e30]], np.float32), np.array([1]))
    assert loss == np.float32(1e30)
    assert loss.dtype == gradient.dtype == np.float32
    np.testing.assert_array_equal(gradient, [[1, -1, 0]])


def test_exact_products_given_by_hand_change_nothing() -> None:
    net, rng = mlp([5, 7, 6, 3]), np.random.default_rng(0)
    x, y = rng.normal(size=(8, 5)).astype(np.float32), rng.integers(0, 3, 8)
    products = [lambda v, w=w: v @ w for w in net.weights]
    transposed = [lambda d, w=w: d @ w.T for w in net.weights]
    np.testing.assert_array_equal(net.forward(x, products), net.forward(x))
    (loss, own), (loss_by_hand, by_hand) = net.gradients(x, y), net.gradients(x, y, products, transposed)
    assert loss == loss_by_hand
    for a, b in zip(own, by_hand, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_a_product_with_other_weights_is_the_network_with_those_weights() -> None:
    rng = np.random.default_rng(1)
    net, x, y = random_net([4, 6, 3], Tanh, rng), rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    noisy = [w + 0.1 * rng.normal(size=w.shape) for w in net.weights]
    changed = net.with_weights([(w, b) for w, (_, b) in zip(noisy, pairs(net), strict=True)])
    products = [lambda v, w=w: v @ w for w in noisy]
    transposed = [lambda d, w=w: d @ w.T for w in noisy]
    np.testing.assert_allclose(net.forward(x, products), changed.forward(x), rtol=1e-12)
    expected = changed.gradients(x, y)[1]
    for got, want in zip(net.gradients(x, y, products, transposed)[1], expected, strict=True):
        np.testing.assert_allclose(got[0], want[0], rtol=1e-10)


def test_the_error_comes_back_through_the_transposed_products() -> None:
    rng = np.random.default_rng(2)
    net, x, y = random_net([4, 6, 3], Tanh, rng), rng.normal(size=(9, 4)), rng.integers(0, 3, 9)

    def never(d: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing below the first weighted layer learns")

    plain = net.gradients(x, y)[1]
    doubled = net.gradients(x, y, transposed=[never, lambda d: 2 * d @ net.weights[1].T])[1]
    np.testing.assert_allclose(doubled[0][0], 2 * plain[0][0], rtol=1e-12)
    np.testing.assert_array_equal(doubled[1][0], plain[1][0])


def test_activations_are_what_each_product_is_given() -> None:
    net = mlp([5, 7, 3])
    x = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    seen, logits = net.activations(x)
    np.testing.assert_array_equal(seen[0], x)
    np.testing.assert_array_equal(seen[1], np.maximum(x @ net.weights[0], 0))
    np.testing.assert_array_equal(logits, net.forward(x))


@pytest.mark.parametrize("n", [1, 1024, 2500])
def test_predict_is_the_largest_logit_whatever_the_number_of_samples(n: int) -> None:
    net, x = mlp([3, 8, 5]), np.random.default_rng(4).normal(size=(n, 3))
    labels = net.predict(x, seed=9)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, net.forward(x).argmax(axis=1))


def test_a_network_runs_in_the_precision_of_its_weights() -> None:
    x = np.ones((2, 3))
    assert mlp([3, 2]).forward(x).dtype == np.float32
    assert random_net([3, 2], ReLU, np.random.default_rng(0)).forward(x.astype(np.float32)).dtype == np.float64


def test_moving_a_numpy_network_to_numpy_keeps_its_arrays() -> None:
    net = mlp([3, 2])
    assert net.to("numpy").weights[0] is net.weights[0]


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_arrays_of_another_library_give_the_same_numbers_there(activation: str) -> None:
    rng, net = np.random.default_rng(5), mlp([4, 6, 3], activation=activation)
    far = net.with_weights([(ForeignArray(w), ForeignArray(b)) for w, b in pairs(net)])
    x, y = rng.normal(size=(7, 4)).astype(np.float32), rng.integers(0, 3, 7)
    logits, (loss, gradients) = far.forward(ForeignArray(x)), far.gradients(ForeignArray(x), ForeignArray(y))
    assert type(logits) is type(gradients[0][0]) is ForeignArray
    np.testing.assert_array_equal(logits.get(), net.forward(x))
    np.testing.assert_array_equal(far.forward(x).get(), net.forward(x))
    np.testing.assert_array_equal(far.predict(x), net.predict(x))
    np.testing.assert_array_equal(loss.get(), net.gradients(x, y)[0])
    for (dw, db), (near_dw, near_db) in zip(gradients, net.gradients(x, y)[1], strict=True):
        np.testing.assert_array_equal(dw.get(), near_dw)
        np.testing.assert_array_equal(db.get(), near_db)
    np.testing.assert_array_equal(far.to("numpy").weights[0], net.weights[0])


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 400), ("sigmoid", 2 / 700), ("tanh", 2 / 700)])
def test_initial_weights_are_normal_with_the_variance_of_he_or_glorot(activation: str, variance: float) -> None:
    net = mlp([400, 300, 10], activation=activation)
    w, n = net.weights[0], 400 * 300
    assert w.dtype == np.float32
    assert abs(w.mean()) < 4 * np.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 4 * np.sqrt(2 / n)
    assert not net.weighted[0].bias.any()


def test_a_seed_fixes_the_initial_weights_and_layers_draw_apart() -> None:
    a, b, c = mlp([6, 6, 6], seed=1), mlp([6, 6, 6], seed=1), mlp([6, 6, 6], seed=2)
    np.testing.assert_array_equal(a.weights[0], b.weights[0])
    assert np.all(a.weights[0] != c.weights[0])
    assert np.all(a.weights[0] != a.weights[1])


def test_a_hidden_layer_has_its_activation_and_the_last_has_none() -> None:
    assert [type(layer) for layer in mlp([4, 3, 2], activation="tanh").layers] == [Dense, Tanh, Dense]
    assert (mlp([4, 3, 2]).n_in, mlp([4, 3, 2]).n_out) == (4, 2)


@pytest.mark.parametrize(
    ("sizes", "activation", "message"),
    [
        ([64], "relu", "mlp.sizes: must be two or more integers above 0, got [64]; for digits, [64, 32, 10]"),
        ([64, 0], "relu", "mlp.sizes: must be two or more integers above 0, got [64, 0]; for digits, [64, 32, 10]"),
        ([4, 2.5], "relu", "mlp.sizes: must be two or more integers above 0, got [4, 2.5]; for digits, [64, 32, 10]"),
        (
            [4, 2],
            "relo",
            "mlp.activation: unknown activation, got relo; did you mean 'relu'? Known: relu, sigmoid, step, tanh",
        ),
    ],
)
def test_bad_networks_are_refused(sizes: list[int], activation: str, message: str) -> None:
    assert refused(lambda: mlp(sizes, activation=activation)) == message


def test_layers_that_do_not_chain_are_refused() -> None:
    layers = (Dense(np.ones((4, 3)), np.ones(3)), ReLU(), Dense(np.ones((5, 2)), np.ones(2)))
    expected = "layers[2]: must take the 3 outputs of layers[0], got 5 inputs; change one of the two"
    assert refused(lambda: Network(layers)) == expected
    expected = "Network.layers: must hold a layer with weights, got 1; add a Dense layer"
    assert refused(lambda: Network((ReLU(),))) == expected


def test_weights_that_are_not_finite_are_counted_and_placed() -> None:
    bad = np.ones((4, 3))
    bad[0, 0], bad[1, 1], bad[2, 2] = np.nan, np.inf, -np.inf
    layers = (Dense(np.ones((4, 4)), np.ones(4)), ReLU(), Dense(bad, np.ones(3)))
    expected = "layers[2].weight: must be finite, got 3 NaN or infinite values of 12; check where the values come from"
    assert refused(lambda: Network(layers)) == expected
    layers = (Dense(np.ones((4, 3)), np.array([0, np.nan, 0])),)
    expected = "layers[0].bias: must be finite, got 1 NaN or infinite values of 3; check where the values come from"
    assert refused(lambda: Network(layers)) == expected


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.ones((5, 3)),
            "x: must have 4 features per sample (batch, 4), got shape (5, 3); reshape to (-1, 4) or fit the network",
        ),
        (
            np.ones(4),
            "x: must have 4 features per sample (batch, 4), got shape (4,); pass x[None, :] for one sample",
        ),
        (
            np.ones((0, 4)),
            "x: must hold at least one sample, got none",
        ),
        (
            np.array([[1.0, np.nan, np.inf, 0]]),
            "x: must be finite, got 2 NaN or infinite values of 4; remove or fill these values first",
        ),
        (
            np.array([["a"] * 4]),
            "x: must hold real numbers, got type <U1; convert it with x.astype(np.float32)",
        ),
    ],
)
@pytest.mark.parametrize("call", ["forward", "activations", "predict"])
def test_bad_inputs_are_refused_at_every_door(call: str, x: np.ndarray, message: str) -> None:
    assert refused(lambda: getattr(mlp([4, 2]), call)(x)) == message


def test_products_labels_and_weights_must_match_the_network() -> None:
    net, x = mlp([4, 3, 2]), np.ones((5, 4))
    expected = (
        "products: must hold one callable for each of 2 weighted layers, got 1 callables; give one for every layer"
    )
    assert refused(lambda: net.forward(x, [lambda v: v])) == expected
    expected = "y: must hold one label per sample, shape (5,), got shape (4,); match x"
    assert refused(lambda: net.gradients(x, np.zeros(4, int))) == expected
    expected = (
        "Network.with_weights: must get one (weight, bias) pair for each of 2 weighted layers, got 1 pairs; "
        "give every layer's"
    )
    assert refused(lambda: net.with_weights(pairs(net)[:1])) == expected


def test_a_perceptron_without_biases_is_its_products() -> None:
    net = mlp([5, 4, 3], bias=False, seed=1)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    w, u = net.weights
    np.testing.assert_allclose(net.forward(x), np.maximum(x @ w, 0) @ u, rtol=1e-6)
    for kept, other in zip(net.weights, mlp([5, 4, 3], seed=1).weights, strict=True):
        np.testing.assert_array_equal(kept, other)
