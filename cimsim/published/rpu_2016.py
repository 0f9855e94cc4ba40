"""Resistive processing units: a perceptron trained by stochastic pulses, and what each flaw of its devices costs.

Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016), a simulation study. Its specification is run whole, without any
flaw, and with one flaw at a time, at the size that the paper allows it or well beyond. The paper trains on 60,000
images 30 times. A whole run (`FULL`) does so and comes to its errors: 1.9 % without flaws and 2.2 % as specified, the
paper's 2.0 and 2.3 %. Else it is 10 times (`SHORT`), which leaves 2.6 % without flaws.
Samples are read in small batches, and their pulses sent one sample after the other, with chances managed as in the
authors' later work (Gokmen, Onen and Haensch, Front. Neurosci. 11, 538 (2017)). The error comes back through the
weights as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
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
from cimsim.published.base import Curve, Effort, Published, Result, Row, on_all_cores
from device_models import cards
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.update import LinearUpdate

SIZES = (784, 256, 128, 10)  # logistic hidden layers, softmax
STEP, BOUND = 0.001, 0.6  # weights: smallest change by a pulse, and largest weight: 1,200 steps
LENGTH = 10  # slots of a train
RATES = (0.01, 0.005, 0.0025)  # learning rates, ten epochs each in the paper
ERROR, PENALTY = 2.0, 0.3  # % of test samples: in floating point, and what all flaws, or one alone, may cost
ASYMMETRY = "asymmetry of all devices"
LIMIT = 0.05  # asymmetry of all devices alone that costs as much
ENDED = 10.0  # points of penalty above which a network does not learn
DAC_BITS, ADC_BITS = 7, 9
NOISE, LARGEST = 0.06, 12.0  # of a layer's outputs: noise of a read, and the range of the converter


class Flaws(NamedTuple):
    """What is wrong with the devices.

    Attributes:
        c2c: noise of a pulse over its step.
        d2d: spread of steps, relative.
        bounds: spread of bounds, relative.
        uneven: asymmetry of all devices: steps are larger by it upwards and smaller downwards.
        asymmetry: spread of the asymmetry.
        coarse: size of a step over the specified one.
        bound: largest weight.
        converters: whether reads have them.
    """

    c2c: float = 0.0
    d2d: float = 0.0
    bounds: float = 0.0
    uneven: float = 0.0
    asymmetry: float = 0.0
    coarse: float = 1.0
    bound: float = BOUND
    converters: bool = False


class Schedule(NamedTuple):
    """Samples, passes over them at each of the three rates, and samples per update."""

    samples: int
    epochs: tuple[int, int, int]
    tested: int
    batch: int = 16


FULL, SHORT = Schedule(60_000, (10, 10, 10), 10_000), Schedule(60_000, (5, 3, 2), 10_000)
QUICKEST = Schedule(600, (3, 1, 1), 500)
SPECIFIED = Flaws(c2c=0.3, d2d=0.3, bounds=0.3, asymmetry=0.02, converters=True)
ALONE = {  # by name: the flaw, and its sizes
    ASYMMETRY: ("uneven", (LIMIT, 0.1, 0.2)),
    "D2D of asymmetry": ("asymmetry", (0.2,)),
    "C2C of a step": ("c2c", (10.0,)),
    "D2D of bounds": ("bounds", (0.9,)),
    "size of a step": ("coarse", (8.0,)),
    "bound of weights": ("bound", (0.15,)),
}
QUICK = {ASYMMETRY: ("uneven", (0.3,))}


def _only(flaw: str, size: float) -> Flaws:
    one: dict[str, Any] = {flaw: size}
    return Flaws(**one)


def device(flaws: Flaws) -> Device:
    """The card's device with these flaws in place of its own."""
    card = cards.load("rpu-gokmen-2016")
    window, half = card.window, card.window.span / 2
    step = STEP * flaws.coarse / (2 * flaws.bound)  # of the window
    law = LinearUpdate(
        step_size=window.span * step,
        asymmetry=flaws.uneven,
        c2c=flaws.c2c * step,
        spread_step_size=flaws.d2d,
        spread_asymmetry=flaws.asymmetry,
    )
    low, high = flaws.bounds * half / window.g_min, flaws.bounds * half / window.g_max
    return card.replace(update=law, faults=CellFaults(spread_g_min=low, spread_g_max=high) if flaws.bounds else None)


