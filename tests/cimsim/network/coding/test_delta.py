from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cimsim.network.coding import DeltaModulation
from device_models.errors import InputError
from tests.foreign import ForeignArray

CODE = DeltaModulation(threshold=0.1)


def one(values: list[float]) -> np.ndarray:
    return np.array(values)[None, :, None]


@given(arrays(float, (2, 60, 3), elements=st.floats(-0.1, 0.1)))
def test_a_slow_signal_comes_back_to_within_the_threshold(steps: np.ndarray) -> None:
    signal = np.cumsum(steps, axis=1)
    decoded = CODE.decode(CODE.encode(signal), signal[:, 0])
    assert np.all(np.abs(decoded - signal) < 0.1 + 1e-9)


def test_a_move_of_just_the_threshold_is_an_event() -> None:
    events = DeltaModulation(threshold=0.25).encode(one([0.0, 0.25, 0.0, -0.25]))
    np.testing.assert_array_equal(events[0], [[0, 0], [1, 0], [0, 1], [0, 1]])


def test_a_sine_costs_four_amplitudes_of_events_per_period() -> None:
    t = np.linspace(0, 5, 5001)
    signal = one(list(np.sin(2 * np.pi * t)))
    events = DeltaModulation(threshold=0.01).encode(signal)
    assert events.sum() == pytest.approx(5 * 4 / 0.01, rel=0.02)
    assert abs(int(events[..., 0].sum()) - int(events[..., 1].sum())) <= 1


def test_on_channels_come_first() -> None:
    signal = np.zeros((1, 3, 2))
    signal[0, 1:, 0], signal[0, 2:, 1] = 0.15, -0.15
    events = CODE.encode(signal)
    assert (events.shape, events.dtype) == ((1, 3, 4), np.bool_)
    assert [tuple(map(int, e)) for e in np.argwhere(events[0])] == [(1, 0), (2, 3)]


def test_the_two_baselines() -> None:
    """A slow ramp is seen against the last event, not against the last sample; a jump by both."""
    signal = one([0.0, 0.04, 0.08, 0.12, 0.16, 0.16, 0.5, 0.5, 0.5])
    tracked = CODE.encode(signal)[0, :, 0]
    previous = CODE.replace(baseline="previous").encode(signal)[0, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(tracked), [3, 6, 7, 8])
    np.testing.assert_array_equal(np.flatnonzero(previous), [6])


@given(arrays(float, (1, 40, 2), elements=st.floats(-0.19, 0.19)))
def test_against_the_previous_sample_each_change_errs_by_less_than_the_threshold(steps: np.ndarray) -> None:
    signal, code = np.cumsum(steps, axis=1), CODE.replace(baseline="previous")
    decoded = code.decode(code.encode(signal))
    assert np.all(np.abs(np.diff(decoded, axis=1) - np.diff(signal, axis=1)) < 0.1 + 1e-9)


@pytest.mark.parametrize("baseline", ["tracked", "previous"])
def test_another_library_gives_the_same(baseline: Literal["tracked", "previous"]) -> None:
    signal = np.cumsum(np.random.default_rng(0).normal(0, 0.1, (3, 40, 2)), axis=1)
    code = CODE.replace(baseline=baseline)
    here, abroad = code.encode(signal), code.encode(ForeignArray(signal))
    np.testing.assert_array_equal(abroad.get(), here)
    decoded = code.decode(abroad, ForeignArray(signal[:, 0]))
    np.testing.assert_array_equal(decoded.get(), code.decode(here, signal[:, 0]))


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"signal: must have the axes \(batch, steps, features\)"):
        CODE.encode(np.zeros((3, 4)))
    with pytest.raises(InputError, match="signal: must be finite"):
        CODE.encode(one([0.0, np.inf]))
    with pytest.raises(InputError, match="ON and OFF channels, an even number, got 3"):
        CODE.decode(np.zeros((1, 4, 3)))
    with pytest.raises(InputError, match="must be 0 or 1, got -1"):
        CODE.decode(np.full((1, 4, 2), -1))
