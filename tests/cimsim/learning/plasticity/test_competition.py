"""The rectangular rule and the settings of the competition: their arithmetic, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cimsim.learning.plasticity import Competition, Homeostasis, RectangularSTDP
from cimsim.network.coding.rate import PoissonRate, RegularRate
from device_models.errors import InputError, ParameterError


def test_times_in_seconds_become_steps() -> None:
    how = Competition(duration=0.2, steps=50, tau=0.1, inhibition=12e-3, rate=25.0)
    assert how.dt == pytest.approx(4e-3)
    assert how.decay == pytest.approx(np.exp(-0.04))
    assert how.hold == 3
    assert how.replace(inhibition=0.0).hold == 1
    assert how.code() == PoissonRate(steps=50, peak=0.1)
    assert how.replace(trains="regular").code() == RegularRate(steps=50, peak=0.1)
    assert RectangularSTDP(window=0.1).steps(how.dt) == 26  # the present step and 25 before it


def test_a_neuron_at_its_share_of_wins_keeps_its_threshold() -> None:
    still = Homeostasis(step=0.01, wins=4.0)
    wins_per_sample = 4.0 / 20
    assert wins_per_sample * still.rise(50.0) == pytest.approx(still.fall(50.0, 20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"tau": 3e-3},
            r"the time step must be at most the shortest time constant, 0\.003 s, got 0\.0035 s; take more",
        ),
        ({"duration": -0.35}, r"Competition\.duration: must be"),
        ({"rate": 300.0}, r"rate must be at most one spike a step, got 300 Hz in steps of 0\.0035 s"),
        ({"trains": "burst"}, r"Competition\.trains: must be 'poisson' or 'regular'"),
        ({"inhibit": 0.1}, "unknown name, got 'inhibit'; did you mean 'inhibition'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Competition(**settings)


def test_a_window_shorter_than_a_step_is_refused() -> None:
    message = r"RectangularSTDP: the time step must be at most the window, 0\.001 s, got 0\.0035 s"
    with pytest.raises(InputError, match=message):
        RectangularSTDP(window=1e-3).steps(3.5e-3)