def spec(flaws: Flaws) -> ChipSpec:
    """An array per layer, each cell beside a reference in the middle of the window."""
    made = device(flaws)
    chip = ChipSpec(device=made, tile=(1024, 512), weights=ReferenceCell(), weight_range=flaws.bound)
    if not flaws.converters:
        return chip
    full = LARGEST / (2 * flaws.bound) * chip.v_read * made.window.span  # amperes: half the window, the largest weight
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
    schedule = QUICKEST if effort.quick else FULL if effort.whole else SHORT
    alone = [(name, size) for name, (_, sizes) in (QUICK if effort.quick else ALONE).items() for size in sizes]
    flaws = [Flaws(), SPECIFIED, *(_only({**ALONE, **QUICK}[name][0], size) for name, size in alone)]
    names = ["without flaws", "as specified", *(f"{name}, {_size(name, size)}" for name, size in alone)]
    flawless, whole, *others = _errors(dict(zip(names, flaws, strict=True)), schedule, effort)
    penalties = dict(zip(alone, (error - flawless for error in others), strict=True))
    singly = [_single(name, size, penalty) for (name, size), penalty in penalties.items()]
    curves = (_against_asymmetry(penalties), _ranked(penalties, whole - flawless))
    return Result("rpu-2016", (*_rows(flawless, whole, schedule), *singly), curves)


def _errors(flaws: Mapping[str, Flaws], schedule: Schedule, effort: Effort) -> list[float]:
    """Of trainings one beside the other."""
    jobs, found = [(one, schedule, effort.seed) for one in flaws.values()], list[float]()
    for error in starmap(trained_error, jobs) if effort.quick else on_all_cores(trained_error, jobs):
        effort.say(f"{list(flaws)[len(found)]}: {error:.2f} %")
        found.append(error)
    return found


def _single(name: str, size: float, penalty: float) -> Row:
    limit = (name, size) == (ASYMMETRY, LIMIT)
    note = "the asymmetry that the paper allows alone" if limit else ""
    return Row(f"penalty of {name}, {_size(name, size)}", PENALTY if limit else None, penalty, "points", note=note)


def _rows(flawless: float, whole: float, schedule: Schedule) -> tuple[Row, ...]:
    error = np.sqrt(flawless * (100 - flawless) / schedule.tested)
    short = f"after {_course(schedule)}" + ("" if schedule == FULL else f", the paper's after {_course(FULL)}")
    return (
        Row("test error without flaws", ERROR, flawless, note=short),
        Row("test error as specified", ERROR + PENALTY, whole, note=short),
        Row(
            "penalty of the whole specification",
            PENALTY,
            whole - flawless,
            "points",
            note=f"standard error {1.4 * error:.1f} at most, as of all penalties",
        ),
        Row("steps between the bounds", 2 * BOUND / STEP, 1 / _share_of_a_step(), "", "given"),
    )


def _course(schedule: Schedule) -> str:
    return f"{schedule.samples:,} images {sum(schedule.epochs)} times"


def _share_of_a_step() -> float:
    """One nominal pulse over the window."""
    made = device(SPECIFIED)
    return float(made.pulse_step()) / made.window.span


def _size(name: str, size: float) -> str:
    if name == "bound of weights":
        return f"{size:g}"
    return f"{size:g} x" if name == "size of a step" else f"{100 * size:g} %"


def _against_asymmetry(penalties: Mapping[tuple[str, float], float]) -> Curve:
    here = {0.0: 0.0} | {100 * size: penalty for (name, size), penalty in penalties.items() if name == ASYMMETRY}
    lines = {"one flaw alone": (list(here), list(here.values()))}
    paper = {"what the paper allows": ([100 * LIMIT], [PENALTY])}
    return Curve(ASYMMETRY, "steps larger up and smaller down by (%)", "penalty (points of test error)", lines, paper)


def _ranked(penalties: Mapping[tuple[str, float], float], whole: float) -> Curve:
    """Penalties from the smallest to the largest, one beside the other; those that end learning are left out."""
    found = {"as specified": whole, **{f"{name}, {_size(name, size)}": p for (name, size), p in penalties.items()}}
    ranked = sorted((name for name in found if found[name] < ENDED), key=lambda name: found[name])
    series = {name: ([float(k)], [found[name]]) for k, name in enumerate(ranked, start=1)}
    return Curve(f"penalties below {ENDED:g} points", "rank", "penalty (points of test error)", series)


SYSTEM = Published(
    "rpu-2016",
    "resistive processing units, 784-256-128-10 trained by stochastic pulses",
    "Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016)",
    run,
    shortened=True,
)
