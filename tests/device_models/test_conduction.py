from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models.conduction import Conduction, Ohmic, Sinh
from device_models.errors import ParameterError

LAWS = [Ohmic(), Sinh(v0=0.25)]
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
