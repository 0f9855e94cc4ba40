from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.network.neurons import IF, LIF, DiscreteLIF, decay_of, discrete, run, tau_of
from device_models.errors import InputError, ParameterError

MS = 1e-3


def run_discrete(neuron: DiscreteLIF, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    state = neuron.rest((x.shape[0], x.shape[2]), x)
    spikes, u = [], []
    for t in range(x.shape[1]):
        state, fired = neuron.step(state, x[:, t])
        spikes.append(fired)
        u.append(state.v)
    return np.stack(spikes, axis=1), np.stack(u, axis=1)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("refractory", [0.0, 3 * MS])
@pytest.mark.parametrize("kind", [IF, LIF])
def test_the_dimensionless_neuron_fires_in_the_same_steps(kind: Any, reset: str, refractory: float) -> None:
    shared = {"capacitance": 30e-12, "v_threshold": -50e-3, "v_rest": -65e-3, "v_reset": -68e-3}
    tau = {"tau": 20 * MS} if kind is LIF else {}
    cell = kind(**shared, **tau, reset=reset, refractory=refractory)
    currents = np.random.default_rng(0).normal(0.1e-9, 0.3e-9, (5, 200, 7))
    ours, (theirs, gain) = run(cell, currents, MS), discrete(cell, MS)
    spikes, u = run_discrete(theirs, gain * currents)
    assert spikes.sum() > 300
    np.testing.assert_array_equal(spikes, ours.spikes)
    np.testing.assert_allclose(u * 15e-3 - 65e-3, ours.v, rtol=1e-9, atol=1e-12)


def test_gain_is_the_share_of_the_threshold_that_one_step_of_one_ampere_adds() -> None:
    cell = LIF(capacitance=1e-12, tau=10 * MS, v_threshold=0.3)
    neuron, gain = discrete(cell, MS)
    assert neuron.decay == pytest.approx(math.exp(-0.1))
    assert gain == pytest.approx(10 * MS / 1e-12 * (1 - math.exp(-0.1)) / 0.3)
    assert discrete(IF(capacitance=1e-12, v_threshold=0.3), MS).gain == pytest.approx(MS / 1e-12 / 0.3)


def test_a_slow_leak_is_no_leak() -> None:
    slow = discrete(LIF(capacitance=1e-12, tau=1e5, v_threshold=0.3), MS)
    assert slow.gain == pytest.approx(discrete(IF(capacitance=1e-12, v_threshold=0.3), MS).gain, rel=1e-6)


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 0.999))
def test_decay_and_time_constant_are_inverse(dt: float, decay: float) -> None:
    assert decay_of(tau_of(decay, dt), dt) == pytest.approx(decay)


def test_geometric_sum_of_constant_input() -> None:
    """Below the threshold u after n steps is x (1 - decay^n) / (1 - decay)."""
    x = np.full((1, 40, 2), [0.01, 0.019], np.float32)
    spikes, u = run_discrete(DiscreteLIF(decay=0.98), x)
    n = np.arange(1, 41)[:, None]
    assert u.dtype == np.float32
    assert not spikes.any()
    np.testing.assert_allclose(u[0], x[0] * (1 - 0.98**n) / 0.02, rtol=1e-5)


def test_a_neuron_without_memory_is_a_threshold() -> None:
    x = np.random.default_rng(1).normal(1.0, 0.5, (2, 50, 3))
    np.testing.assert_array_equal(run_discrete(DiscreteLIF(decay=0.0), x)[0], x >= 1)


def test_reset_by_subtraction_keeps_the_rest() -> None:
    neuron = DiscreteLIF(decay=1.0, reset="soft")
    spikes, u = run_discrete(neuron, np.full((1, 100, 1), 0.375))
    np.testing.assert_array_equal(np.cumsum(spikes[0, :, 0]), np.floor(0.375 * np.arange(1, 101)))
    assert np.all((u >= 0) & (u < 1))


def test_what_is_refused() -> None:
    cell = LIF(capacitance=1e-12, tau=10 * MS, v_threshold=0.3, refractory=2.5 * MS)
    with pytest.raises(InputError, match=r"refractory: must be a whole number of steps, got 0\.0025 s in steps of"):
        discrete(cell, MS)
    with pytest.raises(InputError, match="shortest time constant"):
        discrete(cell, 20 * MS)
    with pytest.raises(InputError, match="decay: must be above 0 and below 1"):
        tau_of(1.0, MS)
    for bad in (-MS, 0.0, math.nan):
        with pytest.raises(InputError, match="dt: must be a positive time"):
            tau_of(0.5, bad)
        with pytest.raises(InputError, match="tau: must be a positive time"):
            decay_of(bad, MS)
    with pytest.raises(ParameterError, match="decay"):
        DiscreteLIF(decay=1.1)
    with pytest.raises(ParameterError, match="refractory"):
        DiscreteLIF(decay=0.5, refractory=-1)
    with pytest.raises(InputError, match="current: must fit the neurons"):
        DiscreteLIF(decay=0.5).step(DiscreteLIF(decay=0.5).rest((2, 3)), np.zeros((2, 4)))
