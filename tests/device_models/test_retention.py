from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models.cards import load, parse
from device_models.checks import check_device
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.parameters import to_dict
from device_models.retention import (
    Arrhenius,
    DiffusiveSpread,
    LogTimeRelaxation,
    LogTimeShift,
    PowerLawDrift,
    Retention,
    TabulatedRetention,
)
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_normal
from tests.foreign import ForeignArray

N = 20_000
DAY = 86400.0
WAN = load("hfox-wan-2022").retention
JOSHI = load("pcm-joshi-2020").retention


def drawn(law: Retention, g: np.ndarray) -> np.ndarray:
    return np.asarray(law.draw(g, Streams(0).rng("retention")))


# --- power-law drift ---


@given(st.floats(-0.2, 0.2), st.floats(1e-3, 1e3), st.floats(0, 1e9))
def test_drift_is_the_power_law(nu: float, t0: float, seconds: float) -> None:
    law = PowerLawDrift(nu=nu, t0=t0)
    g = np.array([1e-6, 20e-6])
    expected = g * (seconds / t0) ** -nu if seconds > t0 else g
    np.testing.assert_allclose(law.apply(g, drawn(law, g), np.asarray(seconds)), expected, rtol=1e-12)


def test_nothing_drifts_before_t0() -> None:
    law = PowerLawDrift(nu=0.1, spread=0.05, t0=20.0)
    g = np.linspace(0, 25e-6, 50)
    for seconds in (0.0, 1.0, 20.0):
        np.testing.assert_array_equal(law.apply(g, drawn(law, g), np.asarray(seconds)), g)


def test_each_device_keeps_its_own_exponent() -> None:
    law = PowerLawDrift(nu=0.05, spread=0.02)
    g = np.full(N, 10e-6)
    sample = drawn(law, g)
    decade = [np.log(law.apply(g, sample, np.asarray(10.0**k)) / g) / np.log(10.0**k) for k in (1, 4, 8)]
    for exponent in decade:
        np.testing.assert_allclose(exponent, -sample[0], rtol=0, atol=1e-12)
    assert_normal(sample, 0.05, 0.02)


# Joshi 2020, Methods: mean clip(0.0244 - 0.0155 ln x, 0.049, 0.1), sigma clip(-0.0059 - 0.0125 ln x, 0.008, 0.045).
@pytest.mark.parametrize(
    ("x", "nu", "spread"),
    [(0.0, 0.1, 0.045), (1e-3, 0.1, 0.045), (0.1, 0.0600901, 0.0228823), (0.25, 0.049, 0.0114287), (1.0, 0.049, 0.008)],
)
def test_exponents_follow_the_state_within_their_bounds(x: float, nu: float, spread: float) -> None:
    assert isinstance(JOSHI, PowerLawDrift)
    g = np.full(N, x * 25e-6)
    np.testing.assert_allclose([law[0] for law in JOSHI.law(g)], [nu, spread], rtol=1e-5)
    assert_normal(drawn(JOSHI, g), *(law[0] for law in JOSHI.law(g)))


def test_without_slopes_every_state_drifts_alike() -> None:
    law = PowerLawDrift(nu=0.05, spread=0.0)
    np.testing.assert_array_equal(drawn(law, np.array([0.0, 1e-9, 1e-4]))[0], [0.05, 0.05, 0.05])


# --- relaxation in log time ---

TWO_STEPS = LogTimeRelaxation(times=(1.0, 100.0), sigma=((1e-6,), (3e-6,)), g_ref=40e-6, t0=0.01)


@pytest.mark.parametrize(
    ("seconds", "sigma"),
    [
        (1.0, [0.35, 1.56, 2.26, 2.02, 1.53, 1.10]),
        (DAY, [0.70, 2.45, 3.72, 3.91, 3.37, 2.65]),
        (2 * DAY, [0.78, 2.41, 3.66, 3.93, 3.37, 2.68]),
        (3650 * DAY, [0.78, 2.41, 3.66, 3.93, 3.37, 2.68]),
    ],
)
def test_wan_2022_spreads_as_published(seconds: float, sigma: list[float]) -> None:
    assert isinstance(WAN, LogTimeRelaxation)
    g = np.array([0, 0.1, 0.25, 0.5, 0.75, 1]) * 40e-6
    np.testing.assert_allclose(WAN.spread(g, np.asarray(seconds)) * 1e6, sigma, atol=5.1e-3)


