"""Training on the chip: pulses follow the gradient, what they leave over is kept, and devices limit what is learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.crossbar.wires import Wires
from cimsim.learning.offchip import train
from cimsim.learning.onchip import Diverged, fine_tune
from cimsim.learning.rules import Manhattan, MixedPrecision, Step
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense
from cimsim.network.network import Network, mlp
from device_models import faults, read_noise, retention, update
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=1e-6, g_max=1e-4)
LINEAR = Device(name="linear", window=WINDOW, update=update.ExponentialUpdate(pulses_up=1000, pulses_down=1000))
SCHEMES = [DifferentialPair(), OffsetColumn()]


def blobs(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian clouds in ten dimensions, of positive coordinates, that overlap a little."""
    rng = Streams(1).rng("blobs")
    y = rng.integers(0, 3, n)
    centres = rng.random((3, 10))
    return (np.maximum(centres[y] + 0.25 * rng.standard_normal((n, 10)), 0)).astype(np.float32), y


def network(sizes: tuple[int, ...] = (10, 8, 3), epochs: int = 3) -> Network:
    """A network that is trained a little."""
    return train(mlp(sizes, seed=2), *blobs(), epochs=epochs, learning_rate=0.02, seed=1)


def made(device: Device = LINEAR, net: Network | None = None, **spec: Any) -> Chip:
    return program(net or network(), ChipSpec(device=device, **({"tile": (8, 8)} | spec)), calibrate=blobs()[0], seed=3)


def loss(chip: Chip, x: np.ndarray, y: np.ndarray) -> float:
    return float(chip.network.gradients(x, y, chip.products())[0])


def one_batch(chip: Chip, x: np.ndarray, y: np.ndarray, **settings: Any) -> tuple[Chip, Any]:
    return fine_tune(chip, x, y, epochs=1, batch=len(x), **settings)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("layers", [[-1], [0], [0, 1]])
def test_one_batch_moves_weights_down_the_gradient_by_whole_pulses(scheme: WeightScheme, layers: list[int]) -> None:
    chip, (x, y) = made(weights=scheme), blobs()
    rate = 0.5
    tuned, _ = one_batch(chip, x, y, layers=layers, learning_rate=rate, max_pulses=1000)
    _, gradients = chip.network.gradients(x, y, chip.products())
    for k, (before, after) in enumerate(zip(chip.matrices, tuned.matrices, strict=True)):
        moved = after.weights() - before.weights()
        if k not in {layer % 2 for layer in layers}:
            assert after is before
            continue
        step = before.weight_step
        wanted = -rate * before.weight_scale * gradients[k][0]
        pulses = np.trunc(wanted / step)
        assert np.abs(pulses).max() > 3
        free = np.abs(before.weights() + wanted) < 0.95 * before.weight_scale
        near = np.abs(moved / step - pulses)[free]
        assert (near < 0.02).mean() > 0.98  # one more or less where the ratio is nearly whole
        assert near.max() < 1.02


def test_biases_follow_the_gradient_digitally() -> None:
    chip, (x, y) = made(), blobs()
    tuned, _ = one_batch(chip, x, y, learning_rate=0.5)
    _, gradients = chip.network.gradients(x, y, chip.products())
    expected = chip.network.weighted[1].bias - 0.5 * chip.matrices[1].weight_scale * gradients[1][1]
    np.testing.assert_allclose(tuned.network.weighted[1].bias, expected, rtol=1e-4, atol=1e-6)
    assert np.array_equal(tuned.network.weighted[0].bias, chip.network.weighted[0].bias)


def test_what_is_less_than_a_pulse_is_kept_until_it_is_one() -> None:
    """A gradient of 0.3 pulses a batch, all but constant, has sent the k-th pulse once 0.3 n has reached k."""
    chip = program(
        Network((Dense(np.array([[0.9, -0.9, 1.0]]), np.array([0.0, 0.0, -99.0])),)), ChipSpec(device=LINEAR)
    )
    x, y = np.array([[1e-3], [-1e-3]], np.float32), np.array([0, 1])  # probabilities stay at 1/2, biases at 0
    rate = 0.3 * chip.matrices[0].weight_step / (0.5 * 1e-3)
    for n in (1, 3, 4, 7, 19):
        tuned, history = fine_tune(chip, x, y, epochs=n, learning_rate=rate)
        moved = (tuned.matrices[0].weights() - chip.matrices[0].weights()) / chip.matrices[0].weight_step
        np.testing.assert_allclose(moved, np.floor(0.3 * n) * np.array([[1.0, -1.0, 0.0]]), atol=1e-3)
        assert history["pulses_up"].sum() == 2 * np.floor(0.3 * n)  # the plus cell of one, the minus cell of the other
        assert history["pulses_down"].sum() == 0


