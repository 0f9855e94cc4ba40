"""A chip whose arrays live in another library, as on a GPU, does what it does on the host: `foreign` stands in for it.

Nothing that is drawn has the same numbers there, but the same law; everything else has the same numbers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import device_models as dm
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.crossbar.single import SingleCell
from cimsim.crossbar.wires import Wires
from cimsim.interchange import export, load_network
from cimsim.learning import rules
from cimsim.learning.onchip import fine_tune
from cimsim.learning.plasticity import stdp
from cimsim.network.evaluate import accuracy, confusion
from cimsim.network.network import mlp
from device_models import faults, programming, read_noise, retention, update
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_normal, assert_same_law
from tests.foreign import ForeignArray

WINDOW = Window(g_min=5e-6, g_max=1e-4)
MADE = Device(
    name="made",
    window=WINDOW,
    faults=faults.CellFaults(stuck_lrs=0.02, stuck_hrs=0.02, spread_g_min=0.1, spread_g_max=0.1),
    programming=programming.SpanError(error=0.02),
    update=update.ExponentialUpdate(pulses_up=200, pulses_down=200, nl_up=1.0, nl_down=-1.0),
)
RETENTION: list[Any] = [
    None,
    retention.PowerLawDrift(nu=0.05, spread=0.02, nu_slope=-0.01, g_ref=1e-5),
    retention.LogTimeRelaxation(times=(1.0, 1e4), sigma=((1e-6, 1e-6), (2e-6, 3e-6)), g_ref=1e-4),
]
NOISE: list[Any] = [
    read_noise.ProportionalNoise(relative=0.03),
    read_noise.PolynomialNoise(coefficients=(1e-7, 1e-6, 1e-6), g_ref=1e-4),
    read_noise.OneOverFNoise(q=0.02, exponent=0.5, g_ref=1e-4),
    read_noise.TelegraphNoise(amplitude=0.2, tau_high=1.0, tau_low=2.0),
]
SCHEMES = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn(), BitSlices(slices=2, bits=2)]
SIZES = [24, 20, 5]


def inputs(n: int = 40) -> np.ndarray:
    return Streams(1).rng("inputs").random((n, SIZES[0]), dtype=np.float32)


def made(device: Device = MADE, **spec: Any) -> Chip:
    spec = {"tile": (16, 9), "dac": DAC(bits=8), "adc": ADC(bits=8)} | spec
    return program(mlp(SIZES, seed=1), ChipSpec(device=device, **spec), calibrate=inputs(), seed=2)


def abroad(chip: Chip) -> Chip:
    """The chip with every array in the other library, as `Chip.to` does it for CuPy."""
    pairs = [(ForeignArray(a.weight), ForeignArray(a.bias)) for a in chip.network.weighted]
    matrices = tuple(m.moved(ForeignArray) for m in chip.matrices)
    return replace(chip, network=chip.network.with_weights(pairs), matrices=matrices)


def close(theirs: Any, ours: np.ndarray) -> None:
    """The same numbers, to the rounding of float32."""
    assert isinstance(theirs, ForeignArray)
    assert theirs.dtype == ours.dtype
    np.testing.assert_allclose(theirs.get(), ours, atol=2e-6 * np.abs(ours).max())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"adc": None, "dac": None},
        {"wires": Wires(word=1.0, bit=1.0)},
        {"adc": ADC(bits=5, per="column", gain_spread=0.05, offset_spread=0.02), "dac": DAC(bits=4, gain_spread=0.05)},
    ],
    ids=["converters", "bare", "wires", "spread"],
)
def test_forward_gives_the_same_logits_and_labels(scheme: Any, spec: dict[str, Any]) -> None:
    chip = made(weights=scheme, **spec)
    theirs = abroad(chip)
    for x in (inputs(), ForeignArray(inputs())):
        close(theirs.forward(x), chip.forward(inputs()))
        labels = theirs.predict(x)
        assert isinstance(labels, np.ndarray)
        assert np.array_equal(labels, chip.predict(inputs()))
    close(theirs.matmul(0, inputs()), chip.matmul(0, inputs()))


def test_a_nonlinear_law_gives_the_same_logits() -> None:
    chip = made(MADE.replace(conduction=Sinh(v0=0.15)))
    close(abroad(chip).forward(inputs()), chip.forward(inputs()))


def test_scores_are_the_same() -> None:
    chip, y = made(), np.arange(40) % 5
    assert accuracy(abroad(chip), ForeignArray(inputs()), ForeignArray(y)) == accuracy(chip, inputs(), y)
    assert np.array_equal(confusion(abroad(chip), inputs(), y), confusion(chip, inputs(), y))


@pytest.mark.parametrize("law", NOISE, ids=lambda law: type(law).__name__)
def test_reads_have_the_same_law(law: Any) -> None:
    chip = made(MADE.replace(read_noise=law), dac=DAC(bits=8, noise=0.01), adc=ADC(bits=12, noise=0.002)).age(10.0)
    x = np.repeat(inputs(1), 2000, axis=0)
    ours, theirs = chip.matmul(0, x), abroad(chip).matmul(0, x, seed=3)
    assert isinstance(theirs, ForeignArray)
    for column in range(SIZES[1]):
        assert_same_law(theirs.get()[:, column], ours[:, column])


def test_without_converters_reads_have_their_closed_form() -> None:
    device = Device(
        name="plain", window=WINDOW, read_noise=read_noise.PolynomialNoise(coefficients=(1e-6,), g_ref=1e-4)
    )
    chip, x = made(device, adc=None, dac=None), np.repeat(inputs(1), 3000, axis=0)
    sigma = np.linalg.norm(x[0]) * 1e-6 / WINDOW.span * np.sqrt(2) * chip.matrices[0].weight_scale
    assert_normal(abroad(chip).matmul(0, x).get(), (x[0] @ chip.matrices[0].weights())[None], sigma)


@pytest.mark.parametrize("slot", RETENTION, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("wires", [None, Wires(word=1.0)], ids=["ideal", "wires"])
def test_age_gives_the_same_cells(slot: Any, wires: Wires | None) -> None:
    chip = made(MADE.replace(retention=slot), wires=wires)
    ours, theirs = chip.age(100.0).age(1e6), abroad(chip).age(100.0).age(1e6)
    for a, b in zip(ours.matrices, theirs.matrices, strict=True):
        np.testing.assert_allclose(b.weights().get(), a.weights(), rtol=1e-12, atol=1e-15)
    close(theirs.forward(inputs()), ours.forward(inputs()))


@pytest.mark.parametrize("how", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("per", ["layer", "tile", "column"])
def test_calibration_finds_the_same_ranges(how: Any, per: Any) -> None:
    chip = made(adc=ADC(bits=6, calibration=how, per=per))
    other = 0.7 * inputs()
    ours, theirs = chip.calibrate(other), abroad(chip).calibrate(ForeignArray(other))
    assert isinstance(theirs.reference, np.ndarray)
    for a, b in zip(ours.matrices, theirs.matrices, strict=True):
        assert b.inputs.full == pytest.approx(a.inputs.full, rel=1e-6)
        for place, bank in a.banks.items():
            assert isinstance(b.banks[place].step, ForeignArray)
            np.testing.assert_allclose(b.banks[place].step.get(), bank.step, rtol=1e-5)
    np.testing.assert_allclose(theirs.forward(other).get(), ours.forward(other), atol=1e-4)


@pytest.mark.parametrize("adc", [None, ADC(bits=4), ADC(bits=6, range=(-2e-4, 2e-4), noise=0.0)])
def test_another_adc_gives_the_same_chip(adc: ADC | None) -> None:
    chip = made(wires=Wires(bit=1.0))
    np.testing.assert_allclose(
        abroad(chip).with_adc(adc).forward(inputs()).get(), chip.with_adc(adc).forward(inputs()), atol=1e-4
    )


@pytest.mark.parametrize("scheme", SCHEMES[:3], ids=str)
@pytest.mark.parametrize("wires", [None, Wires(word=1.0, bit=1.0)], ids=["ideal", "wires"])
def test_tuning_sends_the_same_pulses(scheme: Any, wires: Wires | None) -> None:
    """Where a gradient is within rounding of a whole pulse, one may come a batch later."""
    chip, y = made(weights=scheme, wires=wires, adc=None, dac=None), np.arange(40) % 5
    settings: dict[str, Any] = {"layers": [0, 1], "epochs": 2, "learning_rate": 0.3, "seed": 3, "refresh": 2}
    ours, history = fine_tune(chip, inputs(), y, **settings)
    theirs, their_history = fine_tune(abroad(chip), ForeignArray(inputs()), ForeignArray(y), **settings)
    assert history["pulses_up"].min() > 20
    np.testing.assert_allclose(their_history, history, rtol=0.02)
    for a, b in zip(ours.matrices, theirs.matrices, strict=True):
        assert isinstance(b.tiles[0, 0].cells.g, ForeignArray)
        assert np.abs(b.weights().get() - a.weights()).max() < 2.5 * a.weight_step


@pytest.mark.parametrize(
    "rule",
    [
        rules.Manhattan(),
        rules.ThresholdSign(),
        rules.ThresholdVerify(),
        rules.PulseCount(),
        rules.PulseCount(rounding="stochastic"),
        rules.StochasticPulses(),
        rules.TikiTaka(lines=3),
        rules.TikiTaka(version=1, lines=3, fast=rules.StochasticPulses()),
    ],
    ids=str,
)
def test_every_rule_trains_foreign_cells(rule: rules.PulseRule) -> None:
    chip, y = made(adc=None, dac=None), np.arange(40) % 5
    settings: dict[str, Any] = {"layers": [0, 1], "epochs": 2, "learning_rate": 0.1, "seed": 3, "batch": 10}
    _, history = fine_tune(chip, inputs(), y, rule=rule, **settings)
    theirs, their_history = fine_tune(abroad(chip), ForeignArray(inputs()), ForeignArray(y), rule=rule, **settings)
    assert isinstance(theirs.matrices[0].tiles[0, 0].cells.g, ForeignArray)
    counts = ["pulses_up", "pulses_down", "cells_written"]
    np.testing.assert_allclose(their_history[counts].sum(), history[counts].sum(), rtol=0.2)
    assert abs(their_history["loss"].iloc[-1] - history["loss"].iloc[-1]) < 0.3


def test_pulses_with_noise_and_drift_have_the_same_law() -> None:
    device = MADE.replace(
        faults=None,
        programming=None,
        update=update.ExponentialUpdate(pulses_up=100, pulses_down=100, c2c=0.01),
        retention=retention.PowerLawDrift(nu=0.1, spread=0.03),
    )
    net = mlp([40, 40], seed=1)
    net = net.with_weights([(np.full((40, 40), 0.3) + 0.7 * np.eye(40), np.zeros(40))])
    chip = program(net, ChipSpec(device=device)).age(100.0)
    n = np.full((40, 40), 5)
    ours, pulses = chip.matrices[0].pulsed(n, Streams(5))
    theirs, their_pulses = abroad(chip).matrices[0].pulsed(ForeignArray(n), Streams(5))
    off = ~np.eye(40, dtype=bool)
    assert their_pulses == pulses
    assert_same_law(theirs.weights().get()[off], ours.weights()[off])
    assert_same_law(theirs.aged(1e4).weights().get()[off], ours.aged(1e4).weights()[off])


@pytest.mark.parametrize("card", dm.names())
def test_every_card_runs_and_ages_abroad(card: str) -> None:
    chip = made(dm.load(card))
    theirs = abroad(chip).age(1e5)
    seen, expected = theirs.forward(inputs()).get(), chip.age(1e5).forward(inputs())
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.9
    for a, b in zip(chip.age(1e5).matrices, theirs.matrices, strict=True):
        np.testing.assert_allclose(b.weights().get(), a.weights(), rtol=1e-9, atol=1e-12)


def test_reports_and_exports_are_the_same(tmp_path: Path) -> None:
    chip = made()
    theirs = abroad(chip)
    for ours_row, their_row in zip(chip.report().layers, theirs.report().layers, strict=True):
        assert replace(their_row, weight_error=0.0) == replace(ours_row, weight_error=0.0)
        assert their_row.weight_error == pytest.approx(ours_row.weight_error, rel=1e-9)
    assert theirs.report(ForeignArray(inputs())).layers == theirs.report().layers
    export(chip, tmp_path / "ours")
    export(theirs, tmp_path / "theirs")
    for name in ("tiles.json", "spec.toml"):
        assert (tmp_path / "theirs" / name).read_text() == (tmp_path / "ours" / name).read_text()
    with np.load(tmp_path / "ours/conductances.npz") as ours, np.load(tmp_path / "theirs/conductances.npz") as foreign:
        assert all(np.array_equal(ours[name], foreign[name]) for name in ours.files)
    weights = [load_network(tmp_path / side).weights[1] for side in ("ours", "theirs")]
    assert np.array_equal(*weights)


def test_a_network_held_abroad_makes_the_same_chip_at_home() -> None:
    net = mlp(SIZES, seed=1)
    foreign = net.with_weights([(ForeignArray(a.weight), ForeignArray(a.bias)) for a in net.weighted])
    spec = ChipSpec(device=MADE, adc=ADC(bits=6))
    home = program(foreign, spec, calibrate=ForeignArray(inputs()), seed=2)
    assert isinstance(home.network.weights[0], np.ndarray)
    assert np.array_equal(home.forward(inputs()), program(net, spec, calibrate=inputs(), seed=2).forward(inputs()))


def test_coming_home_gives_the_chip_that_left() -> None:
    chip = made(wires=Wires(word=1.0))
    home = abroad(chip).to("numpy")
    assert isinstance(home.matrices[0].tiles[0, 0].signals, np.ndarray)
    assert np.array_equal(home.forward(inputs()), chip.forward(inputs()))
    assert np.array_equal(
        home.age(5.0).with_adc(None).forward(inputs()), chip.age(5.0).with_adc(None).forward(inputs())
    )


def test_a_layer_learns_by_spike_timing() -> None:
    device = Device(name="exact", window=WINDOW, update=update.LinearUpdate(step_size=5e-6))
    w = Streams(0).rng("w").random((12, 4), dtype=np.float32)
    net = mlp([12, 4]).with_weights([(w, np.zeros(4, np.float32))])
    chip = program(net, ChipSpec(device=device, weights=SingleCell()))
    x = Streams(0).rng("x").random((6, 12))
    ours, history = stdp(chip, x, steps=20, rate=40.0)
    theirs, their_history = stdp(abroad(chip), ForeignArray(x), steps=20, rate=40.0)
    assert history["wins"][0] > 1
    np.testing.assert_allclose(their_history.to_numpy(float), history.to_numpy(float))
    assert isinstance(theirs.chip.matrices[0].tiles[0, 0].cells.g, ForeignArray)
    np.testing.assert_allclose(theirs.receptive_fields, ours.receptive_fields, rtol=1e-6)
