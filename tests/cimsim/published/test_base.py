from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cimsim import published
from cimsim.cli import app
from cimsim.published import Curve, Effort, Published, Result, Row
from cimsim.published.base import on_all_cores
from cimsim.published.files import page, write
from device_models.errors import InputError

ROWS = (
    Row("accuracy after transfer", 95.0, 94.25, note="write error fitted"),
    Row("yield", None, 99.9, how="given"),
    Row("energy", 61.0, 50.0, "nJ"),
)
CURVE = Curve("epochs", "epoch", "errors", {"one": ([1, 2], [3.0, 4.0])}, {"one": ([2], [5.0])})
RESULT = Result("x-2000", ROWS, (CURVE,))
SYSTEM = Published("x-2000", "a system", "Somebody, Journal 1, 2 (2000)", lambda effort: RESULT)


def test_the_difference_is_ours_less_the_papers():
    assert [row.difference for row in ROWS] == [-0.75, None, -11.0]


def test_rows_are_found_by_their_quantity():
    assert RESULT.row("energy").here == 50.0
    with pytest.raises(KeyError, match="nothing"):
        RESULT.row("nothing")


def test_a_result_is_written_and_can_be_read_back(tmp_path: Path):
    table, points, picture = write(SYSTEM, RESULT, tmp_path / "new")
    assert [p.name for p in (table, points, picture)] == ["x-2000.csv", "x-2000-curves.csv", "x-2000.png"]
    back = pd.read_csv(table)
    assert list(back.columns) == ["quantity", "paper", "here", "difference", "unit", "how", "note"]
    np.testing.assert_allclose(back["here"], [94.25, 99.9, 50.0])
    np.testing.assert_allclose(back["difference"], [-0.75, np.nan, -11.0])
    lines = pd.read_csv(points)
    assert list(lines["of"]) == ["here", "here", "paper"]
    assert list(lines["y"]) == [3.0, 4.0, 5.0]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_result_without_curves_writes_no_file_for_them(tmp_path: Path):
    assert [p.suffix for p in write(SYSTEM, Result("x-2000", ROWS), tmp_path)] == [".csv", ".png"]


def test_long_titles_stay_on_the_page():
    title = "a chip whose title says of every one of its layers how large they are and what they were trained for"
    curve = Curve(title, f"{title} (%)", "errors", CURVE.series)
    figure = page(Published("x-2000", title, title, SYSTEM.run), Result("x-2000", (), (curve,)))
    figure.draw_without_rendering()
    (ax,) = figure.axes
    for text in (figure.texts[0], ax.title, ax.xaxis.label):
        shown = text.get_window_extent()
        assert 0 <= shown.x0 < shown.x1 <= figure.bbox.x1
        assert 0 <= shown.y0 < shown.y1 <= figure.bbox.y1


@pytest.mark.parametrize("cores", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_jobs_come_back_in_order(cores: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cimsim.published.base.available_cores", lambda: cores)
    assert list(on_all_cores(divmod, [(9, 4), (8, 3), (7, 2)])) == [(2, 1), (2, 2), (3, 1)]


def test_results_that_could_not_be_kept_are_not_computed(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    run = CliRunner().invoke(app, ["published", "letters-2015", "-o", str(tmp_path / "taken")])
    assert isinstance(run.exception, InputError)
    assert "taken: must be a folder that can be made, got File exists" in str(run.exception)
    assert "dies" not in run.output


@pytest.mark.parametrize(
    ("name", "quick", "said"),
    [
        ("letters-2015", False, "letters-2015, whole run: must be of a system that is shortened"),
        ("rpu-2016", True, "rpu-2016, whole run: must not be quick as well, got both; leave --whole out"),
    ],
)
def test_only_what_is_shortened_runs_whole(name: str, quick: bool, said: str):
    with pytest.raises(InputError, match=said):
        published.run(name, quick=quick, whole=True)


def test_a_seed_that_is_none_is_refused_before_anything_runs():
    with pytest.raises(InputError, match=r"^seed: must be an integer, 0 or more, got -1"):
        SYSTEM.result(Effort(seed=-1))


def test_an_unknown_system_is_named_with_those_there_are():
    with pytest.raises(InputError, match="must be the name of a published system"):
        published.load("cnn-1820")


@pytest.mark.parametrize("name", published.names())
def test_every_system_says_what_and_whose_it_is(name):
    system = published.load(name)
    assert system.name == name
    assert system.title
    assert "(20" in system.source or ", 20" in system.source  # a year
    assert Effort().seed == 0
