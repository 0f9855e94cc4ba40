from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.chip import program
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from cimsim.published import Result
from cimsim.published.conv_macro_2019 import network, spec, with_full_scale_one


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("conv-macro-2019", quick=True)


@pytest.mark.parametrize("bits", [1, 2])
def test_nine_lines_of_alike_cells_give_whole_number_products(bits: int):
    rng = np.random.default_rng(bits)
    w, x = rng.integers(-3, 4, (9, 5)), rng.integers(0, 2**bits, (40, 9))
    w[0] = 3
    net = Network((Dense(w.astype(np.float32), np.zeros(5)),))
    chip = program(net, spec(bits, spread=0.0, result_bits=None))
    np.testing.assert_allclose(chip.matmul(0, x / (2**bits - 1)) * (2**bits - 1), x @ w, atol=1e-4)
    assert chip.matrices[0].copies[0].tiles[0, 0].cells.g.shape == (4, 9, 5)
    assert len(np.unique(chip.matrices[0].copies[0].tiles[0, 0].cells.g)) == 2


def test_scaling_to_full_scale_changes_no_logit():
    net, x = network("relu", 0), np.random.default_rng(0).random((30, 784), dtype=np.float32)
    scaled = with_full_scale_one(net, x)
    np.testing.assert_allclose(scaled.forward(x), net.forward(x), rtol=1e-3, atol=1e-4)
    for given in scaled.activations(x)[0][1:]:
        assert np.percentile(given[given > 0], 98) == pytest.approx(1, rel=1e-3)


def test_results_of_four_bits_do_and_two_bits_do_not(result: Result):
    assert result.row("cells of a weight").difference == 0
    assert result.row("conversions of a 3 x 3 kernel").difference == 0
    for mode in ("1-bit inputs", "2-bit inputs"):
        assert 0 < result.row(f"error of products, {mode}").here < 3
        assert result.row(f"test accuracy, {mode}").here > 40
    _, (few, many) = result.curves[1].series["2-bit inputs"]
    assert few < many