@pytest.mark.parametrize(
    ("seconds", "sigma"),
    [(0, 0), (0.01, 0), (0.1, 0.5), (1, 1), (10, 2), (10**1.5, 2.5), (100, 3), (1e9, 3)],
)
def test_sigma_is_linear_in_log_time_between_the_table(seconds: float, sigma: float) -> None:
    spread = TWO_STEPS.spread(np.array([0.0, 40e-6]), np.asarray(float(seconds)))
    np.testing.assert_allclose(spread, sigma * 1e-6, rtol=1e-9, atol=1e-20)


@given(st.floats(0, 1), st.floats(-6, 9))
def test_sigma_is_that_of_numpys_interpolation(x: float, decade: float) -> None:
    assert isinstance(WAN, LogTimeRelaxation)
    g = np.array([x * 40e-6])
    table = [0.0, *(max(float(np.polynomial.Polynomial(row)(x)), 0.0) for row in WAN.sigma)]
    expected = np.interp(np.log(10**decade), np.log([WAN.t0, *WAN.times]), table)
    np.testing.assert_allclose(WAN.spread(g, np.asarray(10**decade)), expected, rtol=1e-9, atol=1e-16)


def test_shifts_are_normal_and_a_device_keeps_its_place_among_them() -> None:
    g = np.full(N, 30e-6)
    sample = drawn(TWO_STEPS, g)
    z = [(TWO_STEPS.apply(g, sample, np.asarray(t)) - g) / s for t, s in ((1.0, 1e-6), (100.0, 3e-6))]
    assert_normal(z[0], 0.0, 1.0)
    np.testing.assert_allclose(z[0], z[1], atol=1e-9)


def test_no_conductance_becomes_negative() -> None:
    g = np.full(N, 1e-6)
    later = TWO_STEPS.apply(g, drawn(TWO_STEPS, g), np.asarray(100.0))
    assert later.min() == 0.0
    assert 0.3 < (later == 0.0).mean() < 0.45  # P(z < -1/3) = 0.37


def test_a_negative_polynomial_means_no_spread() -> None:
    law = TWO_STEPS.replace(sigma=((1e-6, -4e-6), (3e-6,)))
    np.testing.assert_allclose(law.spread(np.array([0.0, 40e-6]), np.asarray(1.0)), [1e-6, 0.0], atol=1e-20)


# --- mean and spread in log time ---

CMO = LogTimeShift(shift=-0.0890e-6, spread=0.4118e-6, spread_slope=0.0420e-6)


@pytest.mark.parametrize("seconds", [1.0, 60.0, DAY, 3650 * DAY])
def test_cmo_hfox_shifts_and_spreads_as_published(seconds: float) -> None:
    # -0.0890 ln t and 0.0420 ln t + 0.4118 microsiemens, at any level.
    g = np.full(N, 50e-6)
    later = CMO.apply(g, drawn(CMO, g), np.asarray(seconds))
    assert_normal(later, 50e-6 - 0.0890e-6 * np.log(seconds), (0.0420 * np.log(seconds) + 0.4118) * 1e-6)


@given(st.floats(1e-9, 1e9), st.floats(1e-3, 1e3))
def test_its_lines_are_cut_off_before_t0_where_they_would_turn(seconds: float, t0: float) -> None:
    mean, spread = CMO.replace(t0=t0).law(np.asarray(seconds))
    x = np.log(seconds / t0)
    assert mean == pytest.approx(min(-0.0890e-6 * x, 0.0), rel=1e-9, abs=1e-20)
    assert spread == pytest.approx(max(0.4118e-6 + 0.0420e-6 * x, 0.0), rel=1e-9, abs=1e-20)


def test_a_spread_without_slope_is_there_at_once_but_not_at_the_write() -> None:
    law = LogTimeShift(spread=1e-6)
    assert [float(law.law(np.asarray(t))[1]) for t in (0.0, 1e-12, 1.0, 1e9)] == [0.0, 1e-6, 1e-6, 1e-6]


