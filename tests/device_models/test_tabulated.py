from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import device_models as dm
from device_models.errors import ParameterError
from device_models.tabulated import TabulatedUpdate
from device_models.update import ExponentialUpdate, Update
from device_models.window import CellLimits, Window
from tests.device_models.laws import assert_normal, assert_same_law
from tests.foreign import ForeignArray, ForeignGenerator

WINDOW = Window(g_min=10e-6, g_max=50e-6)
# Uneven points, soft towards both ends; up and down cancel between 20 and 40 uS.
LAW = TabulatedUpdate(
    g=(10e-6, 20e-6, 40e-6, 50e-6),
    dG_up=(4e-6, 3e-6, 1e-6, 0.0),
    dG_down=(0.0, -1e-6, -2e-6, -4e-6),
)
NOISY = LAW.replace(spread_up=(1e-6, 0.5e-6, 0.5e-6, 1e-6), spread_down=(0.1e-6, 0.2e-6, 0.4e-6, 0.4e-6))
N = 20_000


def pulse(law: Update, g: Any, n: Any, window: Any = WINDOW, seed: int = 0) -> np.ndarray:
    g = np.asarray(g, dtype=float)
    return np.asarray(law.pulse(g, np.broadcast_to(n, g.shape), window, np.random.default_rng(seed)))


# --- one pulse ---


def test_a_pulse_at_a_point_of_the_table_is_the_tables() -> None:
    g = np.array(LAW.g)
    np.testing.assert_allclose(pulse(LAW, g, 1) - g, LAW.dG_up, atol=1e-20)
    np.testing.assert_allclose(pulse(LAW, g, -1) - g, LAW.dG_down, atol=1e-20)


@pytest.mark.parametrize(
    ("g", "up", "down"), [(15e-6, 3.5e-6, -0.5e-6), (25e-6, 2.5e-6, -1.25e-6), (47e-6, 0.3e-6, -3.4e-6)]
)
def test_between_points_it_is_linear(g: float, up: float, down: float) -> None:
    assert pulse(LAW, [g], 1)[0] - g == pytest.approx(up)
    assert pulse(LAW, [g], -1)[0] - g == pytest.approx(down)


def test_beyond_its_ends_it_is_constant() -> None:
    wide = Window(g_min=1e-6, g_max=90e-6)
    np.testing.assert_allclose(pulse(LAW, [2e-6, 80e-6], 1, wide), [6e-6, 80e-6])
    np.testing.assert_allclose(pulse(LAW, [2e-6, 80e-6], -1, wide), [2e-6, 76e-6])


def test_cells_without_pulses_are_left_alone_wherever_they_are() -> None:
    g = np.array([5e-6, 30e-6, 60e-6])
    np.testing.assert_array_equal(pulse(NOISY, g, 0), g)
    mixed = pulse(LAW, [30e-6, 30e-6, 30e-6], np.array([1, 0, -1]))
    np.testing.assert_allclose(mixed, [32e-6, 30e-6, 28.5e-6])


# --- trains ---


@given(st.lists(st.floats(10e-6, 50e-6), min_size=1, max_size=8), st.integers(-30, 30))
def test_n_pulses_are_n_single_ones(g: list[float], n: int) -> None:
    singly = np.array(g)
    for _ in range(abs(n)):
        singly = pulse(LAW, singly, np.sign(n))
    np.testing.assert_array_equal(pulse(LAW, g, n), singly)


def test_with_noise_they_even_share_their_draws() -> None:
    rng, singly = np.random.default_rng(0), np.full(100, 25e-6)
    for _ in range(4):
        singly = NOISY.pulse(singly, np.ones(100, dtype=int), WINDOW, rng)
    np.testing.assert_array_equal(pulse(NOISY, np.full(100, 25e-6), 4), singly)


def test_cells_of_one_array_get_their_own_numbers_of_pulses() -> None:
    n = np.array([-7, -1, 0, 1, 2, 30])
    alone = [pulse(LAW, [30e-6], k)[0] for k in n]
    np.testing.assert_array_equal(pulse(LAW, np.full(6, 30e-6), n), alone)


