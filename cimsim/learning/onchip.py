"""Training on the chip (in situ): forward through its analogue products, updates as pulses to its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from cimsim.backend import to_host, to_library_of
from cimsim.chip import Chip
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.network.evaluate import check_labels
from cimsim.network.network import check_inputs
from device_models.errors import InputError
from device_models.parameters import Parameters
from device_models.streams import Streams
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd


class FineTuning(Parameters):
    """How a chip is tuned: mixed precision, Nandakumar et al., Frontiers in Neuroscience 14, 406 (2020).

    The gradient of each batch is added to a digital accumulator; where that has passed the nominal step of one pulse,
    whole pulses are sent (at most `max_pulses` to a weight at once) and their worth is taken off the accumulator.
    The error goes back from layer to layer through the weights that the cells hold, read exactly.
    `learning_rate` is in weights over the layer's largest weight. `refresh` is the number of batches between exact
    solutions of the wires; in between, each cell is attenuated as at the last one.
    """

    epochs: Annotated[int, Field(ge=1, description="passes over the data")] = 5
    batch: Annotated[int, Field(ge=1, description="samples per update")] = 32
    learning_rate: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    max_pulses: Annotated[int, Field(ge=1, description="pulses per weight and batch")] = 10
    refresh: Annotated[int, Field(ge=1, description="batches")] = 100


def fine_tune(
    chip: Chip, x: Array, y: Array, *, layers: Sequence[int] = (-1,), seed: int = 0, **settings: Any
) -> tuple[Chip, pd.DataFrame]:
    """The chip after its layers were trained in place by signed pulses, and the history.

    Args:
        chip: a programmed and calibrated chip; its device needs a pulse response (`update` slot).
        x: samples `(n, n_in)`.
        y: integer labels `(n,)`.
        layers: the weighted layers to tune, -1 the last; the others stay as they are. Biases are digital and follow.
        seed: fixes the order of samples, the reads and the pulses' noise.
        settings: fields of `FineTuning` by name.

    Returns:
        The new chip, and one row per epoch: `epoch`, `loss` and `accuracy` (means over the epoch's batches as they were
        read, before their update), `pulses_up`, `pulses_down`.

    Raises:
        InputError: no pulse response, layers that do not exist, bad data, or a loss that is not finite.
    """
    import pandas as pd

    choice = FineTuning(**settings)
    if isinstance(layers, int):
        raise InputError("fine_tune.layers", "must be a list of layers", layers, f"write [{layers}]")
    y = check_labels(y, len(x), chip.n_out)
    x = to_library_of(check_inputs(x, chip.n_in), chip.network.weights[0])
    run = _Run(chip, choice, sorted({chip.index(k) for k in layers}), Streams(seed).at("fine tune"))
    history = [run.epoch(e, x, y) for e in range(choice.epochs)]
    return run.finished(), pd.DataFrame(history)


class _Run:
    """A tuning in progress."""

    def __init__(self, chip: Chip, choice: FineTuning, layers: list[int], streams: Streams) -> None:
        if not layers:
            raise InputError("fine_tune.layers", "must name at least one layer", "none", "use layers=[-1] for the last")
        self.chip, self.choice, self.layers, self.streams = chip, choice, layers, streams
        self.steps = {k: chip.matrices[k].weight_step for k in layers}
        self.owed = {k: np.zeros_like(chip.matrices[k].weights()) for k in layers}
        like = chip.matrices[0].tiles[0, 0].signals
        self.draws = [Draws(streams.at("layer", k), like) for k in range(len(chip.matrices))]
        self.batches = 0

    def epoch(self, number: int, x: Array, y: np.ndarray) -> dict[str, float]:
        """One pass over the samples."""
        order = self.streams.at("epoch", number).rng("shuffle").permutation(len(x))
        losses, hits, up, down = [], 0, 0, 0
        for start in range(0, len(x), self.choice.batch):
            chosen = order[start : start + self.choice.batch]
            loss, hit, (more_up, more_down) = self.step(x[to_library_of(chosen, x)], y[chosen])
            losses.append(loss * len(chosen))
            hits, up, down = hits + hit, up + more_up, down + more_down
        loss = sum(losses) / len(x)
        if not np.isfinite(loss):
            raise InputError("fine_tune", "must keep the loss finite", f"{loss}", "lower learning_rate")
        return {"epoch": number + 1, "loss": loss, "accuracy": hits / len(x), "pulses_up": up, "pulses_down": down}

    def step(self, x: Array, y: np.ndarray) -> tuple[float, int, tuple[int, int]]:
        """One batch: read, accumulate, pulse. Returns the loss, the number of right answers, the pulses."""
        logits: list[Array] = []
        back = [partial(_transposed, matrix) for matrix in self.chip.matrices]
        loss, gradients = self.chip.network.gradients(x, y, self._products(logits), back)
        bias = self.chip.network.weighted[-1].bias
        hits = int((to_host(np.argmax(logits[-1] + bias, axis=1)) == y).sum())
        self.batches += 1
        pulses = [self._update(k, *gradients[k]) for k in self.layers]
        return float(loss), hits, (sum(p[0] for p in pulses), sum(p[1] for p in pulses))

    def finished(self) -> Chip:
        """The chip with its wires solved exactly."""
        matrices = list(self.chip.matrices)
        for k in self.layers:
            matrices[k] = matrices[k].with_cells({p: t.cells for p, t in matrices[k].tiles.items()})
        return self.chip.with_matrices(matrices)

    def _products(self, outputs: list[Array]) -> list[Any]:
        """The chip's analogue products, keeping what the last layer gives."""

        def product(k: int) -> Any:
            def run(v: Array) -> Array:
                outputs.append(self.chip.matrices[k].matmul(v, self.draws[k]))
                return outputs[-1]

            return run

        return [product(k) for k in range(len(self.chip.matrices))]

    def _update(self, k: int, d_weight: Array, d_bias: Array) -> tuple[int, int]:
        """Accumulate one layer's gradient and send the pulses that are due; biases step digitally."""
        matrix, step = self.chip.matrices[k], self.steps[k]
        rate = self.choice.learning_rate * matrix.weight_scale
        self.owed[k] -= rate * d_weight
        n = np.clip(np.trunc(self.owed[k] / step), -self.choice.max_pulses, self.choice.max_pulses)
        self.owed[k] -= n * step
        exact = self.batches % self.choice.refresh == 0
        streams = self.streams.at("layer", k, "update", self.batches)
        matrix, pulses = matrix.pulsed(n.astype(np.int64), streams, exact=exact)
        matrices = list(self.chip.matrices)
        matrices[k] = matrix
        self.chip = replace(self._with_bias(k, rate * d_bias), matrices=tuple(matrices))
        return pulses

    def _with_bias(self, k: int, change: Array) -> Chip:
        pairs = [(a.weight, a.bias) for a in self.chip.network.weighted]
        pairs[k] = (pairs[k][0], pairs[k][1] - change)
        return replace(self.chip, network=self.chip.network.with_weights(pairs))


def _transposed(matrix: AnalogMatrix, d: Array) -> Array:
    """The product `d @ w.T` with the weights the cells hold now."""
    return d @ matrix.weights().T.astype(d.dtype)
