"""Tuning: how the chips of a study are trained in place, before they are tested."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from cimsim.chip import Chip, ChipSpec, layer_index
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.learning.hybrid import training_share
from cimsim.learning.onchip import Backward, FineTuning, fine_tune
from cimsim.learning.rules import MixedPrecision, PulseRule
from cimsim.learning.rules.abilities import check_abilities
from cimsim.network.network import Network
from device_models.errors import renamed, suggestion
from device_models.parameters import Fraction, RuleBroken
from device_models.streams import Streams
from device_models.window import Array

LearningRate = Annotated[float, Field(gt=0.0, le=10.0)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Tuning(FineTuning):
    """Layers trained on the chip by pulses, as by `fine_tune`, with a share of the training samples (0: not at all).

    The samples are drawn once for each die. Besides `share`, `layers`, `rule` and `backward` it has the settings of
    `FineTuning`. Rules that are compared learn best at different rates: `learning_rates` gives them by the names of
    rules, `learning_rate` or `learning_pulses` that of the others.
    """

    share: Annotated[Fraction, Field(description="share of the training samples")] = 0.0
    layers: Annotated[tuple[int, ...], BeforeValidator(_tuple)] = (-1,)
    rule: PulseRule | None = None
    backward: Backward = "digital"
    learning_rates: dict[str, LearningRate] = Field(default_factory=dict)

    @field_validator("learning_rates")
    @classmethod
    def _of_rules(cls, rates: dict[str, float]) -> dict[str, float]:
        rules = list(PulseRule.members())
        for name in rates:
            if name not in rules:
                raise RuleBroken("unknown rule", suggestion(name, rules), name)
        return rates

    def check(self, network: Network, spec: ChipSpec) -> None:
        """Raise `InputError` for layers that the network has not, or for a rule that the chip's cells cannot follow."""
        if self.share:
            with renamed(layer="tuning.layers"):
                for layer in self.layers:
                    layer_index(layer, len(network.weighted))
            cell = AnalogMatrix.program(np.zeros((1, 1)), spec.design(), Streams(0))
            check_abilities(self.rule or MixedPrecision(), cell)

    def tuned(self, chip: Chip, x: Array, y: Array, seed: int) -> Chip:
        """The chip after training with a share of the samples."""
        if not self.share:
            return chip
        chosen = training_share(len(x), self.share, seed)
        settings = {name: getattr(self, name) for name in FineTuning.model_fields} | self._rate()
        samples, rule, back = (x[chosen], y[chosen]), self.rule, self.backward
        return fine_tune(chip, *samples, layers=self.layers, rule=rule, backward=back, seed=seed, **settings)[0]

    def _rate(self) -> dict[str, float | None]:
        """Either of the rates of `FineTuning`, and the default of the other."""
        own = self.learning_rates.get(type(self.rule or MixedPrecision()).__name__)
        if own is None and self.learning_pulses is not None:
            return {"learning_rate": FineTuning.model_fields["learning_rate"].default}
        return {"learning_rate": self.learning_rate if own is None else own, "learning_pulses": None}
