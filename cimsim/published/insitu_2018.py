"""A two-layer perceptron trained in place on a 128 x 64 array: Li et al., Nat. Commun. 9, 2385 (2018).

Ta/HfO2 cells with transistors, whose gate voltage sets the conductance of an open-loop write. Training from random
weights adapts to the devices that do not respond; the paper's experiment and two simulations of it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec, program
from cimsim.learning.onchip import fine_tune
from cimsim.learning.rules import GateVoltage
from cimsim.network.evaluate import accuracy
from cimsim.network.network import mlp
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models import cards
from device_models.device import Device
from device_models.faults import CellFaults

# Main text and Methods.
SIZES, SIDE, ARRAY = [64, 54, 10], 8, (128, 64)
LARGE, LARGE_SIDE, LARGE_ARRAY = [484, 502, 10], 22, (1024, 512)
BATCH, SAMPLES = 50, 80_000  # 1,600 updates
LARGE_SAMPLES = 1_200_000

# From the authors' code for the same array (Z. Wang et al., Nature Machine Intelligence 1, 434 (2019)).
SIEMENS_PER_WEIGHT = 100e-6

# Not in the paper.
DIGIT = 20  # pixels of the middle of an image that are shrunk to 8 x 8
RATE = 0.4  # weight per unit of gradient, plain gradient descent: fitted to the ideal simulation's 94.1 %
PASSES = 4  # over a quarter of the samples each
LARGE_SAMPLES_HERE = 30_000  # of 1.2 million: what a few minutes allow


def device(*, stuck_hrs: float = 0.11, stuck_lrs: float = 0.0) -> Device:
    """The array's cells, with other shares of stuck ones."""
    return cards.load("ta-hfo2-li-2018").replace(faults=CellFaults(stuck_hrs=stuck_hrs, stuck_lrs=stuck_lrs))


def ideal() -> Device:
    """Cells that all respond and go where they are told."""
    return cards.load("ta-hfo2-li-2018").replace(faults=None, programming=None)


def spec(of: Device, array: tuple[int, int] = ARRAY) -> ChipSpec:
    """The chip; pairs lie in neighbouring columns, so an array holds half as many weights in a row."""
    tile = (array[0], array[1] // 2)
    return ChipSpec(device=of, tile=tile, v_read=0.2, weight_range=of.window.span / SIEMENS_PER_WEIGHT)


def images(side: int, samples: int, tests: int) -> tuple[np.ndarray, ...]:
    """MNIST's digits at 8 x 8, or their middle 22 x 22: x, y, x_test, y_test."""
    (x, y), (x_test, y_test) = datasets.load("mnist", train=samples, test=tests)
    if side == LARGE_SIDE:
        x, x_test = (datasets.crop(a, (28, 28), (side, side)) for a in (x, x_test))
    else:
        middle = (datasets.crop(a, (28, 28), (DIGIT, DIGIT)) for a in (x, x_test))
        x, x_test = (datasets.shrink(a, (DIGIT, DIGIT), (side, side)) for a in middle)
    return x, y, x_test, y_test


def learned(sizes: list[int], chosen: ChipSpec, data: tuple[np.ndarray, ...], passes: int, seed: int) -> list[float]:
    """Accuracies in percent: of every pass while it trains in place from random weights, then of the test images."""
    x, y, x_test, y_test = data
    chip = program(mlp(sizes, seed=seed), chosen, seed=seed)
    every = range(len(sizes) - 1)
    rate = RATE / chip.matrices[0].weight_scale
    settings: dict[str, Any] = {"epochs": passes, "batch": BATCH, "learning_rate": rate, "seed": seed}
    chip, history = fine_tune(chip, x, y, layers=every, rule=GateVoltage(), **settings)
    return [*(100 * history.accuracy), 100 * accuracy(chip, x_test, y_test, seed=seed)]


def run(effort: Effort) -> Result:
    """The experiment, the same without flaws, and the larger network."""
    samples, tests, dies = (2_000, 2_000, 1) if effort.quick else (SAMPLES // PASSES, 10_000, 3)
    data = images(SIDE, samples, tests)
    kinds = {"11 % stuck low": device(), "11 % stuck high": device(stuck_hrs=0, stuck_lrs=0.11), "ideal": ideal()}
    courses = {}
    for name, of in kinds.items():
        effort.say(f"{name}: {dies} dies, {PASSES * samples} samples each")
        found = [learned(SIZES, spec(of), data, PASSES, effort.seed + die) for die in range(dies)]
        courses[name] = np.array(found)
    rows = _rows(courses, samples)
    return Result("insitu-2018", rows if effort.quick else (*rows, *_large(effort)), (_course(courses, samples),))


def _rows(courses: dict[str, np.ndarray], samples: int) -> tuple[Row, ...]:
    low, high, best = (found[:, -1] for found in courses.values())
    open_end = f"{PASSES} passes over {samples} images; dies differ by {low.std():.2f}; no wires, exact reads"
    return (
        Row("memristors", 7992, _memristors(SIZES), "", "given", "the paper has no biases; here they are digital"),
        Row("test accuracy, 11 % stuck", 91.71, low.mean(), note=open_end),
        Row("the same, stuck at the high end", None, high.mean(), note="where devices stay is not given"),
        Row("test accuracy, ideal devices", 94.1, best.mean(), "%", "fitted", f"by the learning rate, {RATE}"),
        Row("cost of the devices", -2.4, low.mean() - best.mean(), "points"),
    )


def _large(effort: Effort) -> tuple[Row, ...]:
    data = images(LARGE_SIDE, LARGE_SAMPLES_HERE, 10_000)
    effort.say(f"484-502-10: {LARGE_SAMPLES_HERE} samples")
    found = learned(LARGE, spec(device(), LARGE_ARRAY), data, 1, effort.seed)[-1]
    note = f"simulated in the paper too, on {LARGE_SAMPLES} samples; {LARGE_SAMPLES_HERE} here"
    return (
        Row("memristors, 484-502-10", 495_976, _memristors(LARGE), "", "given"),
        Row("test accuracy, 484-502-10, 11 % stuck", None, found, note=note),
    )


def _memristors(sizes: list[int]) -> int:
    return 2 * sum(n * m for n, m in pairwise(sizes))


def _course(courses: dict[str, np.ndarray], samples: int) -> Curve:
    x = [samples * (k + 1) for k in range(PASSES)]
    lines = {name: (x, found.mean(axis=0)[:-1].tolist()) for name, found in courses.items()}
    paper = {"test accuracy at the end": ([SAMPLES], [91.71])}
    return Curve("Training in place", "samples", "accuracy while training (%)", lines, paper)


SYSTEM = Published(
    "insitu-2018",
    "Multilayer perceptron trained in place on a 128 x 64 Ta/HfO2 array",
    "C. Li et al., Nat. Commun. 9, 2385 (2018)",
    run,
)
