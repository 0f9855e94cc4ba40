from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models.checks import check_device
from device_models.conduction import Conduction, Ohmic, PolynomialConduction, Sinh
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.window import Window
from tests.foreign import ForeignArray

LAWS = [Ohmic(), Sinh(v0=0.25), PolynomialConduction(a2=0.3, a3=2.0), PolynomialConduction(a2=1.0, a3=-0.5)]
volts = np.linspace(-0.5, 0.5, 11)


def test_ohmic_cells_carry_g_v() -> None:
    np.testing.assert_array_equal(Ohmic().current(np.full(11, 1e-5), volts), 1e-5 * volts)


def test_sinh_cells_carry_g_v0_sinh() -> None:
    expected = [1e-5 * 0.25 * math.sinh(v / 0.25) for v in volts]
    np.testing.assert_allclose(Sinh(v0=0.25).current(np.full(11, 1e-5), volts), expected, rtol=1e-14)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_the_curve_is_odd_rising_and_ohmic_at_small_voltage(law: Conduction) -> None:
    f = law.drive(volts)
    np.testing.assert_array_equal(f, -law.drive(-volts))
    assert (np.diff(f) > 0).all()
    assert law.drive(np.array(1e-6)) == pytest.approx(1e-6, rel=1e-10)


@given(st.floats(0.05, 2.0), st.floats(-0.5, 0.5).filter(lambda v: abs(v) > 1e-6))
def test_sinh_grows_by_its_cubic_term_first(v0: float, v: float) -> None:
    assert Sinh(v0=v0).drive(np.array(v)) / v >= 1 + (v / v0) ** 2 / 6 - 1e-12


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_conductance_is_current_over_voltage_and_g_at_none(law: Conduction) -> None:
    g = np.full(11, 3e-6)
    seen = law.conductance(g, volts)
    assert volts[5] == 0.0
    assert seen[5] == 3e-6
    np.testing.assert_allclose(seen * volts, law.current(g, volts), rtol=1e-14)


def test_a_larger_v0_is_more_ohmic() -> None:
    bend = [Sinh(v0=v0).drive(np.array(0.3)) / 0.3 - 1 for v0 in (0.1, 0.3, 1.0, 10.0)]
    assert bend == sorted(bend, reverse=True)
    assert bend[-1] == pytest.approx(0.03**2 / 6, rel=1e-3)


@pytest.mark.parametrize("v0", [0.0, -0.1, 50.0])
def test_v0_is_in_volts(v0: float) -> None:
    with pytest.raises(ParameterError, match=r"^Sinh.v0: must be in volts, between 0.0001 and 20, got "):
        Sinh(v0=v0)


# --- polynomial ---


@given(st.floats(0, 5), st.floats(0, 5), st.floats(-1, 1))
def test_a_polynomial_is_its_three_terms(a2: float, a3: float, v: float) -> None:
    law = PolynomialConduction(a2=a2, a3=a3)
    assert law.drive(np.array(v)) == pytest.approx(v + a2 * v * abs(v) + a3 * v**3, rel=1e-12, abs=1e-300)


def test_without_terms_it_is_ohmic() -> None:
    np.testing.assert_array_equal(PolynomialConduction().drive(volts), volts)


def test_its_cubic_term_is_the_first_of_the_hyperbolic_sine() -> None:
    v, v0 = np.linspace(-0.05, 0.05, 11), 0.25
    cubic = PolynomialConduction(a3=1 / (6 * v0**2)).drive(v)
    np.testing.assert_allclose(cubic, Sinh(v0=v0).drive(v), rtol=(0.05 / v0) ** 4 / 120)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 2))
def test_it_is_refused_just_where_the_current_falls_before_v_max(a2: float, a3: float, v_max: float) -> None:
    v = np.linspace(0, v_max, 2001)
    lowest = (1 + 2 * a2 * v + 3 * a3 * v**2).min()
    if abs(lowest) < 1e-4:
        return
    if lowest > 0:
        assert (np.diff(PolynomialConduction(a2=a2, a3=a3, v_max=v_max).drive(v)) > 0).all()
    else:
        with pytest.raises(ParameterError, match="the current must rise with the voltage up to v_max"):
            PolynomialConduction(a2=a2, a3=a3, v_max=v_max)


def test_a_falling_curve_is_refused_in_one_line() -> None:
    with pytest.raises(ParameterError) as caught:
        PolynomialConduction(a3=-1.0, v_max=0.8)
    rule = "the current must rise with the voltage up to v_max = 0.8 V"
    assert str(caught.value) == f"PolynomialConduction: {rule}, got slope -0.92 g at 0.8 V; lower v_max, or fit again"


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_the_curve_is_the_same_in_another_library(law: Conduction) -> None:
    np.testing.assert_array_equal(law.drive(ForeignArray(volts)).get(), law.drive(volts))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_a_device_with_the_law_keeps_every_promise(law: Conduction) -> None:
    check_device(Device(name="bent", window=Window(g_min=1e-6, g_max=1e-4), conduction=law))
