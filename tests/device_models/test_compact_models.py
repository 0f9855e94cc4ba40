"""The equations of the compact models, against their papers' formulas written out, and the laws all of them keep."""

from __future__ import annotations

from math import cosh, exp, sinh
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models import compact
from device_models.compact import CompactModel, hp, stanford, vteam, yakopcic
from device_models.compact.windows import Biolek, DriftWindow, Joglekar, Prodromakis, Strukov
from device_models.errors import ParameterError
from device_models.parameters import Parameters, to_dict

MODELS = compact.PUBLISHED
models = st.sampled_from(list(MODELS.values()))
shares, volts = st.floats(0, 1), st.floats(-5, 5)
X = np.linspace(0, 1, 101)


def state(model: CompactModel, share: Any) -> Any:
    low, high = model.bounds
    return low + (high - low) * np.asarray(share)


# --- all models ---


@given(models, shares, volts)
def test_a_device_never_gives_energy(model: CompactModel, share: float, v: float) -> None:
    assert v * model.current(state(model, share), v) >= 0


@given(models, shares)
def test_no_voltage_no_current_and_no_motion(model: CompactModel, share: float) -> None:
    assert model.current(state(model, share), 0.0) == 0
    assert model.rate(state(model, share), 0.0) == 0


@given(models, volts)
def test_the_rate_never_leads_out_of_the_bounds(model: CompactModel, v: float) -> None:
    low, high = model.bounds
    assert model.rate(np.array(low), v) >= 0
    assert model.rate(np.array(high), v) <= 0


@given(models, shares, volts)
def test_between_the_bounds_the_rate_is_the_velocity(model: CompactModel, share: float, v: float) -> None:
    x = state(model, 0.01 + 0.98 * share)
    assert model.rate(x, v) == model.velocity(x, v)


