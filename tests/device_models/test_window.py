from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device_models.errors import ParameterError
from device_models.window import CellLimits, Window, clip_to

LINEAR = Window(g_min=5e-6, g_max=100e-6, levels=20)
LOG = Window(g_min=1e-6, g_max=1e-4, levels=5, spacing="log")


@st.composite
def windows(draw: st.DrawFn) -> Window:
    g_min = draw(st.floats(1e-9, 1e-4))
    return Window(
        g_min=g_min,
        g_max=g_min * draw(st.floats(1.5, 900)),
        levels=draw(st.integers(2, 200)),
        spacing=draw(st.sampled_from(["linear", "log"])),
    )


shares = arrays(float, st.integers(0, 20), elements=st.floats(-0.5, 1.5))


def spread_over(window: Window, share: np.ndarray) -> np.ndarray:
    """Conductances in the window, and beyond both its ends."""
    return np.asarray(window.g_min + share * window.span)


def test_linear_levels_are_evenly_spaced() -> None:
    np.testing.assert_allclose(LINEAR.level_values(), np.arange(5e-6, 101e-6, 5e-6), rtol=1e-15)
    assert LINEAR.span == pytest.approx(95e-6, rel=1e-15)


def test_log_levels_have_a_constant_ratio() -> None:
    np.testing.assert_allclose(LOG.level_values(), 1e-6 * 10 ** np.array([0, 0.5, 1, 1.5, 2]), rtol=1e-14)


@given(windows(), shares)
def test_quantise_gives_the_nearest_level(window: Window, share: np.ndarray) -> None:
    g = spread_over(window, share)
    levels = window.level_values()
    assert levels.size == window.levels
    distance = np.abs(window.quantise(g) - g)
    nearest = np.abs(levels - g[:, None]).min(axis=1)
    np.testing.assert_allclose(distance, nearest, rtol=0, atol=1e-14 * window.g_max)


@given(windows(), shares)
def test_quantise_gives_levels_and_leaves_levels_alone(window: Window, share: np.ndarray) -> None:
    g = window.quantise(spread_over(window, share))
    np.testing.assert_array_equal(window.quantise(g), g)
    np.testing.assert_allclose(g, window.level_values()[np.searchsorted(window.level_values(), g * (1 - 1e-12))], 1e-14)


@given(windows(), shares)
def test_quantise_stays_in_the_window_and_keeps_order(window: Window, share: np.ndarray) -> None:
    g = window.quantise(spread_over(window, np.sort(share)))
    assert ((g >= window.g_min) & (g <= window.g_max)).all()
    assert (np.diff(g) >= 0).all()


def test_a_continuous_window_only_clips() -> None:
    window = Window(g_min=1e-6, g_max=1e-4)
    assert window.level_values().size == 0
    np.testing.assert_array_equal(window.quantise(np.array([0.0, 3e-6, 1.0])), [1e-6, 3e-6, 1e-4])


@pytest.mark.parametrize("window", [LINEAR, LOG, LINEAR.replace(levels=None)])
def test_what_is_not_a_number_becomes_no_level(window: Window) -> None:
    np.testing.assert_array_equal(np.isnan(window.quantise(np.array([50e-6, np.nan]))), [False, True])


@pytest.mark.parametrize("window", [LINEAR, LOG, Window(g_min=0.0, g_max=1e-6)])
def test_quantise_keeps_the_shape(window: Window) -> None:
    assert window.quantise(np.full((2, 0, 3), 1e-6)).shape == (2, 0, 3)
    assert window.quantise(np.full((2, 3), 1e-6)).shape == (2, 3)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"g_min": 1e-4, "g_max": 1e-6},
            "g_min must be below g_max (siemens), got g_min=0.0001 and g_max=1e-06; exchange them or check the unit",
        ),
        (
            {"g_min": 1e-6, "g_max": 1e-6},
            "g_min must be below g_max (siemens), got g_min=1e-06 and g_max=1e-06; exchange them or check the unit",
        ),
        (
            {"g_min": 0.0, "g_max": 1e-6, "spacing": "log"},
            "log spacing needs g_min above 0 siemens, got g_min=0; use linear spacing",
        ),
    ],
)
def test_an_impossible_window_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Window(**values)
    assert str(caught.value) == f"Window: {text}"


def test_each_cell_is_held_in_its_own_window() -> None:
    limits = CellLimits(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    np.testing.assert_array_equal(clip_to(np.array([0.0, 3.0, 9.0]), limits), [1.0, 3.0, 6.0])
