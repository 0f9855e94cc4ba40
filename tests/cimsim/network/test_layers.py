from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.network.layers import Dense, Heaviside, Layer, ReLU, Sigmoid, Tanh, Unbiased
from device_models.errors import InputError

RNG = np.random.default_rng(0)
ACTIVATIONS = [ReLU(), Sigmoid(), Tanh()]
sizes = st.integers(1, 7)


@given(sizes, sizes, sizes)
def test_dense_is_its_sum_over_rows(batch: int, n_in: int, n_out: int) -> None:
    x, w, b = RNG.normal(size=(batch, n_in)), RNG.normal(size=(n_in, n_out)), RNG.normal(size=n_out)
    np.testing.assert_allclose(Dense(w, b).forward(x), np.einsum("bi,io->bo", x, w) + b, rtol=1e-12, atol=1e-12)


@given(sizes, sizes, sizes)
def test_dense_backward_is_the_adjoint_of_forward(batch: int, n_in: int, n_out: int) -> None:
    x, dy = RNG.normal(size=(batch, n_in)), RNG.normal(size=(batch, n_out))
    layer = Dense(RNG.normal(size=(n_in, n_out)), np.zeros(n_out))
    y = layer.forward(x)
    assert np.sum(y * dy) == pytest.approx(np.sum(x * layer.backward(dy, x, y)), rel=1e-9, abs=1e-9)
    assert np.sum(y * dy) == pytest.approx(np.sum(layer.weight * layer.gradient(x, dy)[0]), rel=1e-9, abs=1e-9)


def test_dense_multiplies_by_the_products_it_is_given() -> None:
    layer = Dense(RNG.normal(size=(3, 2)), np.array([10.0, 20.0]))
    x, d = np.ones((4, 3)), np.ones((4, 2))
    np.testing.assert_array_equal(layer.forward(x, lambda v: np.zeros((len(v), 2))), [[10.0, 20.0]] * 4)
    np.testing.assert_array_equal(layer.backward(d, x, x, lambda e: np.full((len(e), 3), 5.0)), np.full((4, 3), 5.0))


def test_a_layer_without_biases_is_its_product_and_learns_none() -> None:
    x, dy, w = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), RNG.normal(size=(3, 2))
    layer = Unbiased(w, np.array([10.0, 20.0]))
    np.testing.assert_array_equal(layer.forward(x), x @ w)
    np.testing.assert_array_equal(layer.gradient(x, dy)[0], Dense(w, np.zeros(2)).gradient(x, dy)[0])
    np.testing.assert_array_equal(layer.gradient(x, dy)[1], [0, 0])
    np.testing.assert_array_equal(layer.backward(dy, x, x @ w), dy @ w.T)


@pytest.mark.parametrize(
    ("layer", "law"),
    [
        (ReLU(), lambda x: np.where(x > 0, x, 0.0)),
        (Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (Tanh(), lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))),
    ],
)
def test_activations_follow_their_law(layer: Layer, law: object) -> None:
    x = np.linspace(-20, 20, 81)[:, None]
    np.testing.assert_allclose(layer.forward(x), law(x), atol=1e-14)  # type: ignore[operator]


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_activations_backward_is_the_slope(layer: Layer) -> None:
    x, h = np.linspace(-5, 5, 40)[:, None], 1e-6
    slope = (layer.forward(x + h) - layer.forward(x - h)) / (2 * h)
    np.testing.assert_allclose(layer.backward(np.ones_like(x), x, layer.forward(x)), slope, atol=1e-8)


def test_a_comparator_gives_one_bit_and_passes_errors_straight_through_near_its_threshold() -> None:
    x = np.array([[-7.0, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 1.5]])
    y = Heaviside().forward(x)
    np.testing.assert_array_equal(y, [[0, 0, 0, 1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(Heaviside().backward(np.full_like(x, 3.0), x, y), [[0, 3, 3, 3, 3, 3, 3, 0]])


@pytest.mark.parametrize("layer", [*ACTIVATIONS, Heaviside()], ids=lambda a: type(a).__name__)
def test_activations_neither_overflow_nor_change_precision(layer: Layer) -> None:
    x = np.array([[-1e30, -200.0, 0.0, 200.0, 1e30]], dtype=np.float32)
    y = layer.forward(x)
    assert y.dtype == layer.backward(x, x, y).dtype == np.float32
    assert np.all(np.isfinite(y))
    assert np.all(np.diff(y) >= 0)


@pytest.mark.parametrize(("given_type", "kept"), [("f4", "f4"), ("f8", "f8"), ("i8", "f4"), ("f2", "f4")])
def test_weights_are_float32_unless_given_as_float64(given_type: str, kept: str) -> None:
    layer = Dense(np.ones((2, 3), given_type), np.zeros(3))
    assert layer.weight.dtype == layer.bias.dtype == kept


def test_weights_of_the_right_type_are_not_copied() -> None:
    weight = np.ones((2, 3), np.float32)
    assert Dense(weight, np.zeros(3)).weight is weight


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (np.ones(3), np.ones(3), "Dense.weight: must be a matrix (n_in, n_out), got shape (3,); reshape it"),
        (np.ones((0, 3)), np.ones(3), "Dense.weight: must be a matrix (n_in, n_out), got shape (0, 3); reshape it"),
        (
            np.ones((2, 3)),
            np.ones(2),
            "Dense.bias: must hold one value per output, shape (3,), got shape (2,); "
            "the weight's second axis is the output",
        ),
    ],
)
def test_wrong_shapes_are_refused(weight: np.ndarray, bias: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Dense(weight, bias)
    assert str(caught.value) == message


def test_new_weights_must_keep_their_shapes() -> None:
    layer = Dense(np.ones((2, 3)), np.zeros(3))
    np.testing.assert_array_equal(layer.with_weights(np.zeros((2, 3)), np.ones(3)).bias, np.ones(3))
    with pytest.raises(InputError) as caught:
        layer.with_weights(np.ones((3, 2)), np.ones(3))
    assert str(caught.value) == (
        "Dense.with_weights: must keep the shapes (2, 3) and (3,), got (3, 2) and (3,); check their order"
    )
