"""What every code promises, and each code's law of error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from cimsim.backend import generator
from cimsim.network.coding import (
    Burst,
    Code,
    Direct,
    LinearLatency,
    LogLatency,
    Phase,
    PoissonRate,
    RegularRate,
    first_spike,
    spike_count,
)
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict
from device_models.streams import Streams
from tests.foreign import ForeignArray

CODES: list[Code] = [
    PoissonRate(steps=40, peak=0.5),
    RegularRate(steps=40),
    RegularRate(steps=40, peak=0.3),
    LinearLatency(steps=33),
    LogLatency(steps=60, tau=20.0, threshold=0.1),
    Phase(steps=16),
    Burst(steps=20),
    Direct(steps=5),
]
SPIKING = [code for code in CODES if not isinstance(code, Direct)]
GRID = np.linspace(0, 1, 401)[None]  # all values, exact multiples included
UNIT = st.floats(0, 1)


def rng(like: object = GRID) -> object:
    return generator(like, Streams(0), "code")


def back(code: Code, x: np.ndarray = GRID) -> np.ndarray:
    return code.decode(code.encode(x, rng()))


# --- promises of all codes ---


@pytest.mark.parametrize("code", SPIKING, ids=repr)
def test_rasters_are_bool_batches_first(code: Code) -> None:
    spikes = code.encode(np.random.default_rng(0).random((3, 7)), rng())
    assert (spikes.shape, spikes.dtype) == ((3, code.steps, 7), np.bool_)
    assert code.decode(spikes).shape == (3, 7)
    np.testing.assert_array_equal(code.decode(spikes.astype(np.float32)), code.decode(spikes))


@pytest.mark.parametrize("code", CODES, ids=repr)
def test_another_library_gives_the_same(code: Code) -> None:
    x = np.random.default_rng(1).random((2, 30)).astype(np.float32)
    here = code.encode(x, Streams(3).rng("code"))
    abroad = code.encode(ForeignArray(x), rng(ForeignArray(x)))
    if not isinstance(code, PoissonRate):
        np.testing.assert_array_equal(abroad.get(), here)
    again = code.decode(ForeignArray(here))
    assert isinstance(again, ForeignArray)
    np.testing.assert_array_equal(again.get(), code.decode(here))


@pytest.mark.parametrize("code", CODES, ids=repr)
def test_a_code_is_written_and_read_without_loss(code: Code) -> None:
    assert Code.model_validate(to_dict(code)) == code


@pytest.mark.parametrize("code", CODES, ids=repr)
@pytest.mark.parametrize(
    ("x", "rule"),
    [
        ([[0.5, 1.01]], "x: must lie between 0 and 1, got 0.5 to 1.01"),
        ([[-0.1]], "x: must lie between 0 and 1"),
        ([[np.nan]], "x: must lie between 0 and 1, got nan to nan"),
        ([0.5, 0.5], r"axes \(batch, features\), got shape \(2,\)"),
        (np.zeros((0, 3)), r"axes \(batch, features\)"),
        (np.array([["a"]]), "x: must hold numbers"),
    ],
)
def test_values_that_cannot_be_encoded(code: Code, x: object, rule: str) -> None:
    with pytest.raises((InputError, ValueError), match=rule):
        code.encode(np.asarray(x), rng())


@pytest.mark.parametrize("code", SPIKING, ids=repr)
def test_spikes_that_cannot_be_decoded(code: Code) -> None:
    good = np.zeros((2, code.steps, 3))
    for bad, rule in (
        (good + 0.5, r"spikes: must be 0 or 1, got 0\.5"),
        (good + 2, r"must be 0 or 1, got 2\.0"),
        (good * np.nan, "must be 0 or 1, got nan"),
        (good[:, 1:], f"spikes: must have {code.steps} steps, got {code.steps - 1}"),
        (good[0], r"axes \(batch, steps, features\)"),
        (good.astype(complex), "must be bool, or numbers"),
    ):
        with pytest.raises(InputError, match=rule):
            code.decode(bad)


# --- rate ---


@pytest.mark.parametrize("peak", [1.0, 0.25])
def test_poisson_counts_are_binomial(peak: float) -> None:
    code, x = PoissonRate(steps=50, peak=peak), np.array([0.02, 0.3, 0.8])
    counts = spike_count(code.encode(np.broadcast_to(x, (20_000, 3)), Streams(1).rng("code")))
    p = peak * x
    assert np.all(np.abs(counts.mean(axis=0) - 50 * p) < 4 * np.sqrt(50 * p * (1 - p) / 20_000))
    np.testing.assert_allclose(counts.var(axis=0), 50 * p * (1 - p), rtol=0.05)
    spread = (counts / (50 * peak)).std(axis=0)
    np.testing.assert_allclose(spread, np.sqrt(x * (1 / peak - x) / 50), rtol=0.03)


def test_poisson_intervals_are_geometric_and_steps_independent() -> None:
    spikes = PoissonRate(steps=100_000).encode(np.array([[0.1]]), Streams(2).rng("code"))[0, :, 0]
    gaps = np.diff(np.flatnonzero(spikes))
    assert gaps.mean() == pytest.approx(10, rel=0.03)
    assert gaps.std() == pytest.approx(np.sqrt(0.9) / 0.1, rel=0.04)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.04


def test_poisson_ends_are_certain_and_the_seed_fixes_the_rest() -> None:
    class Extreme:
        """Draws the least and the largest number there is in [0, 1)."""

        def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return np.where(np.arange(shape[1]) % 2, np.nextafter(np.float32(1), 0), 0)[:, None] * np.ones(shape, dtype)

    code = PoissonRate(steps=1000)
    spikes = code.encode(np.array([[0.0, 1.0]]), Extreme())
    assert not spikes[0, :, 0].any()
    assert spikes[0, :, 1].all()
    np.testing.assert_array_equal(code.encode(GRID, Streams(5).rng("c")), code.encode(GRID, Streams(5).rng("c")))
    with pytest.raises(InputError, match=r"PoissonRate: needs a random generator, got none; give rng="):
        code.encode(GRID)


@given(UNIT, st.integers(1, 200), st.floats(0.01, 1))
def test_regular_rate_errs_by_half_a_spike(x: float, steps: int, peak: float) -> None:
    code = RegularRate(steps=steps, peak=peak)
    assert abs(back(code, np.array([[x]]))[0, 0] - x) <= 1 / (2 * steps * peak) + 1e-9


@given(st.floats(0.01, 1))
def test_regular_spikes_are_evenly_spaced(x: float) -> None:
    gaps = np.diff(np.flatnonzero(RegularRate(steps=300).encode(np.array([[x]]))[0, :, 0]))
    assert set(gaps) <= {np.floor(1 / x), np.ceil(1 / x)}


@pytest.mark.parametrize("peak", [1.0, 0.25])
def test_regular_spikes_come_when_the_law_says(peak: float) -> None:
    x = np.arange(257)[None] / 256  # exact, with the ties at half-way
    spikes = RegularRate(steps=300, peak=peak).encode(x)[0]
    t = np.arange(1, 301)[:, None]
    np.testing.assert_array_equal(np.cumsum(spikes, axis=0), np.floor(t * peak * x + 0.5))


def test_direct_code_is_a_constant_current_without_memory_per_step() -> None:
    x = np.random.default_rng(2).random((3, 4))
    currents = Direct(steps=1000).encode(x)
    assert currents.shape == (3, 1000, 4)
    assert currents.strides[1] == 0
    np.testing.assert_allclose(Direct(steps=1000).decode(currents), x, rtol=1e-12)
    with pytest.raises(InputError, match=r"axes \(batch, 5, features\)"):
        Direct(steps=5).decode(currents)


# --- time to first spike ---


@pytest.mark.parametrize("code", [LinearLatency(steps=33), LogLatency(steps=60, tau=20.0, threshold=0.1)], ids=repr)
def test_one_spike_at_most_and_larger_values_come_first(code: Code) -> None:
    spikes = code.encode(GRID)
    assert spike_count(spikes).max() == 1
    assert np.all(np.diff(first_spike(spikes)[0]) <= 0)


@given(UNIT, st.integers(1, 300))
def test_linear_latency_errs_by_half_a_step(x: float, steps: int) -> None:
    assert abs(back(LinearLatency(steps=steps), np.array([[x]]))[0, 0] - x) <= 1 / (2 * steps) + 1e-12


def test_linear_latency_is_the_formula() -> None:
    """t = (1 - x) T: the largest value at once, 0 never."""
    spikes = LinearLatency(steps=4).encode(np.array([[1.0, 0.75, 0.5, 0.25, 0.0]]))
    np.testing.assert_array_equal(first_spike(spikes), [[0, 1, 2, 3, 4]])
    assert not spikes[0, :, 4].any()


@given(st.floats(0.1001, 1), st.floats(1, 100), st.integers(10, 400))
def test_log_latency_errs_by_half_a_step_in_time(x: float, tau: float, steps: int) -> None:
    if -tau * np.log1p(-0.1) > steps - 0.5:
        return
    code = LogLatency(steps=steps, tau=tau, threshold=0.1)
    t, decoded = tau * np.log(x / (x - 0.1)), back(code, np.array([[x]]))[0, 0]
    if t > steps - 0.5 + 1e-9:
        assert decoded == 0
    elif t < steps - 0.5 - 1e-9:
        later, earlier = (0.1 / -np.expm1(-max(s, 1e-12) / tau) for s in (t + 0.5, t - 0.5))
        assert later - 1e-9 <= decoded <= min(earlier, 1) + 1e-9


def test_log_latency_error_is_finest_for_small_values() -> None:
    """To first order half a step is x (x - threshold) / (2 tau threshold) in value."""
    x, code = np.linspace(0.12, 1, 2000)[None], LogLatency(steps=2000, tau=500.0, threshold=0.1)
    bound = x * (x - 0.1) / (2 * 500 * 0.1)
    error = np.abs(back(code, x) - x)
    assert np.all(error <= bound * 1.02)
    assert np.max(error / bound) > 0.95


def test_log_latency_is_when_a_leaky_integrator_crosses_the_threshold() -> None:
    for x in (0.15, 0.5, 1.0):

        def crossed(_: float, v: np.ndarray) -> float:
            return v[0] - 0.1

        leak = solve_ivp(lambda _, v, x=x: (x - v) / 20, (0, 60), [0.0], events=crossed, rtol=1e-9, atol=1e-12)
        spikes = LogLatency(steps=60, tau=20.0, threshold=0.1).encode(np.array([[x]]))
        assert first_spike(spikes)[0, 0] == round(leak.t_events[0][0])


def test_values_at_or_below_the_threshold_stay_silent() -> None:
    code = LogLatency(steps=10_000, tau=20.0, threshold=0.1)
    assert not code.encode(np.array([[0.0, 0.05, 0.1]])).any()
    np.testing.assert_array_equal(code.decode(np.zeros((1, 10_000, 2))), [[0, 0]])


# --- phase and burst ---


@given(UNIT, st.integers(1, 12), st.integers(1, 4))
def test_phase_errs_by_half_of_the_last_bit(x: float, bits: int, periods: int) -> None:
    code = Phase(steps=bits * periods, bits=bits)
    top = 1 - 2.0**-bits
    bound = 2.0 ** -(bits + 1) if x <= top else 2.0**-bits
    assert abs(back(code, np.array([[x]]))[0, 0] - x) <= bound + 1e-12


def test_phase_is_the_binary_digits() -> None:
    spikes = Phase(steps=16).encode(np.array([[0b10110001 / 256]]))[0, :, 0]
    assert "".join("1" if s else "0" for s in spikes) == "10110001" * 2


def test_all_numbers_of_phase_come_back_exactly() -> None:
    x = np.arange(256)[None] / 256
    np.testing.assert_array_equal(back(Phase(steps=24), x), x)


@given(UNIT, st.integers(2, 9), st.integers(1, 5), st.integers(1, 12))
def test_burst_errs_by_half_of_the_finer_of_count_and_distance(x: float, most: int, shortest: int, span: int) -> None:
    longest = shortest + span
    code = Burst(steps=most * (longest + 1), most=most, shortest=shortest, longest=longest)
    error = abs(back(code, np.array([[x]]))[0, 0] - x)
    fine = 1 / (2 * span) if x > 1 / most + 1e-9 else 1 / (2 * most)
    assert error <= min(1 / (2 * most), fine) + 1e-9


def test_burst_is_the_formula() -> None:
    code = Burst(steps=20)
    spikes = code.encode(np.array([[0.0, 0.1, 0.5, 1.0]]))[0]
    found = [list(np.flatnonzero(spikes[:, n])) for n in range(4)]
    assert found == [[], [0], [0, 5, 10], [0, 2, 4, 6, 8]]  # N = 0, 1, 3, 5; distance 8 - 6 x, rounded up


def test_every_burst_fits_its_window() -> None:
    code = Burst(steps=17)
    x = np.concatenate([GRID, np.nextafter(np.arange(1, 6)[None] / 5, 1).clip(0, 1)], axis=1)
    np.testing.assert_array_equal(spike_count(code.encode(x)), np.ceil(5 * x))
    with pytest.raises(ParameterError, match="every burst must fit: steps must be 17 or more"):
        Burst(steps=16)


def test_parameters_that_cannot_be() -> None:
    with pytest.raises(ParameterError, match=r"steps must be a multiple of bits \(8\), got 12"):
        Phase(steps=12)
    with pytest.raises(ParameterError, match=r"x = 1 must fire within the window"):
        LogLatency(steps=3, tau=100.0, threshold=0.1)
    with pytest.raises(ParameterError, match="shortest must be below longest"):
        Burst(steps=100, shortest=8)
    with pytest.raises(ParameterError, match="steps"):
        LinearLatency(steps=0)
    with pytest.raises(ParameterError, match="peak"):
        PoissonRate(steps=4, peak=0.0)
