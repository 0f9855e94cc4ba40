"""Open-loop writes to goals that are kept digitally, as the gate voltage of a transistor sets a cell's conductance."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from cimsim.backend import to_host
from cimsim.crossbar.mapping import DifferentialPair
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.crossbar.rewriting import pair_steps, wanted_siemens, write_goals
from cimsim.crossbar.tile import Place
from cimsim.learning.rules.base import PulseRule, Step
from device_models.errors import InputError
from device_models.parameters import Siemens


class GateVoltage(PulseRule):
    """Every cell of a pair has a digital goal, which a batch's change moves; cells are set anew to goals that moved.

    A RESET pulse and a SET pulse under a gate voltage set a 1T1R cell to the conductance that the voltage stands for,
    whatever it held before: errors of writes do not add up, and nothing is read. The goals are the gate voltages, in
    siemens; they do not know which cells are stuck. A goal that has moved by no more than `threshold` since its cell
    was written waits. Li et al., Nat. Commun. 9, 2385 (2018), Methods, with pairs moved as by the other rules: the
    cell against the change goes down first.
    """

    needs = frozenset()
    threshold: Siemens = Field(default=0.0, ge=0)

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Move the goals, and write what they left behind."""
        goals: dict[Place, np.ndarray] = step.memory.setdefault("goals", {})
        written: dict[Place, np.ndarray] = step.memory.setdefault("written", {})
        window, due = step.matrix.design.device.window, {}
        for place in step.matrix.places:
            if place not in goals:
                tile = step.matrix.tiles[place]
                goals[place] = np.clip(to_host(tile.device.conductance(tile.cells)), window.g_min, window.g_max)
                written[place] = goals[place]
            wanted = wanted_siemens(step.matrix, step.change, place)
            moved = goals[place] + pair_steps(wanted, goals[place] - window.g_min)
            goals[place] = np.clip(moved, window.g_min, window.g_max)
            chosen = np.abs(goals[place] - written[place]) > self.threshold
            written[place] = np.where(chosen, goals[place], written[place])
            due[place] = np.where(chosen, goals[place], np.nan)
        return write_goals(step.matrix, due, step.streams, exact=step.exact)

    def check(self, matrix: AnalogMatrix) -> None:
        """Raise `InputError` for a weight scheme without pairs."""
        if not isinstance(matrix.design.scheme, DifferentialPair):
            got = type(matrix.design.scheme).__name__
            raise InputError("GateVoltage", "needs pairs of cells", got, "use DifferentialPair")
