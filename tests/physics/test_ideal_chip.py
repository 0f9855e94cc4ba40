"""Rule 4.1 of the design: with ideal devices, converters and wires the chip is the float network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.wires import Wires
from cimsim.network.network import Network, mlp
from device_models.conduction import Ohmic, Sinh
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Window

WINDOWS = [Window(g_min=0.0, g_max=1e-4), Window(g_min=5e-6, g_max=1e-4), Window(g_min=9e-5, g_max=1e-4)]
EXACT = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn()]
SLICED = [BitSlices(slices=4, bits=2), BitSlices(slices=2, bits=8, subtract="digital"), BitSlices(slices=16, bits=1)]


def ideal(window: Window = WINDOWS[1], **slots: Any) -> Device:
    return Device(name="ideal", window=window, **slots)


def product(w: np.ndarray, x: np.ndarray, scheme: WeightScheme, tile: tuple[int, int], window: Window) -> np.ndarray:
    design = Design(ideal(window), tile, scheme, None, None, None, 0.2)
    return AnalogMatrix.program(w, design, Streams(0)).matmul(x, Draws(Streams(0), x))


def distance(y: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest output."""
    return float(np.abs(y - expected).max() / np.abs(expected).max())


sides = st.integers(1, 40)
tiles = st.tuples(st.integers(1, 20), st.integers(2, 20))


@given(sides, sides, tiles, st.sampled_from(EXACT), st.sampled_from(WINDOWS[:2]), st.integers(0, 99))
@settings(max_examples=50)
def test_products_of_any_size_on_tiles_of_any_size_are_exact(
    n_in: int, n_out: int, tile: tuple[int, int], scheme: WeightScheme, window: Window, seed: int
) -> None:
    rng = Streams(seed).rng("products")
    w, x = rng.standard_normal((n_in, n_out)), rng.uniform(-1, 1, (7, n_in)).astype(np.float32)
    expected = x.astype(np.float64) @ w
    size = (np.abs(x) @ np.abs(w)).max()  # what the sums are made of: they may cancel
    assert np.abs(product(w, x, scheme, tile, window) - expected).max() <= 1e-6 * size


@given(sides, sides, tiles, st.sampled_from(SLICED), st.integers(0, 99))
@settings(max_examples=50)
def test_products_of_slices_are_those_of_the_rounded_weights(
    n_in: int, n_out: int, tile: tuple[int, int], scheme: BitSlices, seed: int
) -> None:
    rng = Streams(seed).rng("products")
    w, x = rng.standard_normal((n_in, n_out)), rng.uniform(-1, 1, (7, n_in)).astype(np.float32)
    largest = np.abs(w).max()
    rounded = np.rint(w / largest * scheme.top) / scheme.top * largest
    size = (np.abs(x) @ np.abs(w)).max()
    y = product(w, x, scheme, tile, WINDOWS[1])
    assert np.abs(y - x @ rounded).max() <= 1e-6 * size
    bound = np.abs(x).sum(axis=1).max() * 0.5 * largest / scheme.top
    assert np.abs(y - x @ w).max() <= bound + 1e-6 * size


@pytest.mark.parametrize("scheme", EXACT, ids=str)
@pytest.mark.parametrize("sizes", [(64, 10), (300, 70, 10), (30, 20, 17, 5)])
def test_the_chip_is_its_network_to_a_millionth(sizes: tuple[int, ...], scheme: WeightScheme) -> None:
    net, x = mlp(sizes, seed=3), Streams(1).rng("x").random((50, sizes[0]), dtype=np.float32)
    chip = program(net, ChipSpec(device=ideal(), tile=(128, 33), weights=scheme))
    assert distance(chip.forward(x), net.forward(x)) < 1e-6


@pytest.mark.parametrize("window", WINDOWS, ids=["open", "usual", "narrow"])
def test_the_window_does_not_matter(window: Window) -> None:
    """Also where it is narrow: common currents are taken off before float32."""
    net, x = mlp([100, 20], seed=3), Streams(1).rng("x").random((50, 100), dtype=np.float32)
    for scheme in EXACT:
        chip = program(net, ChipSpec(device=ideal(window), weights=scheme))
        assert distance(chip.forward(x), net.forward(x)) < 1e-6


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_converters_of_16_bits_come_close(activation: str) -> None:
    net, x = mlp([100, 40, 10], activation=activation, seed=3), Streams(1).rng("x").random((200, 100))
    expected = net.forward(x)
    errors = {}
    for bits in (8, 10, 12, 14, 16):
        spec = ChipSpec(device=ideal(), dac=DAC(bits=bits), adc=ADC(bits=bits, calibration="minmax"))
        errors[bits] = distance(program(net, spec, calibrate=x).forward(x), expected)
    assert errors[16] < 2e-4
    assert all(2 < errors[bits] / errors[bits + 2] < 8 for bits in (8, 10, 12, 14))  # 4 is a code's share in 2 bits


