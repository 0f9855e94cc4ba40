"""Izhikevich's neuron against an ODE solver with events, and the firing patterns of his figure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from cimsim.network.neurons import run
from cimsim.network.neurons.izhikevich import (
    CHATTERING,
    FAST_SPIKING,
    INTRINSICALLY_BURSTING,
    LOW_THRESHOLD_SPIKING,
    REGULAR_SPIKING,
    RESONATOR,
    THALAMO_CORTICAL,
    Izhikevich,
    from_2003,
)
from device_models.errors import InputError, ParameterError

PA = 1e-12
DT = 0.05e-3
FIG_2 = {
    (0.02, 0.2, -65.0, 8.0): REGULAR_SPIKING,
    (0.02, 0.2, -55.0, 4.0): INTRINSICALLY_BURSTING,
    (0.02, 0.2, -50.0, 2.0): CHATTERING,
    (0.1, 0.2, -65.0, 2.0): FAST_SPIKING,
    (0.02, 0.25, -65.0, 2.0): LOW_THRESHOLD_SPIKING,
    (0.02, 0.25, -65.0, 0.05): THALAMO_CORTICAL,
    (0.1, 0.26, -65.0, 2.0): RESONATOR,
}


def solved_spikes(abcd: tuple[float, float, float, float], current: float, ms: float) -> np.ndarray:
    """Spike times, ms, of the paper's own equations in mV and ms, each spike found as an event."""
    a, b, c, d = abcd
    v = np.roots([0.04, 5 - b, 140]).real.min()
    t, y, times = 0.0, [v, b * v], []

    def slopes(_: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + current, a * (b * y[0] - y[1])]

    def peak(_: float, y: np.ndarray) -> float:
        return y[0] - 30

    peak.terminal = True  # type: ignore[attr-defined]
    while t < ms:
        part = solve_ivp(slopes, (t, ms), y, events=peak, rtol=1e-8, atol=1e-8)
        t = part.t[-1]
        if not part.t_events[0].size:
            break
        times.append(t)
        y = [c, part.y[1, -1] + d]
    return np.array(times)


def spike_times(neuron: Izhikevich, current: float, ms: float, dt: float = DT) -> np.ndarray:
    """Spike times, ms: ends of the steps, so every interval is too long by half a step in the mean."""
    spikes = run(neuron, np.full((1, round(ms * 1e-3 / dt), 1), current * PA), dt).spikes[0, :, 0]
    return (np.flatnonzero(spikes) + 1) * dt * 1e3


@pytest.mark.parametrize("abcd", FIG_2, ids=str)
def test_spikes_come_when_the_solver_finds_them(abcd: tuple[float, float, float, float]) -> None:
    expected = solved_spikes(abcd, 10.0, 80.0)
    found = spike_times(FIG_2[abcd], 10.0, 80.0, 1e-5)
    assert len(found) == len(expected) >= 3
    assert found[0] == pytest.approx(expected[0], abs=0.02)
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_spike_times_converge_with_the_step() -> None:
    expected = solved_spikes((0.02, 0.2, -65.0, 8.0), 10.0, 60.0)
    errors = [np.abs(spike_times(REGULAR_SPIKING, 10.0, 60.0, dt) - expected).max() for dt in (4e-5, 1e-5)]
    assert errors[1] < errors[0] / 2
    assert errors[1] < 0.1


def test_potentials_between_spikes_are_of_second_order() -> None:
    def slopes(_: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + 2.0, 0.02 * (0.2 * y[0] - y[1])]

    exact = solve_ivp(slopes, (0, 30), [-70.0, -14.0], rtol=1e-10, atol=1e-12).y[0, -1]
    steps = np.array([250, 500])
    v = [run(REGULAR_SPIKING, np.full((1, n, 1), 2 * PA), 0.03 / n).v[0, -1, 0] * 1e3 for n in steps]
    errors = np.abs(np.array(v) - exact)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_regular_spiking_adapts_and_fast_spiking_does_not() -> None:
    regular, fast = (np.diff(spike_times(n, 10.0, 400.0)) for n in (REGULAR_SPIKING, FAST_SPIKING))
    assert regular[-1] > 2 * regular[0]
    assert fast[2:].std() < 0.02 * fast.mean()
    assert fast.mean() < regular[-1] / 3


def test_intrinsically_bursting_cells_burst_once_and_chattering_ones_again_and_again() -> None:
    bursting = np.diff(spike_times(INTRINSICALLY_BURSTING, 10.0, 400.0))
    assert bursting[:2].max() < 5 < 3 * bursting[:2].max() < bursting[4:].min()
    chattering = np.diff(spike_times(CHATTERING, 10.0, 400.0))
    long = np.flatnonzero(chattering > 15)
    assert len(long) >= 5
    assert np.all(np.diff(long) >= 3)  # a pause, then three or more spikes close together
    assert np.delete(chattering, long).max() < 8


def test_thalamo_cortical_cells_rebound_after_inhibition_and_regular_ones_do_not() -> None:
    current = np.zeros((1, 3000, 1))
    current[0, :2000] = -5 * PA
    rebound = run(THALAMO_CORTICAL, current, DT).spikes[0, 2000:, 0]
    assert rebound.sum() >= 1
    assert np.argmax(rebound) * DT < 40e-3
    assert not run(REGULAR_SPIKING, current, DT).spikes.any()


def test_a_cell_without_input_stays_at_rest() -> None:
    for neuron in FIG_2.values():
        v = run(neuron, np.zeros((1, 400, 1)), DT).v
        np.testing.assert_allclose(v, neuron.v_rest, atol=1e-9)


def test_conversion_to_si_keeps_the_parabola() -> None:
    """C dv/dt - I is the paper's right side at every v, with u counted from b v_rest."""
    neuron, v = from_2003(0.02, 0.25, -65.0, 2.0), np.linspace(-90, 30, 50)
    u_rest = 0.25 * neuron.v_rest * 1e3
    ours = neuron.k * (v * 1e-3 - neuron.v_rest) * (v * 1e-3 - neuron.v_threshold) / PA
    np.testing.assert_allclose(ours, 0.04 * v**2 + 5 * v + 140 - u_rest, atol=1e-9)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"b: must be below 0\.2671"):
        from_2003(0.02, 0.27, -65.0, 8.0)
    with pytest.raises(ParameterError, match="must be below v_peak"):
        REGULAR_SPIKING.replace(c=40e-3)
    with pytest.raises(InputError, match="Izhikevich: the time step must be at most"):
        REGULAR_SPIKING.step(REGULAR_SPIKING.rest((1, 1)), np.zeros((1, 1)), 0.5e-3)