# --- diffusion ---


@given(st.floats(1e-3, 1e9), st.floats(0, 1e12))
def test_diffusion_goes_with_the_root_of_time_and_saturates(tau: float, seconds: float) -> None:
    law = DiffusiveSpread(saturation=2e-6, tau=tau)
    spread = float(law.spread(np.asarray(seconds)))
    assert spread <= min(2e-6 * np.sqrt(seconds / tau), 2e-6) * (1 + 1e-12)
    if seconds < 1e-4 * tau:
        assert spread == pytest.approx(2e-6 * np.sqrt(seconds / tau), rel=1e-4)
    if seconds > 20 * tau:
        assert spread == pytest.approx(2e-6, rel=1e-8)


def test_its_spread_is_that_of_a_simulated_ornstein_uhlenbeck_process() -> None:
    rng, x, dt, tau = Streams(1).rng("walk"), np.zeros(N), 0.01, 5.0
    for _ in range(300):
        x += -x / (2 * tau) * dt + 2e-6 * np.sqrt(dt / tau) * rng.standard_normal(N)
    assert x.std() == pytest.approx(float(DiffusiveSpread(saturation=2e-6, tau=tau).spread(np.asarray(3.0))), rel=0.02)


def test_diffused_cells_are_normal_and_keep_their_place() -> None:
    law, g = DiffusiveSpread(saturation=2e-6, tau=100.0), np.full(N, 30e-6)
    sample = drawn(law, g)
    z = [(law.apply(g, sample, np.asarray(t)) - g) / law.spread(np.asarray(t)) for t in (1.0, 50.0, 1e6)]
    assert_normal(z[0], 0.0, 1.0)
    np.testing.assert_allclose(z[1:], [z[0], z[0]], atol=1e-8)


# --- tables ---

TABLE = TabulatedRetention(
    times=(1.0, 100.0, 1e4),
    g=(0.0, 20e-6, 40e-6),
    shift=((0.0, -1e-6, -2e-6), (1e-6, -2e-6, -3e-6), (2e-6, -2e-6, -5e-6)),
    sigma=((0.1e-6, 0.2e-6, 0.4e-6), (0.2e-6, 0.4e-6, 0.8e-6), (0.5e-6, 0.6e-6, 0.9e-6)),
    t0=0.01,
)


@given(st.floats(0, 60e-6), st.floats(-4, 7))
def test_tables_are_looked_up_as_scipy_does(g: float, decade: float) -> None:
    from scipy.interpolate import RegularGridInterpolator

    knots = np.log([TABLE.t0, *TABLE.times])
    at = [np.clip(np.log(10**decade), knots[0], knots[-1]), min(g, 40e-6)]
    law = TABLE.law(np.array([g]), np.asarray(10**decade))
    for looked_up, table in zip(law, (TABLE.shift, TABLE.sigma), strict=True):
        oracle = RegularGridInterpolator((knots, TABLE.g), np.vstack([np.zeros(3), table]))
        np.testing.assert_allclose(looked_up, oracle(at), rtol=1e-9, atol=1e-18)


def test_cells_follow_the_table_in_distribution() -> None:
    g = np.full(N, 30e-6)
    later = TABLE.apply(g, drawn(TABLE, g), np.asarray(10.0))
    assert_normal(later, 30e-6 - 2e-6, 0.45e-6)  # halfway in log time and in g between four points


def test_a_table_left_out_is_zero() -> None:
    g = np.array([10e-6, 30e-6])
    only_shift, only_sigma = TABLE.replace(sigma=()), TABLE.replace(shift=())
    np.testing.assert_array_equal(only_shift.law(g, np.asarray(5.0))[1], 0.0)
    np.testing.assert_array_equal(only_sigma.law(g, np.asarray(5.0))[0], 0.0)


def test_a_table_of_constant_rows_is_the_relaxation_of_wan() -> None:
    table = TabulatedRetention(times=(1.0, 100.0), g=(20e-6,), sigma=((1e-6,), (3e-6,)), t0=0.01)
    g = np.linspace(0, 40e-6, 9)
    for seconds in (0.0, 0.1, 1.0, 20.0, 1e5):
        np.testing.assert_allclose(table.law(g, np.asarray(seconds))[1], TWO_STEPS.spread(g, np.asarray(seconds)))


