"""`check_rule`: every promise of a pulse rule, for ours and for users' own.

Each check returns nothing where the promise is kept and a sentence where it is broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cimsim.crossbar.mapping import DifferentialPair
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.pulsing import Pulser, Pulses
from cimsim.learning.rules.abilities import check_abilities
from cimsim.learning.rules.base import PulseRule, Step
from device_models.device import Device
from device_models.parameters import to_dict
from device_models.promises import Finding, findings, global_state
from device_models.streams import Streams
from device_models.update import SoftBoundsUpdate
from device_models.window import Window

Check = Callable[[PulseRule, Streams], str | None]

DEVICE = Device(name="check", window=Window(g_min=1e-6, g_max=101e-6), update=SoftBoundsUpdate(rate=0.01))
SHAPE, READS, STEPS = (6, 5), 4, 12
RATE = 0.2  # several pulses for most weights, and more siemens than most thresholds


def check_rule(rule: PulseRule, *, seed: int = 0, strict: bool = True) -> list[Finding]:
    """Check every promise of a pulse rule, on small matrices of a device with soft bounds.

    Args:
        rule: a rule of this package or of one's own.
        seed: seed of every draw.
        strict: raise on a broken promise; otherwise only report.

    Returns:
        One finding per promise, `broken` empty where it is kept.

    Raises:
        AssertionError: a promise is broken (all of them are named).
    """
    return findings(f"rule '{type(rule).__name__}'", rule, CHECKS, seed=seed, strict=strict)


class Course(NamedTuple):
    """What a rule made of a matrix in some batches: matrices and pulses, batch by batch."""

    matrices: list[AnalogMatrix]
    sent: list[Pulses]

    @property
    def moved(self) -> np.ndarray:
        """The change of the weights."""
        moved: np.ndarray = self.matrices[-1].weights() - self.matrices[0].weights()
        return moved


def _matrix(streams: Streams) -> AnalogMatrix:
    w = streams.rng("weights").uniform(-0.5, 0.5, SHAPE)
    w[0, 0] = 1.0
    design = Design(DEVICE, (4, 4), DifferentialPair(), None, None, None, 0.2)
    return AnalogMatrix.program(w, design, streams.at("matrix"))


def _step(matrix: AnalogMatrix, batch: int, streams: Streams, memory: dict[str, Any], size: float = 1.0) -> Step:
    """A batch of positive inputs and errors whose signs stay, so that the wanted change has one direction."""
    x = streams.at("x", batch).rng("x").uniform(0.2, 1.0, (READS, SHAPE[0])).astype(np.float32)
    signs = np.where(np.arange(SHAPE[1]) % 2, 1.0, -1.0)
    d = (size * signs * streams.at("d", batch).rng("d").uniform(0.5, 1.0, (READS, SHAPE[1]))).astype(np.float32)
    return Step(matrix, x, d, RATE, streams.at("batch", batch), memory, True, Pulser(matrix))


def _course(rule: PulseRule, streams: Streams, size: float = 1.0) -> Course:
    matrix, memory = _matrix(streams), dict[str, Any]()
    course = Course([matrix], [])
    for batch in range(STEPS):
        matrix, sent = rule.update(_step(matrix, batch, streams, memory, size))
        course.matrices.append(matrix)
        course.sent.append(sent)
    return course


def _card(rule: PulseRule, streams: Streams) -> str | None:
    """A rule survives the way to TOML values and back."""
    back = PulseRule.model_validate(to_dict(rule))
    return None if back == rule else "It came back different."


def _able(rule: PulseRule, streams: Streams) -> str | None:
    """A device with both directions, a symmetry point and any number of states is good enough."""
    check_abilities(rule, _matrix(streams))
    return None


def _rests(rule: PulseRule, streams: Streams) -> str | None:
    """Without a gradient nothing is sent and nothing changes."""
    course = _course(rule, streams, size=0.0)
    sent = sum(p.up + p.down for p in course.sent)
    worst = float(np.abs(course.moved).max())
    return None if sent == 0 and worst < 1e-12 else f"{sent} pulses went out, and a weight moved by {worst:.3g}."


def _descends(rule: PulseRule, streams: Streams) -> str | None:
    """Weights move down the gradient, not up."""
    course = _course(rule, streams)
    wanted = np.where(np.arange(SHAPE[1]) % 2, -1.0, 1.0)
    along = (course.moved * wanted).mean()
    return None if along > 0 else f"In {STEPS} batches the mean weight went {along:.3g} of the way down."


def _repeats(rule: PulseRule, streams: Streams) -> str | None:
    """The same streams make the same pulses, and no draw uses NumPy's global generator."""
    state = global_state()
    first, again = _course(rule, streams), _course(rule, streams)
    if first.sent != again.sent and not all(map(_same, first.sent, again.sent)):
        return "From one seed the pulses differ."
    if not np.array_equal(first.matrices[-1].weights(), again.matrices[-1].weights()):
        return "From one seed the weights differ."
    return None if state == global_state() else "The global generator was moved."


