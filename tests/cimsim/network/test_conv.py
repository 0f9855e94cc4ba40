"""Convolution against its definition, against scipy, and against central differences; its groups; what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cimsim.network import patches
from cimsim.network.conv import Conv2d
from cimsim.network.layers import Dense, Tanh
from cimsim.network.network import Network
from device_models.errors import InputError
from tests.foreign import ForeignArray

RNG = np.random.default_rng(0)
pair = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def layers(draw: Any) -> tuple[Conv2d, np.ndarray]:
    """A float64 layer of any geometry, and the kernels it was made from."""
    groups = draw(st.integers(1, 2))
    inputs, outputs = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    for k, d, p, side in zip(kernel, dilation, padding, (height, width), strict=True):
        assume(d * (k - 1) < side + 2 * p)
    kernels = RNG.standard_normal((outputs, inputs, *kernel))
    shape = (inputs * groups, height, width)
    rest = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Conv2d.from_kernels(kernels, RNG.standard_normal(outputs), shape, **rest), kernels


def by_loops(layer: Conv2d, kernels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Output by output, from the definition."""
    images = x.reshape(-1, *layer.in_shape)
    framed = np.pad(images, [(0, 0), (0, 0), *[(n, n) for n in layer.padding]])
    y = np.zeros((len(x), *layer.out_shape))
    outputs, inputs, kh, kw = kernels.shape
    for n, o, i, j in np.ndindex(y.shape):
        first = o // (outputs // layer.groups) * inputs
        rows = i * layer.stride[0] + layer.dilation[0] * np.arange(kh)
        columns = j * layer.stride[1] + layer.dilation[1] * np.arange(kw)
        seen = framed[n, first : first + inputs][:, rows][:, :, columns]
        y[n, o, i, j] = np.sum(seen * kernels[o]) + layer.bias[o]
    return y.reshape(len(x), -1)


def samples(layer: Conv2d, n: int = 2) -> np.ndarray:
    return RNG.standard_normal((n, layer.n_in))


