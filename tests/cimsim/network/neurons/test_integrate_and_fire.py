from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from cimsim.network.neurons import IF, LIF, AdaptiveLIF, run
from device_models.errors import InputError, ParameterError

MS = 1e-3
CELL = LIF(capacitance=100e-12, tau=20 * MS, v_threshold=-50e-3, v_rest=-65e-3, v_reset=-70e-3, refractory=2 * MS)
DRIVES = np.array([0.8, 0.99, 1.01, 1.2, 2.0, 5.0, 20.0])  # currents in units of the one that just reaches threshold


def rheobase(cell: LIF) -> float:
    return (cell.v_threshold - cell.v_rest) / cell.resistance


def time_to_fire(cell: Any, current: float) -> float:
    """Closed form of the time from reset to threshold, seconds."""
    target = cell.v_rest + cell.resistance * current
    return cell.tau * math.log((target - cell.v_reset) / (target - cell.v_threshold))


def constant(currents: np.ndarray, steps: int) -> np.ndarray:
    return np.broadcast_to(currents, (1, steps, len(currents)))


def intervals(spikes: np.ndarray) -> np.ndarray:
    return np.diff(np.flatnonzero(spikes))


@pytest.mark.parametrize("refractory", [0.0, 0.25 * MS, 2 * MS, 5.03 * MS])
def test_lif_rate_against_current_is_the_closed_form(refractory: float) -> None:
    cell, dt = CELL.replace(refractory=refractory), 0.1 * MS
    spikes = run(cell, constant(DRIVES * rheobase(cell), 2500), dt).spikes[0]
    for n, drive in enumerate(DRIVES):
        if drive < 1:
            assert not spikes[:, n].any()
            continue
        period = time_to_fire(cell, drive * rheobase(cell)) + refractory
        np.testing.assert_array_equal(intervals(spikes[:, n]), math.ceil(period / dt))


def test_lif_rate_converges_to_the_closed_form_with_the_step() -> None:
    current = np.array([1.5 * rheobase(CELL)])
    rate = 1 / (time_to_fire(CELL, current[0]) + CELL.refractory)
    errors = []
    for dt in (1 * MS, 0.1 * MS, 0.01 * MS):
        gap = intervals(run(CELL, constant(current, int(0.08 / dt)), dt).spikes[0, :, 0])[0]
        errors.append(abs(1 / (gap * dt) - rate) / rate)
        assert errors[-1] <= dt * rate
    assert errors[-1] < 1e-3


@given(st.floats(-2e-10, 2e-10), st.floats(1e-5, 0.02), st.integers(1, 7))
def test_lif_below_threshold_does_not_depend_on_the_step(current: float, seconds: float, parts: int) -> None:
    """Exact for a constant current: one long step equals several short ones, and the closed form."""
    cell = CELL.replace(v_threshold=1.0)
    whole, _ = cell.step(cell.rest((1, 1)), np.array([[current]]), seconds)
    trace = run(cell, np.full((1, parts, 1), current), seconds / parts)
    expected = cell.v_rest + cell.resistance * current * -np.expm1(-seconds / cell.tau)
    np.testing.assert_allclose([whole.v[0, 0], trace.v[0, -1, 0]], expected, rtol=1e-12)


def test_lif_follows_a_stepped_current_as_an_ode_solver_does() -> None:
    cell = CELL.replace(v_threshold=1.0)
    currents = np.random.default_rng(0).normal(0.0, 1e-10, 30)
    v = [cell.v_rest]
    for current in currents:
        rate = lambda _, v, i=current: (cell.v_rest - v + cell.resistance * i) / cell.tau  # noqa: E731
        v.append(solve_ivp(rate, (0, MS), [v[-1]], rtol=1e-10, atol=1e-14).y[0, -1])
    np.testing.assert_allclose(run(cell, currents[None, :, None], MS).v[0, :, 0], v[1:], rtol=1e-8)


