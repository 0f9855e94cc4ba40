"""What a chip says of itself, against counts and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.wires import Wires
from cimsim.network.network import mlp
from device_models import faults, programming, retention, update
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=5e-6, g_max=1e-4)
IDEAL = Device(name="ideal", window=WINDOW)
SIZES = [100, 60, 10]


def made(device: Device = IDEAL, *, calibrate: bool = True, **spec: Any) -> Chip:
    x = inputs() if calibrate else None
    return program(mlp(SIZES, seed=1), ChipSpec(device=device, **({"tile": (64, 32)} | spec)), calibrate=x, seed=2)


def inputs(n: int = 200) -> np.ndarray:
    return Streams(1).rng("inputs").random((n, SIZES[0]), dtype=np.float32)


def test_sizes_and_counts_are_those_of_the_tiles() -> None:
    device = IDEAL.replace(faults=faults.CellFaults(stuck_lrs=0.02, stuck_hrs=0.03))
    chip = made(device)
    for row, matrix in zip(chip.report().layers, chip.matrices, strict=True):
        assert (row.inputs, row.outputs) == matrix.shape
        assert row.tiles == len(matrix.tiles) == -(-row.inputs // 64) * -(-row.outputs // 32)
        assert row.cells == sum(t.cells.g.size for t in matrix.tiles.values()) == 2 * row.inputs * row.outputs
        assert row.stuck == sum(int((t.cells.stuck != 0).sum()) for t in matrix.tiles.values())
        assert row.pulses == row.cells - row.stuck
        assert row.failed == 0
    report = chip.report()
    assert report.cells == 2 * (100 * 60 + 60 * 10)
    for name in ("cells", "pulses", "failed", "stuck"):
        assert getattr(report, name) == sum(getattr(row, name) for row in report.layers)


def test_write_verify_costs_the_pulses_and_gives_up_the_cells_of_its_closed_form() -> None:
    """p is the chance that one landing is within the tolerance, or its mirror image at 0 is."""
    error, tolerance, most = 0.05, 2e-6, 5
    verify = programming.WriteVerify(error=programming.SpanError(error=error), tolerance=tolerance, max_pulses=most)
    chip = made(IDEAL.replace(programming=verify))
    pairs = zip(chip.matrices, chip.network.weights, strict=True)
    g = np.concatenate([goals.ravel() for m, w in pairs for goals in m.copies[0].targets(w).values()])
    landed = stats.foldnorm(g / (error * WINDOW.span), scale=error * WINDOW.span).cdf
    p, report = landed(g + tolerance) - landed(g - tolerance), chip.report()
    assert report.cells == g.size
    assert report.pulses / report.cells == pytest.approx(np.mean((1 - (1 - p) ** most) / p), rel=0.02)
    assert report.failed / report.cells == pytest.approx(np.mean((1 - p) ** most), rel=0.05)


LOOP = programming.VerifyLoop(tolerance_share=0.02, max_pulses=200)
PULSED = IDEAL.replace(update=update.ExponentialUpdate(pulses_up=64, pulses_down=64, c2c=0.005))


def test_the_energy_and_time_of_writing_are_those_of_its_pulses() -> None:
    loop = LOOP.replace(pulse_energy=2e-12, pulse_seconds=5e-8)
    report = made(PULSED.replace(programming=loop)).report()
    assert report.pulses > report.cells
    for row in report.layers:
        assert (row.write_energy, row.write_seconds) == pytest.approx((row.pulses * 2e-12, row.pulses * 5e-8))
    assert report.write_energy == pytest.approx(report.pulses * 2e-12)
    assert report.write_seconds == pytest.approx(report.pulses * 5e-8)


@pytest.mark.parametrize("device", [IDEAL, PULSED.replace(programming=LOOP)], ids=["no pulse", "pulse at no cost"])
def test_an_energy_that_is_not_known_is_said_to_be(device: Device) -> None:
    report = made(device).report()
    assert np.isnan([report.write_energy, report.write_seconds, report.layers[0].write_energy]).all()
    rows = str(report).splitlines()[-2:]
    assert [row.split().count("unknown") for row in rows] == [2, 2]


def test_what_took_no_pulse_cost_nothing() -> None:
    stuck = made(IDEAL.replace(faults=faults.CellFaults(stuck_hrs=1.0))).report()
    assert (stuck.pulses, stuck.write_energy, stuck.write_seconds) == (0, 0, 0)


@pytest.mark.parametrize(("scheme", "cells"), [(DifferentialPair(), 2), (OffsetColumn(), 8)], ids=str)
def test_weight_error_of_a_constant_write_error_is_its_closed_form(scheme: WeightScheme, cells: int) -> None:
    """A pair's difference has sqrt(2) errors; an offset cell counts twice, and so does its reference."""
    device = IDEAL.replace(window=Window(g_min=5e-5, g_max=1e-4), programming=programming.SpanError(error=0.02))
    row = made(device, weights=scheme).report().layers[0]
    assert row.weight_error == pytest.approx(np.sqrt(cells) * 0.02, rel=0.05)