def network_and_inputs() -> tuple[Network, np.ndarray]:
    return mlp([20, 12, 5], seed=2), Streams(1).rng("x").random((40, 20), dtype=np.float32)


def test_wires_without_resistance_are_no_wires() -> None:
    net, x = network_and_inputs()
    plain, wired = (program(net, ChipSpec(device=ideal(), wires=wires)) for wires in (None, Wires()))
    assert np.array_equal(plain.forward(x), wired.forward(x))


def test_the_loss_in_the_wires_is_in_proportion_to_a_small_resistance() -> None:
    net, x = network_and_inputs()
    exact = net.layers[0].multiply(x)
    lost = []
    for ohms in (1e-3, 1e-2, 1e-1):
        chip = program(net, ChipSpec(device=ideal(), wires=Wires(word=ohms, bit=ohms)))
        lost.append((exact - chip.matmul(0, x)) / ohms)
    np.testing.assert_allclose(lost[0], lost[1], atol=0.05 * np.abs(lost[2]).max())
    np.testing.assert_allclose(lost[1], lost[2], atol=0.02 * np.abs(lost[2]).max())


@pytest.mark.parametrize("scheme", [*EXACT, BitSlices(slices=3, bits=2)], ids=str)
@pytest.mark.parametrize("v0", [0.1, 0.3])
def test_a_nonlinear_law_is_summed_cell_by_cell(scheme: WeightScheme, v0: float) -> None:
    """i = g v0 sinh(v / v0) for every cell, inputs scaled to the read voltage."""
    rng = Streams(4).rng("nonlinear")
    w, x = rng.standard_normal((30, 9)), rng.uniform(-2, 2, (20, 30)).astype(np.float32)
    design = Design(ideal(conduction=Sinh(v0=v0)), (16, 8), scheme, None, None, None, 0.2)
    draws = Draws(Streams(0), x)
    matrix = AnalogMatrix.program(w, design, Streams(0)).calibrated(x, draws)
    full = np.abs(x).max()
    volts = 0.2 * x.astype(np.float64) / full
    drive = v0 * np.sinh(volts / v0) / (v0 * np.sinh(0.2 / v0))  # over that of full scale
    expected = full * drive @ matrix.weights()
    np.testing.assert_allclose(matrix.matmul(x, draws), expected, atol=2e-6 * np.abs(expected).max())
    assert distance(expected, x @ w) > 0.02


def test_the_nonlinear_law_becomes_ohmic_for_small_voltages() -> None:
    net, x = network_and_inputs()
    spec = ChipSpec(device=ideal(conduction=Sinh(v0=0.5)), v_read=1e-3)
    assert distance(program(net, spec, calibrate=x).forward(x), net.forward(x)) < 2e-6


def test_an_ohmic_law_is_the_same_as_none_also_with_wires() -> None:
    net, x = network_and_inputs()
    for wires in (None, Wires(word=1.0)):
        plain = program(net, ChipSpec(device=ideal(), wires=wires))
        ohmic = program(net, ChipSpec(device=ideal(conduction=Ohmic()), wires=wires))
        assert np.array_equal(plain.forward(x), ohmic.forward(x))


def test_wires_without_resistance_are_none() -> None:
    assert ChipSpec(device=ideal(conduction=Sinh(v0=0.3)), wires=Wires()).design().wires is None


def test_a_nonlinear_law_needs_to_know_the_full_scale_of_its_inputs() -> None:
    net, x = network_and_inputs()
    with pytest.raises(InputError, match=r"^inputs: have no full scale yet \(uncalibrated\); pass calibrate=x to"):
        program(net, ChipSpec(device=ideal(conduction=Sinh(v0=0.3)))).forward(x)


@given(st.floats(1e-3, 2.0), st.sampled_from(EXACT))
@settings(max_examples=20)
def test_the_read_voltage_of_ohmic_cells_does_not_matter(v_read: float, scheme: WeightScheme) -> None:
    net, x = network_and_inputs()
    chip = program(net, ChipSpec(device=ideal(), weights=scheme, v_read=v_read))
    assert distance(chip.forward(x), net.forward(x)) < 1e-6