# --- temperature ---


@pytest.mark.parametrize(
    ("energy", "hot", "cold", "factor"),
    [(0.7, 150, 85, 32.6), (1.0, 150, 85, 145), (1.5, 150, 85, 1748), (0.7, 125, 55, 77.7), (1.2, 125, 55, 1739)],
)
def test_the_acceleration_factor_is_that_of_arrhenius(energy: float, hot: int, cold: int, factor: float) -> None:
    hours = Arrhenius(law=CMO, activation_energy=energy, measured_at=hot + 273.15, temperature=cold + 273.15)
    assert 1 / hours.acceleration == pytest.approx(factor, rel=5e-3)
    back = hours.replace(measured_at=hours.temperature, temperature=hours.measured_at)
    assert back.acceleration * hours.acceleration == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("law", [WAN, JOSHI, CMO, TABLE], ids=lambda law: type(law).__name__)
def test_a_bake_is_the_same_law_with_time_scaled(law: Retention) -> None:
    baked = Arrhenius(law=law, activation_energy=1.0, measured_at=358.15, temperature=423.15)
    g = np.linspace(1e-6, 25e-6, 200)
    np.testing.assert_array_equal(drawn(baked, g), drawn(law, g))
    hot, cold = (x.apply(g, drawn(law, g), np.asarray(t)) for x, t in ((baked, 3600.0), (law, 3600.0 * 145.0)))
    np.testing.assert_allclose(hot, cold, rtol=2e-3)


def test_at_the_temperature_of_the_measurement_nothing_is_scaled() -> None:
    assert Arrhenius(law=CMO, activation_energy=1.3, measured_at=300.0, temperature=300.0).acceleration == 1.0


# --- what all laws share ---

SLOWED = Arrhenius(law=JOSHI, activation_energy=0.8, measured_at=400.0, temperature=300.0)
LAWS = [WAN, JOSHI, TWO_STEPS, CMO, DiffusiveSpread(saturation=2e-6, tau=1e4), TABLE, SLOWED]
NAMES = ["wan", "joshi", "two steps", "log time", "diffusion", "table", "arrhenius"]


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_a_device_with_the_law_keeps_every_promise(law: Retention) -> None:
    check_device(Device(name="drifts", window=Window(g_min=1e-6, g_max=40e-6), retention=law))


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_the_law_survives_a_card(law: Retention) -> None:
    device = Device(name="drifts", window=Window(g_min=1e-6, g_max=40e-6), retention=law)
    assert parse(to_dict(device), "card") == device


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_the_law_is_the_same_in_another_library(law: Retention) -> None:
    g, seconds = np.linspace(0, 40e-6, 12).reshape(3, 4), np.geomspace(1e-3, 1e7, 12).reshape(3, 4)
    sample = drawn(law, g)
    theirs = law.apply(ForeignArray(g), ForeignArray(sample), ForeignArray(seconds))
    np.testing.assert_allclose(theirs.get(), law.apply(g, sample, seconds), rtol=1e-12, atol=1e-18)
    foreign = law.draw(ForeignArray(g), ForeignArray.__generator__([1]))
    assert isinstance(foreign, ForeignArray)
    assert foreign.shape == sample.shape


@given(st.sampled_from(LAWS), st.floats(0, 1e8), st.floats(0, 1e8))
def test_later_is_the_same_whatever_the_steps_and_never_negative(law: Retention, a: float, b: float) -> None:
    device = Device(name="drifts", window=Window(g_min=0.0, g_max=40e-6), retention=law)
    streams = Streams(3)
    target = streams.rng("targets").uniform(0, 40e-6, 50)
    cells, _ = device.program(device.fabricate((50,), streams), target, streams)
    at_once, in_two = device.age(cells, a + b), device.age(device.age(cells, a), b)
    np.testing.assert_array_equal(device.conductance(at_once), device.conductance(in_two))
    assert (device.conductance(at_once) >= 0).all()


