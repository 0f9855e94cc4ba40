from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from device_models.cards import load
from device_models.errors import ParameterError
from device_models.read_noise import OneOverFNoise, PolynomialNoise, ProportionalNoise, ReadNoise
from device_models.streams import Streams
from tests.device_models.laws import assert_independent, assert_normal

N = 20_000
PROPORTIONAL = ProportionalNoise(relative=0.02)
POLYNOMIAL = PolynomialNoise(coefficients=(0.1e-6, 1e-6, 2e-6), g_ref=100e-6)
ONE_OVER_F = OneOverFNoise(q=0.01, exponent=0.65, g_ref=25e-6)


def sigma(law: ReadNoise, g: Any, seconds: float = 100.0) -> np.ndarray:
    return np.asarray(law.sigma(np.asarray(g, dtype=float), np.asarray(seconds)))


@pytest.mark.parametrize("law", [PROPORTIONAL, POLYNOMIAL, ONE_OVER_F], ids=lambda law: type(law).__name__)
def test_reads_scatter_with_the_declared_sigma_and_anew_each_time(law: ReadNoise) -> None:
    assert law.gaussian
    rng, g = Streams(0).rng("read"), np.full(N, 20e-6)
    first, second = law.read(g, rng, 100.0), law.read(g, rng, 100.0)
    assert_normal(first, 20e-6, sigma(law, g))
    assert_independent(first, second)


def test_reads_are_not_clipped_at_zero() -> None:
    reads = ProportionalNoise(relative=2.0).read(np.full(N, 1e-6), Streams(0).rng("read"))
    assert_normal(reads, 1e-6, 2e-6)
    assert reads.min() < 0


def test_proportional_noise() -> None:
    np.testing.assert_allclose(sigma(PROPORTIONAL, [0.0, 5e-6, 100e-6]), [0.0, 0.1e-6, 2e-6], rtol=1e-15)


def test_polynomial_noise_and_never_below_zero() -> None:
    np.testing.assert_allclose(sigma(POLYNOMIAL, [0.0, 50e-6, 100e-6]), [0.1e-6, 1.1e-6, 3.1e-6], rtol=1e-12)
    falling = PolynomialNoise(coefficients=(1e-6, -2e-6), g_ref=100e-6)
    np.testing.assert_allclose(sigma(falling, [0.0, 50e-6, 100e-6]), [1e-6, 0.0, 0.0], atol=1e-20)
    assert sigma(PolynomialNoise(coefficients=(1e-6,), g_ref=1e-6), [0.0, 1e-4]).tolist() == [1e-6, 1e-6]


@pytest.mark.parametrize("microsiemens", [0.5, 5.0, 25.0])
@pytest.mark.parametrize("seconds", [1e-3, 1.0, 86400.0, 3.15e8])
def test_one_over_f_noise_in_closed_form(microsiemens: float, seconds: float) -> None:
    # Joshi 2020, Methods: Q = min(0.0088 / x^0.65, 0.2), sigma = g Q sqrt(ln((t + 250 ns) / 500 ns)).
    law = load("pcm-joshi-2020").read_noise
    assert isinstance(law, OneOverFNoise)
    q = min(0.0088 / (microsiemens / 25) ** 0.65, 0.2)
    expected = microsiemens * 1e-6 * q * math.sqrt(math.log((seconds + 250e-9) / 500e-9))
    assert sigma(law, microsiemens * 1e-6, seconds) == pytest.approx(expected, rel=1e-12)


def test_one_over_f_noise_starts_at_the_read_time_and_only_grows() -> None:
    seconds = np.array([0.0, 1e-7, 250e-9, 1e-6, 1.0, 1e3, 1e9])
    grown = ONE_OVER_F.sigma(np.full(7, 20e-6), seconds)
    np.testing.assert_array_equal(grown[:3], 0.0)
    assert (np.diff(grown[2:]) > 0).all()


def test_one_over_f_noise_of_low_states_is_bounded() -> None:
    growth = math.sqrt(math.log((100 + 250e-9) / 500e-9))
    np.testing.assert_allclose(sigma(ONE_OVER_F, [0.0, 1e-12, 1e-9]), np.array([0.0, 1e-12, 1e-9]) * 0.2 * growth)


@pytest.mark.parametrize(
    ("law", "values", "text"),
    [
        (PROPORTIONAL, {"relative": -0.1}, "ProportionalNoise.relative: must be greater than or equal to 0 (relative"),
        (
            POLYNOMIAL,
            {"coefficients": (0.1, 1.0)},
            "PolynomialNoise: coefficients must be in siemens, got (0.1, 1.0); ",
        ),
        (POLYNOMIAL, {"coefficients": ()}, "PolynomialNoise.coefficients: "),
        (ONE_OVER_F, {"t_read": 0.0}, "OneOverFNoise.t_read: must be greater than 0 (seconds), got 0.0"),
        (ONE_OVER_F, {"q": "0.1"}, "OneOverFNoise.q: must be a valid number (relative standard deviation, 0 or more)"),
    ],
)
def test_an_impossible_noise_is_refused(law: ReadNoise, values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        law.replace(**values)
    assert str(caught.value).startswith(text)
