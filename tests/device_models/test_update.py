from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device_models.errors import ParameterError
from device_models.streams import Streams
from device_models.update import LABEL_SCALE, ExponentialUpdate, curve_constant
from device_models.window import CellLimits, Window
from tests.device_models.laws import assert_normal, assert_same_law

WINDOW = Window(g_min=10e-6, g_max=60e-6)
SPAN = 50e-6
N = 20_000

labels = st.floats(-9, 9).filter(lambda label: abs(label) > 1e-9) | st.just(0.0)
window_shares = arrays(float, st.integers(1, 20), elements=st.floats(0, 1))


def updates() -> st.SearchStrategy[ExponentialUpdate]:
    def make(up: int, down: int, nl_up: float, nl_down: float) -> ExponentialUpdate:
        return ExponentialUpdate(pulses_up=up, pulses_down=down, nl_up=nl_up, nl_down=nl_down)

    return st.builds(make, st.integers(1, 500), st.integers(1, 500), labels, labels)


def pulse(law: ExponentialUpdate, g: np.ndarray, n: Any, window: Any = WINDOW, role: str = "pulse") -> np.ndarray:
    counts = np.broadcast_to(n, g.shape)
    return np.asarray(law.pulse(g, counts, window, Streams(0).rng(role)))


def singly(law: ExponentialUpdate, g: np.ndarray, n: int) -> np.ndarray:
    """|n| pulses one by one."""
    rng = Streams(0).rng("one by one")
    for _ in range(abs(n)):
        g = law.pulse(g, np.full(g.shape, np.sign(n)), WINDOW, rng)
    return g


def curve(label: float, pulses: int = 64) -> np.ndarray:
    """Share of the window after 0, 1, ... pulses from the low end."""
    law = ExponentialUpdate(pulses_up=pulses, pulses_down=1, nl_up=label)
    g = pulse(law, np.full(pulses + 1, WINDOW.g_min), np.arange(pulses + 1))
    return (g - WINDOW.g_min) / SPAN


# --- the label ---


@pytest.mark.parametrize(
    ("label", "constant"),
    [(0.01, 126.268958), (1, 1.251653), (2.4, 0.499181), (4.88, 0.200303), (9, 0.022810)],
)
def test_published_labels_have_their_constants(label: float, constant: float) -> None:
    assert curve_constant(label) == pytest.approx(constant, abs=6e-7)
    assert curve_constant(-label) == -curve_constant(label)


@pytest.mark.parametrize("label", [0.005, 0.02, 0.5, 2.4, 5.0, 9.0])
def test_a_label_is_the_largest_distance_from_the_straight_line(label: float) -> None:
    p = np.linspace(0, 1, 4097)
    assert LABEL_SCALE * np.abs(curve(label, 4096) - p).max() == pytest.approx(label, rel=1e-3)


def test_constants_are_continuous_where_the_limit_takes_over() -> None:
    assert curve_constant(0.00999999) == pytest.approx(curve_constant(0.01), rel=5e-6)


# --- the curve ---


@pytest.mark.parametrize("label", [-9.0, -2.4, -1e-6, 0.0, 1e-6, 0.5, 2.4, 9.0])
def test_the_curve_runs_from_end_to_end(label: float) -> None:
    share = curve(label)
    assert share[0] == 0.0
    assert share[-1] == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(share) >= 0).all()


@pytest.mark.parametrize("label", [-4.88, 0.5, 2.4])
def test_the_curve_is_the_published_exponential(label: float) -> None:
    pulses = 97
    a, p = curve_constant(label) * pulses, np.arange(pulses + 1)
    b = SPAN / (1 - np.exp(-pulses / a))
    np.testing.assert_allclose(curve(label, pulses) * SPAN, b * (1 - np.exp(-p / a)), rtol=1e-11, atol=1e-18)


@pytest.mark.parametrize("label", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-100])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_label_is_nearly_linear(label: float, sign: int) -> None:
    off = np.abs(curve(sign * label) - np.linspace(0, 1, 65)).max()
    assert off <= 1.001 * label / LABEL_SCALE + 1e-14


def test_depression_is_potentiation_mirrored() -> None:
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=2.4, nl_down=-2.4)
    n = np.arange(65)
    up = pulse(law, np.full(65, WINDOW.g_min), n)
    down = pulse(law, np.full(65, WINDOW.g_max), -n)
    np.testing.assert_allclose(down, WINDOW.g_min + WINDOW.g_max - up, rtol=1e-12)


def test_equal_labels_retrace_the_same_curve() -> None:
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=2.4, nl_down=2.4)
    g = np.linspace(20e-6, 40e-6, 7)
    np.testing.assert_allclose(pulse(law, pulse(law, g, 5), -5), g, rtol=1e-12)


@given(updates(), window_shares, st.integers(-2000, 2000))
def test_the_window_holds_and_no_pulse_goes_backwards(law: ExponentialUpdate, share: np.ndarray, n: int) -> None:
    g = np.clip(WINDOW.g_min + share * SPAN, WINDOW.g_min, WINDOW.g_max)
    after = pulse(law, g, n)
    assert ((after >= WINDOW.g_min) & (after <= WINDOW.g_max)).all()
    assert (np.sign(n) * (after - g) >= -1e-12 * WINDOW.g_max).all()


