"""Learning from right or wrong alone: a layer of a chip guesses, and a reward makes pulses of the marks of a guess."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from cimsim.backend import to_host
from cimsim.chip import Chip
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser, Pulses
from cimsim.learning.plasticity.pair import PairSTDP, RewardSTDP, whole_pulses
from cimsim.network.coding.rate import RegularRate
from cimsim.network.evaluate import check_labels
from cimsim.network.firing import Integrating, Potential
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from device_models.errors import InputError
from device_models.parameters import Fraction, Parameters, Seconds
from device_models.streams import Streams
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd

DECAY, DT = 0.9, 10e-3  # of a membrane in a step, and the step in seconds
PAIRS = PairSTDP(tau_plus=-DT / math.log(DECAY), a_plus=1.0, a_minus=0.0)
RULE = RewardSTDP(pairs=PAIRS, tau=0.2, rate=1e-3)


class Trials(Parameters):
    """How a layer guesses and what it is told.

    A sample's spikes come in steps of `dt` seconds. With the last one neuron fires, the guess: k with the chance
    p_k = softmax(potentials)_k. `delay` seconds later comes the reward: (1 - p) / p, at most `most`, for a right guess
    that had the chance p, and -1 for a wrong one. The mean change over the guesses is then that of the delta rule,
    which is told the label. Roelfsema and van Ooyen, Neural Comput. 17, 2176 (2005).
    """

    dt: Seconds = Field(default=DT, gt=0)
    delay: Seconds = 50e-3
    most: float = Field(default=20.0, gt=0, le=1e6)
    batch: Annotated[int, Field(ge=1, description="samples between pulses")] = 16
    epochs: Annotated[int, Field(ge=1, description="passes over the samples, each in an order of its own")] = 1

    def reward(self, p: Array, right: Array) -> Array:
        """The reward `(batch,)` of guesses that had the chance `p`."""
        return np.where(right, np.minimum((1 - p) / p, self.most), -1.0)

    def change(self, rule: RewardSTDP, spikes: Array, guess: Array, reward: Array) -> Array:
        """The change of the weights, `(inputs, neurons)`, summed over trials.

        By spikes `(batch, steps, inputs)`, guesses `(batch, neurons)`, 1 for the one that was made, and rewards.
        """
        state, none = rule.rest(len(spikes), spikes.shape[2], guess.shape[1]), np.zeros(len(spikes))
        last, wait = spikes.shape[1] - 1, round(self.delay / self.dt)
        quiet, silent = np.zeros_like(spikes[:, 0]), np.zeros_like(guess)
        change = np.zeros(state.e.shape[1:])
        for t in range(last + wait + 1):
            fired, answered = spikes[:, t] if t <= last else quiet, guess if t == last else silent
            state, change = rule.step(state, fired, answered, reward if t == last + wait else none, self.dt)
        return change


def guesser(n_in: int, classes: int, *, steps: int = 12, decay: Fraction = DECAY) -> Network:
    """The network that `rewarded` teaches: one layer, its weights 0, whose last potentials are the logits.

    Values come as spikes at a regular rate. With `decay` = exp(-dt / tau) of the rule's traces these hold what a weight
    adds to the potential.
    """
    blank = Dense(np.zeros((n_in, classes), np.float32), np.zeros(classes, np.float32))
    return Network((blank, Integrating(steps, decay), Potential(steps, "last")), RegularRate(steps=steps))


def rewarded(
    chip: Chip, x: Array, y: Array, *, rule: RewardSTDP = RULE, seed: int = 0, **settings: Any
) -> tuple[Chip, pd.DataFrame]:
    """What a chip becomes that is told no more than whether its guesses are right, and the history.

    The spikes of a sample mark the cells of the neuron that guesses, by the traces of the rule; the reward makes a
    change of the marks, and the device's `update` slot takes it as whole pulses, rounded by chance.

    Args:
        chip: one of a single fully connected layer whose potentials are integrated and read, see `guesser`.
        x: samples, as its code takes them.
        y: integer labels, of which it learns whether they are what it guessed.
        rule: three-factor STDP; its rate is the weight that a mark of 1 becomes for a reward of 1.
        seed: fixes order, spikes, reads, guesses and pulses.
        settings: fields of `Trials` by name.

    Returns:
        The chip, and rows with `epoch`, `right` (share of guesses), `pulses_up` (SET), `pulses_down` (RESET),
        `cells_written` and `energy` (joules, NaN where not stated).

    Raises:
        InputError: another kind of chip, no pulse response, samples or labels that do not fit.
        ParameterError: settings that mean nothing.
    """
    import pandas as pd

    how, matrix = Trials(**settings), _matrix(chip)
    x, y = to_host(chip.network.check(x)), check_labels(y, len(x), chip.n_out)
    pulser, streams, history = Pulser(matrix), Streams(seed).at("rewarded"), list[dict[str, float]]()
    for epoch in range(how.epochs):
        order, right, sent = streams.at("epoch", epoch).rng("shuffle").permutation(len(x)), 0, Pulses()
        for start in range(0, len(x), how.batch):
            some, number = order[start : start + how.batch], epoch * len(x) + start
            here = streams.at("trials", number)
            change, hits = _trials(chip.with_matrices([matrix]), x[some], y[some], rule, how, here, number)
            n = whole_pulses(change, matrix.weight_step, here.rng("rounding"))
            matrix, more = pulser.pulse(matrix, matrix.tiles[0, 0].beside(n), here, exact=False)
            right, sent = right + hits, sent + more
        history.append({"epoch": epoch + 1, "right": right / len(x), **_counts(sent)})
    settled = matrix.with_cells({place: tile.cells for place, tile in matrix.tiles.items()}).at_zero()
    return chip.with_matrices([settled]), pd.DataFrame(history)


def _trials(
    chip: Chip, x: np.ndarray, y: np.ndarray, rule: RewardSTDP, how: Trials, streams: Streams, row: int
) -> tuple[np.ndarray, int]:
    """The change by some samples, the first of them number `row`, and how many guesses were right."""
    passes = chip.trace(x, seed=streams.seed, row=row)
    logits = to_host(passes[-1].y).astype(float)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = odds / odds.sum(axis=1, keepdims=True)
    guess = np.argmax(np.log(np.maximum(p, 1e-300)) + streams.rng("guesses").gumbel(size=p.shape), axis=1)
    spikes = to_host(passes[0].x).reshape(len(x), -1, chip.n_in)
    reward = how.reward(p[np.arange(len(x)), guess], guess == y)
    change = how.change(rule, spikes, guess[:, None] == np.arange(chip.n_out), reward)
    return change, int(np.sum(guess == y))


def _counts(sent: Pulses) -> dict[str, float]:
    return {"pulses_up": sent.up, "pulses_down": sent.down, "cells_written": sent.written, "energy": sent.energy}


def _matrix(chip: Chip) -> AnalogMatrix:
    """The one matrix of a chip that guesses. Raises `InputError` for other chips, or cells that take no pulses."""
    kinds, remedy = [type(layer) for layer in chip.network.layers], "program guesser(n_in, classes)"
    if len(kinds) != 3 or not issubclass(kinds[0], Dense) or kinds[1:] != [Integrating, Potential]:
        rule = "must be a chip of one fully connected layer whose potentials are integrated and read"
        raise InputError("rewarded.chip", rule, ", ".join(kind.__name__ for kind in kinds), remedy)
    matrix = chip.matrices[0]
    if not isinstance(matrix, AnalogMatrix):
        raise InputError("rewarded.chip", "must be a layer without copies", f"{len(matrix.copies)} copies", remedy)
    chip.spec.device.pulse_step()  # raises without an update slot
    return matrix
