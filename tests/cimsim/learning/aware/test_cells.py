from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import device_models as dm
from cimsim.chip import ChipSpec
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.aware.cells import LEVELS, SAMPLES, CellErrors, _hit
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.programming import PolynomialError, SpanError, WriteVerify
from device_models.read_noise import ProportionalNoise
from device_models.retention import PowerLawDrift
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=1e-6, g_max=41e-6)
PLAIN = Device(name="plain", window=WINDOW)
STATE = PolynomialError(coefficients=(0.2e-6, 3e-6, -1e-6), g_ref=40e-6, valid=(0.0, 50e-6))
DEVICES = {
    "the same error everywhere": PLAIN.replace(programming=SpanError(error=0.1)),
    "error by state": PLAIN.replace(programming=STATE),
    "verified": PLAIN.replace(programming=WriteVerify(error=STATE, tolerance=1e-6)),
    "windows of their own": PLAIN.replace(
        programming=SpanError(error=0.02), faults=CellFaults(spread_g_max=0.1, spread_g_min=0.3)
    ),
    "drifted": PLAIN.replace(programming=SpanError(error=0.02), retention=PowerLawDrift(nu=0.05, spread=0.02)),
    "stuck": PLAIN.replace(programming=SpanError(error=0.02), faults=CellFaults(stuck_lrs=0.05, stuck_hrs=0.1)),
    "a few levels": PLAIN.replace(programming=STATE, window=WINDOW.replace(levels=15)),
    "a card": dm.load("pcm-joshi-2020"),
}
WEIGHTS = (-1.0, -0.4, 0.0, 0.4, 0.8)
ALL: dict[str, Any] = {"programming": True, "read_noise": True, "stuck": True, "age": 0.0}


def network() -> Network:
    """200 rows of each weight."""
    return Network((Dense(np.repeat(WEIGHTS, 200)[:, None] * np.ones((1, 50)), np.zeros(50)),))


def simulated(device: Device, scheme: WeightScheme, age: float, **switches: bool) -> np.ndarray:
    """The weights of a step of training, by weight asked for."""
    hardware = Hardware(chip=ChipSpec(device=device, weights=scheme), age=age, **switches)
    simulation = Simulation(network(), hardware, Streams(1))
    held = simulation._product(0, network().weighted[0], simulation.errors[0]).weight
    return np.asarray(held).reshape(len(WEIGHTS), -1)


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_weights_in_training_are_off_as_those_on_a_chip(device: Device, scheme: WeightScheme) -> None:
    """Mean, spread and tails at every weight, without read noise, which a chip draws at every read.

    Tolerances are four standard errors and more, of 10,000 weights on each side, of the SAMPLES in a row of the table,
    of the 200 cells that an offset column has for each weight.
    """
    if scheme == OffsetColumn() and device.window.levels:
        pytest.skip("no level in the middle of the window")
    age = 1e4 if device.retention else 0.0
    design = ChipSpec(device=device, weights=scheme, tile=(1000, 51)).design()
    chip = AnalogMatrix.program(network().weights[0], design, Streams(2)).aged(age)
    made = np.asarray(chip.weights()).reshape(len(WEIGHTS), -1)
    ours = simulated(device, scheme, age, read_noise=False)
    spread = made.std(axis=1)
    if scheme == DifferentialPair():
        np.testing.assert_allclose(ours.mean(axis=1), made.mean(axis=1), atol=float(5 * spread.max() / SAMPLES**0.5))
    rest = device.faults is not None  # heavy tails, whose share decides the spread
    np.testing.assert_allclose(ours.std(axis=1), spread, rtol=0.15 if rest else 0.09, atol=2e-3)
    for share in () if rest else (0.05, 0.95):
        got, wanted = (np.quantile(w - w.mean(axis=1, keepdims=True), share, axis=1) for w in (ours, made))
        np.testing.assert_allclose(got, wanted, atol=float(0.25 * spread.max() + 2e-3))


def test_read_noise_adds_its_variance() -> None:
    device = PLAIN.replace(programming=SpanError(error=0.05), read_noise=ProportionalNoise(relative=0.2))
    quiet, noisy = (simulated(device, DifferentialPair(), 0.0, read_noise=on) for on in (False, True))
    share = (np.abs(WEIGHTS) * WINDOW.span + WINDOW.g_min) / WINDOW.span
    expected = 0.2**2 * (share**2 + (WINDOW.g_min / WINDOW.span) ** 2 + 2 * 0.05**2)
    np.testing.assert_allclose(noisy.var(axis=1) - quiet.var(axis=1), expected, rtol=0.13, atol=5e-4)


def test_a_part_that_is_switched_off_moves_no_draw_of_another() -> None:
    device = DEVICES["stuck"].replace(read_noise=ProportionalNoise(relative=1e-9))
    whole = simulated(device, DifferentialPair(), 0.0)
    working = simulated(device, DifferentialPair(), 0.0, stuck=False)
    same = whole == working
    assert 1 - same.mean() == pytest.approx(1 - 0.85**2, abs=0.02)  # either cell of a pair
    np.testing.assert_allclose(simulated(device, DifferentialPair(), 0.0, read_noise=False), whole, atol=1e-7)
    ideal = simulated(device, DifferentialPair(), 0.0, programming=False)
    asked = np.repeat(np.array(WEIGHTS)[:, None], whole.shape[1], axis=1)
    np.testing.assert_allclose(ideal[same], asked[same], atol=1e-7)
    assert (np.abs(ideal[~same] - asked[~same]) > 0.1).mean() > 0.5  # at the same places


def test_a_stuck_cell_takes_its_weight_to_the_end_it_sticks_at_on_either_side() -> None:
    for rates, ends in (((0.3, 0.0), {-1.0, 0.0}), ((0.0, 0.3), {0.5, 1.0})):
        device = PLAIN.replace(faults=CellFaults(stuck_lrs=rates[0], stuck_hrs=rates[1]))
        errors = CellErrors.of(device, Streams(0), **ALL)
        g = errors.held(np.full((2, 50_000), 0.5, np.float32), Streams(0).rng("a"), Streams(0).rng("b"))
        end = 1.0 if rates[0] else 0.0
        assert set(np.unique(g)) == {np.float32(0.5), np.float32(end)}, ends
        np.testing.assert_allclose((g == end).mean(axis=1), 0.3, atol=4 * (0.3 * 0.7 / 50_000) ** 0.5 + 0.005)


def test_shots_hit_each_cell_with_its_chance_and_independently() -> None:
    rng, n, chance = np.random.default_rng(0), 50, 0.3
    hits = np.zeros((4000, n), bool)
    for row in hits:
        row[_hit(n, chance, rng)] = True
    np.testing.assert_allclose(hits.mean(axis=0), chance, atol=4 * (0.21 / 4000) ** 0.5)
    assert hits.sum(axis=1).var() == pytest.approx(n * 0.21, rel=0.1)  # binomial
    assert _hit(n, 0.0, rng).size == 0
    assert set(_hit(n, 1.0, rng)) == set(range(n))


def test_a_table_has_a_sample_of_the_law_for_every_target() -> None:
    errors = CellErrors.of(DEVICES["error by state"], Streams(3), **ALL)
    assert errors.errors.shape == (LEVELS, SAMPLES)
    target = np.linspace(WINDOW.g_min, WINDOW.g_max, LEVELS)
    expected = STATE.sigma(target, WINDOW) / WINDOW.span
    np.testing.assert_allclose(errors.errors.std(axis=1), expected, rtol=4 / (2 * SAMPLES) ** 0.5 + 0.05)