def test_weight_error_of_levels_is_that_of_rounding() -> None:
    row = made(IDEAL.replace(window=WINDOW.replace(levels=16))).report().layers[0]
    assert row.weight_error == pytest.approx(1 / 15 / np.sqrt(12), rel=0.03)


def test_weight_error_of_drift_is_the_lost_part_of_the_weights() -> None:
    chip = made(IDEAL.replace(retention=retention.PowerLawDrift(nu=0.05)))
    w = chip.network.weights[0]
    expected = (1 - 1e6**-0.05) * np.sqrt(np.mean(w**2)) / np.abs(w).max()
    aged = chip.age(1e6).report()
    assert aged.layers[0].weight_error == pytest.approx(expected, rel=1e-5)
    assert aged.seconds == 1e6
    assert chip.report().layers[0].weight_error < 1e-7


@pytest.mark.parametrize("sigmas", [1.0, 2.0])
def test_clipping_is_the_share_of_currents_beyond_the_range(sigmas: float) -> None:
    """Gaussian inputs of equal size make Gaussian currents; the range is given in their standard deviations."""
    net = mlp([100, 60], seed=1)
    w = net.weights[0] / np.linalg.norm(net.weights[0], axis=0)
    net = net.with_weights([(w, np.zeros(60))])
    x = Streams(3).rng("x").standard_normal((2000, 100)).astype(np.float32)
    ampere = 0.2 * WINDOW.span / (np.abs(x).max() * np.abs(w).max())  # per unit of output, at most full scale
    adc = ADC(bits=8, range=(-sigmas * ampere, sigmas * ampere))
    chip = program(net, ChipSpec(device=IDEAL, adc=adc, dac=DAC(bits=16)), calibrate=x)
    assert chip.report().layers[0].adc_clipping == pytest.approx(2 * stats.norm.sf(sigmas), rel=0.03)
    assert chip.report(x / 100).layers[0].adc_clipping == 0
    assert chip.report(x * 1000).layers[0].adc_clipping > 0.5


def test_clipping_is_unknown_without_inputs_and_none_without_adcs() -> None:
    assert [row.adc_clipping for row in made(calibrate=False).report().layers] == [0, 0]
    assert np.isnan([row.adc_clipping for row in made(calibrate=False, adc=ADC(bits=6)).report().layers]).all()


def test_a_slot_that_is_ideal_is_off_and_every_other_is_told_with_its_numbers() -> None:
    device = IDEAL.replace(programming=programming.SpanError(error=0.02))
    effects = made(device, adc=ADC(bits=6), wires=Wires(word=1.5), weights=OffsetColumn()).report().effects
    assert effects["weights"] == "OffsetColumn()"
    assert effects["programming"] == "SpanError(error=0.02)"
    assert effects["adc"].startswith("ADC(bits=6, ")
    assert "word=1.5" in effects["wires"]
    off = {name for name, what in effects.items() if what == "off"}
    assert off == {"faults", "update", "retention", "read_noise", "conduction", "half_select", "dac"}


def test_the_text_shows_every_effect_the_age_and_a_row_per_layer() -> None:
    chip = made(IDEAL.replace(update=update.ExponentialUpdate(pulses_up=9, pulses_down=9)), adc=ADC(bits=6)).age(3600.0)
    lines = str(chip.report()).splitlines()
    names = [line.split()[0] for line in lines[: lines.index("")]]
    assert names == [*chip.report().effects, "age"]
    assert lines[lines.index("") - 1].split() == ["age", "3600", "s"]
    header, *rows = lines[lines.index("") + 1 :]
    assert header.split()[:5] == ["layer", "inputs", "outputs", "copies", "tiles"]
    assert [row.split()[:5] for row in rows] == [["0", "100", "60", "1", "4"], ["1", "60", "10", "1", "1"]]


def test_the_table_has_a_row_per_layer_and_the_fields_as_columns() -> None:
    report = made(adc=ADC(bits=6)).report()
    table = report.to_frame()
    assert list(table["layer"]) == [0, 1]
    assert table["cells"].sum() == report.cells
    assert table.loc[1, "weight_error"] == report.layers[1].weight_error
