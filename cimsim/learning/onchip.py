"""Training on the chip (in situ): forward through its analogue products, updates as pulses to its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

import numpy as np
from pydantic import Field, model_validator

from cimsim.backend import to_host, to_library_of
from cimsim.chip import AnyMatrix, Chip
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.held import held_product, holds_outputs
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser, Pulses, at_limit
from cimsim.crossbar.tile import Place
from cimsim.learning.plasticity.feedback import FeedbackAlignment
from cimsim.learning.rules import MixedPrecision, PulseRule, Step
from cimsim.learning.rules.abilities import check_abilities
from cimsim.network.evaluate import check_labels
from cimsim.network.layers import Product
from device_models.device import Cells
from device_models.errors import InputError, check_type, renamed
from device_models.parameters import Parameters, RuleBroken
from device_models.streams import Streams
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd

Backward = Literal["digital", "chip", "feedback"]
_Snapshot = tuple[dict[int, dict[Place, Cells]], list[Array]]


class FineTuning(Parameters):
    """How a chip is tuned, whatever the pulse rule.

    The learning rate is given as `learning_rate`, in weights over the layer's largest weight, or as `learning_pulses`,
    in pulses: a gradient of 1 then asks for so many nominal steps of a cell. `refresh` is the number of batches between
    exact solutions of the wires; in between, each cell is attenuated as at the last one, which is off by the change of
    the attenuation since: second order in the change of the conductances. `max_pulses` is that of the default rule.
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the data")] = 5
    batch: Annotated[int, Field(ge=1, description="samples per update")] = 32
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    learning_pulses: Annotated[float | None, Field(gt=0.0, description="pulses per unit of gradient")] = None
    max_pulses: Annotated[int, Field(ge=1, description="pulses per weight and batch")] = 10
    refresh: Annotated[int, Field(ge=1, description="batches")] = 100

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.learning_pulses is not None and self.learning_rate != type(self).model_fields["learning_rate"].default:
            raise RuleBroken("needs either learning_rate or learning_pulses", value="both")
        return self

    def rate(self, matrix: AnalogMatrix) -> float:
        """Weight per unit of gradient."""
        if self.learning_pulses is not None:
            return self.learning_pulses * matrix.weight_step
        return self.learning_rate * matrix.weight_scale


class Diverged(InputError):
    """A training that went beyond finite numbers; `chip` and `history` are those of the last epoch that did not."""

    def __init__(self, what: str, chip: Chip, history: list[dict[str, float]]) -> None:
        import pandas as pd

        super().__init__("fine_tune", f"must keep the {what} finite", "divergence", "lower learning_rate")
        self.chip, self.history = chip, pd.DataFrame(history)


def fine_tune(
    chip: Chip,
    x: Array,
    y: Array,
    *,
    layers: Sequence[int] = (-1,),
    rule: PulseRule | None = None,
    backward: Backward = "digital",
    seed: int = 0,
    **settings: Any,
) -> tuple[Chip, pd.DataFrame]:
    """The chip after its layers were trained in place by signed pulses, and the history.

    Args:
        chip: a programmed and calibrated chip; its device needs a pulse response (`update` slot).
        x: samples `(n, n_in)`.
        y: integer labels `(n,)`.
        layers: the weighted layers to tune, -1 the last; the others stay as they are. Biases are digital and follow.
        rule: how gradients become pulses; None is `MixedPrecision(max_pulses=max_pulses)`.
        backward: the error goes from layer to layer through the weights that the cells hold, read exactly ("digital"),
            through a transposed read of the tiles ("chip"), or by fixed random weights ("feedback", see
            `FeedbackAlignment`).
        seed: fixes the order of samples, the reads and the pulses' noise.
        settings: fields of `FineTuning` by name.

    Returns:
        The new chip, and one row per epoch: `epoch`, `loss` and `accuracy` (means over the epoch's batches as they were
        read, before their update), `pulses_up` (SET), `pulses_down` (RESET), `cells_written` (each time one is),
        `energy` of the pulses (joules, NaN where the device does not state it), `cells_at_limit` (working cells at an
        end of their windows after the epoch, those that rest there by design apart).

    Raises:
        InputError: no pulse response, layers that do not exist, bad data, a rule that asks for what the device cannot
            do; `Diverged` with what was computed if a loss or an error is not finite.
    """
    import pandas as pd

    choice = FineTuning(**settings)
    check_type("fine_tune.chip", chip, Chip, "write it to one with cim.program")
    x = to_library_of(chip.network.check(x), chip.network.weights[0])
    y = check_labels(y, len(x), chip.n_out)
    tuned = _chosen(chip, layers)
    rule = MixedPrecision(max_pulses=choice.max_pulses) if rule is None else rule
    _check(chip, rule, tuned, backward)
    run = _Run(chip, choice, rule, tuned, backward, Streams(seed).at("fine tune"))
    for epoch in range(choice.epochs):
        run.epoch(epoch, x, y)
    return run.finished(), pd.DataFrame(run.history)


