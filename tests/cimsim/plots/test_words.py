from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cimsim.plots import wrapped

TITLE = "Learning on the chip from the start, by rule and nonlinearity of LTP and LTD, on arrays of hfox-wan-2022 cells"


@pytest.mark.parametrize("points", [8.3, 10.0, 12.0])
@pytest.mark.parametrize("inches", [3.2, 5.2, 7.0])
def test_lines_fit_and_are_not_much_shorter_than_they_could_be(inches: float, points: float) -> None:
    figure = Figure(figsize=(inches, 4))
    FigureCanvasAgg(figure)
    lines = wrapped(TITLE, inches, points).split("\n")
    widths = [figure.text(0, 0, line, fontsize=points).get_window_extent().width / figure.dpi for line in lines]
    assert max(widths) < inches
    assert all(width > 0.55 * inches for width in widths[:-1])
    assert " ".join(lines) == TITLE


def test_line_breaks_stay_and_names_are_not_cut_at_hyphens() -> None:
    assert wrapped("one\ntwo", 5.0) == "one\ntwo"
    assert wrapped("cells of hfox-wan-2022", 1.6).split("\n") == ["cells of", "hfox-wan-2022"]
