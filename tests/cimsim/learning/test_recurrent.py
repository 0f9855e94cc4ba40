"""Recurrent networks from end to end: what needs memory is learned, programmed, saved, and tuned on the chip."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.draws import Draws
from cimsim.interchange import export, load_network, save_network
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.offchip import train
from cimsim.learning.onchip import Backward, fine_tune
from cimsim.learning.rules import Manhattan, MixedPrecision, PulseRule
from cimsim.network.build import Recurrent
from cimsim.network.coding import Given
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network, joined
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.recurrent import RecurrentDense
from cimsim.network.spiking import snn
from device_models import programming, read_noise, update
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window

STEPS, DECAY = 8, 0.3
IDEAL = Device(
    name="ideal",
    window=Window(g_min=1e-6, g_max=1e-4),
    update=update.ExponentialUpdate(pulses_up=1000, pulses_down=1000),
)
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.1))


def pulses(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A pulse on one of two lines at step 0 and at step 5, random spikes on a third; the label: the lines differ."""
    rng, sample = np.random.default_rng(seed), np.arange(n)
    first, second = rng.integers(0, 2, (2, n))
    x = rng.random((n, STEPS, 3)) < 0.02
    x[:, :, :2] = False
    x[sample, 0, first] = x[sample, 5, second] = True
    return x, (first != second).astype(int)


X, Y = pulses(400, 0)
X_TEST, Y_TEST = pulses(200, 1)


@cache
def trained(*, recurrent: bool = True) -> Network:
    hidden = Recurrent(24) if recurrent else 24
    neuron = DiscreteLIF(decay=DECAY)
    net = snn([3, hidden, 2], code=Given(steps=STEPS), neuron=neuron, readout="membrane")
    return train(net, X, Y, epochs=20, learning_rate=0.02)


def made(device: Device = IDEAL, **spec: object) -> Chip:
    return program(trained(), ChipSpec(device=device, tile=(16, 16), **spec), calibrate=X[:100], seed=1)  # type: ignore[arg-type]


def test_what_needs_memory_is_learned_with_recurrence_only() -> None:
    """After 5 steps a membrane has 0.3^5 = 0.2 % left. What adds up over steps gets at most 3 of 4 cases right."""
    assert accuracy(trained(), X_TEST, Y_TEST) >= 0.97
    assert accuracy(trained(recurrent=False), X_TEST, Y_TEST) <= 0.8


def test_an_ideal_chip_gives_the_float_network() -> None:
    np.testing.assert_allclose(made().forward(X_TEST), trained().forward(X_TEST), rtol=1e-4, atol=1e-4)
    eight = made(dac=DAC(bits=1), adc=ADC(bits=8))
    assert accuracy(eight, X_TEST, Y_TEST) >= 0.95
    layers = eight.report().to_frame()
    assert layers["inputs"].tolist() == [27, 24]
    assert layers["cycles"].tolist() == [STEPS, STEPS]


def test_copies_of_a_layer_that_feeds_back_save_no_time() -> None:
    """A step waits for the spikes of the one before, and one vector is read by one copy; other layers halve theirs."""
    chip = program(
        trained(), ChipSpec(device=IDEAL, tile=(16, 16), dac=DAC(bits=2, slice_bits=1)), calibrate=X, replicas=2
    )
    assert chip.report().to_frame()["cycles"].tolist() == [2 * STEPS, STEPS]


@pytest.mark.parametrize("error", [0.1, 0.3, 0.5])
def test_converters_are_calibrated_on_the_spikes_of_the_chip(error: float) -> None:
    """Badly written weights make other spikes: the range is that of the currents the chip meets when it runs."""
    chip = made(IDEAL.replace(programming=programming.SpanError(error=error)), adc=ADC(bits=8, calibration="minmax"))
    layer, x, y = chip.trace(X[:100])[0]
    assert isinstance(layer, RecurrentDense)
    own, exact = (joined(layer.vectors(x, given)) for given in (y, None))
    assert np.mean(own != exact) > 0.02
    draws = Draws(Streams(0), chip.matrices[0].tiles[0, 0].signals)
    met, other = (chip.matrices[0].copies[0].calibrated(v, draws) for v in (own, exact))
    step, its, wrong = (matrix.banks[0, 0].step[0] for matrix in (chip.matrices[0].copies[0], met, other))
    assert step == pytest.approx(its, rel=0.01)
    assert step != pytest.approx(wrong, rel=0.02)
    assert chip.report().to_frame()["adc_clipping"].max() < 1e-3


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_noise_of_a_sample_does_not_depend_on_how_a_batch_is_cut(replicas: int) -> None:
    spec = ChipSpec(device=NOISY, tile=(16, 16))
    chip = program(trained(), spec, calibrate=X[:100], replicas=replicas, spread="images")
    x, whole = X_TEST[:20], chip.forward(X_TEST[:20], seed=3)
    parts = [chip.network.forward(x[i:j], chip.products(3, i), seed=3, row=i) for i, j in [(0, 3), (3, 4), (4, 20)]]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, chip.forward(x, seed=4))
    alike = chip.forward(np.repeat(x[:1], 20, axis=0), seed=3)
    assert len(np.unique(alike[:, 0])) == 20


def test_gradients_over_the_products_of_an_ideal_chip_are_those_of_the_network() -> None:
    chip, x, y = made(), X[:50], Y[:50]
    back = [lambda d, k=k: chip.rmatmul(k, d) for k in range(2)]
    expected, found = trained().gradients(x, y)[1], trained().gradients(x, y, chip.products(), back)[1]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-5)


def test_training_for_a_chip_without_flaws_has_the_gradients_of_the_network() -> None:
    simulation = Simulation(trained(), Hardware(chip=ChipSpec(device=IDEAL)), Streams(0))
    simulation.calibrate(trained(), X[:100])
    loss, found = simulation.gradients(trained(), X[:50], Y[:50], seed=0, row=0)
    expected, pairs = trained().gradients(X[:50], Y[:50])
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for ours, theirs in zip(found, pairs, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("rule", "backward"), [(MixedPrecision(), "digital"), (Manhattan(), "chip")])
def test_tuning_on_the_chip_recovers_what_writing_lost(rule: PulseRule, backward: Backward) -> None:
    chip = made(IDEAL.replace(programming=programming.SpanError(error=0.1)))
    tuned, history = fine_tune(chip, X, Y, layers=[0, 1], rule=rule, backward=backward, epochs=4)
    before, after = (accuracy(c, X_TEST, Y_TEST) for c in (chip, tuned))
    assert before < 0.85
    assert after >= 0.95
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_it_is_read_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    again = load_network(save_network(trained(), tmp_path / f"net{suffix}"))
    assert list(map(repr, again.layers)) == list(map(repr, trained().layers))
    np.testing.assert_array_equal(again.forward(X_TEST), trained().forward(X_TEST))


def test_a_chip_that_carries_it_is_exported(tmp_path: Path) -> None:
    chip = made(NOISY)
    export(chip, tmp_path / "chip")
    again = load_network(tmp_path / "chip")
    np.testing.assert_allclose(again.forward(X_TEST), chip.held_network().forward(X_TEST), rtol=1e-6)
