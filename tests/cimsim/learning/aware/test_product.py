"""Forwards a simulated product is the chip's own; backwards it is what straight-through estimators say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC, InputScale, LogADC, RampADC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.learning.aware import Hardware, Simulation
from cimsim.learning.aware.converters import Converters
from cimsim.learning.aware.product import SensedProduct
from cimsim.network.layers import Dense
from cimsim.network.network import LayerRanges, Network
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window

IDEAL = Device(name="ideal", window=Window(g_min=2e-6, g_max=40e-6))
RNG = np.random.default_rng(0)
NET = Network((Dense(RNG.uniform(-1, 1, (20, 5)).astype(np.float32), np.zeros(5, np.float32)),))
X = RNG.uniform(0, 1, (300, 20)).astype(np.float32)
DESIGNS: dict[str, dict[str, Any]] = {
    "pair": {},
    "pair, subtracted digitally": {"weights": DifferentialPair(subtract="digital")},
    "offset column": {"weights": OffsetColumn()},
    "slices": {"weights": BitSlices(slices=3, bits=2)},
    "bit-serial": {"dac": DAC(bits=4, slice_bits=1)},
    "one tile": {"tile": (64, 64)},
    "no DAC": {"dac": None},
    "no ADC": {"adc": None},
    "logarithmic": {"adc": LogADC(bits=6)},
    "drooping ramp": {"adc": RampADC(bits=5, droop=0.5)},
    "nonlinear cells": {"device": IDEAL.replace(conduction=Sinh(v0=0.2))},
    "given ranges": {"adc": ADC(bits=5, range=(-1e-5, 1e-5)), "dac": DAC(bits=4, range=(0.0, 0.9))},
}


def spec(**design: Any) -> ChipSpec:
    return ChipSpec(**{"device": IDEAL, "tile": (8, 7), "dac": DAC(bits=4), "adc": ADC(bits=5), **design})


def simulated(chip: ChipSpec, net: Network = NET, **switches: Any) -> tuple[Simulation, SensedProduct]:
    """A simulation whose ranges are measured, and the product of its first layer."""
    simulation = Simulation(net, Hardware(chip=chip, **switches), Streams(0))
    simulation.calibrate(net, X)
    return simulation, simulation._product(0, net.weighted[0], simulation.errors[0])


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
@pytest.mark.parametrize("signed", [False, True], ids=["inputs above 0", "signed inputs"])
def test_forwards_it_is_the_chip_of_flawless_cells(design: dict[str, Any], signed: bool) -> None:
    """Tiles, passes, signals and codes one by one; but for sums that rounding puts on the other side of a code."""
    if signed and next(k for k, v in DESIGNS.items() if v is design) == "given ranges":
        design = {**design, "dac": DAC(bits=4, range=(-0.9, 0.9))}
    x = (X - 0.4) if signed else X
    simulation = Simulation(NET, Hardware(chip=spec(**design)), Streams(0))
    simulation.calibrate(NET, x)
    product = simulation._product(0, NET.weighted[0], simulation.errors[0])
    chip = program(replace(NET, ranges=(simulation.converters[0].ranges,)), spec(**design))
    ours, chips = product(x), chip.matmul(0, x)
    step = 1e-4 if design.get("adc", 1) is None else np.abs(np.diff(np.unique(chips))).max()
    assert (np.abs(ours - chips) < 1e-4 * np.abs(chips).max()).mean() > 0.98
    assert np.abs(ours - chips).max() < 1.01 * step + 1e-4


@pytest.mark.parametrize("design", [d for d in DESIGNS.values() if d.get("adc", 1)], ids=lambda d: str(list(d)))
def test_ranges_are_those_a_chip_measures(design: dict[str, Any]) -> None:
    chip = program(NET, spec(**design), calibrate=X[:256])
    measured, (simulation, _) = chip.matrices[0], simulated(spec(**design))
    ours = simulation.converters[0]
    assert measured.inputs is not None
    assert ours.inputs == InputScale(pytest.approx(measured.inputs.full), measured.inputs.signed)
    program_ours = program(replace(NET, ranges=(ours.ranges,)), spec(**design)).matrices[0]
    for place, bank in measured.banks.items():
        np.testing.assert_allclose(program_ours.banks[place].step, bank.step, rtol=2e-3)
        np.testing.assert_allclose(program_ours.banks[place].first, bank.first, rtol=2e-3, atol=2e-3 * bank.step[0])


def narrow(**design: Any) -> SensedProduct:
    """A product some of whose inputs and sums are cut off."""
    product = simulated(spec(tile=(64, 64), **design))[1]
    converters = replace(product.converters, inputs=InputScale(0.8, signed=False), sums=(-1.0, 1.2))
    return replace(product, converters=converters, parts=[])


def test_backwards_codes_are_passed_straight_through_and_limits_stop_the_gradient() -> None:
    product, d = narrow(), RNG.normal(size=(300, 5)).astype(np.float32)
    product(X)
    w, codes = NET.weights[0], np.clip(np.rint(X / 0.8 * 15), 0, 15) * np.float32(0.8 / 15)
    kept = d * (np.abs(codes @ w - 0.1) <= 1.1)
    d_weight, d_bias, _ = product.gradient(NET.weighted[0], d)
    np.testing.assert_allclose(d_weight, codes.T @ kept, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(d_bias, d.sum(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(product.transposed(d), kept @ w.T * (X <= 0.8), rtol=1e-3, atol=1e-3)


def test_slopes_of_ranges_are_those_of_lsq() -> None:
    """By ln s: s times the derivative by s, equation 3 of Esser et al.: the code's error inside, the limit outside."""
    product, d = narrow(), RNG.normal(size=(300, 5)).astype(np.float32)
    y = product(X)
    codes = np.clip(np.rint(X / 0.8 * 15), 0, 15) * np.float32(0.8 / 15)
    sums = codes @ NET.weights[0]
    by_sum = np.where(np.abs(sums - 0.1) <= 1.1, y - sums, y)
    assert product.gradient(NET.weighted[0], d)[2] == pytest.approx(float(np.sum(d * by_sum)), rel=1e-2)
    dx = (d * (np.abs(sums - 0.1) <= 1.1)) @ NET.weights[0].T
    product.transposed(d)
    assert product.input_slope == pytest.approx(float(np.sum(dx * np.where(X <= 0.8, codes - X, codes))), rel=1e-2)


