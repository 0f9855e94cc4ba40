from __future__ import annotations

import numpy as np
import pytest

from cimsim import datasets, published
from cimsim.published import Result, stdp_2013
from cimsim.published.base import Effort
from device_models.faults import CellFaults
from device_models.streams import Streams
from device_models.update import DecayingStepUpdate


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


def test_a_spread_reaches_the_parameters_it_is_of():
    whole, part = stdp_2013.device(0.5), stdp_2013.device(0.5, ("g_max", "beta"))
    assert whole.faults == CellFaults(spread_g_min=0.5, spread_g_max=0.5, law="normal")
    assert part.faults == CellFaults(spread_g_max=0.5, law="normal")
    assert isinstance(part.update, DecayingStepUpdate)
    assert (part.update.spread_step_up, part.update.spread_beta_up, part.update.spread_beta_down) == (0, 0.5, 0.5)
    assert stdp_2013.device(0.5, ("step",)).faults is None


@pytest.mark.slow
def test_settings_are_chosen_on_training_images_held_out(mnist_here: None, monkeypatch: pytest.MonkeyPatch):
    """One pulse a win learns too little from 2,500 images; what is chosen is not run twice."""
    seen, load = [], datasets.load
    monkeypatch.setattr(stdp_2013, "SCANNED", {"pulses": (1, stdp_2013.PULSES)})
    monkeypatch.setattr(stdp_2013.datasets, "load", lambda *a, **k: (load(*a, **k)[0], (None, None)))
    table = stdp_2013.scan(10, Effort(quick=True, say=seen.append))
    assert len(seen) == 2
    assert table["setting"].tolist() == ["pulses", "pulses"]
    assert table["labels"].iloc[1] > table["labels"].iloc[0] > 10


@pytest.mark.slow
def test_more_neurons_know_more_and_spread_costs_some(result: Result):
    ten, fifty = (result.row(f"{n} outputs").here for n in (10, 50))
    assert 40 < ten < fifty - 5
    assert 60 < fifty < 85
    spread = result.row("50 outputs, all ± 50 %").here
    assert fifty - 15 < spread < fifty + 2
