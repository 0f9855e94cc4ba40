"""Layers with time: the neuron's law over folded time, read-outs by definition, gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.network.coding import first_spike, spike_count
from cimsim.network.firing import Count, FirstSpike, Integrating, Potential, Spiking
from cimsim.network.layers import Layer
from cimsim.network.neurons import DiscreteLIF
from device_models.errors import InputError

STEPS = 7


def folded(raster: np.ndarray) -> np.ndarray:
    return raster.reshape(-1, raster.shape[2])


def raster(density: float = 0.2) -> np.ndarray:
    return np.random.default_rng(0).random((4, STEPS, 3)) < density


def assert_gradient(layer: Layer, x: np.ndarray) -> None:
    """The backward pass against central differences, at every element of the input."""
    y = layer.forward(x)
    worth = np.random.default_rng(5).normal(size=y.shape)
    h, dx = 1e-6, layer.backward(worth, x, y)
    for at in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[at] = h
        slope = np.sum(worth * (layer.forward(x + moved) - layer.forward(x - moved))) / (2 * h)
        assert dx[at] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@given(current=st.floats(0.05, 3.0), decay=st.floats(0.5, 0.99))
def test_a_constant_current_fires_at_the_rate_of_the_closed_form(current: float, decay: float) -> None:
    """From 0 the potential after n steps is I (1 - d^n) / (1 - d): the interval is the first n that reaches 1."""
    steps = 40
    n = np.arange(1, steps + 1)
    charged = current * (1 - decay**n) / (1 - decay)
    if np.any(np.abs(charged - 1) < 1e-9):
        return
    spikes = Spiking(steps, DiscreteLIF(decay=decay)).forward(np.full((steps, 1), current))
    interval = int(np.argmax(charged >= 1)) + 1 if np.any(charged >= 1) else steps + 1
    np.testing.assert_array_equal(np.flatnonzero(spikes) + 1, np.arange(interval, steps + 1, interval))


def test_samples_do_not_see_each_other() -> None:
    x = np.random.default_rng(1).normal(0.4, 0.5, (3 * STEPS, 2))
    layer = Spiking(STEPS, DiscreteLIF(decay=0.9))
    alone = [layer.forward(x[i : i + STEPS]) for i in range(0, len(x), STEPS)]
    np.testing.assert_array_equal(layer.forward(x), np.concatenate(alone))


def test_a_neuron_fires_where_its_potential_is_at_the_threshold() -> None:
    x = np.random.default_rng(2).normal(0.4, 0.5, (3 * STEPS, 2))
    layer = Spiking(STEPS, DiscreteLIF(decay=0.9))
    v = layer.potentials(x)
    np.testing.assert_array_equal(v >= 1, layer.forward(x) == 1)
    np.testing.assert_allclose(v[1], np.where(v[0] >= 1, 0, 0.9 * v[0]) + x[1])


def test_a_start_half_way_rounds_the_count_to_the_nearest() -> None:
    x = np.repeat([[0.3], [0.4], [0.24], [0.26]], 10, axis=0)
    layer = Spiking(10, DiscreteLIF(decay=1.0, reset="soft"), start=0.5)
    assert Count(10).forward(layer.forward(x)).ravel().tolist() == [3, 4, 2, 3]
    with pytest.raises(InputError, match=r"Spiking\.start: must be below the threshold, 1, got 1\.0"):
        Spiking(10, DiscreteLIF(decay=1.0), start=1.0)


def test_read_outs_are_what_their_names_say() -> None:
    spikes, v = raster(), np.random.default_rng(2).normal(size=(4, STEPS, 3))
    x = folded(spikes).astype(float)
    np.testing.assert_array_equal(Count(STEPS).forward(x), spike_count(spikes))
    np.testing.assert_array_equal(-FirstSpike(STEPS).forward(x), first_spike(spikes))
    for how, expected in (("last", v[:, -1]), ("max", v.max(axis=1)), ("mean", v.mean(axis=1))):
        np.testing.assert_allclose(Potential(STEPS, how).forward(folded(v)), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "layer",
    [Count(STEPS), FirstSpike(STEPS), Potential(STEPS), Potential(STEPS, "max"), Potential(STEPS, "mean")],
)
def test_gradients_of_read_outs(layer: Layer) -> None:
    if not isinstance(layer, Potential):  # spikes are full of equal largest values
        assert_gradient(layer, folded(raster()) * 1.0)
    assert_gradient(layer, np.random.default_rng(3).random((2 * STEPS, 3)))


def test_integrators_leak_and_their_backward_pass_is_the_transpose() -> None:
    x = np.random.default_rng(4).normal(size=(2 * STEPS, 3))
    layer = Integrating(STEPS, 0.7)
    first = layer.forward(x)[:STEPS]
    np.testing.assert_allclose(first[2], x[2] + 0.7 * x[1] + 0.49 * x[0])
    assert_gradient(layer, x)
