from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cimsim.network.pooling import AvgPool2d, MaxPool2d, Pool
from device_models.errors import InputError
from tests.foreign import ForeignArray

RNG = np.random.default_rng(0)
pair = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def pools(draw: Any) -> Pool:
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    kernel = draw(pair)
    assume(kernel[0] <= shape[1] and kernel[1] <= shape[2])
    kind = draw(st.sampled_from([MaxPool2d, AvgPool2d]))
    return kind(shape, kernel, draw(st.one_of(st.none(), pair)), draw(st.booleans()))


def by_hand(layer: Pool, x: np.ndarray) -> np.ndarray:
    """Window by window, from the definition."""
    images, (kh, kw), (sh, sw) = x.reshape(-1, *layer.in_shape), layer.kernel, layer.stride
    reduce = np.max if isinstance(layer, MaxPool2d) else np.mean
    y = np.zeros((len(x), *layer.out_shape))
    for i, j in np.ndindex(layer.out_shape[1:]):
        y[:, :, i, j] = reduce(images[:, :, i * sh : i * sh + kh, j * sw : j * sw + kw], axis=(2, 3))
    return y.reshape(len(x), -1)


@given(pools())
def test_pools_are_their_definition(layer: Pool) -> None:
    x = RNG.standard_normal((3, layer.n_in))
    np.testing.assert_allclose(layer.forward(x), by_hand(layer, x), rtol=1e-12)
    assert layer.n_out == np.prod(layer.out_shape)


@given(pools())
def test_backward_is_the_central_difference(layer: Pool) -> None:
    x, step, h = RNG.standard_normal((2, layer.n_in)), RNG.standard_normal((2, layer.n_in)), 1e-7
    dy = RNG.standard_normal((2, layer.n_out))
    slope = np.sum(dy * (layer.forward(x + h * step) - layer.forward(x - h * step))) / (2 * h)
    assert np.sum(step * layer.backward(dy, x, layer.forward(x))) == pytest.approx(slope, rel=1e-5, abs=1e-5)


@given(pools())
def test_an_error_goes_back_whole_also_where_values_are_equal(layer: Pool) -> None:
    """To one element of each window, whatever the ties, or in shares that add up."""
    x = RNG.integers(0, 2, (4, layer.n_in)).astype(float)
    dy = RNG.standard_normal((4, layer.n_out))
    dx = layer.backward(dy, x, layer.forward(x))
    np.testing.assert_allclose(dx.sum(axis=1), dy.sum(axis=1), atol=1e-12)


def test_of_equal_values_the_first_column_by_column_gets_the_error() -> None:
    layer, x = MaxPool2d((1, 2, 2), 2), np.array([[1.0, 3.0, 3.0, 3.0]])
    np.testing.assert_array_equal(layer.backward(np.array([[5.0]]), x, layer.forward(x)), [[0, 0, 5, 0]])


def test_the_five_layer_cnn_needs_windows_that_hang_over() -> None:
    assert MaxPool2d((8, 26, 26), 3, ceil=True).out_shape == (8, 9, 9)
    assert MaxPool2d((12, 7, 7), 2, ceil=True).out_shape == (12, 4, 4)
    assert MaxPool2d((12, 7, 7), 2).out_shape == (12, 3, 3)
    assert repr(MaxPool2d((12, 7, 7), 2)) == "MaxPool2d(12 x 7 x 7 -> 12 x 3 x 3)"


@pytest.mark.parametrize("kind", [MaxPool2d, AvgPool2d])
@pytest.mark.parametrize("stride", [None, 1])
def test_arrays_of_another_library_give_the_same_numbers_there(kind: Any, stride: int | None) -> None:
    layer = kind((2, 7, 5), (3, 2), stride, ceil=True)
    x = RNG.standard_normal((3, 70)).astype(np.float32)
    y = layer.forward(x)
    dx, theirs = layer.backward(y, x, y), layer.backward(*map(ForeignArray, (y, x, y)))
    assert y.dtype == dx.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(layer.forward(ForeignArray(x)).get(), y)
    np.testing.assert_array_equal(theirs.get(), dx)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: MaxPool2d((1, 8, 8), 9),
            "MaxPool2d.kernel: must fit into the image of 8 x 8, got 9 x 9; choose a smaller one",
        ),
        (lambda: AvgPool2d((1, 8, 8), 0), "AvgPool2d.kernel: must be an integer of 1 or more, or two of them"),
        (lambda: MaxPool2d((1, 8, 8), 2, -1), "MaxPool2d.stride: must be an integer of 1 or more, or two of them"),
        (lambda: MaxPool2d((64,), 2), "MaxPool2d.in_shape: must be three integers above 0"),
        (
            lambda: MaxPool2d((1, 8, 8), 2, ceil=1),  # type: ignore[arg-type]
            "MaxPool2d.ceil: must be true or false, got 1; True keeps windows at the end",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
