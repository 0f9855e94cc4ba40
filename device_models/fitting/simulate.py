"""Measurements of a device that is given as a card: to plan a real one, and to test the fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from device_models.device import Cells, Device
from device_models.errors import InputError, suggestion
from device_models.fitting import tables
from device_models.fitting.tables import Table
from device_models.streams import Streams

TIMES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)  # seconds


def measure(device: Device, kind: str, *, devices: int = 20, seed: int = 0, **plan: Any) -> Table:
    """A simulated measurement.

    Args:
        device: the card that is measured.
        kind: "pulses", "retention", "reads", "iv", "writes" or "faults".
        devices: how many cells.
        seed: of everything drawn.
        plan: what else the measurement of that kind takes, `cycles=5` of "pulses" say (see the functions below).

    Raises:
        InputError: an unknown kind, or a device without the slot that is measured.
    """
    if kind not in MEASUREMENTS:
        raise InputError("kind", "must be a kind of measurement", kind, suggestion(kind, list(MEASUREMENTS)))
    columns = MEASUREMENTS[kind](device, devices, Streams(seed), **plan)
    return tables.make(kind, columns, f"{device.name}, simulated")


def pulses(
    device: Device, devices: int, streams: Streams, *, cycles: int = 4, up: int = 0, down: int = 0
) -> dict[str, np.ndarray]:
    """Trains of `up` and `down` pulses in turn, read after each (pulse 0: before the first).

    By default half as many pulses again as cross the window. Cells begin at the low end.
    """
    across = max(8, round(1.5 * device.window.span / device.pulse_step()))
    cells, rng, noise = device.fabricate((devices,), streams), streams.rng("pulse"), streams.rng("read")
    parts: list[tuple[int, int, int, np.ndarray]] = []
    for cycle in range(cycles):
        for sign, count in ((1, up or across), (-1, down or across)):
            parts.append((cycle, sign, 0, device.read(cells, noise)))
            for k in range(count):
                cells = device.pulse(cells, np.full(devices, sign), rng)
                parts.append((cycle, sign, k + 1, device.read(cells, noise)))
    cycle_, sign_, pulse_ = (np.repeat([part[i] for part in parts], devices) for i in range(3))
    g = np.maximum(np.concatenate([part[3] for part in parts]), 0.0)
    return {
        "device": np.tile(np.arange(devices), len(parts)),
        "cycle": cycle_,
        "pulse": pulse_,
        "polarity": sign_,
        "g": g,
    }


def retention(
    device: Device, devices: int, streams: Streams, *, times: Sequence[float] = TIMES, levels: int = 8
) -> dict[str, np.ndarray]:
    """Cells written to `levels` levels in turn and read at `times` (seconds since the write)."""
    cells, target = _written(device, devices, streams, levels)
    noise, parts = streams.rng("read"), []
    for t in times:
        parts.append(device.read(device.age(cells, float(t)), noise))
    n = len(times)
    return {
        "device": np.tile(np.arange(devices), n),
        "t": np.repeat(np.asarray(times, dtype=float), devices),
        "g": np.maximum(np.concatenate(parts), 0.0),
        "g_target": np.tile(target, n),
    }


def reads(
    device: Device, devices: int, streams: Streams, *, count: int = 100, interval: float = 1e-3, levels: int = 8
) -> dict[str, np.ndarray]:
    """Cells written to `levels` levels and read `count` times, `interval` seconds apart."""
    cells, _ = _written(device, devices, streams, levels)
    times = interval * np.arange(1, count + 1)
    noise = streams.rng("read")
    g = np.concatenate([device.read(device.age(cells, t), noise) for t in times])
    return {"device": np.tile(np.arange(devices), count), "t": np.repeat(times, devices), "g": np.maximum(g, 0.0)}


def iv(
    device: Device, devices: int, streams: Streams, *, v_max: float = 0.5, points: int = 41, error: float = 0.01
) -> dict[str, np.ndarray]:
    """Sweeps from -v_max to v_max, with a relative error of the measured current."""
    cells, _ = _written(device, devices, streams, 8)
    v = np.linspace(-v_max, v_max, points)
    i = device.conductance(cells)[:, None] * device.drive(v)
    i = i * (1 + error * streams.rng("iv").standard_normal(i.shape))
    return {"device": np.repeat(np.arange(devices), points), "v": np.tile(v, devices), "i": i.ravel()}


def writes(
    device: Device, devices: int, streams: Streams, *, levels: int = 16, repeats: int = 1
) -> dict[str, np.ndarray]:
    """Every cell written to every level of the window, `repeats` times, and read once."""
    cells = device.fabricate((devices,), streams)
    targets = device.window.quantise(np.linspace(device.window.g_min, device.window.g_max, levels))
    noise, parts, wanted = streams.rng("read"), [], np.repeat(targets, repeats)
    for k, target in enumerate(wanted):
        cells, _ = device.program(cells, np.full(devices, target), streams.at("write", k))
        parts.append(device.read(cells, noise))
    g = np.maximum(np.concatenate(parts), 0.0)
    return {"device": np.tile(np.arange(devices), len(wanted)), "g_target": np.repeat(wanted, devices), "g": g}


def faults(device: Device, devices: int, streams: Streams) -> dict[str, np.ndarray]:
    """The map of stuck cells."""
    return {"device": np.arange(devices), "stuck": device.fabricate((devices,), streams).stuck}


def _written(device: Device, devices: int, streams: Streams, levels: int) -> tuple[Cells, np.ndarray]:
    """Cells written to levels of the window in turn."""
    window = device.window
    target = window.quantise(np.linspace(window.g_min, window.g_max, levels))[np.arange(devices) % levels]
    return device.program(device.fabricate((devices,), streams), target, streams)[0], target


MEASUREMENTS: dict[str, Callable[..., dict[str, np.ndarray]]] = {
    "pulses": pulses,
    "retention": retention,
    "reads": reads,
    "iv": iv,
    "writes": writes,
    "faults": faults,
}
