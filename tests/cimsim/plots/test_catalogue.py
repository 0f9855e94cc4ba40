"""The catalogue's figures against the laws of devices made for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import device_models as dm
from cimsim.plots.catalogue import catalogue, summary
from device_models.half_select import HalfSelect, ThresholdDisturb
from device_models.programming import SpanError
from device_models.retention import PowerLawDrift
from device_models.update import (
    ExponentialUpdate,
    LinearUpdate,
    PulseScheme,
    RampedUpdate,
    SoftBoundsUpdate,
    curve_constant,
)

WINDOW = dm.Window(g_min=20e-6, g_max=120e-6)


def device(**slots: object) -> dm.Device:
    return dm.Device(name="made", window=WINDOW, **slots)


def test_an_ideal_device_has_a_window_and_nothing_else() -> None:
    assert summary(device()) == ("made", 6.0, None, None, None, None, None, None, None)
    off = dm.Device(name="open", window=dm.Window(g_min=0.0, g_max=1e-4, levels=16))
    assert summary(off)[1:3] == (math.inf, 16)


def test_pulse_figures_are_those_of_the_curve() -> None:
    found = summary(device(update=ExponentialUpdate(pulses_up=400, pulses_down=400, nl_up=2.4, nl_down=-2.4, c2c=0.02)))
    p, a = np.linspace(0, 1, 2001), curve_constant(2.4)
    bend = 100 * np.max((1 - np.exp(-p / a)) / (1 - np.exp(-1 / a)) - p)
    assert found.pulses == 400
    assert found.nonlinearity_up == pytest.approx(bend, rel=0.02)
    assert found.nonlinearity_down == pytest.approx(bend, rel=0.02)
    assert found.c2c == pytest.approx(2.0, rel=0.07)


def test_a_linear_device_bends_nowhere() -> None:
    found = summary(device(update=ExponentialUpdate(pulses_up=50, pulses_down=50)))
    assert found.nonlinearity_up == pytest.approx(0.0, abs=1e-9)
    assert found.c2c == pytest.approx(0.0, abs=1e-9)


def test_each_direction_is_measured_over_its_own_pulses_and_without_their_noise() -> None:
    """100 pulses up and 140 down, of labels 0.1 and 2.4: a label is the distance over 0.07 sqrt(2)."""
    law = ExponentialUpdate(pulses_up=100, pulses_down=140, nl_up=0.1, nl_down=2.4, c2c=0.03, spread_nl_up=0.5)
    found = summary(device(update=law))
    assert found.pulses == 120
    label = 100 * 0.07 * math.sqrt(2)
    assert (found.nonlinearity_up, found.nonlinearity_down) == pytest.approx((0.1 * label, 2.4 * label), rel=2e-3)


def test_laws_that_cross_in_other_than_the_nominal_number_of_pulses() -> None:
    """Linear ion drift crosses in 81 pulses where the nominal step says 2; soft bounds never do."""
    assert summary(dm.load("tio2-strukov-2008")).pulses == pytest.approx(81, abs=1)
    assert summary(device(update=SoftBoundsUpdate(rate=0.02))).pulses == 100
    ramped = RampedUpdate(law=LinearUpdate(step_size=1e-6, c2c=0.05), up=PulseScheme(), down=PulseScheme())
    assert summary(device(update=ramped)).nonlinearity_up == pytest.approx(0, abs=1e-9)


def test_write_error_and_drift_are_shares_of_the_window() -> None:
    found = summary(device(programming=SpanError(error=0.03), retention=PowerLawDrift(nu=0.05, t0=864.0)))
    assert found.write_error == pytest.approx(3.0, rel=0.05)
    assert found.day == pytest.approx([70 * (100**-0.05 - 1)] * 3, rel=1e-9)


def test_half_select_is_no_law_of_the_cell() -> None:
    disturb = ThresholdDisturb(v_threshold=0.1)
    alone = device(update=ExponentialUpdate(pulses_up=50, pulses_down=50), programming=SpanError(error=0.02))
    passive = alone.replace(half_select=HalfSelect(scheme="V/2", v_write=1.0, disturb=disturb))
    assert summary(passive) == summary(alone)


def test_every_card_has_a_row() -> None:
    devices = [dm.load(name) for name in dm.names()]
    figure = catalogue(devices)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == dm.names()