def test_a_linear_table_is_the_linear_law() -> None:
    table = TabulatedUpdate(g=(10e-6, 50e-6), dG_up=(0.4e-6, 0.4e-6), dG_down=(-0.8e-6, -0.8e-6))
    law = ExponentialUpdate(pulses_up=100, pulses_down=50)
    g = np.linspace(10e-6, 50e-6, 41)
    for n in (1, -1, 7, -20, 1000):
        np.testing.assert_allclose(pulse(table, g, n), pulse(law, g, n), rtol=1e-12)
    assert table.step(WINDOW) == pytest.approx(law.step(WINDOW))


def test_a_train_past_the_fixed_point_costs_nothing_more() -> None:
    np.testing.assert_allclose(pulse(LAW, [30e-6, 30e-6], np.array([10**12, -(10**12)])), [50e-6, 10e-6])


# --- noise and window ---


@pytest.mark.parametrize(("n", "mean", "sigma"), [(1, 32e-6, 0.5e-6), (-1, 28.5e-6, 0.3e-6)])
def test_noise_is_normal_with_the_tables_spread(n: int, mean: float, sigma: float) -> None:
    assert_normal(pulse(NOISY, np.full(N, 30e-6), n), mean, sigma)


def test_trains_of_noisy_pulses_equal_single_ones_in_distribution() -> None:
    singly = np.full(N, 25e-6)
    for k in range(5):
        singly = pulse(NOISY, singly, 1, seed=k + 1)
    assert_same_law(pulse(NOISY, np.full(N, 25e-6), 5), singly)


@given(st.floats(10e-6, 50e-6), st.integers(-40, 40), st.integers(0, 5))
def test_the_window_holds(g: float, n: int, seed: int) -> None:
    after = pulse(NOISY, np.full(20, g), n, seed=seed)
    assert ((after >= WINDOW.g_min) & (after <= WINDOW.g_max)).all()


def test_each_cell_is_held_in_its_own_window() -> None:
    limits = CellLimits(np.array([10e-6, 25e-6]), np.array([31e-6, 60e-6]))
    np.testing.assert_allclose(pulse(LAW, [30e-6, 30e-6], 3, limits), [31e-6, 30e-6 + 2e-6 + 1.8e-6 + 1.62e-6])
    np.testing.assert_allclose(pulse(LAW, [26e-6, 26e-6], -9, limits)[1], 25e-6)


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (2, 4, 3)])
def test_any_shape_will_do(shape: tuple[int, ...]) -> None:
    g = np.random.default_rng(0).uniform(10e-6, 50e-6, shape)
    n = np.random.default_rng(1).integers(-3, 4, shape)
    assert NOISY.pulse(g, n, WINDOW, np.random.default_rng(2)).shape == shape
    np.testing.assert_array_equal(pulse(LAW, g, n).ravel(), pulse(LAW, g.ravel(), n.ravel()))


def test_another_array_library_gives_the_same() -> None:
    g, n = np.linspace(10e-6, 50e-6, 12).reshape(3, 4), np.arange(12).reshape(3, 4) - 6
    there = LAW.pulse(ForeignArray(g), ForeignArray(n), WINDOW, None)
    np.testing.assert_array_equal(there.get(), pulse(LAW, g, n))
    noisy = NOISY.pulse(ForeignArray(g), ForeignArray(n), WINDOW, ForeignGenerator(1))
    assert isinstance(noisy, ForeignArray)


# --- what learning rules ask ---


def test_the_nominal_step_is_the_mean_over_the_window() -> None:
    up, down = (3.5 * 10 + 2 * 20 + 0.5 * 10) / 40, (0.5 * 10 + 1.5 * 20 + 3 * 10) / 40
    assert LAW.step(WINDOW) == pytest.approx(1e-6 * (up + down) / 2, rel=1e-3)
    part = CellLimits(np.array([10e-6, 40e-6]), np.array([20e-6, 50e-6]))
    np.testing.assert_allclose(LAW.step(part), [2e-6, 1.75e-6], rtol=1e-12)


