"""The symmetry point: where a pulse up and a pulse down cancel, and where alternating pulses take a cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from device_models.device import Cells, Device
from device_models.streams import Streams
from device_models.update import StepUpdate
from device_models.update.base import spans
from device_models.window import Array

HALVINGS = 40
TINY = 1e-12  # of the span
PASSES = 2  # windows crossed in each direction by alternating pulses, where a law is known by its pulses only


def symmetry_points(device: Device, cells: Cells, streams: Streams) -> Array:
    """Conductance (siemens) at which each cell's mean pulses up and down cancel: by its own law, in its own window.

    A cell whose pulses in one direction are stronger everywhere has its point at the end they lead to; one whose pulses
    are alike everywhere has it in the middle. Laws given by the mean of a pulse are solved; others are run, as on a
    chip: alternating pulses, the zero-shifting technique of Kim et al., arXiv:1907.10228 (2019).
    """
    limits = device.limits(cells)
    span = spans(limits)
    if not isinstance(device.update, StepUpdate):
        return _by_pulses(device, cells, streams)
    law, own = device.update, device.update.own(cells.variation)
    up, down = (law.course(own, span, up=direction) for direction in (True, False))

    courses = [np.broadcast_to(number, cells.shape).ravel() for number in (*up, *down)]

    def excess(x: Array, which: Array | slice = slice(None)) -> Array:
        numbers = [number[which] for number in courses]
        return law.gain(x, *numbers[: len(up)]) - law.gain(1 - x, *numbers[len(up) :])

    return limits.g_min + span * _roots(excess, np.zeros_like(cells.g).ravel()).reshape(cells.shape)


def _roots(excess: Callable[..., Array], low: Array) -> Array:
    """Where `excess`, above 0 at `low` = 0 and below at 1, is 0: at once where it is straight, else by halving."""
    first, last = excess(low), excess(low + 1)
    alike = np.maximum(np.abs(first), np.abs(last)) < TINY
    roots = np.where(alike, 0.5, first / np.where(first == last, 1.0, first - last))
    bent = np.flatnonzero(~(alike | ((first > 0) & (last < 0) & (np.abs(excess(roots)) < TINY))))
    low, high = low[bent], low[bent] + 1
    for _ in range(HALVINGS if len(bent) else 0):
        middle = (low + high) / 2
        rising = excess(middle, bent) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    roots[bent] = (low + high) / 2
    return roots


def _by_pulses(device: Device, cells: Cells, streams: Streams) -> Array:
    """The mean of the last up and down state of cells under alternating pulses."""
    rng, n = streams.rng("alternate"), np.ones(cells.shape, np.int64)
    state = before = cells
    for _ in range(int(PASSES * device.window.span / device.pulse_step())):
        before = device.pulse(state, n, rng)
        state = device.pulse(before, -n, rng)
    return (before.g + state.g) / 2
