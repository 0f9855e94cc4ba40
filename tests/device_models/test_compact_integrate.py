"""Compact models under waveforms: the fingerprints of memristors, closed forms, and what the solver must get right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from device_models.compact import hp, simulate, stanford, vteam, yakopcic
from device_models.compact.integrate import Method, Trace
from device_models.compact.windows import Biolek, Joglekar
from device_models.errors import InputError

HP = hp.FIG_2B


def sine(amplitude: float, hertz: float) -> Any:
    return lambda t: amplitude * np.sin(2 * np.pi * hertz * t)


def driven(model: Any, amplitude: float, hertz: float, samples: int = 301, **options: Any) -> Trace:
    """One period of a sine."""
    return simulate(model, np.linspace(0, 1 / hertz, samples), sine(amplitude, hertz), **options)


def lobe(trace: Trace) -> float:
    """Area of the loop's lobe in the first half of the period."""
    half = slice(0, len(trace.t) // 2 + 1)
    return abs(float(np.trapezoid(trace.i[half], trace.v[half])))


def drift_under_sine(t: np.ndarray, hertz: float) -> np.ndarray:
    """The state of HP under a sine of 1 V inside its bounds: flux = R0 q - (R_off - R_on) k q^2 / 2 solved for q."""
    r0, k = HP.resistance(HP.initial), HP.drift_per_charge
    flux = (1 - np.cos(2 * np.pi * hertz * t)) / (2 * np.pi * hertz)
    steep = (HP.r_off - HP.r_on) * k
    return np.asarray(HP.initial + k * (r0 - np.sqrt(r0**2 - 2 * steep * flux)) / steep)


# --- linear ion drift, in closed form ---


@pytest.mark.parametrize(("method", "error"), [("BDF", 1e-5), ("Radau", 1e-8), ("RK45", 1e-8), ("DOP853", 1e-8)])
def test_every_method_follows_the_closed_form(method: Method, error: float) -> None:
    trace = driven(HP, 1.0, 1.0, method=method)
    np.testing.assert_allclose(trace.x, drift_under_sine(trace.t, 1.0), atol=error)
    assert np.ptp(trace.x) > 0.2


def test_a_smaller_tolerance_comes_closer() -> None:
    off = [
        np.abs((trace := driven(HP, 1.0, 1.0, 21, rtol=r)).x - drift_under_sine(trace.t, 1.0)).max()
        for r in (1e-4, 1e-9)
    ]
    assert off[1] < off[0] / 100


def test_the_memristance_is_linear_in_the_charge() -> None:
    trace = driven(HP, 1.0, 1.0, 501, method="RK45")
    moving = np.abs(trace.v) > 0.01
    m = HP.resistance(HP.initial) - (HP.r_off - HP.r_on) * HP.drift_per_charge * trace.charge()
    np.testing.assert_allclose(trace.v[moving] / trace.i[moving], m[moving], rtol=5e-5)
    strong = HP.replace(r_off=1e6)  # M(q) = R_off (1 - mobility R_on q / D^2) from x = 0 for R_off >> R_on
    q = 0.3 / strong.drift_per_charge
    assert strong.resistance(strong.drift_per_charge * q) == pytest.approx(strong.r_off * 0.7, rel=1e-4)


def test_flux_is_a_single_valued_function_of_charge() -> None:
    trace = driven(HP, 1.0, 1.0, 501, method="RK45")
    charge, flux = trace.charge(), trace.flux()
    out, back = slice(0, 251), slice(500, 249, -1)
    np.testing.assert_allclose(np.interp(charge[out], charge[back], flux[back]), flux[out], atol=4e-5 * flux.max())
    steep = (HP.r_off - HP.r_on) * HP.drift_per_charge
    parabola = HP.resistance(HP.initial) * charge - steep * charge**2 / 2
    np.testing.assert_allclose(flux, parabola, atol=8e-5 * flux.max())


# --- fingerprints ---

DRIVES = [
    (HP, 1.0, 1.0),
    (HP.replace(window=Joglekar(p=2)), 1.0, 1.0),
    (vteam.MEMTORCH_DEFAULT, 0.3, 1e6),
    (yakopcic.OBLEA_SINE, 0.45, 100.0),
    (yakopcic.MIAO, 1.0, 0.05),
    (yakopcic.JO, 3.0, 0.2),
    (stanford.DEFAULT, -1.4, 1e6),
    (stanford.ALOX, 2.2, 2500.0),
]


@pytest.mark.parametrize(("model", "amplitude", "hertz"), DRIVES)
def test_the_loop_is_open_and_pinched_at_the_origin(model: Any, amplitude: float, hertz: float) -> None:
    trace = driven(model, amplitude, hertz)
    origin = [0, 150, 300]
    np.testing.assert_allclose(trace.v[origin], 0, atol=1e-12)
    np.testing.assert_allclose(trace.i[origin], 0, atol=1e-9 * np.abs(trace.i).max())
    assert (trace.v * trace.i >= 0).all()
    assert abs(np.log(trace.i[25] / trace.i[125])) > 0.05  # at half the amplitude, up and down again


def test_the_lobe_shrinks_as_one_over_the_frequency() -> None:
    areas = np.array([lobe(driven(HP, 1.0, hertz, method="RK45")) for hertz in (20.0, 40.0, 80.0)])
    np.testing.assert_allclose(areas[:-1] / areas[1:], 2, rtol=0.02)


def test_fast_drives_see_a_resistor() -> None:
    trace = driven(HP, 1.0, 1e5, method="RK45")
    np.testing.assert_allclose(trace.i, trace.v / HP.resistance(HP.initial), rtol=1e-4, atol=1e-12)


# --- bounds and thresholds ---


def test_vteam_moves_at_constant_speed_and_stops_at_its_bound() -> None:
    model, speed = vteam.MEMTORCH_DEFAULT, 5e-4 * (0.12 / 0.02 - 1)
    t = np.linspace(0, 2 * 3e-9 / speed, 41)
    trace = simulate(model, t, np.full(41, 0.12))
    np.testing.assert_allclose(trace.x, np.minimum(speed * t, 3e-9), atol=3e-15)
    below = simulate(model, t, np.full(41, 0.019), 1e-9)
    np.testing.assert_array_equal(below.x, np.full(41, below.x[0]))


def test_joglekar_keeps_a_device_at_its_bound_and_biolek_lets_it_go() -> None:
    for x0, v in ((1.0, -1.0), (0.0, 1.0)):
        locked, free, bare = (
            simulate(HP.replace(window=window), [0.0, 0.5, 1.0], [v] * 3, x0).x[-1]
            for window in (Joglekar(p=5), Biolek(p=5), None)
        )
        assert locked == x0
        assert abs(bare - x0) > 0.5
        assert free == pytest.approx(bare, abs=0.05)


@pytest.mark.parametrize("v", [-1.1, -1.2, -1.3])
def test_reset_of_the_stanford_model_ends_where_the_field_is_too_weak(v: float) -> None:
    gap = 1e-9 * ((16 - 1.4e9 * 12e-9 / abs(v)) / 0.8) ** (1 / 3)
    trace = simulate(stanford.DEFAULT, [0.0, 0.5e-3, 1e-3], [v, v, v])
    np.testing.assert_allclose(trace.x[1:], gap, rtol=1e-5)
    again = simulate(stanford.DEFAULT, [0.0, 1e-3], [-v, -v], trace.x[-1])
    assert again.x[-1] in (pytest.approx(0.2e-9, rel=1e-6), pytest.approx(gap, rel=1e-5))


@pytest.mark.parametrize("samples", [101, 401])
def test_a_set_far_faster_than_the_samples_is_a_jump(samples: int) -> None:
    trace = driven(stanford.ALOX, 2.5, 2500.0, samples)
    assert trace.x.min() == pytest.approx(0, abs=1e-15)
    assert trace.x[-1] == pytest.approx(1.7e-9, rel=1e-6)


# --- waveforms ---


def test_samples_are_linear_in_between() -> None:
    t = np.linspace(0, 1, 41)
    triangle = np.interp(t, [0, 0.25, 0.75, 1], [0, 1, -1, 0])
    by_samples = simulate(HP, t, triangle)
    by_function = simulate(HP, t, lambda time: np.interp(time, [0, 0.25, 0.75, 1], [0, 1, -1, 0]))
    np.testing.assert_allclose(by_samples.x, by_function.x, atol=1e-6)
    np.testing.assert_allclose(by_samples.v, triangle)


def test_a_short_pulse_among_uneven_times_is_seen() -> None:
    model, speed = vteam.MEMTORCH_DEFAULT, 5e-4 * (0.12 / 0.02 - 1)
    t = np.array([0, 1.0, 1.0 + 1e-12, 1.0 + 1e-7, 1.0 + 1e-7 + 1e-12, 1e3])
    trace = simulate(model, t, np.array([0, 0, 0.12, 0.12, 0, 0]))
    assert trace.x[-1] == pytest.approx(speed * 1e-7, rel=1e-4)


# --- bad input ---

T = [0.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "options", "rule"),
    [
        (([0.0], [1.0]), {}, r"^t: must be two or more rising times \(seconds\)"),
        (([0.0, 0.0], [1.0, 1.0]), {}, "^t: must be two or more rising"),
        (([0.0, np.nan], [1.0, 1.0]), {}, "^t: must be two or more rising"),
        ((T, [1.0]), {}, r"^v: needs one voltage per time, shape \(2,\), got \(1,\)"),
        ((T, [0.0, 450.0]), {}, "^v: must be in volts, at most 20"),
        ((T, [0.0, np.nan]), {}, "^v: must be in volts"),
        ((T, lambda t: 100.0), {}, "^v: must be in volts"),
        ((T, T, 1.5), {}, "^state: must lie between 0 and 1, got 1.5"),
        ((T, T, [0.1, 0.2]), {}, "^x0: must be one state"),
        ((T, T), {"method": "LSODA"}, "^method: must be one of BDF, Radau, RK23"),
        ((T, T), {"rtol": 0.5}, "^rtol: must lie between"),
    ],
)
def test_bad_input_is_refused(arguments: Any, options: Any, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        simulate(HP, *arguments, **options)


def test_a_solver_that_gets_stuck_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_models.compact.integrate.EVALUATIONS", 1)
    with pytest.raises(InputError, match="simulate: the solver must reach the end"):
        driven(HP, 1.0, 1.0)
