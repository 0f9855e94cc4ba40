from __future__ import annotations

import numpy as np
import pytest

from cimsim.network.coding import by_count, by_first_spike, first_spike, potential, spike_count
from device_models.errors import InputError
from tests.foreign import ForeignArray

SPIKES = np.array([[[0, 0, 1], [1, 0, 1], [1, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 1, 0]]])  # (2, 3 steps, 3)
V = np.arange(18.0).reshape(2, 3, 3) * [1, -1, 1]


def test_counts_and_first_spikes() -> None:
    np.testing.assert_array_equal(spike_count(SPIKES), [[2, 0, 2], [0, 1, 0]])
    np.testing.assert_array_equal(first_spike(SPIKES), [[1, 3, 0], [3, 2, 3]])


def test_labels() -> None:
    np.testing.assert_array_equal(by_count(SPIKES), [0, 1])
    np.testing.assert_array_equal(by_count(SPIKES, V), [2, 1])  # of two with two spikes the one charged higher
    np.testing.assert_array_equal(by_first_spike(SPIKES), [2, 1])


def test_potentials() -> None:
    np.testing.assert_array_equal(potential(V), V[:, 2])
    np.testing.assert_array_equal(potential(V, "max"), V.max(axis=1))
    np.testing.assert_array_equal(potential(V, "mean"), V.mean(axis=1))


def test_another_library_gives_the_same() -> None:
    spikes, v = ForeignArray(SPIKES), ForeignArray(V)
    for read in (spike_count, first_spike):
        np.testing.assert_array_equal(read(spikes).get(), read(SPIKES))
    np.testing.assert_array_equal(potential(v, "max").get(), potential(V, "max"))
    np.testing.assert_array_equal(by_count(spikes, v), by_count(SPIKES, V))
    np.testing.assert_array_equal(by_first_spike(spikes), by_first_spike(SPIKES))


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"axes \(batch, steps, features\)"):
        spike_count(SPIKES[0])
    with pytest.raises(InputError, match="must be 0 or 1, got 3"):
        first_spike(SPIKES * 3)
    with pytest.raises(InputError, match=r"axes \(batch, steps, n\)"):
        potential(V[0])
    with pytest.raises(InputError, match="must be last, max or mean, got first"):
        potential(V, "first")  # type: ignore[arg-type]
