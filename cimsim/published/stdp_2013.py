"""Memristive STDP on MNIST without labels: accuracy against the number of neurons, and against the spread of devices.

Querlioz, Bichler, Dollfus and Gamrat, IEEE Trans. Nanotechnol. 12, 288 (2013). Conductances of the paper are relative
to the largest; 10 uS is taken. Neurons are labelled on the training part once they have learned. What the paper leaves
open was chosen by `scan`, on images held out from the training part:

    python -c "from cimsim.published import stdp_2013; print(stdp_2013.scan())"

That is with 50 neurons, but for the step of homeostasis: with 300, the paper's number, 0.002 is best by up to 0.4
points, with 50 it is 0.001 by 0.3 to 1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec
from cimsim.crossbar.single import SingleCell
from cimsim.learning.plasticity import Homeostasis, RectangularSTDP, stdp
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.update import DecayingStepUpdate
from device_models.window import Window

if TYPE_CHECKING:
    import pandas as pd

G_MIN, G_MAX = 1e-9, 10e-6  # siemens: a ratio of 1e-4
STEP_UP, STEP_DOWN, BETA = 0.01, 0.005, 3.0
PULSES = 3  # to a cell at every win
OUTPUTS, EPOCHS = (10, 50, 300), 3
PAPER = {300: 93.5}
PARAMETERS = ("g_min", "g_max", "step", "beta")
SPREADS, SPREAD_OUTPUTS = (0.0, 0.1, 0.25, 0.5), 50
HELD_OUT = 6  # one image in so many of the training part, the last ones: 10,000
SCANNED: dict[str, tuple[float, ...]] = {
    "pulses": (1, 2, 3, 5),
    "step": (0.001, 0.002, 0.004),
    "wins": (3, 5, 8),
    "threshold": (0.3, 0.5, 0.8),
}
CHOSEN = {"pulses": PULSES, "step": 0.002, "wins": 5, "threshold": 0.5}


@dataclass(frozen=True)
class Case:
    """A layer that learns: neurons, passes over the images, and the relative spread `of` some parameters."""

    outputs: int
    epochs: int = 1
    spread: float = 0.0
    of: tuple[str, ...] = PARAMETERS

    def __str__(self) -> str:
        which = "all" if self.of == PARAMETERS else ", ".join(self.of)
        return f"{self.outputs} outputs, {which} ± {100 * self.spread:g} %"


@dataclass(frozen=True)
class Reached:
    """Accuracy in percent: by the neurons' labels, as in the paper, and by their graded wins."""

    labels: float
    graded: float


def device(spread: float = 0.0, of: Sequence[str] = PARAMETERS) -> Device:
    """The paper's memristor; `spread` is the relative dispersion of the named parameters from cell to cell."""
    steps, betas, low, high = (spread * (name in of) for name in ("step", "beta", "g_min", "g_max"))
    spreads = {"spread_step_up": steps, "spread_step_down": steps, "spread_beta_up": betas, "spread_beta_down": betas}
    law = DecayingStepUpdate(step_up=STEP_UP, step_down=STEP_DOWN, beta_up=BETA, beta_down=BETA, **spreads)
    faults = CellFaults(spread_g_min=low, spread_g_max=high, law="normal") if low or high else None
    return Device(name="memristor-querlioz-2013", window=Window(g_min=G_MIN, g_max=G_MAX), faults=faults, update=law)


def learned(case: Case, effort: Effort, *, held_out: bool = False, **settings: float) -> Reached:
    """What a layer reaches on the test part, or on held-out training images; `settings` as in `CHOSEN`."""
    (x, y), (x_test, y_test) = _images(effort, held_out=held_out)
    chosen = CHOSEN | settings
    rule = RectangularSTDP(set_pulses=int(chosen["pulses"]), reset_pulses=int(chosen["pulses"]))
    how: dict[str, Any] = {
        "threshold": chosen["threshold"],
        "homeostasis": Homeostasis(step=chosen["step"], wins=chosen["wins"]),
    }
    spec = ChipSpec(device=device(case.spread, case.of), weights=SingleCell())
    layer, _ = stdp(spec, x, y, outputs=case.outputs, rule=rule, epochs=case.epochs, seed=effort.seed, **how)
    found = [100 * float(np.mean(layer.predict(x_test, effort.seed, graded=g) == y_test)) for g in (False, True)]
    effort.say(f"{case}, {case.epochs} epochs{settings or ''}: {found[0]:.2f} %, graded {found[1]:.2f} %")
    return Reached(*found)


