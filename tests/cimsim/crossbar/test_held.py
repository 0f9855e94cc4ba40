"""Products with the weights held, against reads of the same cells and against the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.crossbar.converters import ADC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.held import held_lines, held_product, holds_outputs
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from device_models.device import Device
from device_models.read_noise import ProportionalNoise
from device_models.streams import Streams
from device_models.window import Window

DEVICE = Device(name="held", window=Window(g_min=1e-6, g_max=101e-6))


def programmed(tile: tuple[int, int], scheme: WeightScheme, device: Device = DEVICE) -> AnalogMatrix:
    w = np.random.default_rng(0).uniform(-1, 1, (20, 14))
    return AnalogMatrix.program(w, Design(device, tile, scheme, None, None, None, 0.2), Streams(0))


@pytest.mark.parametrize("tile", [(64, 64), (8, 6)])
@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_a_bare_read_is_the_product_with_what_is_held(tile: tuple[int, int], scheme: WeightScheme) -> None:
    matrix, rng = programmed(tile, scheme), np.random.default_rng(1)
    x, d = (rng.normal(size=(5, n)).astype(np.float32) for n in matrix.shape)
    assert holds_outputs(matrix)
    read = matrix.matmul(x, Draws(Streams(0), matrix.tiles[0, 0].signals))
    np.testing.assert_allclose(held_product(matrix, x), read, atol=1e-5)
    np.testing.assert_allclose(held_product(matrix, d, back=True), d @ matrix.weights().T, atol=1e-5)


def test_converters_and_noise_stand_between_cells_and_outputs() -> None:
    matrix = programmed((64, 64), DifferentialPair())
    assert not holds_outputs(matrix.with_adc(ADC(bits=8)))
    noisy = programmed((64, 64), DifferentialPair(), DEVICE.replace(read_noise=ProportionalNoise(relative=0.05)))
    assert not holds_outputs(noisy)
    x = np.random.default_rng(1).normal(size=(5, 20))
    np.testing.assert_allclose(held_product(noisy, x), x @ noisy.weights(), atol=1e-9)


@pytest.mark.parametrize("tile", [(64, 64), (8, 6)])
@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_lines_held_are_products_with_one_input_each(tile: tuple[int, int], scheme: WeightScheme) -> None:
    matrix, lines = programmed(tile, scheme), [0, 7, 8, 19]
    chosen = np.eye(20, dtype=np.float32)[lines]
    assert np.array_equal(held_lines(matrix, lines), held_product(matrix, chosen))
