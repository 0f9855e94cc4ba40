"""Stochastic pulses: the parallel rank-one update of a resistive processing unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from cimsim.backend import to_host
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulses
from cimsim.crossbar.workbench import Lines
from cimsim.learning.rules.base import PulseRule, Step

if TYPE_CHECKING:
    from cimsim.kernels.pulses_trains import Chances


class StochasticPulses(PulseRule):
    """Random pulse trains run along word and bit lines at once; a cell is pulsed where they coincide.

    In each of BL slots a line has a pulse with chance C |x| or C |d|, C = sqrt(rate / (BL step)), so that the mean
    change of a weight is that of gradient descent while no chance exceeds 1. Samples follow one another, each with
    trains of its own. Gokmen and Vlasov, Frontiers in Neuroscience 10, 333 (2016), Eqs. (2)-(4).
    `manage_probabilities` shares the factor C between both sides so that the largest chances are equal (update
    management: Gokmen, Onen and Haensch, Frontiers in Neuroscience 11, 538 (2017)). `manage_length` gives a sample no
    more slots than its largest change needs, at most `length`: with probabilities managed as well, chances reach 1
    there and trains are short where changes are small. Changes of more than `length` steps are cut to that.
    """

    length: int = Field(default=10, ge=1, le=62, description="BL, slots of a train")
    manage_probabilities: bool = True
    manage_length: bool = True

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        """Send the trains of every sample in turn."""
        chances = self.chances(step)
        return step.coincide(Lines(step.x, chances.x), Lines(step.d, chances.d), chances.lengths)

    def chances(self, step: Step) -> Chances:
        """Chances and lengths of the trains of each sample."""
        from cimsim.kernels.pulses_trains import chances

        worth = step.rate / step.weight_step  # pulses per unit of change
        x, d, flags = to_host(step.x), to_host(step.d), (self.manage_length, self.manage_probabilities)
        return chances(x, d, worth, self.length, own_lengths=flags[0], shared=flags[1])