def _chosen(chip: Chip, layers: Sequence[int]) -> list[int]:
    """The numbers of the layers to tune, rising. Raises `InputError` for what is no list of layers that there are."""
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise InputError("fine_tune.layers", "must be a list of layers", layers, "write [-1] for the last")
    with renamed(layer="fine_tune.layers"):
        chosen = sorted({chip.index(k) for k in layers})
    if not chosen:
        raise InputError("fine_tune.layers", "must name at least one layer", "none", "use layers=[-1] for the last")
    return chosen


def _check(chip: Chip, rule: PulseRule, layers: list[int], backward: Backward) -> None:
    """Raise `InputError` for what cannot be trained, before any pulse."""
    if isinstance(rule, type):
        where, got = "fine_tune.rule", f"the class {rule.__name__}"
        raise InputError(where, "must be a PulseRule", got, f"write {rule.__name__}()")
    check_type("fine_tune.rule", rule, PulseRule, "use cim.rules.Manhattan(), say")
    if backward not in get_args(Backward):
        raise InputError("fine_tune.backward", f"must be one of {', '.join(get_args(Backward))}", backward)
    for k in layers:
        check_abilities(rule, _single(chip.matrices[k], k))


def _single(matrix: AnyMatrix, k: int) -> AnalogMatrix:
    """A layer's matrix where it has no copies."""
    if isinstance(matrix, AnalogMatrix):
        return matrix
    rule, remedy = "must be layers without copies, which would drift apart", "program them without replicas"
    raise InputError("fine_tune.layers", rule, f"layer {k} in {len(matrix.copies)} copies", remedy)


