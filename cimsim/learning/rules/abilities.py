"""Whether cells can do what a rule asks of them, found out before training starts."""

from __future__ import annotations

import numpy as np

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.learning.rules.base import PulseRule
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.update import StepUpdate

NAMES = {"up": "potentiation (SET)", "down": "depression (RESET)"}
DRAWS, Z_LIMIT = 4096, 5.0


def check_abilities(rule: PulseRule, matrix: AnalogMatrix) -> None:
    """Raise `InputError` if the cells of a matrix cannot take the pulses that a rule needs."""
    if rule.needs:
        device, scheme = matrix.design.device, matrix.design.scheme
        device.pulse_step()  # raises without an update slot
        room = np.zeros((scheme.analog().shape[1], 1, 1 + (scheme.data_columns(2) == 1)))
        scheme.pulses(np.zeros((1, 1), np.int64), room)  # raises for a scheme without a rule for its cells
        for name in sorted(rule.needs):
            if not moves(device, up=name == "up"):
                rule_broken = f"needs {NAMES[name]}, which no pulse to '{device.name}' does"
                remedy = "choose a rule that does without, or a device whose update slot has both directions"
                raise InputError(type(rule).__name__, rule_broken, "", remedy)
    rule.check(matrix)


def moves(device: Device, *, up: bool) -> bool:
    """Whether pulses in one direction change the conductance of a nominal cell anywhere in its window, in the mean.

    Laws given by the mean of a pulse are asked for it; others are tried, with enough draws to see a mean that is an
    eighth of the standard deviation of one pulse.
    """
    assert device.update is not None
    window, shares = device.window, np.linspace(0.05, 0.95, 10)
    if isinstance(device.update, StepUpdate):
        course = device.update.course(device.update.own(None), np.array(window.span), up=up)
        return bool(np.any(device.update.gain(shares, *course) > 0))
    g = np.repeat(window.g_min + shares * window.span, DRAWS)
    n = np.full(g.shape, 1 if up else -1)
    after = device.update.pulse(g, n, window, Streams(0).at("abilities").rng("pulse"))
    moved = (after - g).reshape(len(shares), DRAWS) * (1 if up else -1)
    error = moved.std(axis=1) / np.sqrt(DRAWS) + 1e-12 * window.span
    return bool(np.any(moved.mean(axis=1) > Z_LIMIT * error))
