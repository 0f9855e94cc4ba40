"""Plots of swept results: they take axes and return them. Importing this module does not import matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from device_models.errors import InputError, suggestion

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LABELS = {
    "adc_bits": "ADC bits",
    "chip.adc.bits": "ADC bits",
    "chip.adc.calibration": "ADC range from",
    "chip.adc.per": "one ADC range per",
    "chip.adc.share": "bit lines per ADC",
    "chip.dac.bits": "DAC bits",
    "chip.dac.signed": "signed inputs",
    "chip.dac.slice_bits": "input bits per pass",
    "chip.device": "device",
    "chip.device.programming.error": "programming error (fraction of the window)",
    "chip.device.read_noise.relative": "read noise (fraction of the conductance)",
    "chip.device.update.nl_down": "nonlinearity of LTD (label)",
    "chip.device.update.nl_up": "nonlinearity of LTP (label)",
    "chip.tile": "array (word lines, bit lines)",
    "chip.weights": "weight scheme",
    "chip.weights.bits": "weight bits per slice",
    "chip.weights.slices": "weight slices",
    "chip.weights.subtract": "pair subtracted",
    "chip.wires.bit": "bit-line resistance (Ω per segment)",
    "chip.wires.drive": "word lines driven from",
    "chip.wires.sense": "sense-amplifier resistance (Ω)",
    "chip.wires.source": "driver resistance (Ω)",
    "chip.wires.word": "word-line resistance (Ω per segment)",
    "chip.wires.word, chip.wires.bit": "wire resistance (Ω per segment)",
    "chip.device.faults.spread_g_min, chip.device.faults.spread_g_max": "device-to-device spread of the window",
    "inference.age": "time since programming (s)",
    "inference.without": "taken as ideal",
    "network.activation": "neurons",
    "network.spiking.code": "inputs as",
    "network.spiking.code.steps": "time steps",
    "network.spiking.learning": "learning by",
    "tuning.rule": "pulse rule",
    "tuning.share": "tuned on a share of the training data",
    "training.hardware": "off-chip training feels the chip",
    "training.weight_noise": "weight noise in training (fraction of the largest weight)",
}
_INCHES = 0.075  # of a letter below an axis
_NARROW = 6  # letters between names below which these stand upright
_MANY = 12  # ticks that fit below an axis with words
_DECADES = 1000.0  # positive values that span this factor get a logarithmic axis
_DOUBLINGS = 8.0  # so do powers of two times the smallest that span this one, in base 2
_FLOAT = "float network"
_TIMES = ("inference.age",)
_UNITS = {"y": 3.156e7, "d": 86400.0, "h": 3600.0, "min": 60.0}  # seconds


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval; the ends are NaN where there are fewer than two values."""

    mean: float
    low: float
    high: float


def mean_interval(values: Any) -> Interval:
    """The mean of values `(n,)` and its 95 % confidence interval, Student's t with n - 1 degrees of freedom."""
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean()) if len(values) else np.nan
    if len(values) < 2:
        return Interval(mean, np.nan, np.nan)
    half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def sweep(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str | None = None,
    ax: Axes | None = None,
    reference: float | str | None = None,
) -> Axes:
    """Column `y` against column `x`: the mean of all rows that share an x, with the 95 % interval of that mean.

    Args:
        table: a tidy table, of `cimsim.sweep` or a study's results.csv.
        x: numbers, on a logarithmic axis if they span three decades or double from one to the next (1, 2, 4, 8), or
            text, in order of appearance.
        y: numbers.
        hue: one line for each value of this column.
        ax: where to draw; None makes new axes.
        reference: drawn dashed, as the float network: a value of y, or the column that holds it.

    Raises:
        InputError: a column that the table does not have, or a table without rows.
    """
    _check(table, [c for c in (x, y, hue, reference) if isinstance(c, str)])
    ax = _new_axes() if ax is None else ax
    ticks = _Ticks.of(table[x])
    parts = [("", table)] if hue is None else _parts(table, hue)
    colours = _colours(len(parts), ordered=hue is not None and _is_numeric(table[hue]))
    for i, ((name, part), colour) in enumerate(zip(parts, colours, strict=True)):
        shift = 0.0 if ticks.names is None else min(0.12, 0.8 / len(parts)) * (i - (len(parts) - 1) / 2)
        _line(ax, part, x, y, ticks=ticks, shift=shift, color=colour, label=name)
    if reference is not None:
        _reference(ax, parts, x, reference, ticks, colours)
    ticks.show(ax, in_time=x in _TIMES)
    _finish(ax, x, y)
    if hue is not None or reference is not None:
        _legend(ax, hue)
    return ax