def scan(outputs: int = SPREAD_OUTPUTS, effort: Effort | None = None) -> pd.DataFrame:
    """Accuracy on held-out training images, one setting at a time changed: what `CHOSEN` was chosen by."""
    import pandas as pd

    case, effort, rows = Case(outputs), effort or Effort(), []
    chosen = learned(case, effort, held_out=True)
    for name, values in SCANNED.items():
        for value in values:
            same = value == CHOSEN[name]
            reached = chosen if same else learned(case, effort, held_out=True, **{name: value})
            rows.append({"setting": name, "value": value, "labels": reached.labels, "graded": reached.graded})
    return pd.DataFrame(rows)


def run(effort: Effort) -> Result:
    """Accuracy against outputs, against the spread of all parameters, and of each alone."""
    outputs, epochs, spreads = (OUTPUTS[:2], 1, SPREADS[::3]) if effort.quick else (OUTPUTS, EPOCHS, SPREADS)
    sizes, spread = [Case(n, epochs) for n in outputs], [Case(SPREAD_OUTPUTS, 1, s) for s in spreads]
    parts = [] if effort.quick else [Case(SPREAD_OUTPUTS, 1, SPREADS[-1], (name,)) for name in PARAMETERS]
    more = [] if effort.quick else [Case(OUTPUTS[-1], 1, s) for s in (0.0, SPREADS[-1])]
    known = {case: learned(case, effort) for case in dict.fromkeys([*sizes, *spread, *parts, *more])}
    rows = [row for case in sizes for row in _by_size(case, known[case])]
    rows += [row for case in (*spread, *parts, *more) for row in _by_spread(case, known[case])]
    return Result("stdp-2013", tuple(rows), _curves(sizes, spread, known))


def _by_size(case: Case, reached: Reached) -> tuple[Row, Row]:
    note = f"{PULSES} pulses to a cell at a win, chosen on held-out training images"
    labels = Row(f"{case.outputs} outputs", PAPER.get(case.outputs), reached.labels, note=note)
    graded = "each win weighed by what it says of every class"
    return labels, Row(f"{case.outputs} outputs, graded", None, reached.graded, note=graded)


def _by_spread(case: Case, reached: Reached) -> tuple[Row, Row]:
    note = "one epoch; spread of the window, the steps and their nonlinearity" if case.of == PARAMETERS else "one epoch"
    return Row(str(case), None, reached.labels, note=note), Row(
        str(case).replace("outputs", "graded"), None, reached.graded
    )


def _curves(sizes: list[Case], spread: list[Case], known: dict[Case, Reached]) -> tuple[Curve, Curve]:
    accuracy, paper = "test accuracy (%)", {"paper": (list(PAPER), list(PAPER.values()))}
    by_size = _lines([case.outputs for case in sizes], [known[case] for case in sizes])
    by_spread = _lines([100 * case.spread for case in spread], [known[case] for case in spread])
    return (
        Curve("neurons", "outputs", accuracy, by_size, paper),
        Curve(f"spread of devices, {SPREAD_OUTPUTS} outputs", "spread of every parameter (%)", accuracy, by_spread),
    )


def _lines(x: Sequence[float], reached: list[Reached]) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    return {name: (x, [getattr(one, name) for one in reached]) for name in ("labels", "graded")}


def _images(effort: Effort, *, held_out: bool) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """What is learned from and what is asked: the parts of MNIST, or of its training part."""
    train, test = (3_000, 1_000) if effort.quick else (None, None)
    (x, y), asked = datasets.load("mnist", train=train, test=test)
    n = len(x) - len(x) // HELD_OUT
    return ((x[:n], y[:n]), (x[n:], y[n:])) if held_out else ((x, y), asked)


SYSTEM = Published(
    "stdp-2013",
    "784 x N single memristors, MNIST learned without labels by rectangular STDP",
    "Querlioz et al., IEEE Trans. Nanotechnol. 12, 288 (2013)",
    run,
)
