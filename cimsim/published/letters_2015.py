"""A single-layer perceptron on a 12 x 12 passive crossbar of Al2O3/TiO2-x, trained in place by the Manhattan rule.

Prezioso et al., Nature 521, 61 (2015). The paper gives the mean response to the one pulse that is used, not how much
devices differ. That is fitted to the mean number of epochs; what a start elsewhere or other spreads do is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.wires import Wires
from cimsim.learning.rules import Manhattan, Step
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models import cards
from device_models.device import Device
from device_models.programming import SpanError
from device_models.streams import Streams

# The three letters in 3 x 3 pixels, row after row.
LETTERS = {"z": "xx. .x. .xx", "v": "x.x x.x .x.", "n": ".x. x.x x.x"}
V_READ = 0.1  # volts: a black pixel is +0.1 V, a white one -0.1 V, and so is the bias
BETA = 2e5  # 1/A, f = tanh(beta I)
TARGET = 0.85  # of f: + for the right letter, - for the others
LINE = 700.0  # ohm of a whole wire, 600 to 800 measured
SIDE = 12
START = 35e-6  # siemens, found best by the authors
START_ERROR = 0.05  # of the window; not given
EPOCHS, EPOCHS_ELSEWHERE = 15.0, 23.0  # to perfect classification, in the mean
MOST_EPOCHS = 300
SPREADS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.4, 2.7, 3.0)
FITTED_SPREAD = 2.7  # sigma of the logarithm of a device's change per pulse: gives the paper's mean number of epochs
STARTS = (15e-6, 25e-6, 35e-6, 50e-6, 65e-6, 80e-6)


def patterns() -> tuple[np.ndarray, np.ndarray]:
    """Each letter, and each letter with one pixel flipped: inputs `(30, 10)` of +1 and -1 with the bias, and labels."""
    ideal = np.array([[1.0 if c == "x" else -1.0 for c in text.replace(" ", "")] for text in LETTERS.values()])
    flips = np.concatenate([np.ones((1, 9)), 1 - 2 * np.eye(9)])
    images = (ideal[:, None] * flips).reshape(-1, 9)
    return np.column_stack([images, -np.ones(len(images))]).astype(np.float32), np.repeat(np.arange(3), len(flips))


def device(spread: float) -> Device:
    """The card's device with a log-normal spread of the change by a pulse, and the error of writing the start."""
    card = cards.load("tio2x-prezioso-2015")
    assert card.update is not None
    law = card.update.replace(device_spread=spread)
    return card.replace(update=law, programming=SpanError(error=START_ERROR))


def fabricated(spread: float, start: float, seed: int) -> Chip:
    """A die with all cells written to `start` siemens."""
    wires = Wires(word=LINE / SIDE, bit=LINE / SIDE)
    spec = ChipSpec(device=device(spread), tile=(SIDE, SIDE), wires=wires, v_read=V_READ)
    chip = program(Network((Dense(np.zeros((10, 3)), np.zeros(3)),)), spec, seed=seed)
    (matrix,) = chip.matrices[0].copies
    cells = matrix.tiles[0, 0].cells
    written, _ = spec.device.program(cells, np.full(cells.shape, start), Streams(seed).at("start"))
    return chip.with_matrices([matrix.with_cells({(0, 0): written})])


def train(chip: Chip, seed: int) -> list[int]:
    """Wrong patterns before every epoch, up to the first without any: batch gradient of the squared error, its sign."""
    x, labels = patterns()
    target = np.where(np.arange(3) == labels[:, None], TARGET, -TARGET)
    amperes = V_READ * chip.spec.device.window.span / chip.matrices[0].copies[0].weight_scale
    wrong, rule = list[int](), Manhattan(both=True)
    for epoch in range(MOST_EPOCHS):
        f = np.tanh(BETA * amperes * chip.matmul(0, x, seed=epoch))
        wrong.append(int((f.argmax(axis=1) != labels).sum()))
        if wrong[-1] == 0:
            break
        error = ((f - target) * (1 - f**2)).astype(np.float32)
        step = Step(chip.matrices[0].copies[0], x, error, 1.0, Streams(seed).at("epoch", epoch))
        chip = chip.with_matrices([rule.update(step)[0]])
    return wrong


