"""Recurrent convolutions: the loop over time, the same layer fully connected, and where neurons stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import correlate2d

from cimsim.network import patches
from cimsim.network.activity import activity
from cimsim.network.build import AvgPool, Conv, Linear, MaxPool, Recurrent, RecurrentConv, cnn
from cimsim.network.coding import Given
from cimsim.network.firing import NEURON, Count, Spiking
from cimsim.network.layers import Dense
from cimsim.network.network import joined
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.pooling import AvgPool2d, MaxPool2d
from cimsim.network.recurrent import RecurrentDense
from cimsim.network.recurrent_conv import RecurrentConv2d
from cimsim.network.spiking import snn
from device_models.errors import InputError, ParameterError

BATCH, STEPS, SHAPE, CHANNELS, KERNEL = 5, 6, (2, 4, 5), 3, (3, 5)
N_IN, N = 40, 60
LAWS = [DiscreteLIF(decay=0.9), DiscreteLIF(decay=0.8, reset="soft", v_reset=-0.2, refractory=1)]


@pytest.fixture(params=[patches._BLOCK, 2 * 20 * 75], ids=["one block", "three blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All samples at once, or two at a time, with 20 patches of 75 numbers each."""
    monkeypatch.setattr(patches, "_BLOCK", request.param)


def layer(neuron: DiscreteLIF = LAWS[0], dtype: type = np.float64) -> RecurrentConv2d:
    rng = np.random.default_rng(7)
    weight = rng.normal(0.1, 0.4, ((SHAPE[0] + CHANNELS) * 15, CHANNELS)).astype(dtype)
    return RecurrentConv2d(weight, rng.normal(0, 0.1, CHANNELS).astype(dtype), SHAPE, KERNEL, STEPS, neuron)


def inputs(dtype: type = np.float64) -> np.ndarray:
    return (np.random.default_rng(1).random((BATCH * STEPS, N_IN)) < 0.3).astype(dtype)


def fully_connected(a: RecurrentConv2d) -> RecurrentDense:
    """The same layer with every weight written out: what its cell makes of each input and each own spike."""
    rows = a.cell.forward(np.eye(N_IN + N)) - a.cell.forward(np.zeros((1, N_IN + N)))
    return RecurrentDense(rows, np.repeat(a.bias, SHAPE[1] * SHAPE[2]), STEPS, a.neuron, a.surrogate)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("neuron", LAWS)
def test_the_forward_pass_is_the_loop_over_time(neuron: DiscreteLIF) -> None:
    """Step by step with the neuron's own steps and scipy's correlation, image by image, channel by channel."""
    a = layer(neuron)
    kernels = a.weight.T.reshape(CHANNELS, SHAPE[0] + CHANNELS, *KERNEL)
    x = inputs().reshape(BATCH, STEPS, *SHAPE)
    state, spikes = neuron.rest((BATCH, CHANNELS, *SHAPE[1:])), np.zeros((BATCH, CHANNELS, *SHAPE[1:]))
    currents, fired = [], []
    for t in range(STEPS):
        seen = np.concatenate([x[:, t], spikes], axis=1)
        y = [[sum(map(correlate2d_same, image, kernel)) for kernel in kernels] for image in seen]
        currents.append(np.array(y) + a.bias[:, None, None])
        state, now = neuron.step(state, currents[-1])
        spikes = now.astype(float)
        fired.append(spikes.reshape(BATCH, -1))
    y = a.forward(inputs())
    np.testing.assert_allclose(y.reshape(BATCH, STEPS, *spikes.shape[1:]), np.stack(currents, axis=1), rtol=1e-9)
    behind = Spiking(STEPS, neuron).forward(y)
    np.testing.assert_array_equal(behind.reshape(BATCH, STEPS, N), np.stack(fired, axis=1))
    assert 0.1 < behind.mean() < 0.9


