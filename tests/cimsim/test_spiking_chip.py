"""A spiking network on a chip: exact where all is ideal, and the same whatever the batch is cut into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC
from cimsim.crossbar.integrate import Integrate
from cimsim.crossbar.wires import Wires
from cimsim.network.build import AvgPool, Conv, Linear
from cimsim.network.coding import Code, Given, PoissonRate
from cimsim.network.network import Network
from cimsim.network.spiking import snn
from device_models import read_noise
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.window import Window

IDEAL = Device(name="ideal", window=Window(g_min=5e-6, g_max=1e-4))
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.1))
X = np.random.default_rng(0).random((37, 30)).astype(np.float32)
STEPS = 10


def dense(code: Code | None = None) -> Network:
    return snn([30, 20, 5], code=code or PoissonRate(steps=STEPS), seed=1)


def convolutional() -> Network:
    layers = [Conv(3, kernel=2), AvgPool(2), Linear(5)]
    return snn(layers, image=(1, 5, 6), code=PoissonRate(steps=STEPS), seed=1)


def chip(net: Network, device: Device = NOISY, **spec: Any) -> Chip:
    return program(net, ChipSpec(device=device, **{"tile": (16, 8)} | spec), calibrate=X, seed=2)


@pytest.mark.parametrize("net", [dense(), convolutional()])
def test_an_ideal_chip_gives_the_spikes_of_the_float_network(net: Network) -> None:
    counts = net.forward(X, seed=3)
    assert 0 < counts.mean() < STEPS
    np.testing.assert_array_equal(chip(net, IDEAL).forward(X, seed=3), counts)
    np.testing.assert_array_equal(chip(net, IDEAL, neurons=Integrate()).forward(X, seed=3), counts)


@pytest.mark.parametrize("net", [dense(), convolutional()])
@pytest.mark.parametrize("spec", [{}, {"adc": ADC(bits=6)}, {"neurons": Integrate(gain_spread=0.1)}])
def test_reads_do_not_depend_on_how_a_batch_is_cut(net: Network, spec: dict[str, Any]) -> None:
    """The noise of a step is that of its sample and step, whichever samples are read with it."""
    noisy = chip(net, **spec)
    whole = noisy.forward(X, seed=3)
    np.testing.assert_array_equal(noisy.forward(X[:7], seed=3), whole[:7])
    parts = [net.forward(X[a:b], noisy.products(3, a), seed=3, row=a) for a, b in [(0, 4), (4, 30), (30, 37)]]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(noisy.forward(X, seed=4), whole)


def test_steps_are_read_with_noise_of_their_own() -> None:
    """One spike train repeated for every step: the membranes of an ideal chip would see the same each time."""
    net = snn([30, 20, 5], code=Given(steps=STEPS), seed=1)
    spikes = np.repeat(X[:, None] < 0.3, STEPS, axis=1)
    made = program(net, ChipSpec(device=NOISY), seed=2)
    reads = made.products(seed=3)[0](net.entered(spikes)).reshape(len(X), STEPS, -1)
    spread = reads.std(axis=1, ddof=1).mean(axis=0)
    law = (0.1 * np.sqrt(np.sum(net.weights[0] ** 2, axis=0))) * np.sqrt(0.3)  # at least that of the weights alone
    assert np.all(spread > law)
    centred = reads - reads.mean(axis=1, keepdims=True)
    along = np.mean(centred[:, 1:] * centred[:, :-1]) / np.mean(centred**2)
    assert along == pytest.approx(-1 / STEPS, abs=0.02)  # independent, but for the mean taken off


def test_neuron_circuits_have_the_errors_that_were_asked_for() -> None:
    net, v = dense(), (X < 0.5).astype(np.float32)
    exact = chip(net, IDEAL).products()[0](v)
    unit = chip(net, IDEAL).matrices[0].forward.unit
    gain = chip(net, IDEAL, neurons=Integrate(gain_spread=0.2)).products()[0](v) / exact
    np.testing.assert_allclose(gain, np.broadcast_to(gain[:1], gain.shape), rtol=1e-4)
    assert 0.1 < np.std(gain[0] - 1) < 0.35
    offset = (chip(net, IDEAL, neurons=Integrate(offset_spread=1e-6)).products()[0](v) - exact) / unit
    np.testing.assert_allclose(offset, np.broadcast_to(offset[:1], offset.shape), atol=1e-9)
    assert 0.5e-6 < np.std(offset[0]) < 1.7e-6
    held = chip(net, IDEAL, neurons=Integrate(saturation=5e-6)).products()[0](v)
    np.testing.assert_allclose(held, np.clip(exact, -5e-6 * unit, 5e-6 * unit), rtol=1e-6)


def test_a_chip_has_adcs_or_neurons() -> None:
    with pytest.raises(ParameterError, match="neurons take the bit-line currents in place of an adc"):
        ChipSpec(device=IDEAL, adc=ADC(bits=6), neurons=Integrate())


def test_the_report_counts_a_read_per_step() -> None:
    made = chip(dense(), neurons=Integrate(gain_spread=0.1))
    assert [row.cycles for row in made.report(X).layers] == [STEPS, STEPS]
    assert made.report(X).effects["neurons"].startswith("Integrate(gain_spread=0.1")
    assert [row.cycles for row in chip(convolutional()).report().layers] == [STEPS * 20, STEPS]


def test_age_and_wires_reach_a_spiking_network() -> None:
    net = dense()
    wired = chip(net, IDEAL, wires=Wires(word=20.0, bit=20.0))
    assert wired.forward(X).sum() < net.forward(X).sum()
    assert wired.age(10.0).seconds == 10.0


@pytest.mark.parametrize("neurons", [None, cim.Integrate(gain_spread=0.1)], ids=["ideal", "circuits"])
def test_the_last_layer_is_tuned_on_the_chip_as_of_any_network(neurons: cim.Integrate | None) -> None:
    """Its columns stand shifted by one: from nothing right, tuning by pulses finds most of the classes again."""
    (x, y), (x_test, y_test) = cim.datasets.load("digits")
    net = cim.train(cim.snn([64, 32, 10], readout="membrane"), x, y, epochs=8, seed=0)
    first, last = net.weighted
    pairs = [(first.weight, first.bias), (np.roll(last.weight, 1, axis=1), np.roll(last.bias, 1))]
    update = dm.update.ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=0.5, nl_down=-0.5, c2c=0.002)
    device = dm.Device(name="cell", window=dm.Window(g_min=1e-6, g_max=1e-4), update=update)
    spec = cim.ChipSpec(device=device, neurons=neurons)
    chip = cim.program(net.with_weights(pairs), spec, calibrate=x[:256], seed=1)
    tuned, history = cim.fine_tune(chip, x, y, epochs=4, learning_rate=0.2, seed=0)
    assert cim.accuracy(chip, x_test, y_test, seed=0) < 0.2
    assert cim.accuracy(tuned, x_test, y_test, seed=0) > 0.7
    assert history["accuracy"].is_monotonic_increasing
