"""Writes and pulses of large arrays against the normal deviates that NumPy draws in the same time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from cimsim.bench.timing import Case, Run
from device_models.device import Device
from device_models.programming import Programming, VerifyLoop, shortcut
from device_models.streams import Streams
from device_models.update import ExponentialUpdate
from device_models.window import Window

CELLS, PULSES = 1_000_000, 100
WINDOW = Window(g_min=5e-6, g_max=100e-6)
UPDATE = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
SPREAD = UPDATE.replace(spread_pulses_up=0.1, spread_pulses_down=0.1, spread_nl_up=0.3, spread_nl_down=0.3)
LOOP = VerifyLoop(tolerance_share=0.02)


def cases() -> Iterator[Case]:
    """Write-verify of an array, and pulses one by one and at once."""
    written = "1024 x 1024 cells by write-verify to 2 %"
    yield Case(written, "1e6 normal deviates", partial(write, LOOP), rounds=3)
    law = shortcut(LOOP, UPDATE, WINDOW)
    yield Case(f"{written}, by its law", "1e6 normal deviates", partial(write, law), rounds=3)
    yield Case("1e6 devices x 100 pulses", "as many normal deviates", partial(one_by_one, UPDATE), rounds=1)
    yield Case("the same, no two devices alike", "as many normal deviates", partial(one_by_one, SPREAD), rounds=1)
    yield Case("1e6 devices, 100 pulses at once", "a normal deviate for each pulse", at_once, rounds=1)


def write(programming: Programming) -> tuple[Run, Run]:
    """An array fabricated and written."""
    device, streams = Device(name="bench", window=WINDOW, update=UPDATE, programming=programming), Streams(0)
    cells = device.fabricate((1024, 1024), streams)
    target = streams.rng("targets").uniform(WINDOW.g_min, WINDOW.g_max, cells.shape)
    return lambda: device.program(cells, target, streams), normals(1)


def one_by_one(update: ExponentialUpdate) -> tuple[Run, Run]:
    """A hundred single pulses on a million devices."""
    device, n = Device(name="bench", window=WINDOW, update=update), np.ones(CELLS, dtype=int)
    cells = device.fabricate((CELLS,), Streams(0))

    def train() -> None:
        now, rng = cells, Streams(0).rng("pulse")
        for _ in range(PULSES):
            now = device.pulse(now, n, rng)

    return train, normals(PULSES)


def at_once() -> tuple[Run, Run]:
    """A train of a hundred pulses on a million devices."""
    device, n = Device(name="bench", window=WINDOW, update=UPDATE), np.full(CELLS, PULSES)
    cells, rng = device.fabricate((CELLS,), Streams(0)), Streams(0).rng("pulse")
    return lambda: device.pulse(cells, n, rng), normals(PULSES)


def normals(times: int) -> Run:
    """A normal deviate for each of a million cells, `times` over."""
    rng = np.random.Generator(np.random.SFC64(0))

    def draw() -> None:
        for _ in range(times):
            rng.standard_normal(CELLS)

    return draw
