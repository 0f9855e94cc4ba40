"""Recurrent convolutions from end to end: motion is seen with recurrence only; chips, files, training."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.interchange import load_network, save_network
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.offchip import train
from cimsim.learning.onchip import fine_tune
from cimsim.learning.rules import MixedPrecision
from cimsim.network import patches
from cimsim.network.build import Conv, LayerSpec, Linear, RecurrentConv
from cimsim.network.coding import Given
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.spiking import snn
from cimsim.study.architecture import Architecture
from device_models import programming, read_noise, update
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window

ROWS, COLUMNS = 3, 6
IDEAL = Device(
    name="ideal",
    window=Window(g_min=1e-6, g_max=1e-4),
    update=update.ExponentialUpdate(pulses_up=1000, pulses_down=1000),
)
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.1))


def motion(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A column of one to three dots that goes once around to the right or to the left, one pixel a step; the label."""
    rng, step = np.random.default_rng(seed), np.arange(COLUMNS)
    y, start = rng.integers(0, 2, n), rng.integers(0, COLUMNS, n)
    dots = rng.random((n, 1, ROWS)) < 0.5
    dots[np.arange(n), 0, rng.integers(0, ROWS, n)] = True
    column = (start[:, None] + np.where(y, -1, 1)[:, None] * step) % COLUMNS
    x = dots[..., None] & (np.arange(COLUMNS) == column[:, :, None, None])
    return x.reshape(n, COLUMNS, -1), y


X, Y = motion(300, 0)
X_TEST, Y_TEST = motion(200, 1)


def untrained(first: LayerSpec, decay: float = 0.0) -> Network:
    neuron = DiscreteLIF(decay=decay)
    code = Given(steps=COLUMNS)
    return snn([first, Linear(2)], image=(1, ROWS, COLUMNS), code=code, neuron=neuron, readout="membrane")


@cache
def trained() -> Network:
    return train(untrained(RecurrentConv(8, kernel=3)), X, Y, epochs=20, learning_rate=0.02)


def made(device: Device = IDEAL, **settings: object) -> Chip:
    return program(trained(), ChipSpec(device=device, tile=(64, 16)), calibrate=X[:100], seed=1, **settings)  # type: ignore[arg-type]


def test_the_direction_of_motion_is_seen_with_recurrence_only() -> None:
    """Without memory the frames of both directions are the same in another order, and so is the mean over steps."""
    blind, there = untrained(Conv(8, kernel=3, padding=1)), X[:1]
    np.testing.assert_allclose(blind.forward(there), blind.forward(there[:, ::-1]), rtol=1e-5)
    assert accuracy(trained(), X_TEST, Y_TEST) >= 0.97


def test_an_ideal_chip_gives_the_float_network() -> None:
    np.testing.assert_allclose(made().forward(X_TEST), trained().forward(X_TEST), rtol=1e-4, atol=1e-4)
    eight = program(
        trained(), ChipSpec(device=IDEAL, tile=(64, 16), dac=DAC(bits=1), adc=ADC(bits=8)), calibrate=X[:100]
    )
    assert accuracy(eight, X_TEST, Y_TEST) >= 0.95
    layers = eight.report().to_frame()
    assert layers["inputs"].tolist() == [81, 144]
    assert layers["cycles"].tolist() == [COLUMNS * ROWS * COLUMNS, COLUMNS]


def test_copies_share_the_patches_of_a_step() -> None:
    assert made(replicas={0: 4}).report().layers[0].cycles == COLUMNS * -(-ROWS * COLUMNS // 4)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_noise_of_a_sample_does_not_depend_on_how_a_batch_is_cut(
    replicas: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = made(NOISY, replicas=replicas, spread="images")
    x, whole = X_TEST[:20], chip.forward(X_TEST[:20], seed=3)
    parts = [chip.network.forward(x[i:j], chip.products(3, i), seed=3, row=i) for i, j in [(0, 3), (3, 4), (4, 20)]]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(patches, "_BLOCK", 3 * 18 * 81)  # three samples at a time
    np.testing.assert_allclose(whole, chip.forward(x, seed=3), rtol=1e-5, atol=1e-6)
    assert not np.array_equal(whole, chip.forward(x, seed=4))


def test_training_for_a_chip_without_flaws_has_the_gradients_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "_BLOCK", 16 * 18 * 81)
    simulation = Simulation(trained(), Hardware(chip=ChipSpec(device=IDEAL)), Streams(0))
    simulation.calibrate(trained(), X[:100])
    loss, found = simulation.gradients(trained(), X[:50], Y[:50], seed=0, row=0)
    expected, pairs = trained().gradients(X[:50], Y[:50])
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    for ours, theirs in zip(found, pairs, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-5)


def test_tuning_on_the_chip_recovers_what_writing_lost() -> None:
    chip = made(IDEAL.replace(programming=programming.SpanError(error=0.2)))
    tuned, _ = fine_tune(chip, X, Y, layers=[0, 1], rule=MixedPrecision(), epochs=4)
    before, after = (accuracy(c, X_TEST, Y_TEST) for c in (chip, tuned))
    assert before < 0.85
    assert after >= 0.95


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_it_is_read_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    again = load_network(save_network(trained(), tmp_path / f"net{suffix}"))
    assert list(map(repr, again.layers)) == list(map(repr, trained().layers))
    np.testing.assert_array_equal(again.forward(X_TEST), trained().forward(X_TEST))


def test_a_study_names_it_as_a_table() -> None:
    given = {"layers": [{"kind": "RecurrentConv", "channels": 4, "kernel": 3}], "hidden": [5], "activation": "spiking"}
    net = Architecture(**given).network(16, 3, seed=0)  # type: ignore[arg-type]
    assert [repr(a) for a in net.weighted] == [
        "RecurrentConv2d(1 x 4 x 4 -> 4 x 4 x 4, 16 steps)",
        "Dense(64 -> 5)",
        "Dense(5 -> 3)",
    ]
