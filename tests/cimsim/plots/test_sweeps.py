from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from scipy import stats

from cimsim import plots
from device_models.errors import InputError


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def table(x: list[Any], dies: int = 4, **columns: list[Any]) -> pd.DataFrame:
    """Rows of `dies` values each, 0.5 plus a known spread, at every x."""
    rows = [{"x": v, "die": d, "accuracy": 0.5 + 0.01 * i + 0.02 * d} for i, v in enumerate(x) for d in range(dies)]
    return pd.DataFrame(rows).assign(**columns)


def series(ax: Axes) -> list[ErrorbarContainer]:
    return [c for c in ax.containers if isinstance(c, ErrorbarContainer)]


def bars(container: ErrorbarContainer) -> np.ndarray:
    """The low and high end of every error bar, `(points, 2)`."""
    (lines,) = container.lines[2]
    return np.array([segment[:, 1] for segment in lines.get_segments()])


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_the_interval_is_student_s(values: list[float]) -> None:
    found = plots.mean_interval(values)
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.high - found.mean, found.mean - found.low) == pytest.approx((half, half), abs=1e-6)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(3).normal(0.7, 0.05, (2000, 4))
    inside = sum(found.low < 0.7 < found.high for found in map(plots.mean_interval, drawn))
    assert stats.binomtest(inside, 2000, 0.95).pvalue > 1e-3


def test_one_value_or_none_has_no_interval() -> None:
    assert plots.mean_interval([0.3]) == (0.3, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True))
    assert np.isnan(plots.mean_interval([]).mean)


def test_means_with_their_intervals_in_order_of_x(ax: Axes) -> None:
    data = table([3, 1, 2])
    assert plots.sweep(data, "x", "accuracy", ax=ax) is ax
    (line,) = series(ax)
    expected = [plots.mean_interval(data.loc[data["x"] == x, "accuracy"]) for x in (1, 2, 3)]
    np.testing.assert_allclose(
        line.lines[0].get_xydata(), [[x, e.mean] for x, e in zip((1, 2, 3), expected, strict=True)]
    )
    np.testing.assert_allclose(bars(line), [[e.low, e.high] for e in expected])


def test_one_row_per_point_has_bars_of_no_length(ax: Axes) -> None:
    plots.sweep(table([1, 2], dies=1), "x", "accuracy", ax=ax)
    np.testing.assert_array_equal(bars(series(ax)[0]), [[0.5, 0.5], [0.51, 0.51]])


def test_a_line_for_each_hue_numbers_in_order(ax: Axes) -> None:
    data = pd.concat([table([1, 2], noise=n) for n in (0.5, 0.1)])
    plots.sweep(data, "x", "accuracy", hue="noise", ax=ax)
    assert [c.get_label() for c in series(ax)] == ["0.1", "0.5"]
    assert ax.get_legend().get_title().get_text() == "noise"


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        ([1, 10, 999], "linear"),
        ([1, 10, 1000], "log"),
        ([0.0, 1.0, 3e8], "symlog"),
        ([0.0, 0.02, 0.5], "linear"),
        ([-1.0, 1.0, 1e6], "linear"),
        ([0, 0], "linear"),
    ],
)
def test_the_axis_is_logarithmic_from_three_decades_on(ax: Axes, x: list[float], scale: str) -> None:
    plots.sweep(table(x), "x", "accuracy", ax=ax)
    assert ax.get_xscale() == scale


