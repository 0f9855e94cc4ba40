"""Tuning: how the chips of a study are trained in place, before they are tested."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from cimsim.chip import Chip, ChipSpec, layer_index
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.learning.hybrid import training_share
from cimsim.learning.onchip import Backward, FineTuning, fine_tune
from cimsim.learning.rules import MixedPrecision, PulseRule
from cimsim.learning.rules.abilities import check_abilities
from cimsim.network.network import Network
from device_models.parameters import Fraction
from device_models.streams import Streams
from device_models.window import Array


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Tuning(FineTuning):
    """Layers trained on the chip by pulses, as by `fine_tune`, with a share of the training samples (0: not at all).

    The samples are drawn once for each die. Besides `share`, `layers`, `rule` and `backward` it has the settings of
    `FineTuning`.
    """

    share: Annotated[Fraction, Field(description="share of the training samples")] = 0.0
    layers: Annotated[tuple[int, ...], BeforeValidator(_tuple)] = (-1,)
    rule: PulseRule | None = None
    backward: Backward = "digital"

    def check(self, network: Network, spec: ChipSpec) -> None:
        """Raise `InputError` for layers that the network has not, or for a rule that the chip's cells cannot follow."""
        if self.share:
            for layer in self.layers:
                layer_index(layer, len(network.weighted))
            cell = AnalogMatrix.program(np.zeros((1, 1)), spec.design(), Streams(0))
            check_abilities(self.rule or MixedPrecision(), cell)

    def tuned(self, chip: Chip, x: Array, y: Array, seed: int) -> Chip:
        """The chip after training with a share of the samples."""
        if not self.share:
            return chip
        chosen = training_share(len(x), self.share, seed)
        settings = {name: getattr(self, name) for name in FineTuning.model_fields}
        if self.learning_pulses is not None:
            del settings["learning_rate"]
        samples, rule, back = (x[chosen], y[chosen]), self.rule, self.backward
        return fine_tune(chip, *samples, layers=self.layers, rule=rule, backward=back, seed=seed, **settings)[0]