def test_if_counts_charge() -> None:
    """Reset by subtraction loses no charge: spikes = floor(charge / charge per spike)."""
    cell = IF(capacitance=1e-12, v_threshold=0.5, reset="soft")
    currents = np.abs(np.random.default_rng(1).normal(0.0, 1e-10, (3, 400, 5)))
    spikes = run(cell, currents, MS).spikes
    charge = np.cumsum(currents, axis=1) * MS / (cell.capacitance * 0.5)
    np.testing.assert_array_equal(np.cumsum(spikes, axis=1), np.floor(charge))


def test_hard_reset_of_if_loses_what_exceeds_the_threshold() -> None:
    cell, dt = IF(capacitance=1e-12, v_threshold=0.5), MS
    currents = np.array([0.3, 0.5, 0.6, 1.0, 4.0]) * cell.capacitance / dt  # volts per step
    spikes = run(cell, constant(currents, 60), dt).spikes[0]
    np.testing.assert_array_equal(spikes.sum(axis=0), [30, 60, 60, 60, 60])


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_potential_after_a_spike(reset: str) -> None:
    cell = LIF(capacitance=1e-12, tau=10 * MS, v_threshold=0.5, v_reset=0.1, reset=reset)
    current = np.array([[0.05e-9, 0.9e-9]])
    before = cell.resistance * current[0] * -np.expm1(-0.1)
    state, spikes = cell.step(cell.rest((1, 2)), current, MS)
    np.testing.assert_array_equal(spikes, [[False, True]])
    np.testing.assert_allclose(state.v, [[before[0], 0.1 if reset == "hard" else before[1] - 0.4]])


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize(("refractory", "gap"), [(0.0, 1), (3 * MS, 4), (2.5 * MS, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_spike_comes_within_the_refractory_period(reset: str, refractory: float, gap: int, dtype: Any) -> None:
    """A current that fills the membrane at once: only the refractory period spaces the spikes."""
    cell = LIF(capacitance=1e-12, tau=10 * MS, v_threshold=0.1, reset=reset, refractory=refractory)
    spikes = run(cell, np.full((1, 50, 1), 1e-6, dtype), MS).spikes[0, :, 0]
    assert set(intervals(spikes)) == {gap}


def test_input_during_the_refractory_period_is_lost() -> None:
    cell = LIF(capacitance=1e-12, tau=10 * MS, v_threshold=0.1, v_reset=0.02, refractory=2 * MS)
    current = np.zeros((1, 4, 1))
    current[0, :, 0] = [1e-6, 1e-6, 1e-6, 0.0]
    trace = run(cell, current, MS)
    np.testing.assert_array_equal(trace.spikes[0, :, 0], [True, False, False, False])
    np.testing.assert_allclose(trace.v[0, :, 0], [0.02, 0.02, 0.02, 0.02 * math.exp(-0.1)])


# --- adaptation ---

ADAPTIVE = AdaptiveLIF(
    capacitance=100e-12, tau=20 * MS, v_threshold=15e-3, tau_theta=150 * MS, theta_step=2e-3, refractory=1 * MS
)


def steady_period(cell: AdaptiveLIF, current: float) -> float:
    """Closed form of the last interval: the rise just before a spike is that of a geometric series."""

    def mismatch(period: float) -> float:
        theta = cell.theta_step / math.expm1(period / cell.tau_theta)
        v = cell.resistance * current * -math.expm1(-(period - cell.refractory) / cell.tau)
        return v - (cell.v_threshold + theta)

    return float(brentq(mismatch, cell.refractory, 100 * cell.tau))


def test_adaptive_lif_starts_at_the_rate_of_lif_and_settles_at_the_fixed_point() -> None:
    dt, drives = 0.05 * MS, np.array([3.0, 8.0])
    currents = drives * ADAPTIVE.v_threshold / ADAPTIVE.resistance
    spikes = run(ADAPTIVE, constant(currents, int(1.2 / dt)), dt).spikes[0]
    for n, (drive, current) in enumerate(zip(drives, currents, strict=True)):
        gaps = intervals(spikes[:, n]) * dt
        first = (np.argmax(spikes[:, n]) + 1) * dt
        assert first == pytest.approx(ADAPTIVE.tau * math.log(drive / (drive - 1)), abs=dt)
        assert gaps[-5:].mean() == pytest.approx(steady_period(ADAPTIVE, current), abs=dt)
        assert np.all(np.diff(gaps) > -1.5 * dt)  # slower and slower
        assert gaps[-1] > 1.5 * gaps[0]


def test_threshold_decays_between_spikes() -> None:
    state, _ = ADAPTIVE.step(ADAPTIVE.rest((1, 2)), np.array([[1e-6, 0.0]]), MS)
    np.testing.assert_array_equal(state.theta, [[2e-3, 0.0]])
    for _ in range(30):
        state, _ = ADAPTIVE.step(state, np.zeros((1, 2)), MS)
    np.testing.assert_allclose(state.theta, [[2e-3 * math.exp(-30 / 150), 0.0]])


def test_without_a_rise_adaptive_lif_is_lif() -> None:
    shared = {"capacitance": 1e-12, "tau": 10 * MS, "v_threshold": 0.1, "refractory": 1.5 * MS}
    currents = np.random.default_rng(2).normal(2e-11, 2e-11, (4, 300, 6))
    plain = run(LIF(**shared), currents, MS)  # type: ignore[arg-type]
    adaptive = run(AdaptiveLIF(**shared, tau_theta=0.1, theta_step=0.0), currents, MS)  # type: ignore[arg-type]
    assert plain.spikes.sum() > 100
    np.testing.assert_array_equal(plain.spikes, adaptive.spikes)
    np.testing.assert_array_equal(plain.v, adaptive.v)


# --- what is refused ---


def test_a_step_longer_than_the_shortest_time_constant() -> None:
    one = np.zeros((1, 1))
    with pytest.raises(InputError, match=r"LIF: the time step must be at most .* 0\.02 s, got 0\.021 s"):
        CELL.step(CELL.rest((1, 1)), one, 21 * MS)
    with pytest.raises(InputError, match=r"AdaptiveLIF: .* 0\.001 s"):
        ADAPTIVE.replace(tau_theta=MS).step(ADAPTIVE.rest((1, 1)), one, 2 * MS)
    IF(capacitance=1e-12, v_threshold=1.0).step(CELL.rest((1, 1)), one, 1e3)


@pytest.mark.parametrize("dt", [0.0, -MS, math.nan, math.inf])
def test_a_step_that_is_no_positive_time(dt: float) -> None:
    with pytest.raises(InputError, match="the time step must be positive \\(seconds\\)"):
        CELL.step(CELL.rest((1, 1)), np.zeros((1, 1)), dt)


def test_currents_that_do_not_fit() -> None:
    for shape in ((2, 4), (1, 2, 3), (4, 3)):
        with pytest.raises(InputError, match=r"current: must fit the neurons, shape \(2, 3\)"):
            CELL.step(CELL.rest((2, 3)), np.zeros(shape), MS)
    CELL.step(CELL.rest((2, 3)), np.zeros((1, 3)), MS)
    CELL.step(CELL.rest((2, 3)), 1e-12, MS)
    with pytest.raises(InputError, match=r"axes \(batch, steps, n\), got shape \(4, 3\)"):
        run(CELL, np.zeros((4, 3)), MS)
    with pytest.raises(InputError, match="must be finite"):
        run(CELL, np.full((1, 2, 1), np.nan), MS)


def test_parameters_that_cannot_be() -> None:
    with pytest.raises(ParameterError, match="must be below v_threshold"):
        CELL.replace(v_reset=-40e-3)
    with pytest.raises(ParameterError, match=r"v_rest: must be greater than or equal to -20 \(volts\)"):
        CELL.replace(v_rest=-65.0)
    with pytest.raises(ParameterError, match=r"refractory: must be in seconds"):
        CELL.replace(refractory=-MS)
    with pytest.raises(ParameterError, match="capacitance"):
        CELL.replace(capacitance=0.0)
