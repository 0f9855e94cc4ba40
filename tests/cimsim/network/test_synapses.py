from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from cimsim.network.synapses import (
    DEPRESSING,
    FACILITATING,
    Alpha,
    Delta,
    Exponential,
    ShortTermPlasticity,
    Synapse,
)
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict
from tests.foreign import ForeignArray

MS = 1e-3
KERNELS: dict[Synapse, Any] = {
    Exponential(tau=5 * MS): lambda t: math.exp(-t / 5e-3) / 5e-3,
    Alpha(tau=3 * MS): lambda t: t / 9e-6 * math.exp(-t / 3e-3),
}
SYNAPSES = [Delta(), *KERNELS]


def filtered(synapse: Synapse, charges: np.ndarray, dt: float = MS) -> np.ndarray:
    """Currents of charges (batch, steps, n)."""
    state, currents = synapse.rest((charges.shape[0], *charges.shape[2:]), charges), []
    for t in range(charges.shape[1]):
        state, current = synapse.step(state, charges[:, t], dt)
        currents.append(current)
    return np.stack(currents, axis=1)


@pytest.mark.parametrize("synapse", KERNELS, ids=repr)
def test_the_current_of_a_spike_is_the_mean_of_the_kernel_over_each_step(synapse: Synapse) -> None:
    charges = np.zeros((1, 30, 1))
    charges[0, 0] = 2e-12
    current = filtered(synapse, charges)[0, :, 0]
    for t in range(30):
        area = quad(KERNELS[synapse], t * MS, (t + 1) * MS, epsabs=1e-14)[0]
        assert current[t] == pytest.approx(2e-12 * area / MS, rel=1e-9)


@pytest.mark.parametrize("synapse", SYNAPSES, ids=repr)
def test_all_of_the_charge_arrives(synapse: Synapse) -> None:
    charges = np.zeros((2, 200, 3))
    charges[:, :100] = np.random.default_rng(0).normal(0, 1e-12, (2, 100, 3))
    total = filtered(synapse, charges).sum(axis=1) * MS
    np.testing.assert_allclose(total, charges.sum(axis=1), rtol=1e-6)


@given(st.integers(1, 8))
def test_steps_can_be_cut_into_parts(parts: int) -> None:
    """Exact for any step: the charge of one long step is that of several short ones."""
    for synapse in KERNELS:
        charges = np.zeros((1, 3 * parts, 1))
        charges[0, 0], charges[0, 2 * parts] = 1e-12, 3e-12
        fine = filtered(synapse, charges, MS / parts)[0, :, 0].reshape(3, parts).mean(axis=1)
        np.testing.assert_allclose(filtered(synapse, charges[:, ::parts])[0, :, 0], fine, rtol=1e-10)


@pytest.mark.parametrize("synapse", SYNAPSES, ids=repr)
def test_one_state_per_neuron_equals_one_per_synapse(synapse: Synapse) -> None:
    """The presynaptic form, one state per (input, output) pair, is the oracle of the postsynaptic one."""
    rng = np.random.default_rng(1)
    spikes, weights = rng.random((4, 40, 6)) < 0.3, rng.normal(0, 1e-12, (6, 5))
    ours = filtered(synapse, spikes @ weights)
    each = filtered(synapse, spikes[:, :, :, None] * weights)  # (batch, steps, n_in, n_out)
    np.testing.assert_allclose(ours, each.sum(axis=2), rtol=1e-9, atol=1e-24)


@pytest.mark.parametrize("synapse", SYNAPSES, ids=repr)
def test_another_library_gives_the_same_currents(synapse: Synapse) -> None:
    charges = np.random.default_rng(2).normal(0, 1e-12, (2, 20, 3)).astype(np.float32)
    here, abroad = filtered(synapse, charges), filtered(synapse, ForeignArray(charges))  # type: ignore[arg-type]
    assert here.dtype == np.float32
    np.testing.assert_array_equal(abroad.get(), here)  # type: ignore[attr-defined]


def test_a_delta_synapse_spreads_the_charge_over_the_step() -> None:
    _, current = Delta().step((), np.array([[1e-12]]), 0.5 * MS)
    assert current[0, 0] == pytest.approx(2e-9)


# --- short-term plasticity ---


def releases(axon: ShortTermPlasticity, spikes: np.ndarray, dt: float = MS) -> np.ndarray:
    state, out = axon.rest((spikes.shape[0], spikes.shape[2]), np.zeros(1)), []
    for t in range(spikes.shape[1]):
        state, released = axon.step(state, spikes[:, t], dt)
        out.append(released)
    return np.stack(out, axis=1)


def steady(axon: ShortTermPlasticity, period: float) -> float:
    """Closed form of the release in a long regular train."""
    keep_u, keep_x = math.exp(-period / axon.tau_facilitation), math.exp(-period / axon.tau_depression)
    u = axon.use / (1 - (1 - axon.use) * keep_u)
    return u * (1 - keep_x) / (1 - (1 - u) * keep_x)