def epochs(spread: float, start: float, seeds: Sequence[int]) -> np.ndarray:
    """Epochs of every die to perfect classification; infinite where `MOST_EPOCHS` do not do."""
    courses = [train(fabricated(spread, start, seed), seed) for seed in seeds]
    return np.array([len(wrong) - 1.0 if wrong[-1] == 0 else np.inf for wrong in courses])


def run(effort: Effort) -> Result:
    """Epochs against the spread of devices and against the start."""
    dies = [effort.seed * 1000 + k for k in range(12 if effort.quick else 200)]
    effort.say(f"{len(dies)} dies with the fitted spread")
    fitted = epochs(FITTED_SPREAD, START, dies)
    spreads, starts = [], []
    for spread in SPREADS:
        effort.say(f"spread of devices {spread}")
        spreads.append(epochs(spread, START, dies))
    for start in STARTS:
        effort.say(f"start at {start * 1e6:.0f} µS")
        starts.append(epochs(FITTED_SPREAD, start, dies))
    courses = {f"die {k}": train(fabricated(FITTED_SPREAD, START, k), k) for k in dies[:6]}
    return Result("letters-2015", _rows(fitted, spreads, starts), _curves(spreads, starts, courses))


def _rows(fitted: np.ndarray, spreads: Sequence[np.ndarray], starts: Sequence[np.ndarray]) -> tuple[Row, ...]:
    done, fewest = np.isfinite(fitted), int(np.argmin([np.median(n) for n in starts]))
    there = f"of those tried; in the median {np.median(starts[fewest]):g} epochs there"
    cells = fabricated(0.0, START, 0).matrices[0].copies[0].tiles[0, 0].cells.g.size
    spread_note = (
        f"by the spread of devices, sigma(ln change) = {FITTED_SPREAD}; {EPOCHS_ELSEWHERE:g} are also reported"
    )
    return (
        Row("dies that come to classify all 30 patterns", 100.0, 100 * done.mean(), note=f"in {MOST_EPOCHS} epochs"),
        Row("epochs to perfect classification", EPOCHS, fitted[done].mean(), "epochs", "fitted", spread_note),
        Row("the same, median", None, float(np.median(fitted)), "epochs"),
        Row(
            "the same, all devices as the mean one",
            None,
            spreads[0].mean(),
            "epochs",
            note="a pulse crosses up to two thirds of the window",
        ),
        Row("start with the fewest epochs", START * 1e6, STARTS[fewest] * 1e6, "µS", note=there),
        Row("memristors", 60.0, cells, "", "given"),
    )


def _curves(
    spreads: Sequence[np.ndarray], starts: Sequence[np.ndarray], courses: dict[str, list[int]]
) -> tuple[Curve, ...]:
    def lines(xs: Sequence[float], found: Sequence[np.ndarray]) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
        return {
            "mean of the dies that end": (xs, [float(n[np.isfinite(n)].mean()) for n in found]),
            "median": (xs, [float(np.median(n)) for n in found]),
        }

    microsiemens = [start * 1e6 for start in STARTS]
    return (
        Curve("training", "epoch", "wrong patterns", {k: (range(len(w)), w) for k, w in courses.items()}),
        Curve(
            "spread of devices",
            "sigma of ln(change by a pulse)",
            "epochs",
            lines(SPREADS, spreads),
            {"mean": ([FITTED_SPREAD], [EPOCHS])},
        ),
        Curve("start", "conductance at the start (µS)", "epochs", lines(microsiemens, starts)),
    )


SYSTEM = Published(
    "letters-2015",
    "12 x 12 TiO2-x crossbar, three letters, trained in situ by the Manhattan rule",
    "Prezioso et al., Nature 521, 61 (2015)",
    run,
)
