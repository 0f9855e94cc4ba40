"""Tiki-Taka: gradients go to an auxiliary array, and from there to the weights, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field

from cimsim.backend import to_library_of
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.held import held_lines, holds_outputs
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser, Pulses
from cimsim.crossbar.reference import ReferenceCell
from cimsim.crossbar.rewriting import write_cells
from cimsim.kernels import pulse_kernels_for
from cimsim.learning.rules.base import PulseRule, Step
from cimsim.learning.rules.pulse_count import PulseCount
from cimsim.learning.rules.symmetry import symmetry_points
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.update import StepUpdate
from device_models.window import Array

MOST = 2**30  # pulses of a transfer: no limit of its own


@dataclass
class Auxiliary:
    """The auxiliary array of one layer, what sends its pulses, and what the rule remembers of it."""

    matrix: AnalogMatrix
    pulser: Pulser
    hidden: Array
    notes: dict[str, Any] = field(default_factory=dict)
    batches: int = 0
    line: int = 0


class TikiTaka(PulseRule):
    """Gradients are pulsed into an auxiliary array A; what it holds is read and pulsed into the weights line by line.

    A is made of the same device, and each of its cells has a reference cell at its symmetry point: pulses up and down
    that cancel bring A to 0, so the asymmetry that spoils gradient descent makes A forget noise instead. Every
    `every`-th batch `lines` word lines of A are read, one after the other and then from the first again, and `transfer`
    times what is read goes to the weights:

    - `version` 1: in whole pulses, rounded up with the chance of what is left. Gokmen and Haensch, Frontiers in
      Neuroscience 14, 103 (2020), with the weights alone in the forward pass (their gamma is 0).
    - `version` 2: onto a digital matrix, from which one pulse goes to a weight when it passes a pulse's step. Gokmen,
      Frontiers in Artificial Intelligence 4, 699148 (2021).

    `fast` is the rule that pulses A, `fast_rate` its learning rate over that of the layer; the papers use
    `StochasticPulses`. A is read with the device's read noise and through its wires, but by no converters: an ADC
    calibrated for the layer has no code for 0, so a line of zeros would drive the weights at every transfer, and its
    range is that of sums over many lines, of which a single one takes a few codes. References are written with the
    device's programming error. The range of A is the layer's largest weight.
    """

    version: Literal[1, 2] = 2
    every: int = Field(default=1, ge=1, description="batches between transfers")
    lines: int = Field(default=1, ge=1, description="word lines a transfer")
    transfer: float = Field(default=1.0, gt=0, le=1e3)
    fast: PulseRule = PulseCount(rounding="stochastic")
    fast_rate: float = Field(default=1.0, gt=0, le=1e3)

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Pulse A, and when it is time, the weights."""
        if "auxiliary" not in step.memory:
            step.memory["auxiliary"] = auxiliary(step.matrix, step.streams.at("auxiliary"))
        a: Auxiliary = step.memory["auxiliary"]
        place, pulser = step.streams.at("fast"), a.pulser
        inner = Step(a.matrix, step.x, step.d, self.fast_rate * step.rate, place, a.notes, step.exact, pulser)
        a.matrix, sent = self.fast.update(inner)
        a.batches += 1
        if a.batches % self.every:
            return step.matrix, sent
        lines = self._turn(a, step.matrix.shape[0])
        matrix, more = step.pulse(self._transferred(a, step, lines), rows=np.array(lines, np.int32))
        return matrix, sent + more

    def check(self, matrix: AnalogMatrix) -> None:
        """Raise `InputError` where the nominal cell has no symmetry point inside its window."""
        device = matrix.design.device
        self.fast.check(matrix)
        if not isinstance(device.update, StepUpdate):
            return
        cells = device.replace(faults=None).fabricate((1,), Streams(0))
        law = device.replace(update=_nominal(device.update), faults=None)
        point = float(symmetry_points(law, replace(cells, variation=None), Streams(0))[0])
        share = (point - device.window.g_min) / device.window.span
        if not 0.02 < share < 0.98:
            rule = "needs a symmetry point inside the window, where a pulse up and one down cancel"
            got = f"pulses that cancel at {share:.0%} of the window of '{device.name}'"
            raise InputError("TikiTaka", rule, got, "choose another rule or device")

    def _turn(self, a: Auxiliary, rows: int) -> list[int]:
        """The numbers of the word lines whose turn it is, rising."""
        first, a.line = a.line, (a.line + min(self.lines, rows)) % rows
        return sorted((first + k) % rows for k in range(min(self.lines, rows)))

    def _transferred(self, a: Auxiliary, step: Step, lines: list[int]) -> Array:
        """Pulses `(lines, columns)` for the weights by what some lines of A hold; lists index arrays of any library."""
        if holds_outputs(a.matrix):
            read = held_lines(a.matrix, lines)
        else:
            chosen = np.zeros_like(step.x, shape=(len(lines), step.matrix.shape[0]))
            chosen[list(range(len(lines))), lines] = 1
            read = a.matrix.matmul(chosen, Draws(step.streams.at("transfer"), a.matrix.tiles[0, 0].signals))
        worth = self.transfer / step.weight_step
        if self.version == 1:
            return pulse_kernels_for(read).rounded(read, worth, MOST, step.streams.at("transfer"))
        owed = a.hidden[lines]
        n = pulse_kernels_for(owed).whole_steps(owed, read, -worth, 1.0, 1)
        a.hidden[lines] = owed
        return n


def auxiliary(matrix: AnalogMatrix, streams: Streams) -> Auxiliary:
    """An array of 0 for a matrix: same tiles and device, each cell and its reference at the cell's symmetry point."""
    design = replace(matrix.design, scheme=ReferenceCell(), dac=None, adc=None)
    first = np.zeros(matrix.shape)  # its one weight sets the range; no cell stays where it puts it
    first[0, 0] = matrix.weight_scale
    made = AnalogMatrix.program(first, design, streams)
    cells = {}
    for place, tile in made.tiles.items():
        here = streams.at("symmetry", *place)
        points = symmetry_points(design.device, tile.cells, here)
        low, high = design.device.window.g_min, design.device.window.g_max
        goals = np.stack([np.full(points[0].shape, np.nan), np.clip(points[0], low, high)])
        written, _ = write_cells(design.device, tile.cells, goals, here)
        g = np.concatenate([np.where(tile.cells.stuck[:1] == 0, points[:1], tile.cells.g[:1]), written.g[1:]])
        cells[place] = replace(written, g=g)
    like = matrix.tiles[0, 0].signals
    made = made.with_cells(cells).moved(partial(to_library_of, like=like))
    ends = np.stack([np.ones_like(like, shape=matrix.shape[0]), -np.ones_like(like, shape=matrix.shape[0])])
    made = made.calibrated(ends, Draws(streams.at("calibrate"), like))  # inputs of full scale are 1
    hidden = np.zeros_like(like, shape=matrix.shape, dtype=np.float64)
    return Auxiliary(made, Pulser(made, in_place=True), hidden)


def _nominal(law: StepUpdate) -> StepUpdate:
    """The law without spread from cell to cell."""
    return law.replace(**{name: 0.0 for name in type(law).model_fields if name.startswith("spread_")})