def label(column: str) -> str:
    """A column in words, with its unit where it is known; of several paths in one, all of them."""
    if column in _LABELS or ", " not in column:
        return _LABELS.get(column, column.replace("_", " "))
    return " and ".join(map(label, column.split(", ")))


def in_words(column: str, value: Any) -> str:
    """A value of a column as it stands in a legend: text as it is, times in the unit that suits them."""
    if isinstance(value, str | bool):
        return str(value)
    return duration(value) if column in _TIMES else f"{value:g}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: "1 s", "30 d", "10 y"."""
    name, unit = next(((n, u) for n, u in _UNITS.items() if seconds >= u), ("s", 1.0))
    return f"{seconds / unit:.3g} {name}"


def tidy(ax: Axes) -> Axes:
    """The look that all plots share: light grid, no box."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


class _Ticks(NamedTuple):
    """Where the values of x lie on the axis: `names` of the positions 0, 1, ... for text, else a scale for numbers."""

    names: list[str] | None
    scale: str
    values: np.ndarray

    @classmethod
    def of(cls, values: pd.Series) -> _Ticks:
        if not _is_numeric(values):
            names = list(dict.fromkeys(values.astype(str)))
            return cls(names, "linear", np.arange(len(names)))
        found = np.unique(values.to_numpy(dtype=np.float64))
        if _doubled(found):
            return cls(None, "log2", found)
        positive = found[found > 0]
        if not len(positive) or found[0] < 0 or positive[-1] < _DECADES * positive[0]:
            return cls(None, "linear", found)
        return cls(None, "log" if len(positive) == len(found) else "symlog", found)

    def position(self, value: Any) -> float:
        return float(value) if self.names is None else float(self.names.index(str(value)))

    def show(self, ax: Axes, *, in_time: bool) -> None:
        """Scale the axis and mark it: names at their positions, durations at the times there are."""
        if self.names is not None:
            names, look = _fitted(self.names, _room(ax))
            ax.set_xticks(self.values, names, **look)
            ax.set_xlim(-0.5, len(self.names) - 0.5)
        elif self.scale == "symlog":  # the smallest positive value starts the logarithmic part, 0 lies one step before
            ax.set_xscale("symlog", linthresh=self.values[1], linscale=0.5)
        elif self.scale == "log2":
            ax.set_xscale("log", base=2)
            ax.set_xticks(self.values, [f"{v:g}" for v in self.values])
        else:
            ax.set_xscale(self.scale)
            if self.scale == "linear" and (self.values % 1 == 0).all():
                ax.locator_params(axis="x", integer=True)
        if in_time and self.scale != "linear" and len(self.values) <= _MANY:
            ax.set_xticks(self.values, [duration(t) for t in self.values])
            ax.set_xticks([], minor=True)


def _doubled(values: np.ndarray) -> bool:
    """Whether sorted values are the smallest one times powers of two, as steps and sizes often are."""
    if values[0] <= 0 or values[-1] < _DOUBLINGS * values[0]:
        return False
    powers = np.log2(values / values[0])
    return bool(np.allclose(powers, np.round(powers), rtol=0, atol=1e-9))


def _line(ax: Axes, part: pd.DataFrame, x: str, y: str, *, ticks: _Ticks, shift: float, **look: Any) -> None:
    """One series with error bars: means joined by a line where x is a number, points above names."""
    means = sorted((ticks.position(v), mean_interval(rows[y].dropna())) for v, rows in part.groupby(x, sort=False))
    centre = np.array([m.mean for _, m in means])
    bars = np.array([[m.mean - m.low, m.high - m.mean] for _, m in means]).T
    style = "o" if ticks.names is not None else "o-"
    positions = np.array([p for p, _ in means]) + shift
    ax.errorbar(positions, centre, np.nan_to_num(bars), fmt=style, markersize=4, linewidth=1.4, capsize=2.5, **look)


def _reference(
    ax: Axes,
    parts: list[tuple[str, pd.DataFrame]],
    x: str,
    reference: float | str,
    ticks: _Ticks,
    colours: Sequence[Any],
) -> None:
    """The float network: one level for all, or where it differs, one dashed line for each series."""
    look: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "zorder": 1.5}
    if not isinstance(reference, str):
        ax.axhline(reference, color="0.35", label=_FLOAT, **look)
        return
    levels = {float(v) for _, part in parts for v in part[reference]}
    if len(levels) == 1:
        ax.axhline(levels.pop(), color="0.35", label=_FLOAT, **look)
        return
    for i, ((_, part), colour) in enumerate(zip(parts, colours, strict=True)):
        found = sorted((ticks.position(v), rows[reference].mean()) for v, rows in part.groupby(x, sort=False))
        ax.plot(*zip(*found, strict=True), color=colour, label=None if i else _FLOAT, **look)


def _fitted(names: list[str], room: float) -> tuple[list[str], dict[str, Any]]:
    """Names as they fit into a row of `room` letters, in lines or else slanted, and what to ask for that."""
    in_lines = [name.replace("(", "(\n").replace(", ", ",\n") for name in names]
    for tried in (names, in_lines):
        longest = max(len(line) for name in tried for line in name.split("\n"))
        if len(tried) * (longest + 1) <= room:
            return tried, {}
    beyond = max(0.9 * len(name) - room * (i + 0.5) / len(names) for i, name in enumerate(names))
    if room < _NARROW * len(names) or beyond > room / 3:  # slanted, they would take the axes' place
        return in_lines, {"rotation": 90, "fontsize": "small"}
    return names, {"rotation": 25, "ha": "right"}


def _room(ax: Axes) -> float:
    """Letters that fit side by side below the axis."""
    return float(ax.get_window_extent().width / ax.figure.dpi / _INCHES)


def _finish(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(label(x))
    ax.set_ylabel(label(y))
    if y.endswith("accuracy"):
        from matplotlib.ticker import PercentFormatter

        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.01), auto=None)  # what is drawn later still moves the limits
    tidy(ax)


def _legend(ax: Axes, hue: str | None) -> None:
    """Beside the axes where there are several lines, so that it hides none."""
    look: dict[str, Any] = {"fontsize": "small", "title_fontsize": "small", "frameon": False, "alignment": "left"}
    if hue is None:
        ax.legend(**look)
    else:
        title = label(hue).removesuffix(" (s)").replace(" (", "\n(")  # durations carry their units themselves
        ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0), **look)


def _parts(table: pd.DataFrame, hue: str) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each value of a column, numbers in order, with the value in words."""
    if not _is_numeric(table[hue]):
        return [(str(value), rows) for value, rows in table.groupby(hue, sort=False)]
    return [(in_words(hue, float(str(value))), rows) for value, rows in table.groupby(hue)]


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _colours(n: int, *, ordered: bool) -> Sequence[Any]:
    """One colour per series: along a map for numbers, apart from each other for names."""
    from matplotlib import colormaps

    if ordered and n > 1:
        return list(colormaps["viridis"](np.linspace(0.0, 0.85, n)))
    return [colormaps["tab10"](i % 10) for i in range(n)]


def _is_numeric(values: pd.Series) -> bool:
    return values.dtype.kind in "iuf"


def _check(table: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        if column not in table.columns:
            raise InputError(
                "plots.sweep", "needs a column of the table", column, suggestion(column, list(table.columns))
            )
    if not len(table):
        raise InputError("plots.sweep", "needs rows to plot", "an empty table", "run the sweep first")
