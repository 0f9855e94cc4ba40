"""The error budget: what each slot or part costs, from runs that take them away in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cimsim import plots
from cimsim.study.store import MEASURED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

AXIS = "inference.without"
BASE = "nothing"
_WORDS = {"all": "everything", "read_noise": "read noise", "dac": "DAC", "adc": "ADC"}


def budget(results: pd.DataFrame) -> pd.DataFrame:
    """One row per part that was taken away, the costliest first: the accuracy gained without it.

    Gains are differences on the same die at the same point, so what dies have in common cancels. Columns: `part`,
    `gain`, `low`, `high` (95 % interval of the mean gain, Student's t), `pairs`.
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
            "pairs": len(rows),
        }
        for part, rows in pairs.groupby(AXIS, sort=False)
    ]
    table = pd.DataFrame(rows, columns=["part", "gain", "low", "high", "pairs"])
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
