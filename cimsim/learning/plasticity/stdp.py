"""stdp: a layer of a chip learns without labels, by the timing of its spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cimsim.backend import to_host
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses, at_limit
from cimsim.kernels.stdp import Race
from cimsim.learning.plasticity.competition import Competition
from cimsim.learning.plasticity.labels import UNUSED, assigned, evidence, votes
from cimsim.learning.plasticity.present import Samples, Stage
from cimsim.learning.plasticity.rectangular import RectangularSTDP
from cimsim.learning.rules.abilities import NAMES, moves
from cimsim.network.evaluate import check_labels
from cimsim.network.network import Network, mlp
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd

FIRST_SAMPLES = 100  # that thresholds are first set by
CALIBRATION_STEPS = 1024  # of the first samples, whose spikes converters are calibrated on
LOWEST = 0.01  # threshold, as a share of the first one


@dataclass(frozen=True, eq=False, repr=False)
class Plastic:
    """A layer that learned by spike timing: a value, and a classifier once its neurons have labels.

    Attributes:
        chip: the chip with the cells as they have become.
        thresholds: those of the neurons, weights times spikes, `(neurons,)`.
        labels: the class of every neuron, `(neurons,)` int64, -1 for one without a win; None before they are assigned.
        classes: number of classes, 0 before.
        rule, competition: what it learned by.
        evidence: what a win of each neuron says for each class, `(neurons, classes)`; None as `labels`.
    """

    chip: Chip
    thresholds: np.ndarray
    labels: np.ndarray | None
    classes: int
    rule: RectangularSTDP
    competition: Competition
    evidence: np.ndarray | None = None

    def __repr__(self) -> str:
        used = "no labels" if self.labels is None else f"{(self.labels != UNUSED).sum()} with labels"
        return f"Plastic({self.chip.n_in} inputs, {len(self.thresholds)} neurons, {used})"

    @property
    def n_out(self) -> int:
        """Classes."""
        return self.classes

    @property
    def receptive_fields(self) -> np.ndarray:
        """The weights that the cells hold, `(neurons, inputs)`."""
        return to_host(_matrix(self.chip).weights()).T

    def wins(self, x: Array, *, seed: int = 0) -> np.ndarray:
        """How often each neuron wins, `(samples, neurons)` int32, while nothing changes. `x` as for `stdp`."""
        samples = Samples.of(x, self.chip.n_in, self.competition, seed)
        stage = Stage(self.chip, _matrix(self.chip), self.thresholds.copy(), Streams(seed).at("stdp", "watch"))
        return stage.watch(samples, _race(self.rule, self.competition, 0.0, len(self.thresholds)))

    def labelled(self, x: Array, y: Array, *, seed: int = 0) -> Plastic:
        """The same layer, each neuron labelled by the class whose samples it wins most; give training samples only."""
        y = _class_labels(y, len(x))
        classes = int(y.max()) + 1
        wins = self.wins(x, seed=seed)
        return replace(self, labels=assigned(wins, y, classes), classes=classes, evidence=evidence(wins, y, classes))

    def predict(self, x: Array, seed: int = 0, *, graded: bool = False) -> np.ndarray:
        """Labels `(samples,)` int64: the class whose neurons win most often, the lowest one of equals.

        `graded`: a win counts for every class by its evidence, where a neuron that stands for two says both. Raises
        `InputError` before neurons have labels.
        """
        if self.labels is None or self.evidence is None:
            raise InputError("Plastic", "its neurons must have labels to classify", "none", "call labelled(x, y)")
        wins = self.wins(x, seed=seed)
        counted = wins @ self.evidence if graded else votes(wins, self.labels, self.classes)
        return np.asarray(counted.argmax(axis=1))


def stdp(
    chip: Chip | ChipSpec | Plastic,
    x: Array,
    y: Array | None = None,
    *,
    outputs: int | None = None,
    rule: RectangularSTDP | None = None,
    epochs: int = 1,
    every: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> tuple[Plastic, pd.DataFrame]:
    """What a layer becomes that learns from samples one by one by the timing of spikes, and the history.

    Every pulse goes to a cell through the device's `update` slot; reads meet faults, spread, wires and read noise.
    A device whose law the compiled loop knows (single cells or an offset column without converters; laws whose pulse is
    an affine map, and `DecayingStepUpdate`; wires as attenuation as they were at first) takes it; every other chip is
    read and pulsed spike by spike, in time that grows with its cells.

    Args:
        chip: a programmed chip of one dense layer; a design, made into a chip with random weights from 0 to 1; or a
            layer that has learned, to go on with.
        x: values `(samples, inputs)` from 0 to 1, or spikes `(samples, steps, inputs)`.
        y: integer labels, by which neurons are labelled once they have learned; they do not learn from them.
        outputs: neurons, if `chip` is a design.
        rule: what a win sends to the winner's cells; None is `RectangularSTDP()`.
        epochs: passes over the samples, each in an order of its own.
        every: samples to a row of the history; None is an epoch.
        seed: fixes the chip where it is a design, order, spikes, reads and pulses.
        settings: fields of `Competition` by name.

    Returns:
        The layer, and rows with `samples` seen, `wins` per sample, `silent` (share of samples nobody won), `used`
        (neurons with a win), `pulses_up` (SET), `pulses_down` (RESET), `cells_written`, `energy` (joules, NaN where not
        stated), `cells_at_limit` and the mean `threshold`.

    Raises:
        InputError: no pulse response, or not in a direction the rule needs; more than one layer; samples out of range,
            spikes that are not 0 or 1.
        ParameterError: time steps longer than the shortest time constant, and other settings that mean nothing.
    """
    import pandas as pd

    how, rule = Competition(**settings), rule or RectangularSTDP()
    _check_kinds(chip, rule)
    _check_counts(epochs, every)
    _check_device((chip if isinstance(chip, ChipSpec) else _chip(chip).spec), rule)
    y = None if y is None else _class_labels(y, len(x))
    samples = Samples.of(x, None if isinstance(chip, ChipSpec) else _chip(chip).n_in, how, seed)
    made = _fabricated(chip, samples, outputs, seed) if isinstance(chip, ChipSpec) else _chip(chip)
    streams, first = Streams(seed).at("stdp"), _first_threshold(_matrix(made), samples)
    thresholds = chip.thresholds.copy() if isinstance(chip, Plastic) else np.full(made.n_out, first)
    stage = Stage(made, _matrix(made), thresholds, streams)
    race, history = _race(rule, how, first, made.n_out), list[dict[str, float]]()
    for number, part in _orders(len(samples.x), epochs, every, streams):
        before = stage.sent()
        wins = stage.learn(samples, part, race, number)
        history.append(_row(stage, wins, number + len(part), before))
    layer = Plastic(made.with_matrices([stage.settled()]), thresholds, None, 0, rule, how)
    return (layer if y is None else layer.labelled(x, y, seed=seed)), pd.DataFrame(history)


def _orders(n: int, epochs: int, every: int | None, streams: Streams) -> Iterator[tuple[int, np.ndarray]]:
    """Samples in the order in which they are shown, in parts, each with the number of the first of them."""
    size = every or n
    for epoch in range(epochs):
        order = streams.at("epoch", epoch).rng("shuffle").permutation(n)
        yield from ((epoch * n + start, order[start : start + size]) for start in range(0, n, size))


def _chip(given: Chip | Plastic) -> Chip:
    return given.chip if isinstance(given, Plastic) else given


def _row(stage: Stage, wins: np.ndarray, number: int, before: Pulses) -> dict[str, float]:
    """A row of the history."""
    now = stage.sent()
    row = {"samples": number, "wins": wins.sum() / len(wins), "silent": np.mean(~wins.any(axis=1))}
    row |= {"used": int(wins.any(axis=0).sum())}
    row |= {name: getattr(now, k) - getattr(before, k) for name, k in _SENT.items()}
    return row | {"cells_at_limit": at_limit(stage.settled()), "threshold": float(stage.thresholds.mean())}


_SENT = {"pulses_up": "up", "pulses_down": "down", "cells_written": "written", "energy": "energy"}


def _race(rule: RectangularSTDP, how: Competition, first: float, neurons: int) -> Race:
    """The law of the loop; `first` is the first threshold."""
    still = how.homeostasis
    rise, fall = (0.0, 0.0) if still is None else (still.rise(first), still.fall(first, neurons))
    pulses = (rule.set_pulses, rule.reset_pulses)
    return Race(how.decay, how.hold, rule.steps(how.dt), *pulses, rise, fall, LOWEST * first, learn=True)


def _first_threshold(matrix: AnalogMatrix, samples: Samples) -> float:
    """A share of the largest potential that the first samples reach where nobody fires, the mean over neurons."""
    w, how = to_host(matrix.weights()), samples.how
    chosen = np.arange(min(FIRST_SAMPLES, len(samples.x)))
    events, peaks = samples.events(chosen, 0), []
    for b in chosen:
        u, most = np.zeros(w.shape[1]), np.zeros(w.shape[1])
        for t in range(b * how.steps, (b + 1) * how.steps):
            u = how.decay * u + w[events.rows[events.starts[t] : events.starts[t + 1]]].sum(axis=0)
            most = np.maximum(most, u)
        peaks.append(most)
    first = how.threshold * float(np.mean(peaks))
    if not first > 0:
        raise InputError("stdp.x", "must make the neurons' potentials rise", f"a mean peak of {np.mean(peaks):g}")
    return first


def _fabricated(spec: ChipSpec, samples: Samples, outputs: int | None, seed: int) -> Chip:
    """A chip of one layer with random weights, its converters calibrated on the spikes of some steps."""
    if outputs is None:
        raise InputError("stdp.outputs", "must be given with a design", "None", "give outputs=100, say")
    shape = (samples.x.shape[-1], outputs)
    w = Streams(seed).at("stdp").rng("weights").random(shape, dtype=np.float32)
    network = mlp(shape, seed=seed).with_weights([(w, np.zeros(outputs, np.float32))])
    return program(network, spec, calibrate=samples.vectors(CALIBRATION_STEPS), seed=seed)


def _matrix(chip: Chip) -> AnalogMatrix:
    """The one matrix of a chip. Raises `InputError` for other chips."""
    matrix, remedy = chip.matrices[0], "program cim.mlp([n_in, n_out]), or give a design and outputs"
    if len(chip.matrices) != 1 or not _dense(chip.network):
        raise InputError("stdp.chip", "must be a chip of one dense layer", repr(chip), remedy)
    if not isinstance(matrix, AnalogMatrix):
        raise InputError("stdp.chip", "must be a layer without copies", f"{len(matrix.copies)} copies", remedy)
    return matrix


def _dense(network: Network) -> bool:
    return bool(network.weighted[0].weight.shape == (network.n_in, network.n_out))


def _check_device(spec: ChipSpec, rule: RectangularSTDP) -> None:
    """Raise `InputError` where the cells cannot take the rule's pulses."""
    spec.device.pulse_step()  # raises without an update slot
    room = np.zeros((spec.weights.analog().shape[1], 1, 1 + spec.weights.reference))
    spec.weights.pulses(np.zeros((1, 1), np.int64), room)  # raises for a scheme without a rule for its cells
    for name in sorted(rule.needs):
        if not moves(spec.device, up=name == "up"):
            broken = f"needs {NAMES[name]}, which no pulse to '{spec.device.name}' does"
            remedy = "send none (set_pulses=0, reset_pulses=0), or take a device with both directions"
            raise InputError("RectangularSTDP", broken, "", remedy)


def _check_kinds(chip: object, rule: object) -> None:
    if not isinstance(chip, Chip | ChipSpec | Plastic):
        raise InputError("stdp.chip", "must be a Chip, a ChipSpec or a Plastic", type(chip).__name__)
    if not isinstance(rule, RectangularSTDP):
        remedy = "use cim.plasticity.RectangularSTDP()"
        raise InputError("stdp.rule", "must be a RectangularSTDP", type(rule).__name__, remedy)


def _check_counts(epochs: int, every: int | None) -> None:
    for name, value in (("epochs", epochs), ("every", every)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise InputError(f"stdp.{name}", "must be an integer, 1 or more", value)


def _class_labels(y: Array, n: int) -> np.ndarray:
    """Labels from 0 on, checked."""
    return check_labels(y, n, int(np.max(y, initial=0)) + 1)
