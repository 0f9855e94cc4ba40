from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.published import Result, stdp_2013
from device_models.streams import Streams


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("stdp-2013", quick=True)


def test_one_pulse_is_that_of_the_paper():
    device = stdp_2013.device()
    g = np.array([stdp_2013.G_MIN, stdp_2013.G_MAX])
    assert device.update is not None
    up = device.update.pulse(g, np.array([1, 0]), device.window, Streams(0).rng("x"))
    down = device.update.pulse(g, np.array([0, -1]), device.window, Streams(0).rng("x"))
    assert (up[0] - g[0]) / device.window.span == pytest.approx(stdp_2013.STEP_UP)
    assert (g[1] - down[1]) / device.window.span == pytest.approx(stdp_2013.STEP_DOWN)


@pytest.mark.slow
def test_more_neurons_know_more_and_spread_costs_some(result: Result):
    ten, fifty = (result.row(f"test accuracy, {n} outputs").here for n in (10, 50))
    assert 40 < ten < fifty - 5
    assert 60 < fifty < 85
    spread = result.row("50 outputs, one epoch, all parameters spread by 50 %").here
    assert fifty - 15 < spread < fifty + 2
