from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.network.network import mlp
from cimsim.published import Result
from cimsim.published.mlp_macro_2018 import BIAS_LINES, images, with_bias_lines


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("mlp-macro-2018", quick=True)


def test_images_are_black_and_white_means_of_four_pixels():
    x = np.zeros((1, 28, 28), np.float32)
    x[0, 2:4, 4:6], x[0, 0, 0] = 0.6, 1.0
    small = images(x.reshape(1, -1)).reshape(14, 14)
    assert small[1, 2] == 1
    assert small.sum() == 1


def test_lines_that_are_always_on_do_what_biases_did():
    rng = np.random.default_rng(0)
    net = mlp([196, 64, 10], activation="step")
    net = net.with_weights([(k.weight, rng.standard_normal(k.bias.shape)) for k in net.weighted])
    x = rng.integers(0, 2, (20, 196)).astype(np.float32)
    lined = with_bias_lines(net)
    assert all(not layer.bias.any() for layer in lined.weighted)
    np.testing.assert_allclose(
        lined.forward(np.hstack([x, np.ones((20, BIAS_LINES), np.float32)])), net.forward(x), atol=2e-5
    )


def test_the_chip_loses_little_by_the_papers_writing_and_names_digits_worse_by_bits(result: Result):
    by_current, by_bits = (row.here for row in result.rows[:2])
    assert by_current > 80
    assert by_bits > 65
    assert by_current > by_bits
    assert abs(by_current - result.row("software, one-bit activations, currents").here) < 3
    assert result.row("cells of the network's weights").here == 2 * (196 * 64 + 64 * 10)


def test_offsets_of_sense_amplifiers_cost_accuracy(result: Result):
    for _, found in result.curves[1].series.values():
        assert found[0] > found[-1] + 5