@given(layers())
def test_a_convolution_is_its_definition(made: tuple[Conv2d, np.ndarray]) -> None:
    layer, kernels = made
    x = samples(layer)
    assert layer.n_out == np.prod(layer.out_shape)
    np.testing.assert_allclose(layer.forward(x), by_loops(layer, kernels, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("padding", "mode"), [(0, "valid"), (1, "same"), (2, "full")])
def test_a_plain_convolution_is_scipys_correlation(padding: int, mode: str) -> None:
    from scipy.signal import correlate

    kernels, x = RNG.standard_normal((4, 3, 3, 3)), RNG.standard_normal((2, 3, 9, 7))
    layer = Conv2d.from_kernels(kernels, np.zeros(4), (3, 9, 7), padding=padding)
    planes = [[sum(correlate(n[c], k[c], mode) for c in range(3)) for k in kernels] for n in x]
    np.testing.assert_allclose(layer.forward(x.reshape(2, -1)).reshape(2, *layer.out_shape), planes, atol=1e-12)


@given(layers())
def test_backward_and_gradient_are_the_adjoints_of_forward(made: tuple[Conv2d, np.ndarray]) -> None:
    """`y - bias` is linear in the input and in the weights, so its adjoints are all of its derivatives."""
    layer, _ = made
    x = samples(layer)
    y = layer.forward(x)
    dy = RNG.standard_normal(y.shape)
    linear = layer.with_weights(layer.weight, np.zeros_like(layer.bias)).forward(x)
    d_weight, d_bias = layer.gradient(x, dy)
    total = pytest.approx(np.sum(linear * dy), rel=1e-9, abs=1e-9)
    assert np.sum(x * layer.backward(dy, x, y)) == total
    assert np.sum(layer.weight * d_weight) == total
    assert np.sum(layer.bias * d_bias) == pytest.approx(np.sum((y - linear) * dy), rel=1e-9, abs=1e-9)


@given(layers(), st.integers(0, 99))
def test_gradients_of_a_network_are_the_central_differences_of_its_loss(
    made: tuple[Conv2d, np.ndarray], seed: int
) -> None:
    first, rng, h = made[0], np.random.default_rng(seed), 1e-6
    second = Conv2d(rng.standard_normal((first.out_shape[0], 2)), rng.standard_normal(2), first.out_shape, 1)
    head = Dense(rng.standard_normal((second.n_out, 3)), rng.standard_normal(3))
    net = Network((first, Tanh(), second, Tanh(), head))
    x, y = rng.standard_normal((2, net.n_in)), rng.integers(0, 3, 2)
    exact = net.gradients(x, y)[1]
    step = [tuple(rng.standard_normal(a.shape) for a in pair) for pair in exact]
    step[0] = (step[0][0] * (first.weight != 0), step[0][1])

    def loss(t: float) -> float:
        pairs = [(a.weight + t * dw, a.bias + t * db) for a, (dw, db) in zip(net.weighted, step, strict=True)]
        return float(net.with_weights(pairs).gradients(x, y)[0])

    slope = sum(np.sum(g * s) for pair in zip(exact, step, strict=True) for g, s in zip(*pair, strict=True))
    assert slope == pytest.approx((loss(h) - loss(-h)) / (2 * h), rel=1e-5, abs=1e-7)


def test_groups_see_only_their_own_channels_and_training_leaves_the_zeros_between_them() -> None:
    layer = Conv2d.from_kernels(RNG.standard_normal((6, 1, 2, 2)), np.zeros(6), (3, 4, 4), groups=3)
    assert layer.weight.shape == (12, 6)
    inside = np.kron(np.eye(3), np.ones((4, 2)))
    np.testing.assert_array_equal(layer.weight != 0, inside)
    x = samples(layer)
    dy = RNG.standard_normal((2, layer.n_out))
    d_weight, d_bias = layer.gradient(x, dy)
    np.testing.assert_array_equal(d_weight != 0, inside)
    moved = x.reshape(2, 3, 16).copy()
    moved[:, 1] += 1
    changed = (layer.forward(moved.reshape(2, -1)) != layer.forward(x)).reshape(2, 3, -1).any(axis=(0, 2))
    np.testing.assert_array_equal(changed, [False, True, False])
    np.testing.assert_allclose(d_bias, dy.reshape(2, 6, -1).sum(axis=(0, 2)))


@pytest.mark.parametrize("block", [1, 200, 2**18])
def test_images_in_blocks_give_the_same_and_meet_their_product_in_order(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(patches, "_BLOCK", block)
    layer = Conv2d(RNG.standard_normal((18, 5)), RNG.standard_normal(5), (2, 6, 6), 3, padding=1)
    x = samples(layer, 7)
    dy, met = RNG.standard_normal((7, layer.n_out)), []

    def product(v: np.ndarray) -> np.ndarray:
        met.append(v)
        return layer.multiply(v)

    y = layer.forward(x, product)
    whole = np.concatenate(met)
    assert len(whole) == 7 * layer.reads_per_sample
    np.testing.assert_array_equal(whole, np.concatenate(list(layer.vectors(x))))
    by_patch = dy.reshape(7, 5, -1).swapaxes(1, 2).reshape(-1, 5)
    np.testing.assert_allclose(y.reshape(7, 5, -1).swapaxes(1, 2).reshape(-1, 5), whole @ layer.weight + layer.bias)
    np.testing.assert_allclose(layer.gradient(x, dy)[0], whole.T @ by_patch)
    np.testing.assert_allclose(
        layer.backward(dy, x, y), layer.patches.added(by_patch @ layer.weight.T), rtol=1e-12, atol=1e-12
    )


def test_memory_for_patches_does_not_grow_with_the_batch() -> None:
    import tracemalloc

    layer = Conv2d(np.ones((25, 1), np.float32), np.zeros(1), (1, 28, 28), 5)
    x = np.ones((1500, 784), np.float32)  # all patches: 1500 * 576 * 25 * 4 B = 86 MB

    def peak(run: Callable[[], Any]) -> int:
        tracemalloc.start()
        run()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(lambda: layer.forward(x)) < 4e6 + 4 * 1500 * layer.n_out
    assert peak(lambda: layer.backward(layer.forward(x), x, x)) < 8e6 + 4 * 1500 * (layer.n_out + layer.n_in)


def test_error_and_outputs_go_through_the_products_that_are_given() -> None:
    layer = Conv2d(RNG.standard_normal((4, 3)), np.array([1.0, 2, 3]), (1, 3, 3), 2)
    x = samples(layer)
    y = layer.forward(x, lambda v: np.zeros((len(v), 3)))
    np.testing.assert_array_equal(y, np.repeat([[1.0, 2, 3]], 4, axis=1).repeat(2, axis=0))
    dx = layer.backward(y, x, y, lambda d: np.ones((len(d), 4)))
    np.testing.assert_array_equal(dx, [[1, 2, 1, 2, 4, 2, 1, 2, 1]] * 2)  # patches that hold each pixel


def test_arrays_of_another_library_give_the_same_numbers_there() -> None:
    layer = Conv2d.from_kernels(
        RNG.standard_normal((4, 1, 3, 2)).astype(np.float32), np.ones(4), (2, 6, 5), padding=1, groups=2
    )
    far = layer.moved(ForeignArray)
    x = samples(layer, 3).astype(np.float32)
    y = layer.forward(x)
    there = [ForeignArray(a) for a in (y, x, y)]
    given = (far.forward(there[1]), far.backward(*there), *far.gradient(there[1], there[0]))
    for theirs, ours in zip(given, (y, layer.backward(y, x, y), *layer.gradient(x, y)), strict=True):
        assert theirs.dtype == ours.dtype == np.float32
        np.testing.assert_array_equal(theirs.get(), ours)
    kernels = ForeignArray(RNG.standard_normal((2, 1, 1, 1)))
    assert type(Conv2d.from_kernels(kernels, ForeignArray(np.zeros(2)), (1, 2, 2)).weight) is ForeignArray


def test_weights_are_not_copied_and_keep_their_shapes() -> None:
    weight = np.ones((9, 2), np.float32)
    layer = Conv2d(weight, np.zeros(2), (1, 5, 5), 3)
    assert layer.weight is weight
    assert layer.with_weights(weight, np.ones(2)).bias.dtype == np.float32
    assert repr(layer) == "Conv2d(1 x 5 x 5 -> 2 x 3 x 3)"
    message = "Conv2d.with_weights: must keep the shapes (9, 2) and (2,), got (2, 9) and (2,); check their order"
    assert refused(lambda: layer.with_weights(weight.T, np.ones(2))) == message


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def made(**changes: Any) -> Conv2d:
    return Conv2d(**{"weight": np.ones((18, 4)), "bias": np.zeros(4), "in_shape": (2, 8, 8), "kernel": 3} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kernel": 9},
            "Conv2d.kernel: must fit into the image of 8 x 8, got 9 x 9; choose a smaller one, or start",
        ),
        ({"dilation": 4}, "Conv2d.kernel: must fit into the image of 8 x 8, got 9 x 9; choose"),
        ({"kernel": 11, "padding": 1}, "Conv2d.kernel: must fit into the padded image of 10 x 10, got 11 x 11; choose"),
        (
            {"groups": 3},
            "Conv2d.groups: must divide the 2 input channels, got 3; change the channels or the groups",
        ),
        (
            {"groups": 2, "weight": np.ones((18, 3)), "bias": np.zeros(3)},
            "Conv2d.groups: must divide the 3 output chan",
        ),
        ({"groups": 0}, "Conv2d.groups: must be an integer above 0, got 0; 1 lets every output see every input"),
        ({"in_shape": (8, 8)}, "Conv2d.in_shape: must be three integers above 0 (channels, height, width), got (8, 8)"),
        ({"padding": -1}, "Conv2d.padding: must be an integer of 0 or more, or two of them (height, width), got -1"),
        ({"stride": 0}, "Conv2d.stride: must be an integer of 1 or more, or two of them (height, width), got 0"),
        (
            {"in_shape": (1, 8, 8)},
            "Conv2d.weight: must be a matrix of 9 rows, channels_in * kernel height * kernel width, got shape (18, 4)",
        ),
        ({"weight": np.ones((4, 2, 3, 3))}, "Conv2d.weight: must be a matrix of 18 rows"),
        (
            {"bias": np.zeros(3)},
            "Conv2d.bias: must hold one value per output channel, shape (4,), got shape (3,); "
            "the weight's second axis is the output channel",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    assert refused(lambda: made(**changes)).startswith(message)


def test_kernels_that_are_none_are_refused() -> None:
    message = (
        "Conv2d.kernels: must have four axes (channels_out, channels_in / groups, height, width), got shape (4, 3); "
        "reshape them"
    )
    assert refused(lambda: Conv2d.from_kernels(np.ones((4, 3)), np.zeros(4), (1, 8, 8))) == message
    message = "Conv2d.groups: must divide the 3 output channels, got 2; change the channels or the groups"
    kernels = np.ones((3, 1, 2, 2))
    assert refused(lambda: Conv2d.from_kernels(kernels, np.zeros(3), (2, 8, 8), groups=2)) == message
    message = "Conv2d.weight: must be a matrix of 4 rows"
    assert refused(lambda: Conv2d.from_kernels(kernels[:, [0, 0]], np.zeros(3), (1, 8, 8))).startswith(message)