@pytest.mark.parametrize("law", LAWS, ids=NAMES)
def test_clocks_may_differ_from_cell_to_cell(law: Retention) -> None:
    g = np.linspace(1e-6, 25e-6, 6).reshape(2, 3)
    seconds = np.array([[0.0, 1.0, 50.0], [1e3, DAY, 1e7]])
    sample = drawn(law, g)
    assert sample.shape[1:] == g.shape
    each = [[law.apply(g, sample, np.asarray(t))[i, j] for j, t in enumerate(row)] for i, row in enumerate(seconds)]
    np.testing.assert_allclose(law.apply(g, sample, seconds), each, rtol=1e-12)


# --- what is refused ---


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"times": (1.0,)}, ": needs one polynomial per time, got 2 for 1 times"),
        ({"times": (5.0, 5.0)}, ": times must rise, the first above t0 (seconds), got (5.0, 5.0)"),
        ({"times": (0.001, 5.0)}, ": times must rise, the first above t0 (seconds), got (0.001, 5.0)"),
        ({"sigma": ((1.0,), (3.0,))}, ": sigma must be in siemens, got ((1.0,), (3.0,)); did you give microsiemens?"),
        ({"g_ref": 0.0}, ".g_ref: must be greater than 0 (siemens), got 0.0"),
    ],
)
def test_an_impossible_relaxation_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        TWO_STEPS.replace(**values)
    assert str(caught.value).startswith("LogTimeRelaxation" + text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nu": 2.0}, ".nu: must be less than or equal to 1, got 2.0"),
        (
            {"nu_bounds": (0.1, 0.049)},
            ".nu_bounds: the first must be below the second, got (0.1, 0.049); exchange them",
        ),
        ({"spread_bounds": (-0.1, 0.1)}, ": spread_bounds must be 0 or more (a standard deviation), got (-0.1, 0.1)"),
        ({"t0": 0.0}, ".t0: must be greater than 0 (seconds), got 0.0"),
    ],
)
def test_an_impossible_drift_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        PowerLawDrift(**{"nu": 0.05, **values})
    assert str(caught.value) == "PowerLawDrift" + text


@pytest.mark.parametrize(
    ("law", "values", "text"),
    [
        (CMO, {"shift": -0.089}, "LogTimeShift: shift must be in siemens, got -0.089; did you give microsiemens?"),
        (CMO, {"spread": 0.4118}, "LogTimeShift.spread: must be in siemens, 0 or between 1e-12 and 0.1, got 0.4118"),
        (CMO, {"t0": 0.0}, "LogTimeShift.t0: must be greater than 0 (seconds), got 0.0"),
        (TABLE, {"times": (1.0, 1.0, 2.0)}, "TabulatedRetention: times must rise, the first above t0 (seconds), got"),
        (TABLE, {"g": (0.0, 40e-6, 20e-6)}, "TabulatedRetention: g must rise, between 0 and 0.01 siemens, got (0.0,"),
        (
            TABLE,
            {"shift": ((0.0, 0.0),) * 3},
            "TabulatedRetention: shift needs one row for each time, with one value for each g, got rows of [2, 2, 2]",
        ),
        (TABLE, {"sigma": ((0.1, 0.2, 0.3),) * 3}, "TabulatedRetention: sigma must be in siemens, got ((0.1, 0.2, 0.3"),
        (TABLE, {"sigma": ((-1e-9, 0.0, 0.0),) * 3}, "TabulatedRetention: sigma must not be negative (a standard devi"),
        (SLOWED, {"temperature": 85.0}, "Arrhenius.temperature: must be in kelvin, between 100 and 1000, got 85.0; "),
        (SLOWED, {"measured_at": 100.0, "activation_energy": 2.0}, "Arrhenius: must not stretch time by more than exp"),
        (SLOWED, {"activation_energy": 1.6e-19}, "Arrhenius.activation_energy: must be in electronvolts, 0 or between"),
        (SLOWED, {"law": {"kind": "Powerlaw"}}, "Arrhenius.law: unknown 'kind', got Powerlaw; did you mean 'PowerLaw"),
    ],
)
def test_an_impossible_law_is_refused(law: Retention, values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        law.replace(**values)
    assert str(caught.value).startswith(text)