@pytest.mark.parametrize("name", MODELS)
def test_every_method_works_element_by_element(name: str) -> None:
    model, rng = MODELS[name], np.random.default_rng(0)
    for shape in [(0, 4), (7,), (2, 4, 3)]:
        x, v = state(model, rng.random(shape)), rng.uniform(-2, 2, shape)
        for method in (model.current, model.velocity, model.rate, model.diffusion):
            got = method(x, v)
            single = [float(method(np.array(a), float(b))) for a, b in zip(x.ravel(), v.ravel(), strict=True)]
            np.testing.assert_allclose(got, np.reshape(single, shape), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_set_starts_inside_and_survives_the_way_to_plain_values(name: str) -> None:
    class Holder(Parameters):
        model: CompactModel

    low, high = MODELS[name].bounds
    assert low <= MODELS[name].initial <= high
    holder = Holder(model=MODELS[name])
    assert Holder(**to_dict(holder)) == holder


# --- windows ---


WINDOWS: list[DriftWindow] = [Strukov(), Joglekar(p=1), Joglekar(p=7), Prodromakis(p=1.0), Prodromakis(p=8.5, j=2.0)]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_symmetric_window_is_0_at_both_bounds_and_largest_in_the_middle(window: DriftWindow) -> None:
    f = window.factor(X, 1.0)
    np.testing.assert_allclose(f, f[::-1], atol=1e-12)
    assert f[[0, -1]] == pytest.approx(0, abs=1e-12)
    assert f[50] == f.max()
    np.testing.assert_array_equal(f, window.factor(X, -1.0))


def test_windows_of_the_first_order_are_parabolas() -> None:
    np.testing.assert_allclose(Strukov().factor(X, 1.0), X * (1 - X))
    np.testing.assert_allclose(Joglekar(p=1).factor(X, 1.0), 4 * X * (1 - X), atol=1e-15)
    np.testing.assert_allclose(Prodromakis(p=1.0).factor(X, 1.0), X * (1 - X), atol=1e-15)


def test_the_height_of_prodromakis_scales() -> None:
    assert Prodromakis(p=8.5, j=2.0).factor(0.5, 1.0) == pytest.approx(2 * (1 - 0.75**8.5))


def test_biolek_blocks_the_bound_ahead_only() -> None:
    window = Biolek(p=2)
    np.testing.assert_allclose(window.factor(X, 1.0), 1 - X**4)
    np.testing.assert_allclose(window.factor(X, -1.0), 1 - (1 - X) ** 4)
    np.testing.assert_array_equal(window.factor(np.array([0.0, 1.0]), np.array([1.0, -1.0])), [1.0, 1.0])


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_state_on_a_bound_is_locked(window: DriftWindow) -> None:
    model = hp.FIG_2B.replace(window=window)
    assert model.rate(np.array([0.0, 1.0]), np.array([1.0, -1.0])) == pytest.approx(0, abs=1e-10)


def test_a_state_on_a_bound_comes_back_with_biolek_and_without_a_window() -> None:
    at, away = np.array([0.0, 1.0]), np.array([1.0, -1.0])
    free = hp.FIG_2B.velocity(at, away)
    np.testing.assert_allclose(hp.FIG_2B.rate(at, away), free)
    np.testing.assert_allclose(hp.FIG_2B.replace(window=Biolek(p=3)).rate(at, away), free)


# --- linear ion drift ---


def test_the_published_scales_of_linear_ion_drift() -> None:
    model = hp.FIG_2B
    assert model.current(np.array(1.0), 1.0) == pytest.approx(10e-3)  # i0 = v0 / R_on
    assert model.resistance(np.array(0.0)) / model.resistance(np.array(1.0)) == pytest.approx(160)
    assert hp.FIG_2C.r_off / hp.FIG_2C.r_on == pytest.approx(380)
    assert 1 / model.velocity(np.array(1.0), 1.0) == pytest.approx(10e-3)  # t0 = D^2 / (mobility v0)


# --- VTEAM ---


def test_vteam_rests_between_its_thresholds() -> None:
    model = vteam.MEMTORCH_DEFAULT
    v = np.linspace(model.v_on, model.v_off, 101)
    np.testing.assert_array_equal(model.rate(state(model, 0.5), v), np.zeros(101))


@pytest.mark.parametrize("v", [0.03, 0.2, -0.25, -0.6])
def test_vteam_moves_by_powers_beyond_them(v: float) -> None:
    expected = 5e-4 * (v / 0.02 - 1) if v > 0 else -10 * (v / -0.2 - 1) ** 3
    assert vteam.MEMTORCH_DEFAULT.rate(np.array(1e-9), v) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("curve", ["linear", "exponential"])
def test_vteam_runs_from_one_resistance_to_the_other(curve: str) -> None:
    model = vteam.MEMTORCH_DEFAULT.replace(curve=curve)
    r = 1 / model.conductance(state(model, X), 0.1)
    np.testing.assert_allclose(r[[0, -1]], [50.0, 1000.0], rtol=1e-12)
    straight = r if curve == "linear" else np.log(r)
    np.testing.assert_allclose(np.diff(straight, 2), 0, atol=1e-10)


def test_the_window_of_vteam_sees_the_share_and_the_direction() -> None:
    model = vteam.MEMTORCH_DEFAULT.replace(window=Biolek(p=1))
    x, bare = state(model, 0.25), vteam.MEMTORCH_DEFAULT
    assert model.rate(x, 0.1) == pytest.approx(bare.rate(x, 0.1) * (1 - 0.25**2))
    assert model.rate(x, -0.3) == pytest.approx(bare.rate(x, -0.3) * (1 - 0.75**2))


# --- Yakopcic ---


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.49, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("v", [0.4, 0.16, 0.1, -0.1, -0.15, -0.4])
def test_yakopcic_is_its_papers_formulas(share: float, v: float) -> None:
    m = yakopcic.OBLEA_SINE.replace(a2=0.2)
    wp, wn = (m.x_p - share) / (1 - m.x_p) + 1, share / (1 - m.x_n)
    f_up = exp(-m.alpha_p * (share - m.x_p)) * wp if share >= m.x_p else 1
    f_down = exp(m.alpha_n * (share + m.x_n - 1)) * wn if share <= 1 - m.x_n else 1
    g = 4000 * (exp(v) - exp(0.16)) if v > 0.16 else -4000 * (exp(-v) - exp(0.15)) if v < -0.15 else 0
    assert m.velocity(np.array(share), v) == pytest.approx(g * (f_up if v > 0 else f_down), rel=1e-12, abs=1e-9)
    assert m.current(np.array(share), v) == pytest.approx((0.17 if v >= 0 else 0.2) * share * sinh(0.05 * v))


def test_yakopcic_with_the_other_sign_mirrors_the_motion() -> None:
    m, mirrored = yakopcic.JO, yakopcic.JO.replace(eta=-1, a_p=0.08, a_n=0.005, v_p=0.5, v_n=1.5)
    np.testing.assert_allclose(mirrored.velocity(X, -2.0), m.velocity(X, 2.0))
    np.testing.assert_allclose(mirrored.velocity(X, 2.0), m.velocity(X, -2.0))


# --- Stanford-PKU ---


@pytest.mark.parametrize(("gap", "ohms"), [(0.2e-9, 542.0), (1.7e-9, 218.6e3)])
def test_resistance_of_the_stanford_model_at_both_ends_of_its_gap(gap: float, ohms: float) -> None:
    assert 1 / stanford.DEFAULT.conductance(np.array(gap), 0.1) == pytest.approx(ohms, rel=1e-3)


@pytest.mark.parametrize("gap", [0.2e-9, 0.9e-9, 1.4e-9])
@pytest.mark.parametrize("v", [1.6, 1.0, -1.0, -1.6, "just above the least field", "just below"])
def test_the_stanford_model_is_its_authors_formulas(gap: float, v: float | str) -> None:
    if isinstance(v, str):
        v = 1.4e9 * 12e-9 / (16 - 0.8 * (gap * 1e9) ** 3) * (1 + (1e-5 if "above" in v else -1e-5))
    i = 1e-3 * exp(-gap / 0.25e-9) * sinh(v / 0.25)
    t = 298 + abs(v * i) * 2.1e3
    gamma = 16 - 0.8 * (gap * 1e9) ** 3
    gamma = 0 if gamma * abs(v) / 12e-9 < 1.4e9 else gamma
    kt = 1.380649e-23 * t / 1.602176634e-19
    expected = -10 * exp(-0.6 / kt) * sinh(gamma * 0.25 / 12 * v / kt)
    assert stanford.DEFAULT.temperature(np.array(gap), v) == pytest.approx(t)
    assert stanford.DEFAULT.velocity(np.array(gap), v) == pytest.approx(expected, rel=1e-6)
    noise = 0.02 / (1 + exp((450 - t) / 500))
    assert stanford.DEFAULT.diffusion(np.array(gap), v) == pytest.approx(noise * 1e-9**0.5)


def test_reset_has_its_own_field_enhancement() -> None:
    model, x = stanford.DEFAULT.replace(f_min=0.0, r_th=0.0, gamma_reset=10.0, beta=0.0), np.array(1e-9)
    scale = 0.25 / 12 / (8.617333262e-5 * 298)
    ratio = model.velocity(x, -1.5) / model.velocity(x, 1.5)
    assert ratio == pytest.approx(-sinh(10 * scale * 1.5) / sinh(16 * scale * 1.5))


def test_small_voltages_see_an_ohmic_gap() -> None:
    model, x = stanford.DEFAULT, np.array(0.7e-9)
    assert model.conductance(x, 1e-4) == pytest.approx(1e-3 * exp(-0.7 / 0.25) / 0.25, rel=1e-6)
    slope = (model.current(x, 0.5 + 1e-6) - model.current(x, 0.5 - 1e-6)) / 2e-6
    assert slope == pytest.approx(1e-3 * exp(-0.7 / 0.25) / 0.25 * cosh(2), rel=1e-6)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: hp.FIG_2B.replace(thickness=10.0), r"thickness: .*metres"),
        (lambda: hp.FIG_2B.replace(mobility=-1e-14), r"mobility: .*m\^2 per volt"),
        (lambda: hp.FIG_2B.replace(r_on=16e3, r_off=100.0), "r_on must be below r_off"),
        (lambda: hp.FIG_2B.replace(initial=1.5), "initial"),
        (lambda: hp.FIG_2B.replace(windows=None), "unknown name, got 'windows'; did you mean 'window'"),
        (lambda: vteam.MEMTORCH_DEFAULT.replace(v_on=0.2), "v_on: .*negative"),
        (lambda: vteam.MEMTORCH_DEFAULT.replace(x_off=0.0), "lower bound must be below the upper"),
        (lambda: vteam.MEMTORCH_DEFAULT.replace(initial=5e-9), "initial must be a state between 0 and 3e-09"),
        (lambda: vteam.MEMTORCH_DEFAULT.replace(curve="cubic"), "curve"),
        (lambda: yakopcic.JO.replace(eta=2), "eta"),
        (lambda: stanford.DEFAULT.replace(gap_min=2e-9), "lower bound must be below the upper"),
        (lambda: stanford.DEFAULT.replace(initial=0.1e-9), "initial must be a state between"),
        (lambda: Joglekar(p=0), "p: "),
        (lambda: Joglekar(p=1.5), "p: "),
    ],
)
def test_implausible_parameters_are_refused(make: Any, rule: str) -> None:
    with pytest.raises(ParameterError, match=rule):
        make()
