from __future__ import annotations

import pytest

from cimsim import published
from cimsim.published import Result
from cimsim.published.prime_2016 import composed_wrongly, mats, spec


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("prime-2016", quick=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_composed_products_are_whole_number_arithmetic(seed: int):
    assert composed_wrongly(seed) == 0


def test_a_matrix_of_one_cell_a_weight_takes_a_mat_for_each_block_and_sign():
    assert mats([(512, 512)], spec(weight_bits=4)) == (8, 1.0)
    assert mats([(512, 512)], spec()) == (16, 1.0)
    assert mats([(257, 1)], spec()) == (8, 257 / (2 * 65536))


def test_inputs_take_a_pass_for_each_three_bits_and_weights_a_cell_for_each_four():
    design = spec()
    assert (design.dac.bits, design.dac.slice_bits, design.weights.slices, design.weights.bits) == (6, 3, 2, 4)
    assert spec(input_bits=3).dac.slice_bits == 3
    assert spec(weight_bits=3).weights.slices == 1


def test_mats_lose_little_accuracy_as_designed_and_much_with_few_bits(result: Result):
    software, chip = result.row("MLP-S, software").here, result.row("MLP-S, in mats").here
    assert software > 80
    assert abs(software - chip) < 4
    weights, outputs = (dict(curve.series) for curve in result.curves)
    for _, found in (*weights.values(), *outputs.values()):
        assert found[0] < found[-1]
    assert result.row("mats of a 512 x 512 matrix").difference == 0
