"""Training that feels the hardware: its gradients, its parts, and that it pays on the chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimsim import datasets
from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.offchip import train
from cimsim.network.build import Conv, Linear, cnn
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense, Tanh
from cimsim.network.network import Network, mlp
from cimsim.network.spiking import snn
from device_models.device import Device
from device_models.errors import InputError, ParameterError
from device_models.faults import CellFaults
from device_models.programming import SpanError
from device_models.read_noise import ProportionalNoise
from device_models.streams import Streams
from device_models.window import Window
from tests.foreign import ForeignArray

WINDOW = Window(g_min=2e-6, g_max=40e-6)
IDEAL = Device(name="ideal", window=WINDOW)
FLAWED = IDEAL.replace(
    programming=SpanError(error=0.15),
    read_noise=ProportionalNoise(relative=0.02),
    faults=CellFaults(stuck_lrs=0.01, stuck_hrs=0.02, spread_g_max=0.05),
)
SPEC = ChipSpec(device=FLAWED, dac=DAC(bits=8), adc=ADC(bits=8))
RNG = np.random.default_rng(0)


def double() -> Network:
    """In float64, in which tiny differences stay visible."""
    layers = (Dense(RNG.normal(size=(4, 6)), RNG.normal(size=6)), Tanh(), Dense(RNG.normal(size=(6, 3)), np.zeros(3)))
    return Network(layers)


def batch(net: Network, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    return RNG.uniform(0, 1, (n, net.n_in)), RNG.integers(0, net.n_out, n)


def loss_and_gradients(net: Network, hardware: Hardware, x: np.ndarray, y: np.ndarray) -> Any:
    """Those of a first step, with the same errors at every call."""
    simulation = Simulation(net, hardware, Streams(3))
    simulation.calibrate(net, x)
    return simulation.gradients(net, x, y, seed=0, row=0)


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_without_converters_gradients_are_true_ones_the_largest_weights_too(scheme: WeightScheme) -> None:
    """Central differences of the loss with errors held: shares of the window, they grow with the largest weight."""
    net = double()
    x, y = batch(net)
    hardware = Hardware(chip=ChipSpec(device=FLAWED, weights=scheme), stuck=False)
    _, gradients = loss_and_gradients(net, hardware, x, y)
    for k, (d_weight, d_bias) in enumerate(gradients):
        largest = np.unravel_index(np.argmax(np.abs(net.weights[k])), net.weights[k].shape)
        for place in [largest, *np.ndindex(*net.weights[k].shape)][:9]:
            losses = []
            for step in (1e-6, -1e-6):
                pairs = [(a.weight.copy(), a.bias) for a in net.weighted]
                pairs[k][0][place] += step
                losses.append(float(loss_and_gradients(net.with_weights(pairs), hardware, x, y)[0]))
            assert d_weight[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-4, abs=1e-8)
        losses = []
        for step in (1e-6, -1e-6):
            pairs = [(a.weight, a.bias + step * (j == k)) for j, a in enumerate(net.weighted)]
            losses.append(float(loss_and_gradients(net.with_weights(pairs), hardware, x, y)[0]))
        assert d_bias.sum() == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-4, abs=1e-8)


NETWORKS: dict[str, Callable[[], Network]] = {
    "dense": lambda: mlp([9, 5, 3]),
    "convolution": lambda: cnn((1, 3, 3), [Conv(4, kernel=2), "relu", Conv(2, kernel=2, groups=2), Linear(3)]),
    "spiking": lambda: snn([9, 5, 3], steps=4),
}


@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
def test_on_flawless_hardware_gradients_are_those_of_floating_point(made: Callable[[], Network]) -> None:
    net = made()
    x, y = batch(net)
    exact, simulated = net.gradients(x, y), loss_and_gradients(net, Hardware(chip=ChipSpec(device=IDEAL)), x, y)
    assert simulated[0] == pytest.approx(float(exact[0]), rel=1e-5)
    for got, want in zip(simulated[1], exact[1], strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
def test_every_kind_of_network_is_trained_and_keeps_its_ranges(
    made: Callable[[], Network],
) -> None:
    net = made()
    x, y = batch(net, 60)
    trained = train(net, x, y, hardware=SPEC, epochs=3, learning_rate=1e-2)
    assert trained.ranges is not None
    assert len(trained.ranges) == len(net.weighted)
    chip = program(trained, SPEC)
    assert accuracy(chip, x, y) >= 0.2  # calibrated
    assert train(trained, x, y, epochs=1).ranges is None


def test_converters_that_are_off_or_given_have_nothing_to_learn() -> None:
    net = mlp([9, 5, 3])
    x, y = batch(net, 60)
    for chosen in (
        Hardware(chip=SPEC, converters=False),
        Hardware(chip=SPEC, learn_ranges=False),
        Hardware(chip=SPEC.replace(dac=None, adc=None)),
        Hardware(chip=SPEC.replace(dac=DAC(bits=8, range=(0, 1)), adc=ADC(bits=8, range=(-1e-5, 1e-5)))),
    ):
        assert train(net, x, y, hardware=chosen, epochs=1).ranges is None
    half = train(net, x, y, hardware=SPEC.replace(adc=ADC(bits=8, range=(-1e-5, 2e-5))), epochs=1)
    full = program(half, SPEC.replace(adc=ADC(bits=8, range=(-1e-5, 2e-5)))).matrices[1]
    assert full.banks is not None
    assert half.ranges is not None
    assert half.ranges[0].inputs[1] == pytest.approx(float(x.max()), abs=1e-6)  # those of the data stay


def test_a_seed_fixes_the_course_and_errors_are_new_at_every_step() -> None:
    net = mlp([9, 5, 3])
    x, y = batch(net, 60)
    one, same, other = (train(net, x, y, hardware=SPEC, epochs=1, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.weights[0], same.weights[0])
    assert not np.array_equal(one.weights[0], other.weights[0])
    simulation = Simulation(net, Hardware(chip=SPEC), Streams(0))
    simulation.calibrate(net, x.astype(np.float32))
    first, second = (simulation.gradients(net, x.astype(np.float32), y, seed=0, row=0)[0] for _ in range(2))
    assert first != second


def test_switching_converters_off_moves_no_draw_of_the_cells() -> None:
    net, held = mlp([9, 5, 3]), []
    x, y = batch(net, 60)
    for on in (True, False):
        simulation = Simulation(net, Hardware(chip=SPEC, converters=on), Streams(0))
        simulation.calibrate(net, x)
        simulation.gradients(net, x, y, seed=0, row=0)
        held.append(simulation._product(1, net.weighted[1], simulation.errors[1]).weight)
    assert np.array_equal(*held)


def test_a_range_that_is_too_wide_is_drawn_in() -> None:
    """Two bits, and a range ten times what is needed: every code but the two in the middle is lost until it learns."""
    (x, y), _ = datasets.load("digits", train=600)
    chip = ChipSpec(device=IDEAL, adc=ADC(bits=3, calibration="minmax"))
    net = train(mlp([64, 10]), x, y, epochs=5, learning_rate=1e-2)
    simulation = Simulation(net, Hardware(chip=chip), Streams(0))
    simulation.calibrate(net, x)
    simulation.converters[0] = simulation.converters[0].scaled(0.0, float(np.log(10)))
    for _ in range(400):
        simulation.gradients(net, x, y, seed=0, row=0)
        simulation.ranges -= 0.02 * np.sign(simulation.slopes)
    assert simulation.ranges[1] < np.log(0.3)
    assert simulation.ranges[0] == 0.0


def on_chips(net: Network, x: np.ndarray, y: np.ndarray, dies: int, calibrate: np.ndarray) -> float:
    """Mean accuracy of several dies, ranges as learned or else measured."""
    measured = None if net.ranges else calibrate
    return float(np.mean([accuracy(program(net, SPEC, calibrate=measured, seed=d), x, y, seed=d) for d in range(dies)]))


def test_it_pays_at_a_large_write_error() -> None:
    """15 % of the window on both cells of a pair, 3 % stuck: the digits, three dies."""
    (x, y), (x_test, y_test) = datasets.load("digits")
    settings: dict[str, Any] = {"epochs": 12, "learning_rate": 1e-2}
    plain, aware = (train(mlp([64, 32, 10]), x, y, hardware=h, **settings) for h in (None, SPEC))
    before, after = (on_chips(net, x_test, y_test, 3, x[:256]) for net in (plain, aware))
    assert after > before + 0.08
    assert after > 0.85


@pytest.mark.slow
def test_it_pays_on_mnist() -> None:
    (x, y), (x_test, y_test) = datasets.load("mnist", train=20_000, test=4_000)
    plain, aware = (train(mlp([784, 128, 10]), x, y, hardware=h, epochs=4) for h in (None, SPEC))
    before, after = (on_chips(net, x_test, y_test, 5, x[:512]) for net in (plain, aware))
    assert after > before + 0.05
    assert after > 0.93


@pytest.mark.parametrize(
    ("hardware", "message"),
    [
        ("generic-rram", "train.hardware: must be a ChipSpec or Hardware, got str; pass a spec"),
        (IDEAL, "train.hardware: must be a ChipSpec or Hardware, got Device; pass a spec"),
    ],
)
def test_what_is_no_hardware_is_refused(hardware: Any, message: str) -> None:
    net = mlp([9, 5, 3])
    with pytest.raises(InputError) as caught:
        train(net, *batch(net), hardware=hardware)
    assert str(caught.value) == message


def test_networks_elsewhere_are_refused() -> None:
    net = mlp([9, 5, 3])
    far = net.with_layers([layer.moved(ForeignArray) for layer in net.layers])
    with pytest.raises(InputError, match=r"^train\.hardware: needs a network on the host"):
        train(far, *batch(net), hardware=SPEC)


def test_a_divergence_is_reported() -> None:
    net = mlp([9, 5, 3])
    x, y = batch(net, 60)
    cells = SPEC.replace(dac=None, adc=None)
    with pytest.raises(InputError, match=r"^train: must keep the loss finite, got divergence in epoch 1 of 2"):
        train(net, x * np.float32(1e38), y, hardware=cells, epochs=2, learning_rate=1.0)


def test_ranges_must_be_those_of_every_layer() -> None:
    with pytest.raises(InputError, match=r"^Network\.ranges: must hold an entry for each of 1 weighted layers, got 0"):
        replace(mlp([2, 2]), ranges=())


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ParameterError, match="Hardware: unknown name, got 'programing'; did you mean 'programming'"):
        Hardware(chip=SPEC, programing=False)