class _Run:
    """A tuning in progress: its matrices and layers are its own, changed from batch to batch."""

    def __init__(
        self, chip: Chip, choice: FineTuning, rule: PulseRule, tuned: list[int], backward: Backward, streams: Streams
    ) -> None:
        self.chip, self.choice, self.rule, self.tuned, self.streams = chip, choice, rule, tuned, streams
        self.backward = backward
        random = backward == "feedback"
        self.feedback = FeedbackAlignment().products(chip.network, streams.at("feedback")) if random else None
        self.matrices = list(chip.matrices)
        own = {k: _single(chip.matrices[k], k) for k in tuned}
        self.network = chip.network.with_weights([(a.weight, np.copy(a.bias)) for a in chip.network.weighted])
        self.rates = {k: choice.rate(matrix) for k, matrix in own.items()}
        self.pulsers = {k: Pulser(matrix, in_place=True) for k, matrix in own.items()}
        self.memory: dict[int, dict[str, Any]] = {k: {} for k in tuned}
        like = self.matrices[0].tiles[0, 0].signals
        places = [streams.at("layer", k) for k in range(len(self.matrices))]
        self.products = [self._product(k, Draws(place, like)) for k, place in enumerate(places)]
        self.transposed = self.feedback or [
            self._transposed(k, Draws(place.at("back"), like)) for k, place in enumerate(places)
        ]
        self.batches, self.seen = 0, 0
        self.history: list[dict[str, float]] = []
        self.kept = self._snapshot()

    def epoch(self, number: int, x: Array, y: np.ndarray) -> None:
        """One pass over the samples, and its row of the history."""
        order = self.streams.at("epoch", number).rng("shuffle").permutation(len(x))
        loss, hits, sent = 0.0, 0, Pulses()
        with np.errstate(over="ignore", invalid="ignore"):  # a divergence is reported in words
            for start in range(0, len(x), self.choice.batch):
                chosen = order[start : start + self.choice.batch]
                more, hit, pulses = self.step(x[to_library_of(chosen, x)], y[chosen])
                loss, hits, sent = loss + more * len(chosen), hits + hit, sent + pulses
        self.kept = self._snapshot()
        row: dict[str, float] = {"epoch": number + 1, "loss": loss / len(x), "accuracy": hits / len(x)}
        row |= {"pulses_up": sent.up, "pulses_down": sent.down, "cells_written": sent.written, "energy": sent.energy}
        self.history.append(row | {"cells_at_limit": sum(at_limit(self._own(k)) for k in self.tuned)})

    def step(self, x: Array, y: np.ndarray) -> tuple[float, int, Pulses]:
        """One batch: read, pulse. Returns the loss, the number of right answers, what was sent."""
        row, self.seen = self.seen, self.seen + len(x)
        coding = {"seed": self.streams.seed, "row": row}
        signals = self.network.backpropagate(x, y, self.products, self.transposed, lowest=self.tuned[0], **coding)
        self._check_finite("loss", signals.loss)
        errors = {k: signals.error(k) for k in self.tuned}
        slopes = {k: error.sum(axis=0) for k, error in errors.items()}
        for slope in slopes.values():
            self._check_finite("gradient", slope.sum())
        hits = int(np.count_nonzero(to_host(signals.logits.argmax(axis=1)) == y))
        self.batches += 1
        sent = [self._update(k, signals.given(k), errors[k], slopes[k]) for k in self.tuned]
        return float(signals.loss), hits, sum(sent[1:], sent[0])

    def finished(self) -> Chip:
        """The chip as the last epoch left it, its wires solved exactly."""
        return self._made(*self.kept)

    def _own(self, k: int) -> AnalogMatrix:
        """The matrix of a layer that is tuned, as it is now."""
        return _single(self.matrices[k], k)

    def _product(self, k: int, draws: Draws) -> Product:
        """The product of a layer by its matrix as that is when it is called."""
        if self.chip.spec.neurons is None and holds_outputs(self.matrices[k]):
            return lambda x: held_product(self.matrices[k], x)
        return lambda x: self.chip.sensed(k, self.matrices[k], draws)(x)

    def _transposed(self, k: int, draws: Draws) -> Product:
        """As `_product`, `d @ w.T`: by the weights the cells hold, or by a read of the tiles from their bit lines."""
        if self.backward == "digital":
            return lambda d: held_product(self.matrices[k], d, back=True)
        return lambda d: self.matrices[k].rmatmul(d, draws)

    def _update(self, k: int, x: Array, d: Array, d_bias: Array) -> Pulses:
        """Pulse one layer by the rule; its bias, which is digital, steps along its gradient."""
        exact = self.batches % self.choice.refresh == 0
        here = self.streams.at("layer", k, "update", self.batches)
        mask = self.network.weighted[k].mask
        step = Step(self._own(k), x, d, self.rates[k], here, self.memory[k], exact, self.pulsers[k], mask)
        self.matrices[k], sent = self.rule.update(step)
        bias = self.network.weighted[k].bias
        bias -= self.rates[k] * d_bias
        return sent

    def _check_finite(self, what: str, value: Array) -> None:
        if not isfinite(value):
            raise Diverged(what, self._made(*self.kept), self.history)

    def _snapshot(self) -> _Snapshot:
        """Copies of what further batches change."""
        cells = {k: {p: _kept(t.cells) for p, t in self.matrices[k].tiles.items()} for k in self.tuned}
        return cells, [np.copy(a.bias) for a in self.network.weighted]

    def _made(self, cells: dict[int, dict[Place, Cells]], biases: list[Array]) -> Chip:
        matrices = list(self.chip.matrices)
        for k in self.tuned:
            matrices[k] = self._own(k).with_cells(cells[k])
        pairs = [(a.weight, bias) for a, bias in zip(self.chip.network.weighted, biases, strict=True)]
        return replace(self.chip, network=self.chip.network.with_weights(pairs), matrices=tuple(matrices))


def _kept(cells: Cells) -> Cells:
    """The cells with copies of what pulses and writes change, in the usual order: under pulses they lie otherwise."""
    copy = partial(np.copy, order="C")
    trajectory = None if cells.trajectory is None else copy(cells.trajectory)
    return replace(
        cells, g=copy(cells.g), seconds=copy(cells.seconds), trajectory=trajectory, pulses=copy(cells.pulses)
    )
