"""A card as a user writes it, with every slot and part: what it takes to use it, and what its mistakes are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import device_models as dm
from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC
from cimsim.network.network import mlp
from device_models.errors import InputError, ParameterError

CARD = """
name = "my-device"
title = "Test chip 3, die B"

[source]
paper = "own measurement"
validity = "25 C, reads up to 0.25 V"
v_read_max = 0.25

[window]
g_min = 4e-6
g_max = 80e-6

[faults]
kind = "CellFaults"
stuck_lrs = 0.002
spread_g_max = 0.08

[faults.endurance]
onset = 100
high_per_decade = 0.1
low_per_decade = 0.02

[programming]
kind = "VerifyLoop"
tolerance_share = 0.02
max_pulses = 200
pulse_energy = 5e-12
pulse_seconds = 1e-7

[update]
kind = "RampedUpdate"
up = { volts = [1.0, 1.6], volts_per_e = 0.3 }
law = { kind = "SoftBoundsUpdate", rate = 0.03, c2c = 0.005, spread_rate = 0.2 }

[retention]
kind = "Arrhenius"
activation_energy = 1.1
measured_at = 423.15
temperature = 358.15

[retention.law]
kind = "LogTimeShift"
shift = -0.2e-6
spread = 0.3e-6

[read_noise]
kind = "SumOfNoise"

[[read_noise.parts]]
kind = "OneOverFNoise"
q = 0.01
g_ref = 50e-6

[[read_noise.parts]]
kind = "TelegraphNoise"
amplitude = 0.02
tau_high = 1e-3
tau_low = 4e-3

[conduction]
kind = "Sinh"
v0 = 0.4
v_max = 0.3

[half_select]
scheme = "V/2"
v_write = 2.0
disturb = { kind = "ExponentialDisturb", v0 = 0.1 }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(CARD)
    return file


def test_it_is_a_sound_device_with_every_part_at_work(path: Path) -> None:
    device = dm.load(path)
    assert [finding.broken for finding in dm.check_device(device, strict=False) if finding.broken] == []
    quiet = device.replace(half_select=None)
    streams, target = dm.Streams(0), np.full((64, 64), 40e-6)
    cells, report = device.program(device.fabricate((64, 64), streams), target, streams)
    alone, _ = quiet.program(quiet.fabricate((64, 64), streams), target, streams)
    assert (cells.pulses > alone.pulses).any()  # half-selected cells have had pulses of their neighbours
    assert report.energy == pytest.approx(report.pulses * 5e-12)
    worn = device.pulse(cells, np.full((64, 64), 2000), streams.rng("pulse"))
    working = cells.stuck == 0
    assert (device.limits(worn).g_max < cells.limits.g_max)[working].all()  # endurance
    ratio = np.exp(1.1 / 8.617333262e-5 * (1 / 423.15 - 1 / 358.15))
    aged = device.conductance(device.age(cells, 1e8)) - device.conductance(device.age(cells, 1e7))
    assert 1e7 * ratio > 1  # later than the law's first second, so that it moves by a decade
    assert np.median(aged[working]) == pytest.approx(-0.2e-6 * np.log(10), rel=1e-6)


def test_it_makes_a_chip_that_says_what_is_on(path: Path) -> None:
    x = dm.Streams(1).rng("x").random((50, 20), dtype=np.float32)
    chip = program(mlp([20, 5], seed=0), ChipSpec(device=dm.load(path), adc=ADC(bits=8)), calibrate=x)
    report = chip.report()
    assert "off" not in {report.effects[slot] for slot in (*dm.device.SLOTS, "half_select")}
    assert report.write_energy == pytest.approx(report.pulses * 5e-12)
    with pytest.raises(ParameterError, match=r"v_read: must be at most the 0\.25 V that 'my-device' is known for"):
        ChipSpec(device=dm.load(path), v_read=0.3)


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ('"Sinh"', '"sinh"', "got sinh; did you mean 'Sinh'?"),
        ('kind = "Sinh"\n', "", "needs a 'kind', got none; one of Ohmic, Sinh, PolynomialConduction"),
        ("[conduction]", "[iv]", "unknown name, got 'iv'; known: name, title"),
        ("[window]", "[windw]", "got 'windw'; did you mean 'window'?"),
        ("g_max = 80e-6", "g_max = 80", "must be in siemens, 0 or between 1e-12 and 0.1, got 80; did you mean 80e-6?"),
        ("g_max = 80e-6", 'g_max = "80 uS"', "got '80 uS'; write a plain number in SI units, without quotes"),
        ("g_max = 80e-6", "g_max = 2e-6", "g_min must be below g_max (siemens), got g_min=4e-06 and g_max=2e-06; exch"),
        ("v0 = 0.4", "v0 = 400", "must be in volts, between 0.0001 and 20, got 400; did you mean 400e-3?"),
        ("stuck_lrs = 0.002", "stuck_lrs = 2", "must be less than or equal to 1 (fraction, 0 to 1), got 2; write 0.02"),
        ("max_pulses = 200", "max_pulses = 200.0", "must be a valid integer, got 200.0; write 200"),
        ("tolerance_share = 0.02\n", "", "or 'tolerance_share' (of the span), got neither; give one of them"),
        ("temperature = 358.15", "temperature = 85", "between 100 and 1000, got 85; add 273.15 to degrees Celsius"),
        ("activation_energy = 1.1", "activation_energy = 1.8e-19", "got 1.8e-19; did you give joules or kJ/mol?"),
        ("shift = -0.2e-6", "shift = -0.2", "shift must be in siemens, got -0.2; did you give microsiemens?"),
        ("volts = [1.0, 1.6]", "volts = 1.6", "must be a list, got 1.6; write it in brackets, with commas"),
        ('"V/2"', '"v/2"', "must be 'V/2', 'V/3' or '1T1R', got 'v/2'"),
        ("q = 0.01", "q = 1 %", "must be TOML, got Expected newline"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_its_place_and_remedy(path: Path, old: str, new: str, remedy: str) -> None:
    assert CARD.count(old) == 1
    path.write_text(CARD.replace(old, new))
    with pytest.raises((InputError, ParameterError)) as caught:
        dm.load(path)
    assert str(caught.value).startswith(str(path))
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
