"""Tables of published systems as text: figures in four digits, and Markdown as in docs/published.md."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from device_models.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def figure(value: float | None, unit: str = "") -> str:
    """A figure with its unit, "13.76 epochs": four digits, from a thousand on all that stand before the point.

    None and NaN, for a paper without the figure, are an en dash.
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f} {unit}".rstrip() if abs(value) >= 1000 else f"{value:.4g} {unit}".rstrip()


def markdown(table: pd.DataFrame) -> str:
    """A table of `Result.table`, or as read from its CSV: quantity | paper | here | how | note."""
    head = ("quantity", "paper", "here", "how", "note")
    shown = table.assign(**{of: [*map(figure, table[of], table["unit"])] for of in ("paper", "here")})
    rows = shown[list(head)].to_numpy().tolist()
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def stored(name: str, folder: Path) -> pd.DataFrame:
    """The table of a system's last run, from its CSV in the folder. Raises `InputError` where there is none."""
    import pandas as pd

    path = folder / f"{name}.csv"
    if not path.is_file():
        remedy = f"run `cimsim published {name}` first"
        raise InputError(str(path), "must be the table of a run", "no such file", remedy)
    return pd.read_csv(path).fillna({"unit": "", "note": ""})
