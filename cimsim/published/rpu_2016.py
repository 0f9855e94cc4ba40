"""Resistive processing units: a perceptron trained by stochastic pulses, and what each flaw of its devices costs.

Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016), a simulation study. Its specification is run whole, without any
flaw, and with one flaw at a time, at its specified size and beyond it. Training is a thirtieth of the paper's 1.8
million images (`FULL` is its whole schedule, some twenty minutes of a core for each flaw). So errors are larger than
there, and penalties over flawless devices come out at 0 or below, which says nothing of long training, the paper's
question. Spread bounds help here because cells and references start apart: larger first weights learn sooner.
Samples are read in small batches, and their pulses sent one sample after the other, with chances managed as in the
authors' later work (Gokmen, Onen and Haensch, Front. Neurosci. 11, 538 (2017)). The error comes back through the
weights as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.reference import ReferenceCell
from cimsim.learning.onchip import fine_tune
from cimsim.learning.rules import StochasticPulses
from cimsim.network.evaluate import accuracy
from cimsim.network.network import mlp
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models import cards
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.update import LinearUpdate

SIZES = (784, 256, 128, 10)  # logistic hidden layers, softmax
STEP, BOUND = 0.001, 0.6  # weights: smallest change by a pulse, and largest weight: 1,200 steps
LENGTH = 10  # slots of a train
RATES = (0.01, 0.005, 0.0025)  # learning rates, ten epochs each in the paper
ERROR, PENALTY = 2.0, 0.3  # % of the test samples: floating point, and what the specification may cost
DAC_BITS, ADC_BITS = 7, 9
NOISE, LARGEST = 0.06, 12.0  # of a layer's outputs: noise of a read, and the range of the converter


class Flaws(NamedTuple):
    """Spreads of devices, relative but for the asymmetry, the size of a step, and whether reads have converters."""

    c2c: float = 0.0
    d2d: float = 0.0
    bounds: float = 0.0
    asymmetry: float = 0.0
    coarse: float = 1.0
    converters: bool = False


class Schedule(NamedTuple):
    """Samples, passes over them at each of the three rates, and samples per update."""

    samples: int
    epochs: tuple[int, int, int]
    tested: int
    batch: int = 16


FULL, SHORT = Schedule(60_000, (10, 10, 10), 10_000), Schedule(15_000, (2, 1, 1), 10_000)
SPECIFIED = Flaws(c2c=0.3, d2d=0.3, bounds=0.3, asymmetry=0.02, converters=True)
ALONE = {  # by name: the flaw, and its sizes: as specified, and beyond
    "C2C of a step": ("c2c", (0.3, 3.0)),
    "D2D of steps": ("d2d", (0.3, 1.5)),
    "D2D of bounds": ("bounds", (0.3, 0.9)),
    "D2D of asymmetry": ("asymmetry", (0.02, 0.2)),
    "size of a step": ("coarse", (8.0,)),
    "converters": ("converters", (1.0,)),
}
QUICK = {"D2D of asymmetry": ("asymmetry", (0.5,))}


def _only(flaw: str, size: float) -> Flaws:
    one: dict[str, Any] = {flaw: size}
    return Flaws(**one)  # converters of size 1 are there


def device(flaws: Flaws) -> Device:
    """The card's device with these flaws in place of its own."""
    card = cards.load("rpu-gokmen-2016")
    window, half = card.window, card.window.span / 2
    law = LinearUpdate(
        step_size=window.span * STEP * flaws.coarse / (2 * BOUND),
        c2c=flaws.c2c * STEP * flaws.coarse / (2 * BOUND),
        spread_step_size=flaws.d2d,
        spread_asymmetry=flaws.asymmetry,
    )
    low, high = flaws.bounds * half / window.g_min, flaws.bounds * half / window.g_max
    return card.replace(update=law, faults=CellFaults(spread_g_min=low, spread_g_max=high) if flaws.bounds else None)