@pytest.mark.parametrize(
    ("x", "marks"),
    [
        ([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"]),
        ([16, 64, 1024], ["16", "64", "1024"]),
        ([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"]),
    ],
)
def test_doubled_values_lie_at_equal_distances_and_are_the_marks(ax: Axes, x: list[float], marks: list[str]) -> None:
    plots.sweep(table(x), "x", "accuracy", ax=ax)
    ax.figure.draw_without_rendering()
    at = ax.transData.transform([(v, 0.5) for v in x])[:, 0]
    np.testing.assert_allclose(np.diff(at) / np.diff(np.log2(x)), (at[-1] - at[0]) / np.log2(x[-1] / x[0]))
    np.testing.assert_allclose(ax.get_xticks(), x)
    assert [t.get_text() for t in ax.get_xticklabels()] == marks
    assert not len(ax.get_xticks(minor=True))


@pytest.mark.parametrize("x", [[1, 2, 4], [0, 1, 2, 4, 8], [1, 2, 3, 4, 8], [2, 3, 4, 5, 6, 8], [8]])
def test_few_doublings_or_others_between_them_keep_a_linear_axis(ax: Axes, x: list[int]) -> None:
    plots.sweep(table(x), "x", "accuracy", ax=ax)
    assert ax.get_xscale() == "linear"


@pytest.mark.parametrize(("x", "whole"), [([2, 3, 4], True), ([0.0, 5.0, 20.0], True), ([0.1, 0.2, 0.3], False)])
def test_whole_numbers_have_whole_marks(ax: Axes, x: list[float], whole: bool) -> None:
    plots.sweep(table(x), "x", "accuracy", ax=ax)
    ticks = ax.get_xticks()
    assert len(ticks) > 2
    assert (ticks % 1 == 0).all() == whole


def test_zero_lies_left_of_the_smallest_time_and_is_marked(ax: Axes) -> None:
    data = table([0.0, 1.0, 3600.0, 3.156e8]).rename(columns={"x": "inference.age"})
    plots.sweep(data, "inference.age", "accuracy", ax=ax)
    ax.figure.draw_without_rendering()
    at = ax.transData.transform([(t, 0.5) for t in (0.0, 1.0, 3600.0)])[:, 0]
    assert at[1] - at[0] > 0.05 * (at[2] - at[0])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0 s", "1 s", "1 h", "10 y"]
    assert ax.get_xlabel() == "time since programming (s)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1e-6, "1e-06 s"),
        (59, "59 s"),
        (90, "1.5 min"),
        (86400, "1 d"),
        (2.592e6, "30 d"),
        (3.156e8, "10 y"),
    ],
)
def test_durations_in_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert plots.duration(seconds) == text


def test_text_stands_in_order_of_appearance_hues_side_by_side(ax: Axes) -> None:
    data = pd.concat([table(["rram", "pcm"], noise=n) for n in (0.1, 0.2)])
    plots.sweep(data, "x", "accuracy", hue="noise", ax=ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["rram", "pcm"]
    at = np.array([c.lines[0].get_xdata() for c in series(ax)])
    np.testing.assert_allclose(at, [[-0.06, 0.94], [0.06, 1.06]])


@pytest.mark.parametrize(
    ("names", "shown", "slant"),
    [
        (["rram", "pcm"], ["rram", "pcm"], 0),
        (["Slices(bits=4, of=2)", "Slices(bits=2, of=4)"], ["Slices(\nbits=4,\nof=2)", "Slices(\nbits=2,\nof=4)"], 0),
        (
            ["hafnium-oxide-on-tungsten", "titanium-oxide-on-gold"],
            ["hafnium-oxide-on-tungsten", "titanium-oxide-on-gold"],
            25,
        ),
        (
            [
                "Manhattan",
                "PulseCount(rounding=stochastic)",
                "TikiTaka(lines=16)",
                "MixedPrecision",
                "StochasticPulses",
            ],
            [
                "Manhattan",
                "PulseCount(\nrounding=stochastic)",
                "TikiTaka(\nlines=16)",
                "MixedPrecision",
                "StochasticPulses",
            ],
            90,
        ),
    ],
)
def test_long_names_are_broken_slanted_or_upright(names: list[str], shown: list[str], slant: float) -> None:
    ax = Figure(figsize=(4, 3)).add_subplot()
    plots.sweep(table(names), "x", "accuracy", ax=ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == shown
    assert {t.get_rotation() for t in ax.get_xticklabels()} == {slant}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("adc_bits", "ADC bits"),
        ("die", "die"),
        ("noise_level", "noise level"),
        ("chip.wires.word, chip.wires.bit", "wire resistance (Ω per segment)"),
        ("chip.dac.bits, chip.adc.bits", "DAC bits and ADC bits"),
    ],
)
def test_columns_in_words(column: str, words: str) -> None:
    assert plots.label(column) == words


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("inference.age", 3600.0, "1 h"), ("chip.adc.bits", 4, "4"), ("x", 2.50, "2.5"), ("chip.adc.per", "tile", "tile")],
)
def test_values_in_words(column: str, value: Any, words: str) -> None:
    assert plots.in_words(column, value) == words


def test_plots_that_share_an_axis_show_all_of_both() -> None:
    left, right = Figure().subplots(1, 2, sharey=True)
    plots.sweep(table([1, 2]), "x", "accuracy", ax=left)
    plots.sweep(table([1, 2], accuracy=[0.1] * 8), "x", "accuracy", ax=right)
    low, high = left.get_ylim()
    assert low < 0.1
    assert 0.57 < high <= 1.01


def test_a_level_of_reference_is_one_labelled_line(ax: Axes) -> None:
    plots.sweep(table([1, 2]), "x", "accuracy", ax=ax, reference=0.9)
    (line,) = [line for line in ax.lines if line.get_label() == "float network"]
    assert line.get_linestyle() == "--"
    assert set(line.get_ydata()) == {0.9}


def test_a_reference_that_differs_follows_the_rows(ax: Axes) -> None:
    data = pd.concat([table([1, 2], hue=h, best=[b] * 8) for h, b in ((1, 0.8), (2, 0.9))])
    plots.sweep(data, "x", "accuracy", hue="hue", ax=ax, reference="best")
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata().tolist() for line in dashed] == [[0.8, 0.8], [0.9, 0.9]]
    assert [t.get_text() for t in ax.get_legend().get_texts()].count("float network") == 1


def test_without_axes_new_ones_are_made() -> None:
    import matplotlib.pyplot as plt

    ax = plots.sweep(table([1, 2]), "x", "accuracy")
    assert plt.fignum_exists(ax.figure.number)
    plt.close(ax.figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"x": "bits"}, "needs a column of the table, got bits; known: x, die, accuracy"),
        ({"y": "acuracy"}, "needs a column of the table, got acuracy; did you mean 'accuracy'?"),
        ({"hue": "Die"}, "did you mean 'die'?"),
        ({"reference": "float"}, "needs a column of the table, got float"),
        ({"table": table([1]).iloc[:0]}, "needs rows to plot, got an empty table"),
    ],
)
def test_bad_input_is_refused(ax: Axes, call: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        plots.sweep(**{"table": table([1]), "x": "x", "y": "accuracy", "ax": ax} | call)
    assert message in str(caught.value)