def test_no_more_pulses_than_allowed_go_to_a_weight_at_once_and_the_rest_follow() -> None:
    chip, (x, y) = made(), blobs()
    step = chip.matrices[1].weight_step
    once, _ = one_batch(chip, x, y, learning_rate=2.0, max_pulses=3)
    assert np.abs(once.matrices[1].weights() - chip.matrices[1].weights()).max() < 3.02 * step


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_a_fine_linear_device_learns_as_floating_point_does(scheme: WeightScheme) -> None:
    """Against plain gradient descent on the same batches, weights held to the range the chip can carry."""
    fine = LINEAR.replace(update=update.ExponentialUpdate(pulses_up=200_000, pulses_down=200_000))
    (x, y), net = blobs(), network(epochs=1)
    chip = made(fine, net, weights=scheme)
    tuned, history = fine_tune(
        chip, x, y, layers=[0, 1], epochs=4, batch=50, learning_rate=0.1, max_pulses=100_000, seed=5
    )
    weights = [w.astype(np.float64) for w in net.weights]
    biases = [a.bias.astype(np.float64) for a in net.weighted]
    scales = [float(np.abs(w).max()) for w in weights]
    for epoch in range(4):
        order = Streams(5).at("fine tune", "epoch", epoch).rng("shuffle").permutation(len(x))
        for start in range(0, len(x), 50):
            chosen = order[start : start + 50]
            _, gradients = net.with_weights(list(zip(weights, biases, strict=True))).gradients(x[chosen], y[chosen])
            for k, (d_weight, d_bias) in enumerate(gradients):
                weights[k] = np.clip(weights[k] - 0.1 * scales[k] * d_weight, -scales[k], scales[k])
                biases[k] = biases[k] - 0.1 * scales[k] * d_bias
    for k in (0, 1):
        np.testing.assert_allclose(tuned.matrices[k].weights(), weights[k], atol=0.003 * scales[k])
        np.testing.assert_allclose(tuned.network.weighted[k].bias, biases[k], atol=0.003)
    assert history["loss"].is_monotonic_decreasing


def test_tuning_heals_what_age_did() -> None:
    """Cells drift each by itself; the last layer alone brings most of the accuracy back, read noise and ADCs on."""
    device = LINEAR.replace(
        retention=retention.PowerLawDrift(nu=0.1, spread=0.1), read_noise=read_noise.ProportionalNoise(relative=0.01)
    )
    x, y = blobs()
    chip = made(device, network(epochs=20), dac=DAC(bits=8), adc=ADC(bits=8))
    aged = chip.age(1e6)
    tuned, _ = fine_tune(aged, x, y, epochs=5, learning_rate=0.1, seed=1)
    fresh, old, healed = (accuracy(c, x, y) for c in (chip, aged, tuned))
    assert old < fresh - 0.1
    assert healed > fresh - 0.05
    assert loss(tuned, x, y) < 0.5 * loss(aged, x, y)


def test_stuck_cells_are_left_alone_while_others_learn() -> None:
    x, y = blobs()
    chip = made(LINEAR.replace(faults=faults.CellFaults(stuck_lrs=0.1, stuck_hrs=0.1)))
    tuned, _ = fine_tune(chip, x, y, layers=[0, 1], epochs=3, learning_rate=0.2)
    for before, after in zip(chip.matrices, tuned.matrices, strict=True):
        for place, tile in before.tiles.items():
            stuck = tile.cells.stuck != 0
            assert stuck.any()
            assert np.array_equal(after.tiles[place].cells.g[stuck], tile.cells.g[stuck])
    assert loss(tuned, x, y) < loss(chip, x, y)


def test_history_has_a_row_per_epoch_of_means_and_counts_every_pulse() -> None:
    x, y = blobs()
    _, history = fine_tune(made(), x, y, epochs=3, batch=77, learning_rate=0.2)
    assert list(history.columns) == [
        *("epoch", "loss", "accuracy", "pulses_up", "pulses_down", "cells_written", "energy", "cells_at_limit")
    ]
    assert list(history["epoch"]) == [1, 2, 3]
    assert history["accuracy"].between(0, 1).all()
    assert (history[["pulses_up", "pulses_down"]] > 0).all(axis=None)


