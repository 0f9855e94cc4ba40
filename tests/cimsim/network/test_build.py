from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim.network.build import Activation, LayerSpec, named
from cimsim.network.conv import Conv2d
from cimsim.network.layers import Dense, ReLU, Tanh
from cimsim.network.pooling import AvgPool2d, MaxPool2d
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict

FIVE = [
    cim.Conv(8, kernel=3),
    "relu",
    cim.MaxPool(3, ceil=True),
    cim.Conv(12, kernel=3),
    "relu",
    cim.MaxPool(2, ceil=True),
    cim.Linear(10),
]


def test_the_five_layer_cnn_of_2020_has_the_sizes_of_its_paper() -> None:
    net = cim.cnn((1, 28, 28), FIVE)
    assert [w.shape for w in net.weights] == [(9, 8), (72, 12), (192, 10)]
    assert [layer.reads_per_sample for layer in net.weighted] == [676, 49, 1]
    assert (net.n_in, net.n_out) == (784, 10)
    assert [type(layer) for layer in net.layers] == [Conv2d, ReLU, MaxPool2d, Conv2d, ReLU, MaxPool2d, Dense]


def test_every_size_reaches_its_layer() -> None:
    conv = cim.Conv(4, kernel=(3, 2), stride=2, padding=[1, 0], dilation=(1, 2), groups=2)
    net = cim.cnn((2, 9, 9), [conv, "tanh", cim.AvgPool(2, stride=1), cim.Linear(outputs=3)])
    first, tanh, pool, _ = net.layers
    assert isinstance(first, Conv2d)
    sides = (first.kernel, first.stride, first.padding, first.dilation, first.groups)
    assert sides == ((3, 2), (2, 2), (1, 0), (1, 2), 2)
    assert first.out_shape == (4, 5, 4)
    assert isinstance(tanh, Tanh)
    assert pool == AvgPool2d((4, 5, 4), 2, 1)


def test_initial_weights_are_hes_whatever_the_groups() -> None:
    net = cim.cnn((8, 6, 6), [cim.Conv(400, kernel=3, groups=4), "relu", cim.Linear(50)], seed=3)
    for w, fan_in in zip(net.weights, (18, 6400), strict=True):
        drawn = w[w != 0]
        assert w.dtype == np.float32
        assert drawn.size == {18: 18 * 400, 6400: 6400 * 50}[fan_in]
        assert abs(drawn.mean()) < 4 * np.sqrt(2 / fan_in / drawn.size)
        assert abs(drawn.var() * fan_in / 2 - 1) < 4 * np.sqrt(2 / drawn.size)
    assert not any(layer.bias.any() for layer in net.weighted)


def test_a_seed_fixes_the_weights_and_layers_draw_apart() -> None:
    layers = [cim.Conv(2, kernel=3, padding=1), cim.Conv(2, kernel=3, padding=1)]
    a, b, c = (cim.cnn((2, 4, 4), layers, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.weights[0], b.weights[0])
    assert np.all(a.weights[0] != c.weights[0])
    assert np.all(a.weights[0] != a.weights[1])


def test_a_layer_survives_its_table() -> None:
    for spec in map(named, FIVE):
        assert LayerSpec.model_validate(to_dict(spec)) == spec
    assert named("relu") == Activation(function="relu")


def test_a_network_may_be_an_mlp_or_return_to_images() -> None:
    net = cim.cnn((1, 2, 3), [cim.Linear(4), "relu", cim.Conv(3, kernel=1)])
    assert [w.shape for w in net.weights] == [(6, 4), (4, 3)]


def problem(call: Callable[[], Any]) -> str:
    with pytest.raises((InputError, ParameterError)) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [cim.Conv(4, kernel=3), cim.MaxPool(2), cim.Conv(4, kernel=5)],
            "cnn.layers[2]: Conv2d.kernel: must fit into the image of 3 x 3, got 5 x 5; choose a smaller one, or start",
        ),
        ([cim.Conv(4, kernel=3, groups=2)], "cnn.layers[0]: Conv2d.groups: must divide the 1 input channels, got 2"),
        ([cim.MaxPool(9)], "cnn.layers[0]: MaxPool2d.kernel: must fit into the image of 8 x 8, got 9 x 9"),
        (
            [cim.Conv(4, kernel=3), "relo"],
            "Activation.function: unknown activation, got relo; did you mean 'relu'? Known: relu, sigmoid, step, tanh",
        ),
        (
            [3],
            "cnn.layers[0]: must be a layer by its sizes, or the name of an activation, got 3; write",
        ),
        (["relu"], "Network.layers: must hold a layer with weights, got 1; add a Dense layer"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_their_place(layers: list[Any], message: str) -> None:
    assert problem(lambda: cim.cnn((1, 8, 8), layers)).startswith(message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cim.cnn((8, 8), FIVE),
            "cnn.image: must be three integers above 0 (channels, height, width), got",
        ),
        (
            lambda: cim.Conv(8, kernel=3, padding=-1),
            "Conv.padding: must be an integer of 0 or more, or two of them (height, width), got -1",
        ),
        (lambda: cim.Conv(8, kernel=0), "Conv.kernel: must be an integer of 1 or more, or two of them (height, width)"),
        (lambda: cim.Conv(8), "Conv.kernel: is required, got nothing; give it a value"),
        (lambda: cim.Conv(8, kernels=3), "Conv.kernel: is required, got nothing; give it a value | Conv: unknown name"),
        (lambda: cim.Linear(0), "Linear.outputs: must be greater than or equal to 1, got 0"),
    ],
)
def test_sizes_that_are_none_are_refused_before_a_network_is_built(call: Callable[[], Any], message: str) -> None:
    assert problem(call).startswith(message)


def test_image_layers_that_do_not_chain_are_refused_by_their_shapes() -> None:
    conv = Conv2d(np.ones((9, 2)), np.zeros(2), (1, 8, 8), 3)
    message = "layers[2]: must take the 2 x 6 x 6 outputs of layers[0], got 6 x 6 x 2 inputs; change one of the two"
    assert problem(lambda: cim.Network((conv, ReLU(), MaxPool2d((6, 6, 2), 2)))) == message
    message = "layers[1]: must take the 2 x 6 x 6 outputs of layers[0], got 71 inputs; change one of the two"
    assert problem(lambda: cim.Network((conv, Dense(np.ones((71, 2)), np.zeros(2))))) == message
    message = "layers[1]: must take the 64 outputs of layers[0], got 2 x 6 x 6 inputs; change one of the two"
    dense = Dense(np.ones((4, 64)), np.zeros(64))
    assert problem(lambda: cim.Network((dense, MaxPool2d((2, 6, 6), 2)))) == message


def test_a_network_that_starts_and_ends_with_pools_has_their_sizes() -> None:
    conv = Conv2d(np.ones((9, 5), np.float32), np.zeros(5), (1, 4, 4), 3)
    net = cim.Network((MaxPool2d((1, 8, 8), 2), conv, AvgPool2d((5, 2, 2), 2)))
    assert (net.n_in, net.n_out) == (64, 5)
    x = np.random.default_rng(0).random((3, 64))
    pooled = x.reshape(3, 4, 2, 4, 2).max(axis=(2, 4))
    expected = [[sum(np.sum(n[i : i + 3, j : j + 3]) for i in (0, 1) for j in (0, 1)) / 4] * 5 for n in pooled]
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-6)
    assert net.gradients(x, np.array([0, 1, 2]))[1][0][0].shape == (9, 5)
