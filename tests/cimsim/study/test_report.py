from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cimsim.study.report import Provenance, figures, save, summary
from cimsim.study.study import Study


@pytest.fixture
def study(tiny: dict[str, Any]) -> Study:
    return Study(**tiny | {"dies": 5})


@pytest.fixture
def results(study: Study) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [p.labels | {"die": die, "accuracy": rng.uniform(0.5, 0.9)} for p in study.points() for die in range(5)]
    return pd.DataFrame(rows).assign(float_accuracy=0.95)


def test_the_interval_is_student_s(study: Study, results: pd.DataFrame) -> None:
    table = summary(study, results)
    for _, row in table.iterrows():
        same = (results["chip.adc.bits"] == row["chip.adc.bits"]) & (results["inference.age"] == row["inference.age"])
        values = results.loc[same, "accuracy"]
        low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
        assert row["accuracy_mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["accuracy_std"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx((low, high), rel=1e-9)


def test_one_die_has_no_interval(study: Study, results: pd.DataFrame) -> None:
    table = summary(study, results[results["die"] == 0])
    assert table["dies"].tolist() == [1] * 4
    assert table[["accuracy_std", "accuracy_low", "accuracy_high"]].isna().all(axis=None)
    assert table["accuracy_mean"].notna().all()


def test_a_study_without_a_sweep_has_one_line_and_no_plot(tiny: dict[str, Any], results: pd.DataFrame) -> None:
    study = Study(**tiny | {"sweep": {}})
    table = summary(study, results[["die", "accuracy", "float_accuracy"]])
    assert table["accuracy_mean"].tolist() == [pytest.approx(results["accuracy"].mean())]
    assert figures(study, results) == {}


def test_one_figure_for_each_axis_with_the_other_axis_as_lines(study: Study, results: pd.DataFrame) -> None:
    made = figures(study, results)
    assert list(made) == ["accuracy-chip.adc.bits.png", "accuracy-inference.age.png"]
    ax = made["accuracy-chip.adc.bits.png"].axes[0]
    assert ax.get_xlabel() == "ADC bits"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["float network", "0 s", "11.6 d"]


def test_a_long_title_stays_on_the_page(tiny: dict[str, Any], results: pd.DataFrame) -> None:
    study = Study(**tiny | {"title": "accuracy of a chip whose every setting is named in the title of its study " * 3})
    for figure in figures(study, results).values():
        figure.draw_without_rendering()
        shown = figure.texts[0].get_window_extent()
        assert 0 <= shown.x0 < shown.x1 <= figure.bbox.x1


def test_what_more_is_swept_is_in_plots_side_by_side(tiny: dict[str, Any], results: pd.DataFrame) -> None:
    axes = tiny["sweep"] | {"chip.wires.word, chip.wires.bit": [0.0, 2.0, 5.0]}
    parts = [results.assign(**{"chip.wires.word, chip.wires.bit": r}) for r in (0.0, 2.0, 5.0)]
    made = figures(Study(**tiny | {"sweep": axes}), pd.concat([parts[0], parts[1].assign(accuracy=0.2), parts[2]]))
    assert list(made)[2] == "accuracy-chip.wires.word+chip.wires.bit.png"
    *panels, last = made["accuracy-chip.adc.bits.png"].axes
    titles = [f"wire resistance (Ω per segment): {r}" for r in (0, 2, 5)]
    assert [ax.get_title() for ax in (*panels, last)] == titles
    assert [ax.get_legend() for ax in panels] == [None, None]
    assert [t.get_text() for t in last.get_legend().get_texts()] == ["float network", "0 s", "11.6 d"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[0].get_ylim()[0] < 0.2
    lines = [ax.containers[0].lines[0].get_ydata() for ax in (*panels, last)]
    mean = results.groupby(["inference.age", "chip.adc.bits"])["accuracy"].mean()[0.0]
    np.testing.assert_allclose(lines, [mean, [0.2, 0.2], mean])


def test_many_plots_stand_in_rows(tiny: dict[str, Any], results: pd.DataFrame) -> None:
    study = Study(**tiny | {"sweep": tiny["sweep"] | {"chip.dac.bits": range(3, 8)}})
    made = figures(study, pd.concat([results.assign(**{"chip.dac.bits": b}) for b in range(3, 8)]))
    figure = made["accuracy-chip.adc.bits.png"]
    assert len(figure.axes) == 5
    figure.draw_without_rendering()
    assert [ax.get_legend() is not None for ax in figure.axes] == [False, False, False, True, False]
    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy", "", "", "", "accuracy"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", *["ADC bits"] * 4]
    marked = [any(t.get_text() and t.get_visible() for t in ax.get_xticklabels()) for ax in figure.axes]
    assert marked == [False, True, True, True, True]


def test_what_is_written_reads_back(tmp_path: Path, study: Study, results: pd.DataFrame) -> None:
    written = save(study, results, tmp_path)
    assert sorted(p.name for p in written) == sorted(p.name for p in tmp_path.iterdir())
    read = {name: pd.read_csv(tmp_path / name) for name in ("results.csv", "summary.csv")}
    pd.testing.assert_frame_equal(read["results.csv"], results, check_exact=True)
    pd.testing.assert_frame_equal(read["summary.csv"], summary(study, results), check_exact=True)
    assert all(p.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for p in written if p.suffix == ".png")


def test_provenance_tells_of_every_run(tmp_path: Path, study: Study) -> None:
    Provenance(tmp_path, study, 1, resumed=False)  # killed: it never says how it ended
    second = Provenance(tmp_path, study, 2, resumed=True)
    second.note(12)
    found = json.loads((tmp_path / "provenance.json").read_text())
    assert (found["study"], found["seed"]) == ("tiny", 5)
    assert [(run["rows"], run["workers"], run["ended"] is None) for run in found["runs"]] == [
        (0, 1, True),
        (12, 2, False),
    ]
    assert found["runs"][1]["versions"]["numpy"] == np.__version__
    assert found["seconds"] == pytest.approx(sum(run["seconds"] for run in found["runs"]), abs=1e-2)


def test_provenance_starts_anew_with_the_results(tmp_path: Path, study: Study) -> None:
    for _ in range(2):
        Provenance(tmp_path, study, 1, resumed=False)
    assert len(json.loads((tmp_path / "provenance.json").read_text())["runs"]) == 1
