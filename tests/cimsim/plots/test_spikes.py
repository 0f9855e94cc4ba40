"""Pictures of spikes show every spike where and when it was."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from cimsim.plots.spikes import membranes, raster
from device_models.errors import InputError

SPIKES = np.random.default_rng(0).random((12, 5)) < 0.3


def test_a_raster_has_a_dot_for_each_spike() -> None:
    ax = Figure().add_subplot()
    assert raster(SPIKES, ax=ax) is ax
    step, neuron = ax.lines[0].get_data()
    found = np.zeros_like(SPIKES)
    found[np.asarray(step) - 1, neuron] = True
    np.testing.assert_array_equal(found, SPIKES)


@pytest.mark.parametrize("threshold", [1.0, None])
def test_membranes_are_lines_over_steps(threshold: float | None) -> None:
    v = np.random.default_rng(1).random((12, 3))
    ax = membranes(v, threshold=threshold, ax=Figure().add_subplot())
    for line, expected in zip(ax.lines, v.T, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 13))
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert len(ax.lines) == (4 if threshold else 3)


def test_one_sample_is_drawn() -> None:
    with pytest.raises(InputError, match=r"spikes: must have the axes \(steps, neurons\), got shape \(1, 12, 5\)"):
        raster(SPIKES[None])
    with pytest.raises(InputError, match="spikes: must be 0 or 1"):
        raster(SPIKES * 0.5)
    with pytest.raises(InputError, match=r"v: must have the axes"):
        membranes(np.zeros(4))
