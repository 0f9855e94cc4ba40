"""Every law stated in a shipped card against samples drawn through the device: distributions at a fixed seed."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np
import pytest
from scipy import stats

import device_models as dm
from device_models.compact import CompactUpdate, pulse_array, state_of
from device_models.device import SLOTS, Device
from device_models.faults import STUCK_HRS, STUCK_LRS, CellFaults
from device_models.programming import PolynomialError, SaturatingError, SpanError, WriteVerify
from device_models.read_noise import ReadNoise
from device_models.retention import LogTimeRelaxation, PowerLawDrift, TabulatedRetention
from device_models.streams import Streams
from device_models.tabulated import TabulatedUpdate
from device_models.update import ExponentialUpdate, LinearUpdate
from tests.device_models.laws import assert_distributed, assert_normal, assert_rate

N = 20_000
STATED = [(name, slot) for name in dm.names() for slot in SLOTS if getattr(dm.load(name), slot) is not None]


@pytest.mark.parametrize(("name", "slot"), STATED, ids=map("-".join, STATED))
def test_samples_follow_the_law_the_card_states(name: str, slot: str) -> None:
    device = dm.load(name)
    law = getattr(device, slot)
    follows(law, device.replace(**{other: None for other in SLOTS if other not in (slot, "update")}), Streams(7))


@singledispatch
def follows(law: Any, device: Device, streams: Streams) -> None:
    """Assert that a device with nothing but this law (and its pulse response) obeys it."""
    pytest.fail(f"no test of {type(law).__name__}")


def at(device: Device, share: float, streams: Streams, n: int = N) -> Any:
    """Cells written to a share of the window."""
    target = np.full(n, device.window.g_min + share * device.window.span)
    return device.program(device.fabricate((n,), streams), target, streams)[0]


@follows.register
def _(law: CellFaults, device: Device, streams: Streams) -> None:
    cells = device.fabricate((1000, 1000), streams)
    assert_rate(cells.stuck == STUCK_LRS, law.stuck_lrs)
    assert_rate(cells.stuck == STUCK_HRS, law.stuck_hrs)
    places = np.array([0.05, 0.25, 0.5, 0.75])  # further up a low end may meet its cell's high end, and stops there
    for end, spread, nominal in (
        (cells.limits.g_min, law.spread_g_min, device.window.g_min),
        (cells.limits.g_max, law.spread_g_max, device.window.g_max),
    ):
        expected = nominal * np.exp(spread * stats.norm.ppf(places) - spread**2 / 2)
        np.testing.assert_allclose(np.quantile(end, places), expected, rtol=0.01 * spread)


@follows.register(PolynomialError)
@follows.register(SaturatingError)
@follows.register(SpanError)
def _(law: Any, device: Device, streams: Streams) -> None:
    for share in (0.25, 0.5, 0.75, 1.0):
        target = device.window.g_min + share * device.window.span
        sigma = float(law.sigma(np.array(target), device.window))
        written = at(device, share, streams).g
        assert target > 4 * sigma  # none is cut off at 0
        assert_normal(written, target, sigma)


@follows.register
def _(law: WriteVerify, device: Device, streams: Streams) -> None:
    """p is the chance that one landing is within the tolerance: pulses are geometric, and landings uniform inside."""
    target = np.full(N, device.window.g_min + 0.6 * device.window.span)
    written = law.write(device.window.quantise(target), device.window, streams.rng("write"))
    sigma = float(law.error.sigma(target[:1], device.window)[0])
    p = math.erf(law.tolerance / sigma / math.sqrt(2))
    assert_rate(written.failed, (1 - p) ** law.max_pulses)
    assert_rate(written.pulses == 1, p)
    assert written.pulses.mean() == pytest.approx((1 - (1 - p) ** law.max_pulses) / p, rel=0.03)
    missed = (written.g - device.window.quantise(target))[~written.failed] / sigma
    edge = law.tolerance / sigma
    assert_distributed(missed, lambda z: (stats.norm.cdf(z) - stats.norm.cdf(-edge)) / p)


@follows.register
def _(law: ExponentialUpdate, device: Device, streams: Streams) -> None:
    """All pulses cross the window; the label is the largest distance from the straight line over 0.07 sqrt(2)."""
    quiet, window = law.replace(c2c=0.0), device.window
    for sign, pulses, label in ((1, law.pulses_up, law.nl_up), (-1, law.pulses_down, law.nl_down)):
        n = np.arange(pulses + 1)
        start = np.full(n.shape, window.g_min if sign > 0 else window.g_max)
        gone = np.abs(quiet.pulse(start, sign * n, window, streams.rng("course")) - start) / window.span
        assert gone[-1] == pytest.approx(1, abs=1e-9)
        distance = (gone - n / pulses)[np.argmax(np.abs(gone - n / pulses))]
        assert abs(distance) == pytest.approx(0.07 * math.sqrt(2) * abs(label), rel=0.02, abs=2e-3)
        assert distance * label * sign >= 0 or abs(label) < 0.2  # LTD of a negative label falls fastest at first
    before = np.full(N, window.g_min + 0.5 * window.span)
    once = law.pulse(before, np.ones(N, dtype=int), window, streams.rng("pulse"))
    mean = quiet.pulse(before[:1], np.ones(1, dtype=int), window, streams.rng("mean"))
    assert (once - mean).std() == pytest.approx(law.c2c * window.span, rel=0.04)


@follows.register
def _(law: LinearUpdate, device: Device, streams: Streams) -> None:
    """Mean and spread of the cells' own steps, up against down, and the noise of one pulse."""
    device = device.replace(faults=None)
    cells = at(device, 0.5, streams)
    ways = [device.pulse(cells, np.full(N, n), streams.rng(f"pulse {n}")).g - cells.g for n in (100, -100)]
    step, lean = (ways[0] - ways[1]) / 200, (ways[0] + ways[1]) / (ways[0] - ways[1])
    noise = law.c2c * device.window.span / np.sqrt(100)
    assert step.mean() == pytest.approx(law.step_size, rel=0.01)
    assert step.std() == pytest.approx(
        np.hypot(law.step_size * math.sqrt(math.expm1(law.spread_step_size**2)), noise / math.sqrt(2)), rel=0.04
    )
    assert np.median(np.abs(lean)) == pytest.approx(
        0.6745 * np.hypot(law.spread_asymmetry, noise / law.step_size / math.sqrt(2)), rel=0.1
    )