def test_first_row_of_a_single_batch_is_the_chip_as_it_was() -> None:
    chip, (x, y) = made(), blobs()
    _, history = one_batch(chip, x, y, learning_rate=0.2)
    assert history.loc[0, "loss"] == pytest.approx(loss(chip, x, y), rel=1e-5)
    assert history.loc[0, "accuracy"] == accuracy(chip, x, y)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_pulses_in_the_history_are_those_the_cells_received(scheme: WeightScheme) -> None:
    chip = made(weights=scheme)
    tuned, history = fine_tune(chip, *blobs(), layers=[0, 1], epochs=1, learning_rate=0.2)
    received = [
        int((matrix.tiles[p].cells.pulses - tile.cells.pulses).sum())
        for matrix, before in zip(tuned.matrices, chip.matrices, strict=True)
        for p, tile in before.tiles.items()
    ]
    assert history[["pulses_up", "pulses_down"]].to_numpy().sum() == sum(received)


def test_one_seed_is_one_course_of_training_and_the_chip_given_stays_as_it_was() -> None:
    device = LINEAR.replace(
        update=LINEAR.update.replace(c2c=0.005), read_noise=read_noise.ProportionalNoise(relative=0.02)
    )
    chip, (x, y) = made(device), blobs()
    before = chip.matrices[1].weights()
    runs = [fine_tune(chip, x, y, epochs=2, seed=seed) for seed in (4, 4, 5)]
    assert np.array_equal(runs[0][0].matrices[1].weights(), runs[1][0].matrices[1].weights())
    assert runs[0][1].equals(runs[1][1])
    assert not np.array_equal(runs[0][0].matrices[1].weights(), runs[2][0].matrices[1].weights())
    assert np.array_equal(chip.matrices[1].weights(), before)


@pytest.mark.parametrize("ohms", [1.0, 5.0])
def test_wires_solved_rarely_come_close_to_wires_solved_after_every_batch(ohms: float) -> None:
    chip, (x, y) = made(wires=Wires(word=ohms, bit=ohms)), blobs()
    settings: dict[str, Any] = {"layers": [0, 1], "epochs": 2, "learning_rate": 0.2, "seed": 4}
    exact, _ = fine_tune(chip, x, y, refresh=1, **settings)
    rare, _ = fine_tune(chip, x, y, refresh=1000, **settings)
    for before, a, b in zip(chip.matrices, exact.matrices, rare.matrices, strict=True):
        moved = np.abs(a.weights() - before.weights()).max()
        assert moved > 0.05 * before.weight_scale
        assert np.abs(a.weights() - b.weights()).max() < 0.1 * moved


def test_what_comes_back_has_its_wires_solved() -> None:
    chip, (x, y) = made(wires=Wires(word=5.0, bit=5.0)), blobs()
    tuned, _ = fine_tune(chip, x, y, epochs=1, refresh=1000)
    last = tuned.matrices[1]
    solved = last.with_cells({place: tile.cells for place, tile in last.tiles.items()})
    assert np.array_equal(last.weights(), solved.weights())
    assert tuned.matrices[0] is chip.matrices[0]


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_cells_that_come_back_lie_as_those_of_any_chip(scheme: WeightScheme) -> None:
    chip, (x, y) = made(weights=scheme), blobs()
    cells = fine_tune(chip, x, y, epochs=1)[0].matrices[1].tiles[0, 0].cells
    assert all(a.flags.c_contiguous for a in (cells.g, cells.pulses, cells.seconds))


def test_without_wires_how_often_they_are_solved_changes_nothing() -> None:
    chip, (x, y) = made(), blobs()
    one, other = (fine_tune(chip, x, y, epochs=1, refresh=refresh)[0] for refresh in (1, 1000))
    assert np.array_equal(one.matrices[1].weights(), other.matrices[1].weights())