def test_up_and_down_cancel_at_the_symmetry_point() -> None:
    point = LAW.symmetry_point(WINDOW)
    assert pulse(LAW, [point], 1)[0] + pulse(LAW, [point], -1)[0] == pytest.approx(2 * point, rel=1e-12)
    assert point == pytest.approx(20e-6 + 20e-6 * 2 / 3)
    assert LAW.symmetry_point(Window(g_min=35e-6, g_max=50e-6)) is None
    assert LAW.replace(dG_down=(0.0, 0.0, 0.0, 0.0)).symmetry_point(WINDOW) is None


# --- as a slot ---


@pytest.mark.parametrize("law", [LAW, NOISY])
def test_a_device_with_a_table_keeps_every_promise(law: TabulatedUpdate, tmp_path: Path) -> None:
    device = dm.Device(name="measured", window=WINDOW, update=law)
    dm.check_device(device)
    assert dm.load(dm.save(device, tmp_path / "measured.toml")) == device


# --- bad input ---

G = (10e-6, 20e-6)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"g": (20e-6, 10e-6)}, "g must rise"),
        ({"g": (10e-6, 10e-6)}, "g must rise"),
        ({"g": (-1e-6, 10e-6)}, "g must rise, between 0 and 0.1 siemens"),
        ({"g": (10.0, 20.0)}, "g must rise, between 0 and 0.1 siemens"),
        ({"g": (10e-6,)}, "g: "),
        ({"dG_up": (1e-6,)}, "dG_up needs one value for each g, got 1 for 2"),
        ({"dG_down": (-1e-6,) * 3}, "dG_down needs one value for each g, got 3 for 2"),
        ({"spread_up": (1e-6,)}, "spread_up needs one value for each g"),
        ({"dG_up": (1.0, 2.0)}, "dG_up must be in siemens.*did you give microsiemens"),
        ({"dG_up": (1e-6, -1e-9)}, "dG_up must not be negative, nor dG_down positive"),
        ({"dG_down": (1e-6, -1e-6)}, "dG_up must not be negative, nor dG_down positive"),
        ({"spread_down": (-1e-6, 0.0)}, "spread must not be negative"),
        ({"dG_up": (0.0, 0.0), "dG_down": (0.0, 0.0)}, "some pulse must move some conductance"),
        ({"dG_up": (1e-6, float("nan"))}, "dG_up"),
        ({"dg_up": (1e-6, 1e-6)}, "unknown name, got 'dg_up'; did you mean 'dG_up'"),
    ],
)
def test_a_table_that_cannot_be_is_refused(values: Any, rule: str) -> None:
    with pytest.raises(ParameterError, match=rule):
        TabulatedUpdate(**{"g": G, "dG_up": (1e-6, 0.5e-6), "dG_down": (-0.5e-6, -1e-6)} | values)


# --- from device to device ---


def test_devices_differ_by_log_normal_factors_of_mean_1_apart_for_each_direction() -> None:
    law = LAW.replace(device_spread=0.4)
    factors = law.draw((N,), np.random.default_rng(0))
    assert factors is not None
    assert_normal(np.log(factors[0]), -0.08, 0.4)
    assert_normal(np.log(factors[1]), -0.08, 0.4)
    assert abs(np.corrcoef(factors)[0, 1]) < 5 / np.sqrt(N)
    assert LAW.draw((N,), np.random.default_rng(0)) is None


def test_a_device_takes_its_own_share_of_the_mean_change_and_of_its_noise() -> None:
    g, own = np.full(2, 20e-6), np.array([[0.5, 2.0], [3.0, 1.0]])
    for n, dG in ((1, 3e-6), (-1, -1e-6)):
        factors = own[0 if n > 0 else 1]
        after = LAW.pulse(g, np.full(2, n), WINDOW, np.random.default_rng(0), own)
        np.testing.assert_allclose(after - g, factors * dG)
    noisy = NOISY.pulse(g, np.ones(2, dtype=int), WINDOW, np.random.default_rng(0), own)
    alone = pulse(NOISY, g, np.ones(2, dtype=int))
    np.testing.assert_allclose(noisy - g, own[0] * (alone - g))
