"""A convolutional network through every door: training, a chip, its calibration and report, tuning, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim import chip as chip_module
from cimsim.network import patches
from cimsim.network.build import LayerSpec
from cimsim.network.conv import Conv2d
from cimsim.network.norm import BatchNorm2d
from device_models import read_noise
from device_models.device import Device
from device_models.window import Window
from tests.foreign import ForeignArray

IDEAL = Device(name="ideal", window=Window(g_min=5e-6, g_max=1e-4))
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.05))
LAYERS: list[LayerSpec | str] = [
    cim.Conv(6, kernel=3),
    "relu",
    cim.MaxPool(2),
    cim.Conv(8, kernel=2, padding=1, groups=2),
    "relu",
    cim.AvgPool(2),
    cim.Linear(10),
]
(X, Y), (X_TEST, Y_TEST) = cim.datasets.load("digits")


@pytest.fixture(scope="module")
def net() -> cim.Network:
    return cim.train(cim.cnn((1, 8, 8), LAYERS), X, Y, epochs=10, learning_rate=0.01)


def made(net: cim.Network, device: Any = NOISY, **spec: Any) -> cim.Chip:
    spec = {"tile": (16, 8), "dac": cim.DAC(bits=8), "adc": cim.ADC(bits=8)} | spec
    return cim.program(net, cim.ChipSpec(device=device, **spec), calibrate=X[:60], seed=2)


def conv(net: cim.Network, k: int) -> Conv2d:
    layer = net.weighted[k]
    assert isinstance(layer, Conv2d)
    return layer


def test_a_small_cnn_learns_the_digits(net: cim.Network) -> None:
    assert cim.accuracy(net, X_TEST, Y_TEST) > 0.92
    inside = np.kron(np.eye(2), np.ones((12, 4))) > 0
    assert np.abs(net.weights[1][~inside]).max() < 1e-20
    assert np.abs(net.weights[1][inside]).min() > 1e-6


def test_weight_noise_in_training_makes_it_survive_noise_on_its_weights(net: cim.Network) -> None:
    tough = cim.train(cim.cnn((1, 8, 8), LAYERS), X, Y, epochs=10, learning_rate=0.01, weight_noise=0.1)

    def shaken(a: cim.Network, draw: int) -> float:
        rng = np.random.default_rng(draw)
        sizes = [0.15 * np.abs(w).max() for w in a.weights]
        pairs = [
            (w.weight + s * rng.standard_normal(w.weight.shape), w.bias) for w, s in zip(a.weighted, sizes, strict=True)
        ]
        return cim.accuracy(a.with_weights(pairs), X_TEST, Y_TEST)

    gains = [shaken(tough, draw) - shaken(net, draw) for draw in range(20)]
    assert np.mean(gains) > 4 * np.std(gains) / np.sqrt(20)


# On a chip


@pytest.mark.parametrize("wires", [None, cim.Wires(word=0.0, bit=0.0)])
def test_an_ideal_chip_is_the_float_network(net: cim.Network, wires: Any) -> None:
    chip = made(net, IDEAL, dac=None, adc=None, wires=wires)
    y = net.forward(X_TEST)
    np.testing.assert_allclose(chip.forward(X_TEST), y, atol=2e-6 * np.abs(y).max())
    assert [m.shape for m in chip.matrices] == [(9, 6), (24, 8), (32, 10)]


@pytest.mark.parametrize("block", [1, 2000])
def test_the_noise_of_a_sample_does_not_depend_on_how_a_batch_is_cut(
    net: cim.Network, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """By the caller, by the chip or into blocks of images."""
    chip = made(net, adc=None)
    whole = chip.forward(X_TEST, seed=3)
    monkeypatch.setattr(patches, "_BLOCK", block)
    monkeypatch.setattr(chip_module, "CHUNK", 50)
    by_seven = [net.forward(X_TEST[i : i + 7], chip.products(3, i)) for i in range(0, len(X_TEST), 7)]
    for again in (chip.forward(X_TEST, seed=3), np.concatenate(by_seven)):
        np.testing.assert_allclose(again, whole, atol=1e-5 * np.abs(whole).max())
    assert np.abs(chip.forward(X_TEST, seed=4) - whole).max() > 0.01 * np.abs(whole).max()


def test_patch_p_of_sample_s_has_the_noise_of_row_s_times_patches_plus_p(net: cim.Network) -> None:
    only = cim.Network(net.layers[:1])
    chip = cim.program(only, cim.ChipSpec(device=NOISY))
    layer = conv(only, 0)
    rows = np.concatenate(list(layer.vectors(X_TEST[:20])))
    by_row = chip.matmul(0, rows, seed=3) + layer.bias
    y = chip.forward(X_TEST[:20], seed=3).reshape(20, 6, 36).swapaxes(1, 2).reshape(-1, 6)
    np.testing.assert_allclose(y, by_row, atol=1e-6)


def test_ranges_are_those_of_all_patches_of_the_calibration(net: cim.Network) -> None:
    chip = made(net, IDEAL)
    given, _ = net.activations(X[:60])
    for k in (0, 1):  # behind a DAC of 8 bits, so that the second layer sees nearly the same
        exact = chip.matrices[k].calibrated(given[k], chip._draws(0, k))
        for place, bank in exact.banks.items():
            np.testing.assert_allclose(chip.matrices[k].banks[place].step, bank.step, rtol=0.03)


def test_of_very_many_patches_some_serve_the_calibration(net: cim.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = made(net), []
    calibrated = type(whole.matrices[0]).calibrated
    monkeypatch.setattr(chip_module, "CALIBRATION_READS", 1000)
    monkeypatch.setattr(
        type(whole.matrices[0]), "calibrated", lambda self, v, draws: seen.append(len(v)) or calibrated(self, v, draws)
    )
    few = made(net)
    assert abs(seen[0] - 1000) < 4 * np.sqrt(1000)
    assert seen[1:] == [60 * 16, 60]
    for a, b in zip(few.matrices, whole.matrices, strict=True):
        for place in a.places:
            np.testing.assert_allclose(a.banks[place].step, b.banks[place].step, rtol=0.15)


def test_the_report_counts_every_conversion_of_every_patch(net: cim.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = made(net, IDEAL, adc=cim.ADC(bits=4, calibration="percentile", percentile=90))
    given, _ = net.activations(X[:60], chip.products(0))
    expected = [m.clipping(v, chip._draws(0, k)) for k, (m, v) in enumerate(zip(chip.matrices, given, strict=True))]
    monkeypatch.setattr(patches, "_BLOCK", 3000)
    assert [row.adc_clipping for row in chip.report().layers] == pytest.approx(expected)
    assert 0.05 < expected[0] < 0.15


def test_a_chip_computes_batch_norms_digitally_or_folded_into_its_weights(net: cim.Network) -> None:
    rng = np.random.default_rng(0)
    mean, gain, offset = rng.standard_normal((3, 6))
    norm = BatchNorm2d(mean, rng.uniform(0.5, 2, 6), gain, offset, (6, 6, 6))
    with_norm = cim.Network((net.layers[0], norm, *net.layers[1:]))
    spec = cim.ChipSpec(device=IDEAL)
    y = with_norm.forward(X_TEST)
    for network in (with_norm, cim.fold(with_norm)):
        chip = cim.program(network, spec)
        np.testing.assert_allclose(chip.forward(X_TEST), y, atol=5e-6 * np.abs(y).max())


def test_tuning_on_the_chip_brings_back_what_ageing_cost(net: cim.Network) -> None:
    aged = made(net, "generic-rram", adc=cim.ADC(bits=6)).age(1e7)
    settings: dict[str, Any] = {"layers": [0, 1, 2], "epochs": 3, "learning_rate": 0.02, "seed": 2}
    tuned, history = cim.fine_tune(aged, X[:400], Y[:400], **settings)
    before, after = (cim.accuracy(chip, X_TEST, Y_TEST) for chip in (aged, tuned))
    assert after > before + 0.1
    assert history["loss"].is_monotonic_decreasing
    assert len(history) == 3
    for a, b in zip(aged.network.weighted, tuned.network.weighted, strict=True):
        assert not np.array_equal(a.bias, b.bias)


def test_tuning_sends_no_pulses_to_the_zeros_between_groups(net: cim.Network) -> None:
    chip = made(net, "generic-rram", adc=None)
    tuned, _ = cim.fine_tune(chip, X[:64], Y[:64], layers=[1], epochs=1)
    moved = tuned.matrices[1].weights() != chip.matrices[1].weights()
    inside = np.kron(np.eye(2), np.ones((12, 4))) > 0
    assert moved[inside].mean() > 0.2
    assert not moved[~inside].any()


def test_gradients_over_analogue_products_are_those_of_the_held_weights(net: cim.Network) -> None:
    chip = made(net, "generic-rram", dac=None, adc=None).age(1e6)
    quiet = cim.program(net, chip.spec.replace(device=chip.spec.device.replace(read_noise=None)), seed=2).age(1e6)
    held, x, y = quiet.held_network(), X[:20], Y[:20]
    back = [lambda d, w=w: d @ w.T for w in held.weights]
    exact = held.gradients(x, y)[1]
    for got, want in zip(net.gradients(x, y, quiet.products(), back)[1], exact, strict=True):
        np.testing.assert_allclose(got[0], want[0], atol=1e-5 * np.abs(want[0]).max())


def test_an_exported_chip_comes_back_as_the_network_its_cells_hold(net: cim.Network, tmp_path: Path) -> None:
    chip = made(net, "generic-rram", wires=cim.Wires(word=1.0, bit=1.0)).age(1e5)
    cim.export(chip, tmp_path)
    back = cim.load_network(tmp_path)
    assert [repr(a) for a in back.layers] == [repr(a) for a in net.layers]
    np.testing.assert_array_equal(back.forward(X_TEST), chip.held_network().forward(X_TEST))


def abroad(chip: cim.Chip) -> cim.Chip:
    """The chip with every array in the other library, as `Chip.to` does it for CuPy."""
    network = cim.Network(tuple(layer.moved(ForeignArray) for layer in chip.network.layers))
    return replace(chip, network=network, matrices=tuple(m.moved(ForeignArray) for m in chip.matrices))


def test_a_chip_in_another_library_gives_the_same_numbers(net: cim.Network) -> None:
    chip = made(net, IDEAL)
    far, y = abroad(chip), chip.forward(X_TEST)
    assert type(far.forward(X_TEST)) is ForeignArray
    assert np.mean(np.abs(far.forward(X_TEST).get() - y) < 1e-5 * np.abs(y).max()) > 0.99  # but for edges of codes
    steps = [bank.step for m in chip.matrices for bank in m.banks.values()]
    again = [bank.step.get() for m in far.calibrate(X[:60], seed=2).matrices for bank in m.banks.values()]
    for a, b in zip(steps, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3)
    assert [row.adc_clipping for row in far.report().layers] == [row.adc_clipping for row in chip.report().layers]


def test_a_chip_in_another_library_is_tuned_there(net: cim.Network) -> None:
    tuned, history = cim.fine_tune(abroad(made(net, "generic-rram")), X[:100], Y[:100], layers=[0, 1, 2], epochs=1)
    assert type(tuned.matrices[0].tiles[0, 0].cells.g) is ForeignArray
    assert history["accuracy"][0] > 0.7