@pytest.mark.parametrize("axon", [DEPRESSING, FACILITATING])
@pytest.mark.parametrize("period", [10, 50, 200])
def test_a_regular_train_settles_at_the_closed_form(axon: ShortTermPlasticity, period: int) -> None:
    spikes = np.zeros((1, 40 * period, 1), bool)
    spikes[0, ::period] = True
    released = releases(axon, spikes)[0, ::period, 0]
    assert released[0] == pytest.approx(axon.use)
    assert released[-1] == pytest.approx(steady(axon, period * MS), rel=1e-3)


def test_one_axon_depresses_and_the_other_facilitates() -> None:
    spikes = np.zeros((1, 200, 1), bool)
    spikes[0, ::20] = True
    down, up = (releases(axon, spikes)[0, ::20, 0] for axon in (DEPRESSING, FACILITATING))
    assert np.all(np.diff(down) < 0)
    assert up[1] > 1.5 * up[0]


def test_plasticity_follows_an_ode_solver_between_random_spikes() -> None:
    axon, rng = ShortTermPlasticity(use=0.3, tau_depression=0.2, tau_facilitation=0.4), np.random.default_rng(3)
    spikes = rng.random((1, 300, 1)) < 0.05
    u, x, last, expected = 0.0, 1.0, 0, []
    for t in np.flatnonzero(spikes[0, :, 0]):
        if t > last:
            rate = lambda _, y: [-y[0] / 0.4, (1 - y[1]) / 0.2]  # noqa: E731
            u, x = solve_ivp(rate, (0, (t - last) * MS), [u, x], rtol=1e-10, atol=1e-12).y[:, -1]
        u += 0.3 * (1 - u)
        expected.append(u * x)
        x, last = x * (1 - u), t
    released = releases(axon, spikes)[0, :, 0]
    np.testing.assert_allclose(released[spikes[0, :, 0]], expected, rtol=1e-8)
    assert not released[~spikes[0, :, 0]].any()


def test_without_facilitation_every_spike_uses_the_same_share() -> None:
    axon = ShortTermPlasticity(use=0.4, tau_depression=0.1, tau_facilitation=0.0)
    released = releases(axon, np.ones((1, 3, 1), bool))[0, :, 0]
    keep = math.exp(-MS / 0.1)
    x = [1.0]
    for _ in range(2):
        x.append(1 - (1 - 0.6 * x[-1]) * keep)
    np.testing.assert_allclose(released, 0.4 * np.array(x))


def test_one_state_per_axon_equals_one_per_synapse() -> None:
    rng = np.random.default_rng(4)
    spikes, weights = rng.random((2, 60, 4)) < 0.2, rng.normal(0, 1, (4, 3))
    each = np.repeat(spikes[:, :, :, None], 3, axis=3).reshape(2, 60, 12)
    per_synapse = releases(DEPRESSING, each).reshape(2, 60, 4, 3) * weights
    np.testing.assert_allclose(releases(DEPRESSING, spikes) @ weights, per_synapse.sum(axis=2), rtol=1e-12)


def test_plasticity_abroad_and_in_float32() -> None:
    spikes = np.random.default_rng(5).random((3, 30, 2)) < 0.3
    state, there = (
        FACILITATING.rest((3, 2), like) for like in (np.zeros(1, np.float32), ForeignArray(np.float32([0])))
    )
    for t in range(30):
        state, here = FACILITATING.step(state, spikes[:, t], MS)
        there, abroad = FACILITATING.step(there, ForeignArray(spikes[:, t]), MS)
        assert here.dtype == np.float32
        np.testing.assert_array_equal(abroad.get(), here)


# --- what is refused ---


def test_what_is_refused() -> None:
    one = np.zeros((1, 1))
    synapse = Exponential(tau=5 * MS)
    with pytest.raises(InputError, match=r"Exponential: the time step must be at most .* 0\.005 s, got 0\.006 s"):
        synapse.step(synapse.rest((1, 1)), one, 6 * MS)
    with pytest.raises(InputError, match="positive"):
        Alpha(tau=MS).step(Alpha(tau=MS).rest((1, 1)), one, -MS)
    with pytest.raises(InputError, match="must fit the neurons"):
        synapse.step(synapse.rest((1, 2)), np.zeros((1, 3)), MS)
    with pytest.raises(InputError, match="ShortTermPlasticity: the time step"):
        DEPRESSING.step(DEPRESSING.rest((1, 1)), one, 0.1)
    with pytest.raises(InputError, match=r"spikes: must be 0 or 1, got 0\.5"):
        DEPRESSING.step(DEPRESSING.rest((1, 1)), one + 0.5, MS)
    with pytest.raises(InputError, match=r"one value per axon, shape \(1, 2\), got shape \(1, 1\)"):
        DEPRESSING.step(DEPRESSING.rest((1, 2)), one, MS)
    for bad in ({"use": 0.0}, {"use": 1.1}, {"tau_depression": -1.0}):
        with pytest.raises(ParameterError):
            DEPRESSING.replace(**bad)
    with pytest.raises(ParameterError):
        Exponential(tau=0.0)


@pytest.mark.parametrize("synapse", SYNAPSES, ids=repr)
def test_a_synapse_is_written_and_read_without_loss(synapse: Synapse) -> None:
    assert Synapse.model_validate(to_dict(synapse)) == synapse