QUIET = Device(name="quiet", window=WINDOW)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda x, y: fine_tune(made(QUIET), x, y),
            "device 'quiet': has no pulse response (its update slot is empty); "
            "give the device an update slot, ExponentialUpdate say",
        ),
        (
            lambda x, y: fine_tune(made(weights=BitSlices(slices=2)), x, y),
            "BitSlices: has no rule for pulsing its cells; train on the chip with DifferentialPair or OffsetColumn",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, layers=[]),
            "fine_tune.layers: must name at least one layer, got none; use layers=[-1] for the last",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, layers=[2]),
            "fine_tune.layers: must be an integer from -2 to 1, got 2; the chip has 2 layers",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, layers=-1),
            "fine_tune.layers: must be a list of layers, got -1; write [-1] for the last",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, layers=None),
            "fine_tune.layers: must be a list of layers, got None; write [-1] for the last",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, layers="all"),
            "fine_tune.layers: must be a list of layers, got all; write [-1] for the last",
        ),
        (
            lambda x, y: fine_tune(network(), x, y),
            "fine_tune.chip: must be a Chip, got Network; write it to one with cim.program",
        ),
        (
            lambda x, y: fine_tune(made(), x, y + 1),
            "y: must hold labels from 0 to 2, got 1 to 3; renumber them, or give the network more outputs",
        ),
        (
            lambda x, y: fine_tune(made(), x[:, :4], y),
            "x: must have 10 features per sample (batch, 10), got shape (300, 4); "
            "reshape to (-1, 10) or fit the network",
        ),
        (
            lambda x, y: fine_tune(made(), x[0], y),
            "x: must have 10 features per sample (batch, 10), got shape (10,); pass x[None, :] for one sample",
        ),
        (
            lambda x, y: fine_tune(made(), x, y, seed=-1),
            "seed: must be an integer, 0 or more, got -1; give seed=0, say",
        ),
    ],
)
def test_what_cannot_be_tuned_says_so_before_a_pulse_is_sent(
    use: Callable[[Any, Any], Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "pulse", None)
    with pytest.raises(InputError) as caught:
        use(*blobs())
    assert str(caught.value) == message


def test_an_uncalibrated_chip_is_not_tuned() -> None:
    chip = program(network(), ChipSpec(device=LINEAR, adc=ADC(bits=6)))
    with pytest.raises(InputError, match=r"^ADC: has no range yet \(uncalibrated\)"):
        fine_tune(chip, *blobs())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "FineTuning: unknown name, got 'epoch'; did you mean 'epochs'"),
        ({"learning_rate": 0.0}, r"FineTuning\.learning_rate: must be greater than 0"),
        ({"refresh": 0}, r"FineTuning\.refresh: must be greater than or equal to 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        fine_tune(made(), *blobs(), **settings)


def test_a_rate_in_pulses_is_one_in_weights_over_a_pulse() -> None:
    chip, (x, y) = made(), blobs()
    step = chip.matrices[1].weight_step / chip.matrices[1].weight_scale
    one, _ = one_batch(chip, x, y, learning_rate=0.3)
    other, _ = one_batch(chip, x, y, learning_pulses=0.3 / step)
    np.testing.assert_allclose(one.matrices[1].weights(), other.matrices[1].weights(), atol=1e-9)
    with pytest.raises(ParameterError, match="needs either learning_rate or learning_pulses, got both"):
        one_batch(chip, x, y, learning_rate=0.3, learning_pulses=3.0)


def test_a_divergence_is_reported_and_keeps_what_was_computed() -> None:
    """In the third epoch a rule spoils the matrix; chip and history of the epochs before come with the error."""
    chip, (x, y) = made(), blobs()

    class Spoiling(MixedPrecision):
        def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
            matrix, sent = super().update(step)
            step.memory["batches"] = step.memory.get("batches", 0) + 1
            if step.memory["batches"] < 7:
                return matrix, sent
            spoilt = {p: replace(t.cells, g=t.cells.g * np.nan) for p, t in matrix.tiles.items()}
            return matrix.with_cells(spoilt), sent

    with pytest.raises(Diverged, match=r"fine_tune: must keep the loss finite, got divergence") as caught:
        fine_tune(chip, x, y, epochs=4, batch=100, rule=Spoiling())
    kept, history = caught.value.chip, caught.value.history
    assert list(history["epoch"]) == [1, 2]
    straight, expected = fine_tune(chip, x, y, epochs=2, batch=100)
    assert history.equals(expected)
    assert np.array_equal(kept.matrices[1].weights(), straight.matrices[1].weights())
    assert np.array_equal(kept.network.weighted[1].bias, straight.network.weighted[1].bias)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"rule": "Manhattan"}, r"fine_tune\.rule: must be a PulseRule, got str; use cim\.rules\.Manhattan\(\), say"),
        ({"rule": Manhattan}, r"fine_tune\.rule: must be a PulseRule, got the class Manhattan; write Manhattan\(\)"),
        ({"backward": "sideways"}, r"fine_tune\.backward: must be one of digital, chip, feedback, got sideways"),
    ],
)
def test_choices_that_do_not_exist_are_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fine_tune(made(), *blobs(), **choice)


def test_a_gradient_that_is_not_finite_is_refused_before_a_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    chip, (x, y) = made(), blobs()
    monkeypatch.setattr("cimsim.network.network.softmax_cross_entropy", lambda z, _: (np.float32(1.0), z * np.nan))
    monkeypatch.setattr(MixedPrecision, "update", None)
    with pytest.raises(Diverged, match=r"fine_tune: must keep the gradient finite") as caught:
        fine_tune(chip, x, y, layers=[0, 1])
    assert np.array_equal(caught.value.chip.matrices[1].weights(), chip.matrices[1].weights())
    assert len(caught.value.history) == 0