def test_with_fine_codes_slopes_of_ranges_are_true_derivatives() -> None:
    """16 bits: what is left of a range is where it cuts off."""
    product, d = narrow(dac=DAC(bits=16), adc=ADC(bits=16)), RNG.normal(size=(300, 5)).astype(np.float32)
    product(X)
    slope = product.gradient(NET.weighted[0], d)[2]
    product.transposed(d)

    def loss(log_inputs: float, log_sums: float) -> float:
        moved = replace(product, converters=product.converters.scaled(log_inputs, log_sums), parts=[])
        return float(np.sum(d.astype(np.float64) * moved(X)))

    assert slope == pytest.approx((loss(0, 0.01) - loss(0, -0.01)) / 0.02, rel=0.02)
    assert product.input_slope == pytest.approx((loss(2e-3, 0) - loss(-2e-3, 0)) / 4e-3, rel=0.04)


def test_of_signals_that_are_cut_off_by_themselves_a_share_learns() -> None:
    """Plus and minus each behind an ADC: where one of the two is cut off, half of the gradient is left."""
    product = simulated(spec(tile=(64, 64), weights=DifferentialPair(subtract="digital")))[1]
    product = replace(product, converters=replace(product.converters, sums=(0.0, 2.5)), parts=[])
    product(X)
    plus_minus = np.stack([X @ product.signals[:, s] for s in (0, 1)])
    expected = (plus_minus <= 2.5).mean(axis=0)
    got = product.parts[0].rows[0].kept
    assert set(np.unique(got)) == {0.0, 0.5, 1.0}
    assert (got == expected).mean() > 0.97  # but for the codes of X


def test_errors_of_single_converters_are_left_out() -> None:
    adc = ADC(bits=5, gain_spread=0.1, offset_spread=0.1, noise=0.01, dnl=0.5, inl=0.5)
    design = spec(adc=adc, dac=DAC(bits=4, gain_spread=0.1)).design()
    assert Converters.of(design).design.adc == ADC(bits=5)
    assert Converters.of(design).design.dac == DAC(bits=4)
    assert Converters.of(design, converting=False).free == (False, False)


def test_ranges_of_a_network_are_those_of_its_chip() -> None:
    ranges = LayerRanges((-0.5, 0.5), (-1.0, 2.0))
    chip = program(replace(NET, ranges=(ranges,)), spec(), replicas=2)
    for copy in chip.matrices[0].copies:
        assert copy.inputs == InputScale(0.5, signed=True)
        bank, unit = copy.banks[0, 0], copy.weight_scale / copy.design.full_scale * 0.5
        np.testing.assert_allclose(bank.step * unit, 3 / 32, rtol=1e-5)
        np.testing.assert_allclose(bank.first * unit, -1 + 1.5 / 32, rtol=1e-4)
    assert program(replace(NET, ranges=(ranges,)), spec(), calibrate=X).matrices[0].inputs != InputScale(0.5, True)
