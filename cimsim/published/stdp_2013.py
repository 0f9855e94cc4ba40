"""Memristive STDP on MNIST without labels: accuracy against the number of neurons, and against the spread of devices.

Querlioz, Bichler, Dollfus and Gamrat, IEEE Trans. Nanotechnol. 12, 288 (2013). Conductances of the paper are relative
to the largest; 10 uS is taken. Neurons are labelled on the training part once they have learned.
"""

from __future__ import annotations

from collections.abc import Sequence

from cimsim import datasets
from cimsim.chip import ChipSpec
from cimsim.crossbar.single import SingleCell
from cimsim.learning.plasticity import Plastic, RectangularSTDP, stdp
from cimsim.network.evaluate import accuracy
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.update import DecayingStepUpdate
from device_models.window import Window

G_MIN, G_MAX = 1e-9, 10e-6  # siemens: a ratio of 1e-4
STEP_UP, STEP_DOWN, BETA = 0.01, 0.005, 3.0
PULSES = 3  # to a cell at every win; fitted
OUTPUTS = (10, 50, 300)
PAPER = {300: 93.5}
SPREADS = (0.0, 0.1, 0.25, 0.5)
SPREAD_OUTPUTS = 50
EPOCHS = 3


def device(spread: float = 0.0) -> Device:
    """The paper's memristor; `spread` is the relative dispersion of both ends of the window and of every parameter."""
    spreads = {f"spread_{name}": spread for name in ("step_up", "step_down", "beta_up", "beta_down")}
    law = DecayingStepUpdate(step_up=STEP_UP, step_down=STEP_DOWN, beta_up=BETA, beta_down=BETA, **spreads)
    faults = CellFaults(spread_g_min=spread, spread_g_max=spread, law="normal") if spread else None
    return Device(name="memristor-querlioz-2013", window=Window(g_min=G_MIN, g_max=G_MAX), faults=faults, update=law)


def learned(outputs: int, spread: float, epochs: int, effort: Effort) -> tuple[Plastic, float]:
    """A layer after its epochs, and its accuracy on the test part, percent."""
    train, test = (3_000, 1_000) if effort.quick else (None, None)
    (x, y), (x_test, y_test) = datasets.load("mnist", train=train, test=test)
    spec, rule = (
        ChipSpec(device=device(spread), weights=SingleCell()),
        RectangularSTDP(set_pulses=PULSES, reset_pulses=PULSES),
    )
    layer, _ = stdp(spec, x, y, outputs=outputs, rule=rule, epochs=epochs, seed=effort.seed)
    found = 100 * accuracy(layer, x_test, y_test, seed=effort.seed)
    effort.say(f"{outputs} outputs, spread {spread:g}, {epochs} epochs: {found:.2f} %")
    return layer, found


def run(effort: Effort) -> Result:
    """Accuracy against outputs, and of `SPREAD_OUTPUTS` against the spread."""
    outputs, epochs = (OUTPUTS[:2], 1) if effort.quick else (OUTPUTS, EPOCHS)
    spreads = SPREADS[::3] if effort.quick else SPREADS
    by_size = [learned(n, 0.0, epochs, effort)[1] for n in outputs]
    known = dict(zip(outputs, by_size, strict=True)) if epochs == 1 else {}
    alike = known.get(SPREAD_OUTPUTS) or learned(SPREAD_OUTPUTS, 0.0, 1, effort)[1]
    by_spread = [alike, *(learned(SPREAD_OUTPUTS, s, 1, effort)[1] for s in spreads[1:])]
    return Result(
        "stdp-2013", _rows(outputs, by_size, spreads, by_spread), _curves(outputs, by_size, spreads, by_spread)
    )


def _rows(
    outputs: Sequence[int], by_size: Sequence[float], spreads: Sequence[float], by_spread: Sequence[float]
) -> tuple[Row, ...]:
    note = f"{PULSES} pulses to a cell at a win, fitted"
    sizes = [
        Row(f"test accuracy, {n} outputs", PAPER.get(n), a, how="fitted" if n in PAPER else "predicted", note=note)
        for n, a in zip(outputs, by_size, strict=True)
    ]
    dispersed = [
        Row(f"{SPREAD_OUTPUTS} outputs, one epoch, all parameters spread by {100 * s:g} %", None, a)
        for s, a in zip(spreads, by_spread, strict=True)
    ]
    return (*sizes, *dispersed)


def _curves(
    outputs: Sequence[int], by_size: Sequence[float], spreads: Sequence[float], by_spread: Sequence[float]
) -> tuple[Curve, ...]:
    paper = {"paper": (list(PAPER), list(PAPER.values()))}
    percent = [100 * s for s in spreads]
    return (
        Curve("neurons", "outputs", "test accuracy (%)", {"here": (outputs, by_size)}, paper),
        Curve(
            "spread of devices",
            "relative spread of every parameter (%)",
            "test accuracy (%)",
            {f"{SPREAD_OUTPUTS} outputs": (percent, by_spread)},
        ),
    )


SYSTEM = Published(
    "stdp-2013",
    "784 x N single memristors, MNIST learned without labels by rectangular STDP",
    "Querlioz et al., IEEE Trans. Nanotechnol. 12, 288 (2013)",
    run,
)