def correlate2d_same(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.asarray(correlate2d(image, kernel, mode="same"))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("neuron", LAWS)
def test_forward_and_back_it_is_the_fully_connected_layer_of_the_same_weights(neuron: DiscreteLIF) -> None:
    a, x, dy = layer(neuron), inputs(), np.random.default_rng(4).normal(size=(BATCH * STEPS, N))
    whole = fully_connected(a)
    y = a.forward(x)
    np.testing.assert_allclose(y, whole.forward(x), rtol=1e-9, atol=1e-12)
    (d, dx), (expected, at_inputs) = a.unrolled(dy, x, y), whole.unrolled(dy, x, y)
    np.testing.assert_allclose(d, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dx, at_inputs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.backward(dy, x, y), dx, rtol=1e-12)


@pytest.mark.usefixtures("blocks")
def test_its_gradient_is_that_of_every_weight_written_out_summed_where_they_are_one() -> None:
    """The derivative of <weights written out, their gradient> by a kernel's element, which it holds linearly."""
    a, x, dy = layer(), inputs(), np.random.default_rng(4).normal(size=(BATCH * STEPS, N))
    whole, y = fully_connected(a), a.forward(x)
    d, _ = a.unrolled(dy, x, y)
    d_weight, d_bias = a.gradient(x, d, y)
    written, _ = whole.gradient(x, d, y)
    for place in [(0, 0), (7, 2), (29, 1), (30, 0), (44, 2), (74, 1)]:
        one = np.zeros_like(a.weight)
        one[place] = 1
        assert d_weight[place] == pytest.approx(np.sum(written * fully_connected(replace(a, weight=one)).weight))
    np.testing.assert_allclose(d_bias, d.reshape(BATCH * STEPS, CHANNELS, -1).sum(axis=(0, 2)), rtol=1e-9)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_its_vectors_are_what_its_product_was_given(dtype: type) -> None:
    """The spikes that fed back, found again in the currents of a product that errs."""
    a, x, seen, errors = layer(dtype=dtype), inputs(dtype), list[np.ndarray](), np.random.default_rng(3)

    def product(v: np.ndarray) -> np.ndarray:
        seen.append(v.copy())
        return (v @ a.weight + errors.normal(0, 0.3, (len(v), CHANNELS))).astype(dtype)

    y = a.forward(x, product)
    for found, given in zip(a.vectors(x, y), seen, strict=True):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, given)
    assert len(seen) in (STEPS, 3 * STEPS)
    assert len(joined(seen)) == BATCH * STEPS * a.reads_per_sample


@pytest.mark.usefixtures("blocks")
def test_the_transposed_product_is_called_in_the_opposite_order() -> None:
    a, x, sent = layer(), inputs(), list[np.ndarray]()

    def transposed(d: np.ndarray) -> np.ndarray:
        sent.append(d)
        return a.multiply_transposed(d)

    y = a.forward(x)
    d, _ = a.unrolled(np.ones_like(y), x, y, transposed)
    for back, error in zip(sent[::-1], a.errors(d), strict=True):
        np.testing.assert_array_equal(back, error)


def test_settings_arrive_and_reads_are_counted() -> None:
    net = snn([RecurrentConv(4, kernel=3), Linear(3)], image=(1, 6, 5), steps=7, neuron=LAWS[1])
    first = net.layers[0]
    assert isinstance(first, RecurrentConv2d)
    assert (first.steps, first.neuron, first.in_shape, first.out_shape) == (7, LAWS[1], (1, 6, 5), (4, 6, 5))
    assert [type(a) for a in net.layers] == [RecurrentConv2d, Spiking, Dense, Spiking, Count]
    assert [w.shape for w in net.weights] == [(9 + 36, 4), (120, 3)]
    assert (net.reads, net.reads_per_call) == ((210, 7), (30, 7))
    assert repr(first) == "RecurrentConv2d(1 x 6 x 5 -> 4 x 6 x 5, 7 steps)"


