"""Arrays of compact models: order of convergence, stability, noise, and agreement with scipy's solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from device_models import compact
from device_models.compact import CompactModel, hp, pulse_array, simulate, stanford, step_array, vteam, yakopcic
from device_models.compact.windows import Joglekar
from device_models.errors import InputError
from tests.device_models.laws import assert_normal, assert_same_law
from tests.foreign import ForeignArray, ForeignGenerator

MODELS = compact.PUBLISHED
# A drive of each published set: volts and seconds that move it over a good part of its range.
PULSES = {
    "hp-fig2b": (1.0, 0.3),
    "hp-fig2c": (1.0, 0.3),
    "vteam-memtorch": (0.1, 1e-6),
    "yakopcic-oblea-sine": (0.3, 2e-3),
    "yakopcic-oblea-triangle": (-0.3, 2e-3),
    "yakopcic-miao": (0.7, 0.2),
    "yakopcic-jo": (-2.0, 2.0),
    "stanford-default": (-1.5, 1e-7),
    "stanford-alox": (1.8, 1e-5),
}


class Relaxing(CompactModel):
    """dx/dt = (v - x) / tau: a linear rate, with a known solution."""

    tau: float
    initial: float = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        return -1.0, 1.0

    def current(self, x: Any, v: Any) -> Any:
        return x * v

    def velocity(self, x: Any, v: Any) -> Any:
        return (v - x) / self.tau


def spread_out(model: CompactModel, n: int = 9) -> np.ndarray:
    return np.linspace(*model.bounds, n + 2)[1:-1]


# --- accuracy ---


@pytest.mark.parametrize(
    ("model", "v", "seconds", "x"),
    [
        (hp.FIG_2B.replace(window=Joglekar(p=1)), 1.0, 0.05, np.array([0.3, 0.5, 0.6])),
        (yakopcic.OBLEA_SINE, 0.4, 5e-4, np.array([0.35, 0.5, 0.7])),
        (stanford.DEFAULT, -1.5, 4e-9, np.array([0.3e-9, 0.6e-9])),
    ],
)
def test_the_steps_are_of_third_order(model: CompactModel, v: float, seconds: float, x: np.ndarray) -> None:
    states = np.array([step_array(model, x, v, seconds / n, n) for n in (16, 32, 64, 128)])
    gaps = np.abs(np.diff(states, axis=0))
    np.testing.assert_allclose(np.log2(gaps[:-1] / gaps[1:])[-1], 3, atol=0.3)
    assert gaps[-1].max() < 1e-5 * np.ptp(model.bounds)


@pytest.mark.parametrize("dt", [1e-3, 1.0, 1e4])
def test_a_relaxation_at_a_linear_rate_is_followed_exactly_at_any_step(dt: float) -> None:
    x = np.array([-0.9, 0.0, 0.7])
    np.testing.assert_allclose(step_array(Relaxing(tau=1.0), x, 0.2, dt, 1), 0.2 + (x - 0.2) * np.exp(-dt), atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_a_pulse_agrees_with_scipys_solver(name: str) -> None:
    model, (v, seconds) = MODELS[name], PULSES[name]
    x = spread_out(model, 3)
    alone = [simulate(model, [0, seconds / 2, seconds], [v] * 3, x0, method="RK45").x[-1] for x0 in x]
    got = pulse_array(model, x, v, seconds)
    np.testing.assert_allclose(got, alone, atol=2e-6 * np.ptp(model.bounds))
    assert np.abs(got - x).max() > 0.05 * np.ptp(model.bounds)


@pytest.mark.parametrize("name", ["hp-fig2c", "yakopcic-oblea-sine", "yakopcic-jo", "stanford-default"])
def test_fixed_steps_along_a_waveform_agree_with_scipys_solver(name: str) -> None:
    model, n = MODELS[name], 200
    amplitude, seconds = {"hp-fig2c": (1.0, 1.0), "yakopcic-oblea-sine": (0.45, 0.01), "yakopcic-jo": (3.0, 5.0)}.get(
        name, (1.4, 1e-6)
    )
    t = np.linspace(0, seconds, n + 1)

    def wave(time: Any) -> Any:
        return amplitude * np.sin(2 * np.pi * time / seconds)

    x, states = np.array([model.initial]), [model.initial]
    for middle in (t[1:] + t[:-1]) / 2:
        x = step_array(model, x, wave(middle), seconds / n, 1)
        states.append(float(x[0]))
    np.testing.assert_allclose(states, simulate(model, t, wave).x, atol=3e-3 * np.ptp(model.bounds))


def test_a_pulse_in_two_parts_is_one_pulse() -> None:
    model, x = stanford.DEFAULT, spread_out(stanford.DEFAULT)
    once = pulse_array(model, x, -1.5, 5e-8)
    twice = pulse_array(model, pulse_array(model, x, -1.5, 2e-8), -1.5, 3e-8)
    np.testing.assert_allclose(twice, once, atol=1e-6 * np.ptp(model.bounds))


# --- bounds and stability ---


@given(
    st.sampled_from(list(MODELS.values())), st.floats(0, 1), st.floats(-3, 3), st.integers(-12, 2), st.integers(1, 4)
)
def test_no_step_leaves_the_bounds(model: CompactModel, share: float, v: float, decade: int, steps: int) -> None:
    low, high = model.bounds
    x = step_array(model, np.array([low + share * (high - low)]), v, 10.0**decade, steps)
    assert ((x >= low) & (x <= high)).all()


def test_steps_far_longer_than_the_relaxation_are_stable() -> None:
    model = yakopcic.OBLEA_SINE
    x = step_array(model, spread_out(model), -0.45, 1.0, 50)  # relaxes in about a millisecond
    np.testing.assert_allclose(x, 0, atol=1e-3)


def test_a_cliff_of_the_rate_does_not_throw_a_state_across_its_range() -> None:
    model, v = stanford.DEFAULT, 1.2  # halfway through the narrow rise of gamma at the least field
    gamma = model.f_min * (1 + stanford.CUT_OFF / 2) * model.t_ox / v
    x = np.array([1e-9 * ((model.gamma0 - gamma) / model.beta) ** (1 / 3)])
    fast = float(np.abs(model.velocity(x - 1e-12, v))[0])
    dt = 1e-4 * np.ptp(model.bounds) / fast
    assert 0 < x[0] - step_array(model, x, v, dt, 1)[0] < 2 * dt * fast


def test_a_state_that_runs_away_ends_at_its_bound() -> None:
    np.testing.assert_array_equal(step_array(Relaxing(tau=-1e-3), np.array([-0.1, 0.1]), 0.0, 1.0, 5), [-1.0, 1.0])


def test_a_slow_stretch_between_fast_ones_is_not_missed() -> None:
    class Stretch(Relaxing):
        def velocity(self, x: Any, v: Any) -> Any:
            return v * (1 - 0.9 * np.exp(-(((x - 0.1) / 0.1) ** 2)))

    model, ends = Stretch(tau=1.0), np.array([-0.7, 0.8])
    seconds = quad(lambda x: 1 / model.velocity(x, 1.0), *ends, points=[0.1])[0]
    np.testing.assert_allclose(pulse_array(model, ends[:1], 1.0, seconds), ends[1:], atol=1e-5)


# --- shapes and libraries ---


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (7,), (2, 4, 3)])
def test_devices_of_an_array_are_strangers(shape: tuple[int, ...]) -> None:
    model, rng = yakopcic.MIAO, np.random.default_rng(1)
    x, v = rng.random(shape), rng.uniform(-1.5, 1.0, shape)
    for run in (lambda x, v: step_array(model, x, v, 0.01, 3), lambda x, v: pulse_array(model, x, v, 0.03)):
        got = run(x, v)
        alone = [run(np.array([a]), np.array([b]))[0] for a, b in zip(x.ravel(), v.ravel(), strict=True)]
        assert got.shape == shape
        np.testing.assert_allclose(got, np.reshape(alone, shape), rtol=1e-12)


def test_voltages_broadcast() -> None:
    x = np.full((2, 3), 0.4)
    rows = step_array(hp.FIG_2B, x, np.array([[1.0], [-1.0]]), 0.01, 2)
    assert (rows[0] > 0.4).all()
    assert (rows[1] < 0.4).all()


def test_no_steps_change_nothing_and_none_writes_into_its_input() -> None:
    x = np.array([0.2, 0.4])
    np.testing.assert_array_equal(step_array(hp.FIG_2B, x, 1.0, 0.01, 0), x)
    step_array(hp.FIG_2B, x, 1.0, 0.01, 3)
    pulse_array(hp.FIG_2B, x, 1.0, 0.01)
    np.testing.assert_array_equal(x, [0.2, 0.4])


@pytest.mark.parametrize("name", MODELS)
def test_single_precision_stays_single(name: str) -> None:
    model, (v, seconds) = MODELS[name], PULSES[name]
    x = spread_out(model).astype(np.float32)
    got = step_array(model, x, np.float32(v), seconds / 100, 20)
    assert got.dtype == np.float32
    exact = step_array(model, x.astype(np.float64), v, seconds / 100, 20)
    np.testing.assert_allclose(got, exact, atol=1e-3 * np.ptp(model.bounds))


@pytest.mark.parametrize("name", MODELS)
def test_another_array_library_gives_the_same_states(name: str) -> None:
    model, (v, seconds) = MODELS[name], PULSES[name]
    x, volts = spread_out(model, 5), np.linspace(-v, v, 5)
    got = step_array(model, ForeignArray(x), ForeignArray(volts), seconds / 8, 4)
    np.testing.assert_array_equal(got.get(), step_array(model, x, volts, seconds / 8, 4))


def test_another_array_library_gives_the_same_pulses() -> None:
    x = np.array([0.2, 0.4, 0.6])
    got = pulse_array(yakopcic.MIAO, ForeignArray(x), 0.7, 0.01, tolerance=1e-4)
    np.testing.assert_array_equal(got.get(), pulse_array(yakopcic.MIAO, x, 0.7, 0.01, tolerance=1e-4))


def test_noise_is_drawn_where_the_states_are() -> None:
    x = step_array(stanford.DEFAULT, ForeignArray(np.full(5, 1e-9)), 0.0, 1e-9, 3, ForeignGenerator(1))
    assert isinstance(x, ForeignArray)
    assert np.ptp(x.get()) > 0


# --- noise ---


@pytest.mark.parametrize("steps", [1, 10, 40])
def test_the_gap_walks_at_random_whatever_the_step(steps: int) -> None:
    x = step_array(stanford.DEFAULT, np.full(10_000, 1e-9), 0.0, 1e-8 / steps, steps, np.random.default_rng(2))
    published = 0.02 / (1 + np.exp((450 - 298) / 500)) * 1e-9  # of one step of the 1 ns it is stated for, metres
    assert_normal(x, 1e-9, published * 10**0.5)


def test_noise_on_a_moving_gap_does_not_depend_on_the_step() -> None:
    start = np.full(2_000, 0.6e-9)
    coarse, fine = (step_array(stanford.DEFAULT, start, -1.4, 2e-8 / n, n, np.random.default_rng(n)) for n in (50, 150))
    assert_same_law(coarse, fine)


def test_a_model_without_noise_ignores_the_generator() -> None:
    x = spread_out(vteam.MEMTORCH_DEFAULT)
    noisy = step_array(vteam.MEMTORCH_DEFAULT, x, 0.1, 1e-8, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, step_array(vteam.MEMTORCH_DEFAULT, x, 0.1, 1e-8, 5))


# --- bad input ---


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((np.array([1.2]), 1.0, 0.1, 1), "^state: must lie between 0 and 1, got 1.2"),
        ((np.array([np.nan]), 1.0, 0.1, 1), "^state: must lie between 0 and 1"),
        ((np.array([0.2]), 100.0, 0.1, 1), "^v: must be in volts, at most 20"),
        ((np.array([0.2]), 1.0, 0.0, 1), r"^dt: must be a positive time \(seconds\), got 0.0"),
        ((np.array([0.2]), 1.0, np.nan, 1), "^dt: must be a positive time"),
        ((np.array([0.2]), 1.0, 0.1, -1), "^steps: must be an integer, 0 or more, got -1"),
        ((np.array([0.2]), 1.0, 0.1, 1.5), "^steps: must be an integer"),
    ],
)
def test_bad_input_is_refused(arguments: Any, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        step_array(hp.FIG_2B, *arguments)


def test_a_pulse_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^seconds: must be a positive time"):
        pulse_array(hp.FIG_2B, np.array([0.1]), 1.0, -1.0)
    monkeypatch.setattr("device_models.compact.arrays.ROUNDS", 2)
    with pytest.raises(InputError, match=r"^pulse_array: a pulse must end within 2 steps, got .* s left"):
        pulse_array(hp.FIG_2B, np.array([0.1]), 1.0, 0.5)
