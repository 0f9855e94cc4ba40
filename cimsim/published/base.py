"""What every published system gives back: a table of the paper's figures beside ours, and curves."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from cimsim.chip import ChipSpec, program
from cimsim.kernels.parts import available_cores, limit_blas
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network
from device_models.errors import InputError
from device_models.streams import Streams

if TYPE_CHECKING:
    import pandas as pd

How = Literal["predicted", "fitted", "given"]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Row:
    """One figure of a paper and ours.

    Attributes:
        quantity: what is measured, "test accuracy after transfer", say.
        paper: the paper's figure; None where it gives none.
        here: ours.
        unit: of both; "%" for fractions times 100.
        how: "predicted" by the model, "fitted" to the paper's figure by what the note names, or "given": a design
            value of the paper, which must come out the same.
        note: what was fitted, what the paper leaves open, what differs.
    """

    quantity: str
    paper: float | None
    here: float
    unit: str = "%"
    how: How = "predicted"
    note: str = ""

    @property
    def difference(self) -> float | None:
        """Ours less the paper's."""
        return None if self.paper is None else self.here - self.paper


@dataclass(frozen=True)
class Curve:
    """A figure with lines: for each series its x and y values; `paper` holds points read from the paper."""

    title: str
    x: str
    y: str
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    paper: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The rows and curves of one system."""

    name: str
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...] = ()

    def row(self, quantity: str) -> Row:
        """The row of a quantity; raises `KeyError` where there is none."""
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(quantity)

    @property
    def table(self) -> pd.DataFrame:
        """Columns quantity, paper, here, difference, unit, how, note."""
        import pandas as pd

        names = ("quantity", "paper", "here", "difference", "unit", "how", "note")
        return pd.DataFrame([[getattr(row, name) for name in names] for row in self.rows], columns=list(names))

    @property
    def points(self) -> pd.DataFrame:
        """The curves as columns curve, of ("here" or "paper"), series, x, y, axes ("x label | y label")."""
        import pandas as pd

        found = [
            (curve.title, of, name, x, y, f"{curve.x} | {curve.y}")
            for curve in self.curves
            for of, lines in (("here", curve.series), ("paper", curve.paper))
            for name, (xs, ys) in lines.items()
            for x, y in zip(xs, ys, strict=True)
        ]
        return pd.DataFrame(found, columns=["curve", "of", "series", "x", "y", "axes"])


@dataclass(frozen=True)
class Effort:
    """How a system is run.

    Attributes:
        quick: for a minute at most.
        seed: of every draw.
        say: takes lines of progress.
        whole: for as long as the paper trains, hours; of the systems that are `Published.shortened` alone.
    """

    quick: bool = False
    seed: int = 0
    say: Callable[[str], None] = print
    whole: bool = False


@dataclass(frozen=True)
class Published:
    """A published system that can be run.

    Attributes:
        name: "cnn-2020", say.
        title: what it is, in a line.
        source: the paper.
        run: makes the result.
        shortened: whether it trains for less long than the paper, unless it is run whole.
    """

    name: str
    title: str
    source: str
    run: Callable[[Effort], Result]
    shortened: bool = False

    def result(self, effort: Effort) -> Result:
        """What it gives by an effort that it knows; raises `InputError` for another."""
        where, remedy = f"{self.name}, whole run", "leave --whole out"
        if effort.whole and not self.shortened:
            raise InputError(where, "must be of a system that is shortened", "one that is not", remedy)
        if effort.whole and effort.quick:
            raise InputError(where, "must not be quick as well", "both", remedy)
        Streams(effort.seed)  # refuses what is no seed
        return self.run(effort)


def mean_accuracy(
    net: Network,
    design: ChipSpec,
    reference: np.ndarray | None,
    test: tuple[np.ndarray, np.ndarray],
    dies: Sequence[int],
) -> float:
    """Accuracy of a design on test samples and labels, mean over dies by their seeds, percent.

    Converters are calibrated on the `reference` inputs (None: not at all).
    """
    made = ((die, program(net, design, calibrate=reference, seed=die)) for die in dies)
    return 100 * float(np.mean([accuracy(chip, *test, seed=die) for die, chip in made]))


def on_all_cores(work: Callable[..., Found], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Found]:
    """`work(*job)` for job after job, in as many processes as there are cores; in this one where there is one."""
    cores = min(available_cores(), len(jobs))
    if cores < 2:
        yield from (work(*job) for job in jobs)
        return
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), limit_blas, (1,)) as pool:
        yield from pool.map(work, *zip(*jobs, strict=True))
