from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cimsim.network.conv import Conv2d
from cimsim.network.layers import Dense, Layer, ReLU
from cimsim.network.network import Network, mlp
from cimsim.network.norm import BatchNorm2d, fold, normalized
from cimsim.network.pooling import MaxPool2d
from device_models.errors import InputError
from tests.foreign import ForeignArray

RNG = np.random.default_rng(0)


def norm(shape: tuple[int, int, int], kind: type = np.float64) -> BatchNorm2d:
    n = shape[0]
    mean, gain, offset = RNG.standard_normal((3, n)).astype(kind)
    return BatchNorm2d(mean, RNG.uniform(0.1, 3, n).astype(kind), gain, offset, shape)


def conv(shape: tuple[int, int, int], channels: int, kind: type = np.float64) -> Conv2d:
    weight = RNG.standard_normal((shape[0] * 9, channels)).astype(kind)
    return Conv2d(weight, RNG.standard_normal(channels).astype(kind), shape, 3)


def network(kind: type = np.float64) -> Network:
    """Norms after convolutions, after another norm, and after a Dense layer, seen as a vector and as an image."""
    dense = [Dense(RNG.standard_normal((n, m)).astype(kind), np.ones(m, kind)) for n, m in [(20, 12), (12, 6), (6, 3)]]
    layers: list[Layer] = [conv((2, 8, 8), 4, kind), norm((4, 6, 6), kind), ReLU(), MaxPool2d((4, 6, 6), 2)]
    layers += [Conv2d(RNG.standard_normal((16, 5)).astype(kind), np.zeros(5), (4, 3, 3), 2), norm((5, 2, 2), kind)]
    layers += [norm((5, 2, 2), kind), ReLU(), dense[0], norm((12, 1, 1), kind), ReLU()]
    return Network((*layers, dense[1], norm((3, 2, 1), kind), dense[2]))


def test_forward_is_its_formula() -> None:
    layer, x = norm((3, 2, 4)), RNG.standard_normal((5, 24))
    mean, variance, gain, offset = (getattr(layer, name)[:, None] for name in layer.arrays)
    expected = gain * (x.reshape(5, 3, 8) - mean) / np.sqrt(variance + 1e-5) + offset
    np.testing.assert_allclose(layer.forward(x), expected.reshape(5, 24), rtol=1e-10, atol=1e-12)
    assert (layer.n_in, layer.n_out, layer.out_shape) == (24, 24, (3, 2, 4))


def test_backward_is_the_slope() -> None:
    layer, x, dy = norm((3, 2, 4)), RNG.standard_normal((5, 24)), RNG.standard_normal((5, 24))
    step = RNG.standard_normal((5, 24))
    change = np.sum(dy * (layer.forward(x + step) - layer.forward(x)))
    assert np.sum(step * layer.backward(dy, x, layer.forward(x))) == pytest.approx(change, rel=1e-9)


def test_measured_statistics_leave_mean_0_and_variance_1() -> None:
    x = RNG.normal(3.0, 2.0, (500, 3, 8)) * np.array([1.0, 2, 3])[:, None]
    y = BatchNorm2d.measured(x.reshape(500, -1), (3, 2, 4)).forward(x.reshape(500, -1)).reshape(500, 3, 8)
    np.testing.assert_allclose(y.mean(axis=(0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 2)), 1, rtol=1e-5)


def test_a_normalised_network_has_at_each_norm_the_gain_and_offset_it_was_given() -> None:
    net = network()
    x = RNG.standard_normal((200, net.n_in))
    made = normalized(net, x)
    for layer in made.layers:
        x = layer.forward(x)
        if isinstance(layer, BatchNorm2d):
            by_channel = x.reshape(200, layer.in_shape[0], -1)
            alive = layer.variance > 1e-9
            np.testing.assert_allclose(by_channel.mean(axis=(0, 2)), layer.offset, atol=1e-9)
            np.testing.assert_allclose(by_channel.std(axis=(0, 2))[alive], np.abs(layer.gain[alive]), rtol=1e-2)


