"""A compact model in a card: against the model itself, and against its closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import device_models as dm
from device_models import compact
from device_models.compact import CompactUpdate, Pulse, hp, pulse_array, state_of
from device_models.errors import ParameterError

CARD = dm.load("tio2-strukov-2008")
WINDOW = CARD.window
FALL = 2 * (16e3 - 100) * 100  # ohm^2: what a pulse of 1 V and D^2 / (mobility 1 V) takes from the square of R


def after(n: int, start: float) -> float:
    """Linear drift at constant voltage, integrated: R^2 falls in proportion to time, between the bounds."""
    return float(np.clip(1 / start**2 - n * FALL, 100.0**2, 16e3**2) ** -0.5)


def pulsed(n: int, start: float) -> float:
    g = np.array([start])
    assert CARD.update is not None
    return float(CARD.update.pulse(g, np.array([n]), WINDOW, None)[0])


def test_the_card_holds_the_model_of_the_papers_figure() -> None:
    assert isinstance(CARD.update, CompactUpdate)
    assert CARD.update.model == hp.FIG_2B
    assert (WINDOW.g_min, WINDOW.g_max) == pytest.approx(CARD.update.valid)
    unit_of_time = hp.FIG_2B.thickness**2 / (hp.FIG_2B.mobility * CARD.update.pulses.v_set)
    assert CARD.update.pulses.t_set == CARD.update.pulses.t_reset == pytest.approx(unit_of_time)


@pytest.mark.parametrize(("sign", "volts"), [(1, 1.0), (-1, -1.0)])
def test_one_pulse_on_the_card_is_one_pulse_on_the_model(sign: int, volts: float) -> None:
    """It ends between the model's pulses that start 1 % lower and 1 % higher, also where the response is a cliff."""
    g = np.geomspace(WINDOW.g_min, WINDOW.g_max, 2001)
    assert CARD.update is not None
    moved = CARD.update.pulse(g, np.full(g.shape, sign), WINDOW, None)
    for share, ahead in ((0.99, -1), (1.01, 1)):
        start = np.clip(g * share, WINDOW.g_min, WINDOW.g_max)
        x = pulse_array(hp.FIG_2B, state_of(hp.FIG_2B, start, 0.1), volts, 10e-3)
        assert (ahead * (hp.FIG_2B.conductance(x, 0.1) - moved) >= -1e-9 * moved).all()


@pytest.mark.parametrize("n", [1, 10, 40, 70, 78])
def test_trains_up_follow_the_closed_form(n: int) -> None:
    assert pulsed(n, WINDOW.g_min) == pytest.approx(after(n, WINDOW.g_min), rel=5e-3)


@pytest.mark.parametrize("n", [1, 10, 40, 80])
def test_trains_down_follow_the_closed_form(n: int) -> None:
    assert pulsed(-n, WINDOW.g_max) == pytest.approx(after(-n, WINDOW.g_max), rel=5e-3)


def test_eighty_one_pulses_cross_the_window() -> None:
    """(R_off + R_on) / (2 R_on) = 80.5 of them in the closed form."""
    assert pulsed(79, WINDOW.g_min) < 0.1 * WINDOW.g_max
    assert pulsed(82, WINDOW.g_min) == WINDOW.g_max


def test_the_card_is_sound_and_comes_back_as_it_was(tmp_path: Path) -> None:
    assert all(not finding.broken for finding in dm.check_device(CARD))
    assert dm.load(dm.save(CARD, tmp_path / "again.toml")) == CARD


def test_noise_of_the_model_becomes_spread_the_same_for_the_same_law() -> None:
    pulse = Pulse(v_set=1.5, t_set=20e-9, v_reset=-1.5, t_reset=20e-9)
    law = CompactUpdate(model=compact.stanford.DEFAULT, pulses=pulse, points=9, samples=64)
    assert max(law.table.spread_up) > 0
    assert not CompactUpdate(model=compact.stanford.DEFAULT, pulses=pulse, points=9).table.spread_up
    assert law.table == law.replace(points=9).table


# --- what is refused ---


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"v_set": -1.0}, "CompactUpdate.SET: the pulse must raise the conductance somewhere in the window"),
        ({"v_reset": 1.0}, "CompactUpdate.RESET: the pulse must lower the conductance somewhere in the window"),
        ({"v_read": 0.0}, "CompactUpdate.v_read: must differ from 0 volts"),
    ],
)
def test_pulses_that_move_nothing_are_refused_at_once(changes: dict[str, Any], text: str) -> None:
    pulse = Pulse(v_set=1.0, t_set=1e-2, v_reset=-1.0, t_reset=1e-2)
    with pytest.raises(ParameterError) as caught:
        CompactUpdate(model=hp.FIG_2B, pulses=pulse.replace(**changes))
    assert str(caught.value).startswith(text)


def test_a_window_beyond_the_model_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"^Device: update holds from 6\.25e-05 to 0\.01 siemens, and must hold in"
    ):
        CARD.replace(window=WINDOW.replace(g_min=10e-6))
