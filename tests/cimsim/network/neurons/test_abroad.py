"""Every neuron on arrays of another library, on float32, and as TOML-like dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cimsim.network.neurons import IF, LIF, AdaptiveLIF, DiscreteLIF, HodgkinHuxley, Neuron, run
from cimsim.network.neurons.izhikevich import CHATTERING
from device_models.parameters import to_dict
from tests.foreign import ForeignArray

FIRING: list[tuple[Neuron, float, float]] = [  # a neuron, a current in amperes that makes it fire, a step
    (IF(capacitance=1e-12, v_threshold=0.1, refractory=2e-3), 3e-11, 1e-3),
    (LIF(capacitance=1e-12, tau=0.02, v_threshold=0.1, reset="soft"), 3e-11, 1e-3),
    (LIF(capacitance=1e-12, tau=0.02, v_threshold=0.1, reset="soft", refractory=1.5e-3), 3e-10, 1e-3),
    (AdaptiveLIF(capacitance=1e-12, tau=0.02, v_threshold=0.1, tau_theta=0.1, theta_step=0.01), 3e-11, 1e-3),
    (CHATTERING, 10e-12, 1e-4),
    (HodgkinHuxley(), 1e-10, 5e-5),
]
KINDS = [f"{type(neuron).__name__}-{n}" for n, (neuron, _, _) in enumerate(FIRING)]


@pytest.mark.parametrize(("neuron", "current", "dt"), FIRING, ids=KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_library_gives_the_same_spikes(neuron: Neuron, current: float, dt: float, dtype: Any) -> None:
    x = (np.random.default_rng(0).uniform(0.5, 1.5, (2, 150, 3)) * current).astype(dtype)
    here, abroad = run(neuron, x, np.float64(dt)), run(neuron, ForeignArray(x), dt)
    assert here.spikes.any()
    assert (here.spikes.dtype, here.v.dtype) == (np.bool_, dtype)
    assert all(part.dtype == dtype for part in here.state)
    assert isinstance(abroad.spikes, ForeignArray)
    np.testing.assert_array_equal(abroad.spikes.get(), here.spikes)
    np.testing.assert_array_equal(abroad.v.get(), here.v)


@pytest.mark.parametrize(("neuron", "current", "dt"), FIRING, ids=KINDS)
def test_the_state_goes_in_and_comes_out(neuron: Neuron, current: float, dt: float) -> None:
    """Two runs, the second from the state of the first, are one run; the state given is not touched."""
    x = np.random.default_rng(1).uniform(0.5, 1.5, (2, 60, 3)) * current
    whole, first = run(neuron, x, dt), run(neuron, x[:, :25], dt)
    kept = [part.copy() for part in first.state]
    second = run(neuron, x[:, 25:], dt, first.state)
    np.testing.assert_array_equal(np.concatenate([first.v, second.v], axis=1), whole.v)
    np.testing.assert_array_equal(np.concatenate([first.spikes, second.spikes], axis=1), whole.spikes)
    for before, after in zip(kept, first.state, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_dimensionless_neuron_abroad() -> None:
    neuron = DiscreteLIF(decay=0.9, refractory=1, reset="soft")
    here, abroad = neuron.rest((2, 3)), neuron.rest((2, 3), ForeignArray(np.zeros(1)))
    for x in np.random.default_rng(2).uniform(0, 2, (20, 2, 3)):
        here, spikes = neuron.step(here, x)
        abroad, there = neuron.step(abroad, ForeignArray(x))
        np.testing.assert_array_equal(there.get(), spikes)


@pytest.mark.parametrize(("neuron", "current", "dt"), FIRING, ids=KINDS)
def test_a_neuron_is_written_and_read_without_loss(neuron: Neuron, current: float, dt: float) -> None:
    assert Neuron.model_validate(to_dict(neuron)) == neuron
