"""The error budget: what each slot or part costs, from chips that go without them in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cimsim import plots
from cimsim.chip import ChipSpec, program
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network
from cimsim.study.store import MEASURED
from cimsim.study.study import CELL, PARTS, die_seed, without
from cimsim.study.sweep import sweep
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

AXIS = "inference.without"
BASE = "nothing"
COLUMNS = ("part", "gain", "low", "high", "accuracy", "pairs")
_WORDS = {"all": "everything", "read_noise": "read noise", "half_select": "half-select", "dac": "DAC", "adc": "ADC"}


def error_budget(
    network: Network,
    spec: ChipSpec,
    x: Array,
    y: Array,
    *,
    calibrate: Array | None = None,
    age: float = 0.0,
    dies: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """What each flaw of a chip costs: the accuracy gained with it alone taken away, and with "all"; see `budget`.

    The flaws are the slots its device has and its converters and wires; the pulse response counts with `programming`.
    A study with the same network and seed gives the same numbers.

    Args:
        network: a float network, trained.
        spec: the chip with all its flaws.
        x: test samples `(n, n_in)`.
        y: their labels.
        calibrate: inputs on which the converters are calibrated; None leaves them uncalibrated.
        age: seconds between programming and reading.
        dies: chips; each is made once with nothing taken away and once without each part, from the same draws.
        seed: fixes them.
    """

    def point(part: Any, die: int) -> dict[str, float]:
        chip = program(network, without(spec, part), calibrate=calibrate, seed=die_seed(seed, "chip", die))
        return {"accuracy": accuracy(chip.age(age), x, y, seed=die_seed(seed, "read", die))}

    results = sweep(point, part=[BASE, *flaws(spec), "all"], die=range(dies))
    return budget(results.rename(columns={"part": AXIS}))


def flaws(spec: ChipSpec) -> list[str]:
    """The slots and parts of a design that are not ideal, the pulse response aside."""
    slots = [slot for slot in CELL if slot != "update" and getattr(spec.device, slot) is not None]
    return slots + [part for part in PARTS if getattr(spec, part) is not None]


def budget(results: pd.DataFrame) -> pd.DataFrame:
    """One row per part that was taken away, the costliest first: the accuracy gained without it.

    Gains are differences on the same die at the same point, so what dies have in common cancels. Columns: `part`,
    `gain`, `low`, `high` (95 % interval of the mean gain, Student's t), `accuracy` (mean without the part), `pairs`.
    Needs rows with nothing taken away: without them the table is empty.
    """
    import pandas as pd

    base, others = results[results[AXIS] == BASE], results[results[AXIS] != BASE]
    same = [column for column in results.columns if column not in (*MEASURED, AXIS)]
    pairs = others.merge(base[[*same, "accuracy"]], on=same, suffixes=("", "_base"))
    pairs["gain"] = pairs["accuracy"] - pairs["accuracy_base"]
    rows = [
        {
            "part": part,
            **dict(zip(("gain", "low", "high"), plots.mean_interval(rows["gain"]), strict=True)),
            "accuracy": rows["accuracy"].mean(),
            "pairs": len(rows),
        }
        for part, rows in pairs.groupby(AXIS, sort=False)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("gain", ascending=False, ignore_index=True)


def bars(table: pd.DataFrame, ax: Axes) -> Axes:
    """The budget as horizontal bars with their 95 % intervals, in points of accuracy, the costliest on top."""
    shown = table.iloc[::-1]
    whole = shown["part"] == "all"
    colours = ["0.6" if everything else "tab:blue" for everything in whole]
    error = [100 * (shown["gain"] - shown["low"]).fillna(0), 100 * (shown["high"] - shown["gain"]).fillna(0)]
    names = [_WORDS.get(part, part) for part in shown["part"]]
    ax.barh(
        names, 100 * shown["gain"], xerr=error, color=colours, height=0.65, capsize=2.5, error_kw={"linewidth": 1.2}
    )
    ax.axvline(0.0, color="0.2", linewidth=0.8)
    ax.set_xlabel("accuracy gained if it were ideal (points)")
    return plots.tidy(ax)