@given(updates(), window_shares, st.integers(-40, 40))
def test_the_mean_of_n_pulses_is_n_single_pulses(law: ExponentialUpdate, share: np.ndarray, n: int) -> None:
    g = WINDOW.g_min + share * SPAN
    steepest = max(abs(1 / curve_constant(label)) if label else 0.0 for label in (law.nl_up, law.nl_down))
    assume(steepest < 20)  # a steeper curve magnifies rounding beyond what can be compared
    np.testing.assert_allclose(pulse(law, g, n), singly(law, g, n), rtol=0, atol=1e-6 * SPAN)


@given(updates(), window_shares)
def test_as_many_pulses_as_the_window_takes_reach_its_end(law: ExponentialUpdate, share: np.ndarray) -> None:
    g = WINDOW.g_min + share * SPAN
    np.testing.assert_allclose(pulse(law, g, law.pulses_up), WINDOW.g_max, rtol=1e-9)
    np.testing.assert_allclose(pulse(law, g, -law.pulses_down), WINDOW.g_min, rtol=1e-9)


def test_no_pulses_leave_a_cell_alone_even_outside_its_window() -> None:
    law = ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=2.4, c2c=0.1)
    g = np.array([0.0, 30e-6, 1e-3])
    np.testing.assert_array_equal(pulse(law, g, 0), g)


def test_each_cell_moves_in_its_own_window_and_direction() -> None:
    law = ExponentialUpdate(pulses_up=50, pulses_down=25, nl_up=1.0, nl_down=-2.0)
    limits = CellLimits(np.array([0.0, 10e-6, 5e-6]), np.array([50e-6, 80e-6, 25e-6]))
    g, n = np.array([20e-6, 20e-6, 20e-6]), np.array([3, -3, 3])
    windows = [Window(g_min=float(low), g_max=float(high)) for low, high in zip(*limits, strict=True)]
    each = [pulse(law, g[[i]], n[i], window)[0] for i, window in enumerate(windows)]
    np.testing.assert_allclose(pulse(law, g, n, limits), each, rtol=1e-12)


# --- cycle-to-cycle noise ---


def test_one_pulse_scatters_by_c2c_of_the_span() -> None:
    law = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
    for n in (1, -1):
        g = np.full(N, 35e-6)
        assert_normal(pulse(law, g, n), pulse(law.replace(c2c=0.0), g[:1], n)[0], 0.01 * SPAN)


@pytest.mark.parametrize(("label", "n"), [(0.0, 9), (2.4, 9), (-2.4, 9), (2.4, -9), (0.5, 30)])
def test_n_pulses_have_the_law_of_n_single_ones_away_from_the_ends(label: float, n: int) -> None:
    law = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=label, nl_down=label, c2c=0.01)
    g = np.full(N, 35e-6)
    assert_same_law(pulse(law, g, n), singly(law, g, n))


def test_noise_of_a_train_adds_in_variance_along_the_curve() -> None:
    law = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=2.4, c2c=0.005)
    shrink = np.exp(-1 / (100 * curve_constant(2.4)))
    sigma = 0.005 * SPAN * np.sqrt(np.sum(shrink ** (2 * np.arange(12))))
    assert_normal(pulse(law, np.full(N, 30e-6), 12), pulse(law.replace(c2c=0.0), np.array([30e-6]), 12)[0], sigma)


def test_noise_stays_in_the_window() -> None:
    law = ExponentialUpdate(pulses_up=10, pulses_down=10, nl_up=2.4, nl_down=-2.4, c2c=0.5)
    for n in (-5, 5):
        g = pulse(law, np.full(N, 35e-6), n)
        assert g.min() == WINDOW.g_min
        assert g.max() == WINDOW.g_max


def test_a_train_far_longer_than_the_window_is_no_noisier_than_one_across_it() -> None:
    law = ExponentialUpdate(pulses_up=100, pulses_down=100, c2c=0.01)
    g = np.full(N, WINDOW.g_min)
    np.testing.assert_array_equal(pulse(law, g, 1_000_000), pulse(law, g, 100))
    assert pulse(law, g, 1_000_000).mean() > WINDOW.g_max - 0.05 * SPAN


def test_a_learning_rule_reckons_with_the_mean_step() -> None:
    law = ExponentialUpdate(pulses_up=100, pulses_down=50)
    assert law.step(WINDOW) == pytest.approx(SPAN * (1 / 100 + 1 / 50) / 2)
    limits = CellLimits(np.zeros(2), np.array([10e-6, 20e-6]))
    np.testing.assert_allclose(law.step(limits), [0.15e-6, 0.3e-6])


@pytest.mark.parametrize("values", [{"pulses_up": 0}, {"pulses_down": 1.5}, {"nl_up": 9.5}, {"c2c": -0.1}])
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"^ExponentialUpdate.{next(iter(values))}: must be "):
        ExponentialUpdate(**{"pulses_up": 10, "pulses_down": 10, **values})
