"""Writes and pulses of large arrays against the normal deviates that NumPy draws in the same time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import device_models as dm
from device_models.programming import VerifyLoop, shortcut
from device_models.update import ExponentialUpdate

CELLS, PULSES = 1_000_000, 100
WINDOW = dm.Window(g_min=5e-6, g_max=105e-6)
UPDATE = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
SPREAD = UPDATE.replace(spread_pulses_up=0.1, spread_pulses_down=0.1, spread_nl_up=0.3, spread_nl_down=0.3)
LOOP = VerifyLoop(tolerance_share=0.02)
STREAMS = dm.Streams(seed=0)


def normals(n: int) -> Any:
    """Draws of one normal deviate for each of a million cells, n times over."""
    rng = np.random.Generator(np.random.SFC64(0))
    return lambda: [rng.standard_normal(CELLS) for _ in range(n)]


@pytest.mark.parametrize("programming", [LOOP, shortcut(LOOP, UPDATE, WINDOW)], ids=["loop", "shortcut"])
def test_writing_1024x1024_cells_with_verify_to_2_percent(ratio: Any, programming: Any) -> None:
    device = dm.Device(name="bench", window=WINDOW, update=UPDATE, programming=programming)
    cells = device.fabricate((1024, 1024), STREAMS)
    target = STREAMS.rng("targets").uniform(WINDOW.g_min, WINDOW.g_max, cells.shape)
    ratio(lambda: device.program(cells, target, STREAMS), normals(1), rounds=3, of="1e6 normals")


@pytest.mark.parametrize("update", [UPDATE, SPREAD], ids=["alike", "spread"])
def test_a_hundred_pulses_one_by_one_on_a_million_devices(ratio: Any, update: ExponentialUpdate) -> None:
    device = dm.Device(name="bench", window=WINDOW, update=update)
    cells, rng = device.fabricate((CELLS,), STREAMS), STREAMS.rng("pulse")
    n = np.ones(CELLS, dtype=int)

    def train() -> None:
        now = cells
        for _ in range(PULSES):
            now = device.pulse(now, n, rng)

    ratio(train, normals(PULSES), rounds=1, of="as many normals")


def test_a_hundred_pulses_at_once_on_a_million_devices(ratio: Any) -> None:
    device = dm.Device(name="bench", window=WINDOW, update=UPDATE)
    cells, rng = device.fabricate((CELLS,), STREAMS), STREAMS.rng("pulse")
    n = np.full(CELLS, PULSES)
    ratio(lambda: device.pulse(cells, n, rng), normals(PULSES), rounds=3, of="a normal for each pulse")
