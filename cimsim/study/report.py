"""What a study says in the end: the summary over dies, one plot per swept axis, and where the numbers came from."""

from __future__ import annotations

import io
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from cimsim import plots
from cimsim.study import budget, paths
from cimsim.study.store import write
from cimsim.study.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS_ACROSS = 4
LABEL, TITLE = 2.6, 3.2  # inches for an axis label below one panel of several, and for its title above
PACKAGES = ("cimsim", "numpy", "scipy", "pandas", "pydantic", "matplotlib")


def summary(study: Study, results: pd.DataFrame) -> pd.DataFrame:
    """One row per point: mean, standard deviation and 95 % interval of the mean of the accuracy over the dies."""
    import pandas as pd

    axes = list(study.sweep)
    groups = results.groupby(axes, sort=False) if axes else [((), results)]
    return pd.DataFrame([{**dict(zip(axes, values, strict=True)), **_over_dies(rows)} for values, rows in groups])


def figures(study: Study, results: pd.DataFrame) -> dict[str, Figure]:
    """A figure per swept axis by file name: accuracy against it, one line for each value of the first other axis.

    Where more than two are swept, each combination of the rest has a plot of its own beside the others.
    """
    return {f"accuracy-{'+'.join(paths.together(axis))}.png": _figure(study, results, axis) for axis in study.sweep}


def save(study: Study, results: pd.DataFrame, folder: Path) -> list[Path]:
    """Write results.csv in order, summary.csv and the plots, and the error budget of an ablation; the paths written."""
    contents = {
        "results.csv": results.to_csv(index=False, lineterminator="\n").encode(),
        "summary.csv": summary(study, results).to_csv(index=False, lineterminator="\n").encode(),
    }
    contents |= {name: _png(figure) for name, figure in figures(study, results).items()}
    if budget.AXIS in study.sweep and budget.BASE in study.sweep[budget.AXIS]:
        table = budget.budget(results)
        contents["error-budget.csv"] = table.to_csv(index=False, lineterminator="\n").encode()
        contents["error-budget.png"] = _png(_budget_figure(study, table))
    for name, content in contents.items():
        write(folder / name, content)
    return [folder / name for name in contents]


def _figure(study: Study, results: pd.DataFrame, axis: str) -> Figure:
    """Accuracy against one axis."""
    others = [other for other in study.sweep if other != axis]
    hue, rest = (others[0] if others else None), others[1:]
    panels = list(results.groupby(rest, sort=False)) if rest else [((), results)]
    figure, grid = _grid(len(panels))
    for ax, (values, rows) in zip(grid, panels, strict=True):
        plots.sweep(rows, axis, "accuracy", hue=hue, ax=ax, reference="float_accuracy")
        named = [f"{plots.label(c)}: {plots.in_words(c, v)}" for c, v in zip(rest, values, strict=True)]
        ax.set_title(plots.wrapped("\n".join(named), TITLE, 8.3), fontsize="small")
    _once(grid)
    return _titled(figure, study)


def _grid(n: int) -> tuple[Figure, list[Axes]]:
    """A figure of n plots in rows, on common scales."""
    from matplotlib.figure import Figure

    across = min(n, PANELS_ACROSS)
    down = -(-n // across)
    figure = Figure(figsize=(7.0, 4.6) if n == 1 else (3.7 * across + 1.2, 3.2 * down + 0.8), layout="constrained")
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for ax in grid[n:]:
        ax.remove()
    return figure, grid[:n]


def _once(grid: list[Axes]) -> None:
    """The legend beside the first row only, labels only at the left and below."""
    across = min(len(grid), PANELS_ACROSS)
    for i, ax in enumerate(grid):
        legend = ax.get_legend()
        if legend is not None and i != across - 1:
            legend.remove()
        if i % across:
            ax.set_ylabel("")
        if i + across < len(grid):
            ax.set_xlabel("")
        else:
            ax.tick_params(labelbottom=True)
            if len(grid) > 1:
                ax.set_xlabel(plots.wrapped(ax.get_xlabel(), LABEL))


def _budget_figure(study: Study, table: pd.DataFrame) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    budget.bars(table, figure.add_subplot())
    return _titled(figure, study)


def _titled(figure: Figure, study: Study) -> Figure:
    title = plots.wrapped(study.title or study.name, figure.get_figwidth())
    figure.suptitle(title, fontsize="medium")
    return figure


class Provenance:
    """provenance.json: one entry for every run that computed rows, written when it starts and again when it ends."""

    def __init__(self, folder: Path, study: Study, workers: int, *, resumed: bool) -> None:
        self.path, self._start = folder / "provenance.json", perf_counter()
        self._values: dict[str, Any] = {"study": study.name, "seed": study.seed, "seconds": 0.0, "runs": []}
        if resumed and self.path.exists():
            self._values = json.loads(self.path.read_text(encoding="utf-8"))
        self._before = self._values["seconds"]
        self._run = {"started": _now(), "workers": workers} | _surroundings()
        self._values["runs"].append(self._run)
        self.note(0, ended=False)

    def note(self, rows: int, *, ended: bool = True) -> None:
        """Write how far this run has come."""
        seconds = round(perf_counter() - self._start, 3)
        self._run |= {"ended": _now() if ended else None, "seconds": seconds, "rows": rows}
        self._values["seconds"] = round(self._before + seconds, 3)
        write(self.path, (json.dumps(self._values, indent=2) + "\n").encode())


def _over_dies(rows: pd.DataFrame) -> dict[str, Any]:
    mean, low, high = plots.mean_interval(rows["accuracy"])
    return {
        "dies": len(rows),
        "accuracy_mean": mean,
        "accuracy_std": rows["accuracy"].std(),
        "accuracy_low": low,
        "accuracy_high": high,
        "float_accuracy": rows["float_accuracy"].iloc[0],
    }


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _surroundings() -> dict[str, Any]:
    """The software and the machine that a run ran on."""
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return {"versions": versions, "platform": platform.platform(), "processors": os.cpu_count()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