@follows.register
def _(law: TabulatedUpdate, device: Device, streams: Streams) -> None:
    g = np.array(law.g)
    for sign, change in ((1, law.dG_up), (-1, law.dG_down)):
        moved = device.update.pulse(g, np.full(g.shape, sign), device.window, None)  # type: ignore[union-attr]
        np.testing.assert_allclose(moved, np.clip(g + change, device.window.g_min, device.window.g_max), rtol=1e-12)


@follows.register
def _(law: CompactUpdate, device: Device, streams: Streams) -> None:
    g = np.geomspace(device.window.g_min, 0.05 * device.window.g_max, 50)
    for sign, v, t in ((1, law.pulses.v_set, law.pulses.t_set), (-1, law.pulses.v_reset, law.pulses.t_reset)):
        x = pulse_array(law.model, state_of(law.model, g, law.pulses.v_read), v, t)
        moved = law.pulse(g, np.full(g.shape, sign), device.window, None)
        np.testing.assert_allclose(moved, law.model.conductance(x, law.pulses.v_read), rtol=2e-3)


@follows.register
def _(law: PowerLawDrift, device: Device, streams: Streams) -> None:
    for share in (0.1, 0.5, 1.0):
        cells = at(device, share, streams)
        exponents = -np.log(device.conductance(device.age(cells, 1e6)) / cells.g) / math.log(1e6 / law.t0)
        mean, sigma = law.law(cells.g[:1])
        assert_normal(exponents, mean[0], sigma[0])


@follows.register(LogTimeRelaxation)
@follows.register(TabulatedRetention)
def _(law: Any, device: Device, streams: Streams) -> None:
    for share in (0.3, 0.5, 1.0):
        for seconds in (60.0, 86400.0, 1e6):
            cells = at(device, share, streams)
            g = device.conductance(device.age(cells, seconds))
            where = cells.g[:1], np.asarray(seconds)
            mean, sigma = (0.0, law.spread(*where)) if isinstance(law, LogTimeRelaxation) else law.law(*where)
            inside = g > 0
            assert inside.mean() > 0.995
            assert_normal((g - cells.g)[inside], mean, sigma)


@follows.register
def _(law: ReadNoise, device: Device, streams: Streams) -> None:
    for share in (0.1, 0.5, 1.0):
        cells = device.age(at(device, share, streams), 3600.0)
        reads = device.read(cells, streams.rng("read"))
        assert law.gaussian
        assert_normal(reads, cells.g, law.sigma(cells.g[:1], np.asarray(3600.0)))