def spec(flaws: Flaws) -> ChipSpec:
    """An array per layer, each cell beside a reference in the middle of the window."""
    made = device(flaws)
    chip = ChipSpec(device=made, tile=(1024, 512), weights=ReferenceCell(), weight_range=BOUND)
    if not flaws.converters:
        return chip
    full = LARGEST / (2 * BOUND) * chip.v_read * made.window.span  # amperes: half the window is a weight of `BOUND`
    adc = ADC(bits=ADC_BITS, range=(-full, full), noise=NOISE / (2 * LARGEST))
    return chip.replace(dac=DAC(bits=DAC_BITS, range=(0.0, 1.0)), adc=adc)


def trained_error(flaws: Flaws, schedule: Schedule, seed: int) -> float:
    """Test error in % after training from random weights."""
    (x, y), test = datasets.load("mnist", train=schedule.samples, test=schedule.tested)
    chip = program(mlp(SIZES, activation="sigmoid", seed=seed), spec(flaws), seed=seed)
    for k, (rate, epochs) in enumerate(zip(RATES, schedule.epochs, strict=True)):
        pulses = rate * schedule.batch / (STEP * flaws.coarse)  # of a gradient of 1, the mean of a batch
        settings: dict[str, Any] = {"batch": schedule.batch, "epochs": epochs, "learning_pulses": pulses}
        rule = StochasticPulses(length=LENGTH)
        chip, _ = fine_tune(chip, x, y, layers=[0, 1, 2], rule=rule, seed=seed * 10 + k, **settings)
    return 100 * (1 - accuracy(chip, *test, seed=seed))


def run(effort: Effort) -> Result:
    """Test errors without flaws, with all, and with each alone."""
    schedule = Schedule(600, (1, 1, 1), 500) if effort.quick else SHORT

    def measured(name: str, flaws: Flaws) -> float:
        effort.say(name)
        return trained_error(flaws, schedule, effort.seed)

    flawless = measured("without flaws", Flaws())
    whole = measured("as specified", SPECIFIED)
    alone = {
        name: {size: measured(f"{name} {size:g}", _only(flaw, size)) for size in sizes}
        for name, (flaw, sizes) in (QUICK if effort.quick else ALONE).items()
    }
    singly = [
        Row(f"penalty of {name}, {_size(name, size)}", None, error - flawless, "points")
        for name, found in alone.items()
        for size, error in found.items()
    ]
    return Result("rpu-2016", (*_rows(flawless, whole, schedule), *singly), (_curve(flawless, alone),))


def _rows(flawless: float, whole: float, schedule: Schedule) -> tuple[Row, ...]:
    seen = schedule.samples * sum(schedule.epochs)
    error = np.sqrt(flawless * (100 - flawless) / schedule.tested)
    short = f"after {seen:,} images, the paper's after {FULL.samples * sum(FULL.epochs):,}"
    return (
        Row("test error without flaws", ERROR, flawless, note=short),
        Row("test error as specified", ERROR + PENALTY, whole, note=short),
        Row(
            "penalty of the whole specification",
            PENALTY,
            whole - flawless,
            "points",
            note=f"standard error {1.4 * error:.1f}; training too short to show it",
        ),
        Row("steps between the bounds", 2 * BOUND / STEP, 1 / _share_of_a_step(), "", "given"),
    )


def _share_of_a_step() -> float:
    """One nominal pulse over the window."""
    made = device(SPECIFIED)
    return float(made.pulse_step()) / made.window.span


def _size(name: str, size: float) -> str:
    if name == "converters":
        return "as specified"
    return f"{size:g} x" if name == "size of a step" else f"{100 * size:g} %"


def _curve(flawless: float, alone: Mapping[str, Mapping[float, float]]) -> Curve:
    """Penalty of every flaw against its size over the specified one."""
    specified = {"c2c": 0.3, "d2d": 0.3, "bounds": 0.3, "asymmetry": 0.02, "coarse": 1.0, "converters": 1.0}
    series = {}
    for name, found in alone.items():
        flaw = {**ALONE, **QUICK}[name][0]
        sizes = [size / specified[flaw] for size in found]
        series[name] = (sizes, [error - flawless for error in found.values()])
    return Curve("one flaw at a time", "size over the specified one", "penalty (points of test error)", series)


SYSTEM = Published(
    "rpu-2016",
    "resistive processing units, 784-256-128-10 trained by stochastic pulses",
    "Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016)",
    run,
)
