"""The slot of pulse rules: from what a batch says of one layer to pulses on its cells."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from cimsim.backend import to_host
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser, Pulses, siemens_per_weight
from cimsim.crossbar.rewriting import rewrite
from cimsim.crossbar.workbench import Lines
from device_models.parameters import Variant
from device_models.streams import Streams
from device_models.window import Array


@dataclass(frozen=True)
class Step:
    """What one batch says of one layer, and the ways to answer: `pulse`, `coincide`, `rewrite`.

    Attributes:
        matrix: the layer's matrix as it is now.
        x: what its word lines were given, `(reads, rows)`.
        d: gradient of the batch's mean loss at its outputs, `(reads, columns)`.
        rate: learning rate: weight per unit of gradient.
        streams: random streams of this batch and layer, used by no other.
        memory: the rule's own notes on this layer; they live as long as the run.
        exact: whether the wires are to be solved exactly after this update, else they attenuate as before.
        pulser: what sends the pulses.
        mask: 0 where the matrix has no weight to learn (between the groups of a convolution), None everywhere else. A
            rule that pulses whole lines pulses those cells too.
    """

    matrix: AnalogMatrix
    x: Array
    d: Array
    rate: float
    streams: Streams
    memory: dict[str, Any] = field(default_factory=dict)
    exact: bool = True
    pulser: Pulser | None = None
    mask: Array | None = None

    @cached_property
    def gradient(self) -> Array:
        """Gradient of the loss with respect to the weights, `x.T @ d`, `(rows, columns)`."""
        whole = self.x.T @ self.d
        return whole if self.mask is None else whole * self.mask

    @cached_property
    def change(self) -> Array:
        """What gradient descent adds to the weights, `-rate x.T @ d`, `(rows, columns)`."""
        return -self.rate * self.gradient

    @property
    def weight_step(self) -> float:
        """What one nominal pulse of one cell changes a weight by."""
        return self.matrix.weight_step

    @property
    def siemens(self) -> float:
        """Siemens of one cell per unit of weight."""
        return siemens_per_weight(self.matrix)

    def pulse(self, n: Array, *, rows: np.ndarray | None = None, both: bool = False) -> tuple[AnalogMatrix, Pulses]:
        """Send `n` signed pulses per weight, `(rows, columns)` integers; `both`: to both cells of a pair.

        `rows`: the numbers of the word lines that `n` is about, rising; None is all of them.
        """
        if both:
            return self._pulser.pulse_both(self.matrix, n, self.streams, exact=self.exact)
        return self._pulser.pulse(self.matrix, n, self.streams, exact=self.exact, rows=rows)

    def coincide(self, x: Lines, d: Lines, lengths: np.ndarray) -> tuple[AnalogMatrix, Pulses]:
        """Send trains of pulses along both sides' lines, sample by sample: where they coincide, weights change."""
        return self._pulser.coincide(self.matrix, x, d, lengths, self.streams, exact=self.exact)

    def rewrite(self, change: Array) -> tuple[AnalogMatrix, Pulses]:
        """Move weights by `change` `(rows, columns)`, 0 meaning not at all, in a closed loop of write and verify."""
        return rewrite(self.matrix, to_host(change), self.streams, exact=self.exact)

    @property
    def _pulser(self) -> Pulser:
        return self.pulser or Pulser(self.matrix)


class PulseRule(Variant):
    """How a gradient becomes pulses. A rule of one's own is a subclass with this one method.

    `needs` names the pulses that a rule and the weight schemes under it cannot do without: "up" (SET) and "down"
    (RESET). A rule keeps what it has to remember of a layer in `step.memory`, and nothing in itself.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"up", "down"})

    @abc.abstractmethod
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """The layer's matrix after one batch, and the pulses it took."""

    def check(self, matrix: AnalogMatrix) -> None:
        """Raise `InputError`, before training starts, where the rule asks for more than the matrix's cells can do."""
