"""The squid axon against an ODE solver on the paper's own units, mV, ms and microamperes per cm^2."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cimsim.network.neurons import HodgkinHuxley, run
from device_models.errors import InputError

AXON = HodgkinHuxley(area=1e-8)
PER_DENSITY = 1e-2 * AXON.area  # amperes on the axon for one microampere per cm^2


def slopes(_: float, y: np.ndarray, density: float) -> list[float]:
    """The equations of the paper, the potential shifted by -65 mV."""
    v, m, h, n = y
    current = density - 120 * m**3 * h * (v - 50) - 36 * n**4 * (v + 77) - 0.3 * (v + 54.387)
    return [
        current,
        0.1 * (v + 40) / (1 - np.exp(-(v + 40) / 10)) * (1 - m) - 4 * np.exp(-(v + 65) / 18) * m,
        0.07 * np.exp(-(v + 65) / 20) * (1 - h) - h / (1 + np.exp(-(v + 35) / 10)),
        0.01 * (v + 55) / (1 - np.exp(-(v + 55) / 10)) * (1 - n) - 0.125 * np.exp(-(v + 65) / 80) * n,
    ]


def solved(density: float, ms: float, dt: float, tol: float = 1e-9) -> np.ndarray:
    """Potentials, mV, at the ends of the steps."""
    rest = AXON.rest((1,))
    start = [-65.0, rest.m[0], rest.h[0], rest.n[0]]
    times = np.arange(1, round(ms / dt) + 1) * dt
    return solve_ivp(slopes, (0, ms + dt), start, "LSODA", times, args=(density,), rtol=tol, atol=tol).y[0]


def simulated(densities: list[float], ms: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Potentials, mV, and spikes, (steps, densities)."""
    currents = np.broadcast_to(np.array(densities) * PER_DENSITY, (1, round(ms / dt), len(densities)))
    trace = run(AXON, currents, dt * 1e-3)
    return trace.v[0] * 1e3, trace.spikes[0]


def crossings(v: np.ndarray) -> int:
    return int(np.sum((v[1:] >= 0) & (v[:-1] < 0)))


def test_rest_is_at_rest() -> None:
    v, spikes = simulated([0.0], 50.0, 0.02)
    assert np.all(np.abs(v + 65) < 0.02)
    assert not spikes.any()
    rest = AXON.rest((1,))
    np.testing.assert_allclose([rest.m[0], rest.h[0], rest.n[0]], [0.0529, 0.5961, 0.3177], atol=1e-4)


def test_spike_shape_is_the_solvers_and_of_second_order() -> None:
    """Across one spike: halving the step divides the largest error by four."""
    errors = [np.abs(simulated([20.0], 6.0, dt)[0][:, 0] - solved(20.0, 6.0, dt)).max() for dt in (0.02, 0.01, 0.005)]
    assert errors[-1] < 0.1
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_a_spike_peaks_near_40_mv_and_undershoots() -> None:
    v, spikes = simulated([10.0], 14.0, 0.02)
    assert spikes.sum() == 1
    assert v.max() == pytest.approx(40, abs=3)
    assert -77 < v[np.argmax(v[:, 0]) :].min() < -74


def test_rate_against_current_is_the_solvers() -> None:
    """None below about 6.3 microamperes per cm^2, some 60 per second at once above it, 68 at 10."""
    densities = [2.0, 6.0, 7.0, 10.0, 30.0]
    _, spikes = simulated(densities, 300.0, 0.05)
    late = spikes[2000:].sum(axis=0)
    assert list(late[:2]) == [0, 0]
    for n, density in enumerate(densities[2:], start=2):
        reference = solved(density, 300.0, 0.05, 1e-5)[1999:]
        assert abs(crossings(reference) - late[n]) <= 1
    assert late[3] / 0.2 == pytest.approx(68, abs=4)


def test_rates_have_no_hole_where_the_formula_divides_by_zero() -> None:
    v = np.array([-40e-3, -40e-3 + 1e-12, -55e-3, -55e-3 + 1e-12])
    state = AXON.rest((4,))._replace(v=v)
    after, _ = AXON.step(state, np.zeros(4), 1e-6)
    np.testing.assert_allclose([after.v[0], after.m[0]], [after.v[1], after.m[1]], rtol=1e-9)
    np.testing.assert_allclose([after.v[2], after.n[2]], [after.v[3], after.n[3]], rtol=1e-9)


def test_current_scales_with_the_area() -> None:
    one, two = AXON.replace(area=1e-9), AXON.replace(area=2e-9)
    current = np.full((1, 400, 1), 1e-10)
    np.testing.assert_allclose(run(one, current, 2e-5).v, run(two, 2 * current, 2e-5).v, rtol=1e-12)


def test_the_step_is_held_below_the_fastest_gate() -> None:
    """At the sodium potential m relaxes in 1 / (alpha + beta) = 0.111 ms."""
    assert AXON.shortest == pytest.approx(1e-3 / (0.1 * 90 / (1 - np.exp(-9)) + 4 * np.exp(-115 / 18)), rel=1e-9)
    with pytest.raises(InputError, match="HodgkinHuxley: the time step must be at most"):
        AXON.step(AXON.rest((1, 1)), np.zeros((1, 1)), 0.2e-3)