def _values(rule: PulseRule, streams: Streams) -> str | None:
    """The matrix that is given stays as it is, and so do the inputs and errors."""
    matrix = _matrix(streams)
    step = _step(matrix, 0, streams, {})
    before = [matrix.weights(), step.x.copy(), step.d.copy()]
    rule.update(step)
    after = [matrix.weights(), step.x, step.d]
    return None if all(map(np.array_equal, before, after)) else "An update wrote into them."


def _counts(rule: PulseRule, streams: Streams) -> str | None:
    """What is reported was sent: at least the pulses that the cells received, as whole numbers, and energy or NaN."""
    course = _course(rule, streams)
    received = _received(course.matrices[-1]) - _received(course.matrices[0])
    sent = sum(p.up + p.down for p in course.sent)
    whole = all(isinstance(k, int) and k >= 0 for p in course.sent for k in (p.up, p.down, p.written))
    if not whole or any(not math.isnan(p.energy) and p.energy < 0 for p in course.sent):
        return f"Reported were {course.sent[0]}."
    return None if sent >= received else f"The cells received {received} pulses, {sent} were reported."


def _layers_apart(rule: PulseRule, streams: Streams) -> str | None:
    """What is remembered of one layer stays with it: two layers in turn learn as each alone."""
    alone = [_course(rule, streams.at("layer", k)).moved for k in (0, 1)]
    matrices = [_matrix(streams.at("layer", k)) for k in (0, 1)]
    start, memories = [m.weights() for m in matrices], [dict[str, Any](), dict[str, Any]()]
    for batch in range(STEPS):
        for k in (0, 1):
            step = _step(matrices[k], batch, streams.at("layer", k), memories[k])
            matrices[k], _ = rule.update(step)
    together = [m.weights() - w for m, w in zip(matrices, start, strict=True)]
    return None if all(map(np.array_equal, alone, together)) else "They learn something else together."


def _window(rule: PulseRule, streams: Streams) -> str | None:
    """Cells stay in their windows under a gradient a thousand times as large."""
    for tile in _course(rule, streams, size=1000.0).matrices[-1].tiles.values():
        g, limits = tile.cells.g, tile.cells.limits
        if not np.isfinite(g).all() or (g < limits.g_min).any() or (g > limits.g_max).any():
            return f"They went from {g.min():.3g} to {g.max():.3g} S."
    return None


def _received(matrix: AnalogMatrix) -> int:
    return int(sum(tile.cells.pulses.sum() for tile in matrix.tiles.values()))


def _same(one: Pulses, other: Pulses) -> bool:
    return (one.up, one.down, one.written) == (other.up, other.down, other.written)


CHECKS: tuple[Check, ...] = (
    _card,
    _able,
    _rests,
    _descends,
    _repeats,
    _values,
    _counts,
    _layers_apart,
    _window,
)