def test_a_pool_behind_it_gets_neurons_of_its_own() -> None:
    layers = [RecurrentConv(2, kernel=3), AvgPool(2), Conv(2, kernel=3), MaxPool(2), Linear(3)]
    net = snn(layers, image=(1, 8, 8), steps=4)
    made = [type(a).__name__ for a in net.layers]
    assert made[:5] == ["RecurrentConv2d", "Spiking", "AvgPool2d", "Spiking", "Conv2d"]
    assert made[5:] == ["MaxPool2d", "Spiking", "Dense", "Spiking", "Count"]
    for seen in net.trace(np.full((2, 64), 0.5)):
        if isinstance(seen.layer, AvgPool2d):
            assert set(np.unique(seen.x)) <= {0, 1}
    deep = snn([Conv(2, kernel=3), RecurrentConv(3, kernel=3), MaxPool(2), Recurrent(4)], image=(1, 8, 8))
    assert [type(a) for a in deep.layers[2:6]] == [RecurrentConv2d, Spiking, MaxPool2d, Spiking]


def test_first_weights_of_inputs_and_of_own_spikes_have_the_variance_of_their_numbers() -> None:
    weight = snn([RecurrentConv(40, kernel=5)], image=(20, 3, 3)).weights[0]
    assert np.std(weight[:500]) == pytest.approx((2 / 500) ** 0.5, rel=0.03)
    assert np.std(weight[500:]) == pytest.approx((2 / 1000) ** 0.5, rel=0.03)


def test_activity_counts_its_own_spikes_on_word_lines() -> None:
    """A kernel of one pixel: every input, and every own spike but those of the last step, meets one patch."""
    net = snn([RecurrentConv(3, kernel=1), Linear(2)], image=(1, 3, 4), code=Given(steps=STEPS))
    x = np.random.default_rng(0).random((4, STEPS, 12)) < 0.5
    fired = net.trace(x)[1].y.reshape(4, STEPS, -1)
    found = activity(net, x).layers[0]
    assert found.spikes == pytest.approx((x.sum() + fired[:, :-1].sum()) / 4)
    assert found.reads == STEPS * 12


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: replace(layer(), weight=np.ones((45, 3))), r"RecurrentConv2d\.weight: must be a matrix \(\(channels_"),
        (lambda: replace(layer(), weight=np.ones(45)), r"RecurrentConv2d\.weight: must be a matrix"),
        (lambda: replace(layer(), bias=np.ones(4)), r"RecurrentConv2d\.bias: must hold one value per output channel"),
        (
            lambda: replace(layer(), kernel=(3, 4)),
            r"RecurrentConv2d\.kernel: must have odd sides, .* got 3 x 4",
        ),
        (lambda: layer().forward(inputs()[:5]), "RecurrentConv2d: must be given samples of 6 vectors each, got 5"),
        (
            lambda: cnn((1, 4, 4), [RecurrentConv(3, kernel=3)]),
            r"layers\[0\]: must have the steps of the network",
        ),
        (
            lambda: snn([RecurrentConv(3, kernel=2), Linear(2)], image=(1, 4, 4)),
            r"snn\.layers\[0\]: RecurrentConv2d\.kernel: must have odd sides",
        ),
        (lambda: snn([16, RecurrentConv(3, kernel=3)]), r"snn\.layers\[1\]: must be .*; give the image as well"),
    ],
)
def test_bad_input_is_named(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()


def test_a_stride_is_refused() -> None:
    with pytest.raises(ParameterError, match="RecurrentConv: unknown name, got 'stride'"):
        RecurrentConv(3, kernel=3, stride=2)


def test_max_pooled_spikes_pass_the_neurons_behind_them_as_they_are() -> None:
    net = snn([RecurrentConv(2, kernel=3), MaxPool(2), Linear(3)], image=(1, 4, 4), steps=5, neuron=NEURON)
    passes = net.trace(np.random.default_rng(0).random((3, 16)))
    pooled = next(p for p in passes if isinstance(p.layer, MaxPool2d))
    np.testing.assert_array_equal(passes[passes.index(pooled) + 1].y, pooled.y)