@pytest.mark.parametrize(("kind", "rounding"), [(np.float64, 1e-12), (np.float32, 3e-6)])
def test_a_folded_network_is_the_same_function_without_norms(kind: type, rounding: float) -> None:
    net = network(kind)
    x = RNG.standard_normal((20, net.n_in)).astype(kind)
    folded = fold(net)
    assert [type(a) for a in folded.layers] == [type(a) for a in net.layers if not isinstance(a, BatchNorm2d)]
    assert all(a.weight.dtype == kind for a in folded.weighted)
    y = net.forward(x)
    np.testing.assert_allclose(folded.forward(x), y, atol=rounding * np.abs(y).max())


def test_folding_a_network_without_norms_changes_nothing() -> None:
    net = mlp([4, 3, 2])
    assert all(a is b for a, b in zip(fold(net).layers, net.layers, strict=True))


def test_gradients_pass_through_a_norm() -> None:
    net, h = network(), 1e-6
    x, y = RNG.standard_normal((4, net.n_in)), np.array([0, 1, 2, 0])
    exact = net.gradients(x, y)[1]
    steps = [RNG.standard_normal(w.shape) for w in net.weights]
    losses = []
    for t in (h, -h):
        pairs = [(a.weight + t * s, a.bias) for a, s in zip(net.weighted, steps, strict=True)]
        losses.append(net.with_weights(pairs).gradients(x, y)[0])
    slope = sum(np.sum(g[0] * s) for g, s in zip(exact, steps, strict=True))
    assert slope == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-4)


def test_arrays_of_another_library_give_the_same_numbers_there() -> None:
    net = network(np.float32)
    x = RNG.standard_normal((4, net.n_in)).astype(np.float32)
    far = Network(tuple(layer.moved(ForeignArray) for layer in net.layers))
    np.testing.assert_array_equal(far.forward(ForeignArray(x)).get(), net.forward(x))
    np.testing.assert_array_equal(fold(far).forward(x).get(), fold(net).forward(x))
    ours, theirs = normalized(net, x), normalized(far, x)
    np.testing.assert_array_equal(theirs.forward(x).get(), ours.forward(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: BatchNorm2d(np.zeros(3), np.ones(3), np.ones(3), np.ones(3), (4, 2, 2)),
            "BatchNorm2d.mean: must hold one value per channel, shape (4,), got shape (3,); match in_shape",
        ),
        (
            lambda: BatchNorm2d(np.zeros(1), -np.ones(1), np.ones(1), np.ones(1), (1, 2, 2)),
            "BatchNorm2d.variance: must be 0 or more, with an epsilon above 0, got -1.0; pass",
        ),
        (
            lambda: BatchNorm2d(np.zeros(1), np.zeros(1), np.ones(1), np.ones(1), (1, 2, 2), 0.0),
            "BatchNorm2d.variance: must be 0 or more, with an epsilon above 0, got 0.0",
        ),
        (
            lambda: fold(Network((conv((1, 4, 4), 2), ReLU(), norm((2, 2, 2))))),
            "layers[2]: must come right after a layer with weights to be folded into it, got after ReLU(); "
            "move it there, or leave it: a chip computes it digitally",
        ),
        (
            lambda: fold(Network((norm((1, 4, 4)), conv((1, 4, 4), 2)))),
            "layers[0]: must come right after a layer with weights to be folded into it, got after nothing",
        ),
        (
            lambda: Network((conv((1, 4, 4), 2), norm((2, 2, 3)))),
            "layers[1]: must take the 2 x 2 x 2 outputs of layers[0], got 2 x 2 x 3 inputs; change one of the two",
        ),
        (
            lambda: Network((conv((1, 4, 4), 2), BatchNorm2d(*np.full((4, 2), np.nan), (2, 2, 2)))),
            "BatchNorm2d.variance: must be 0 or more",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
