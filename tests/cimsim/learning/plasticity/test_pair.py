"""Pair STDP against the sum over all pairs of spikes, its three-factor form, and changes as whole pulses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cimsim as cim
from cimsim.crossbar.pulsing import Pulser
from cimsim.learning.plasticity.pair import PairSTDP, RewardSTDP, whole_pulses
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.update import LinearUpdate
from device_models.window import Window

DT = 1e-3
RULE = PairSTDP(tau_plus=15e-3, tau_minus=30e-3, a_plus=0.01, a_minus=0.006)


def rasters(seed: int, batch: int = 2, steps: int = 60, inputs: int = 4, neurons: int = 3) -> tuple[Any, Any]:
    rng = Streams(seed).rng("spikes")
    return rng.random((batch, steps, inputs)) < 0.1, rng.random((batch, steps, neurons)) < 0.1


def over_all_pairs(rule: PairSTDP, pre: np.ndarray, post: np.ndarray) -> np.ndarray:
    """The definition: every pair of spikes by its window."""
    change = np.zeros((pre.shape[2], post.shape[2]))
    for b, t, i in np.argwhere(pre):
        for other, s, j in np.argwhere(post):
            lag = (s - t) * DT
            if other == b and lag >= 0:
                change[i, j] += rule.a_plus * np.exp(-lag / rule.tau_plus)
            if other == b and lag <= 0:
                change[i, j] -= rule.a_minus * np.exp(lag / rule.tau_minus)
    return change


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_traces_are_the_sum_over_all_pairs(seed: int) -> None:
    pre, post = rasters(seed)
    np.testing.assert_allclose(RULE.change(pre, post, DT), over_all_pairs(RULE, pre, post), atol=1e-14)


@pytest.mark.parametrize("lag", [-20, -3, 0, 1, 12])
def test_one_pair_gives_the_window(lag: int) -> None:
    pre, post = np.zeros((1, 60, 1), bool), np.zeros((1, 60, 1), bool)
    pre[0, 30], post[0, 30 + lag] = True, True
    up, down = 0.01 * np.exp(-lag / 15) * (lag >= 0), 0.006 * np.exp(lag / 30) * (lag <= 0)
    assert RULE.change(pre, post, DT)[0, 0] == pytest.approx(up - down, abs=1e-15)


def test_a_reward_pays_the_pairs_before_it_and_no_others() -> None:
    """A pair at step 10, a reward r at step 10 + k: the change is rate r a_plus exp(-k dt / tau), later pairs none."""
    rule = RewardSTDP(pairs=PairSTDP(tau_plus=5e-3, tau_minus=5e-3, a_plus=0.02, a_minus=0.0), tau=50e-3, rate=3.0)
    state, paid = rule.rest(2, 1, 1), np.zeros((1, 1))
    for t in range(60):
        fired = np.full((2, 1), t in (10, 40))
        reward = np.array([0.5, -2.0]) * (t == 25)
        state, change = rule.step(state, fired, fired, reward, DT)
        paid = paid + change
    np.testing.assert_allclose(paid, 3.0 * (0.5 - 2.0) * 0.02 * np.exp(-15 / 50), rtol=1e-12)


def test_under_a_steady_reward_eligibility_pays_every_pair_in_full() -> None:
    """Reward 1 in every step, then a long wait: the sum over steps of exp(-k dt / tau) for every pair."""
    pairs, (pre, post) = RULE, rasters(3, batch=1)
    rule, quiet = RewardSTDP(pairs=pairs, tau=30e-3, rate=0.1), np.zeros((1, 600, 1), bool)
    state, paid = rule.rest(1, 4, 3), np.zeros((4, 3))
    for t in range(600):
        late = t >= pre.shape[1]
        fired = (np.repeat(quiet[:, t], n, axis=1) if late else r[:, t] for r, n in ((pre, 4), (post, 3)))
        state, change = rule.step(state, *fired, np.ones(1), DT)
        paid = paid + change
    geometric = 1 / (1 - np.exp(-1 / 30))
    np.testing.assert_allclose(paid, 0.1 * geometric * over_all_pairs(pairs, pre, post), rtol=1e-6)


def test_whole_pulses_make_the_change_in_the_mean() -> None:
    change = np.array([0.25, -0.6, 0.0, 3.0]).repeat(40_000)
    n = whole_pulses(change, 1.0, Streams(0).rng("pulses")).reshape(4, -1)
    np.testing.assert_allclose(n.mean(axis=1), [0.25, -0.6, 0, 3], atol=0.01)
    assert np.abs(n - [[0.25], [-0.6], [0], [3]]).max() < 1


def test_a_change_reaches_the_cells_of_a_chip() -> None:
    device = Device(name="d", window=Window(g_min=1e-6, g_max=1e-4), update=LinearUpdate(step_size=0.05e-6))
    chip = cim.program(cim.mlp([40, 30]), cim.ChipSpec(device=device, weights=cim.OffsetColumn()))
    matrix = chip.matrices[0].copies[0]
    change = 20.5 * matrix.weight_step * np.sign(Streams(0).rng("signs").standard_normal((40, 30)))
    n = whole_pulses(change, matrix.weight_step, Streams(0).rng("pulses"))
    after, _ = Pulser(matrix).pulse(matrix, n, Streams(1))
    moved = (after.weights() - matrix.weights()) / change
    inside = np.abs(matrix.weights()) < 0.9 * matrix.weight_scale
    assert moved[inside].mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre": np.full((1, 4), 2)}, "spikes: must be 0 or 1, got 2.0; encode the values first"),
        ({"dt": 0.02}, r"PairSTDP: the time step must be at most the shortest time constant, 0.015 s, got 0.02 s"),
        ({"dt": -1e-3}, r"PairSTDP: the time step must be positive \(seconds\), got -0.001"),
        ({"post": np.zeros((1, 4), bool)}, r"post: must have the shape of its traces, \(1, 3\), got shape \(1, 4\)"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    given = {"pre": np.zeros((1, 4), bool), "post": np.zeros((1, 3), bool), "dt": DT} | change
    with pytest.raises(InputError, match=message):
        RULE.step(RULE.rest(1, 4, 3), **given)


def test_bad_rewards_and_steps_are_named() -> None:
    rule = RewardSTDP()
    quiet = np.zeros((1, 1), bool)
    with pytest.raises(InputError, match="reward: must be finite, one per sample"):
        rule.step(rule.rest(1, 1, 1), quiet, quiet, np.array([np.nan]), DT)
    with pytest.raises(InputError, match=r"whole_pulses\.step: must be positive, got 0\.0; take matrix\.weight_step"):
        whole_pulses(np.ones(2), 0.0, Streams(0).rng("x"))
