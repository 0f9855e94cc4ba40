"""Surrogates: the derivative is that of the integral, which rises from 0."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.network.surrogates import ArcTan, FastSigmoid, Rectangular, Surrogate

ALL = [Rectangular(width=0.7), FastSigmoid(slope=3.0), ArcTan(slope=2.0)]


@pytest.mark.parametrize("surrogate", ALL)
def test_the_derivative_is_that_of_the_integral(surrogate: Surrogate) -> None:
    z = np.linspace(-2, 2, 402)  # no corner of the rectangle among them
    h = 1e-6
    slope = (surrogate.integral(z + h) - surrogate.integral(z - h)) / (2 * h)
    np.testing.assert_allclose(surrogate.derivative(z), slope, atol=1e-6)


@pytest.mark.parametrize("surrogate", ALL)
def test_the_integral_rises_from_zero(surrogate: Surrogate) -> None:
    assert surrogate.integral(np.array([-1e9]))[0] == pytest.approx(0, abs=1e-8)
    assert np.all(np.diff(surrogate.integral(np.linspace(-3, 3, 100))) >= 0)


def test_the_areas_are_those_of_the_papers() -> None:
    far = np.array([1e9])
    assert Rectangular(width=0.7).integral(far) == 1
    assert ArcTan(slope=2.0).integral(far) == pytest.approx(1)
    assert FastSigmoid(slope=3.0).integral(far) == pytest.approx(2 / 3)


@pytest.mark.parametrize("surrogate", ALL)
def test_float32_stays(surrogate: Surrogate) -> None:
    assert surrogate.derivative(np.zeros(3, np.float32)).dtype == np.float32
