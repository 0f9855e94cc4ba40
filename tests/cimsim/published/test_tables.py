from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cimsim import published
from cimsim.cli import app
from cimsim.published import Published, Result, Row
from cimsim.published.files import write
from cimsim.published.tables import figure, markdown
from device_models.errors import InputError

DOCUMENT = Path(__file__).parents[3] / "docs" / "published.md"
TABLE = """\
| quantity | paper | here | how | note |
| --- | --- | --- | --- | --- |
| after transfer | 95 % | 94.25 % | fitted | by the write error, 0.6 µS |
| memristors | 26,368 | 26,368 | given |  |
| energy | – | 0.001235 nJ | predicted |  |"""
ROWS = (
    Row("after transfer", 95.0, 94.25, how="fitted", note="by the write error, 0.6 µS"),
    Row("memristors", 26368, 26368, "", "given"),
    Row("energy", None, 0.00123456, "nJ"),
)


def in_sections() -> dict[str, tuple[str, str]]:
    """The words before its table, in one line, and the table, by the name of a system in the document."""
    parts = re.split(r"^## (.*)$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        before, _, after = text.partition("|")
        found[name] = (" ".join(before.split()), f"|{after}".split("\n\n")[0].strip())
    return found


def read(table: str) -> pd.DataFrame:
    """What a Markdown table was printed from, as far as its digits say."""
    rows = []
    for line in table.splitlines()[2:]:
        quantity, paper, here, how, note = (cell.strip() for cell in line[2:-1].split(" | "))
        values = [float("nan") if v == "–" else float(v.split()[0].replace(",", "")) for v in (paper, here)]
        rows.append((quantity, *values, here.partition(" ")[2], how, note))
    return pd.DataFrame(rows, columns=["quantity", "paper", "here", "unit", "how", "note"])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (13.7600001, "epochs", "13.76 epochs"),
        (999.96, "", "1000"),
        (75793.6, "", "75,794"),
        (-1825, "points", "-1,825 points"),
        (0.0, "%", "0 %"),
        (None, "%", "–"),
        (float("nan"), "%", "–"),
    ],
)
def test_figures_have_four_digits_or_all_before_the_point(value: float | None, unit: str, text: str):
    assert figure(value, unit) == text


def test_the_csv_of_a_run_is_printed_as_markdown_without_a_run(tmp_path: Path):
    assert markdown(Result("letters-2015", ROWS).table) == TABLE
    system = Published("letters-2015", "", "", lambda effort: Result("letters-2015", ROWS))
    write(system, system.run(published.Effort()), tmp_path)
    run = CliRunner().invoke(app, ["published", "letters-2015", "--markdown", "-o", str(tmp_path)])
    assert run.stdout == TABLE + "\n"


def test_a_table_that_is_not_there_is_asked_for(tmp_path: Path):
    run = CliRunner().invoke(app, ["published", "rpu-2016", "--markdown", "-o", str(tmp_path / "none")])
    assert isinstance(run.exception, InputError)
    assert "rpu-2016.csv: must be the table of a run, got no such file; run `cimsim published rpu-2016` first" in str(
        run.exception
    )
    assert not (tmp_path / "none").exists()


def test_the_document_has_a_section_for_every_system():
    assert sorted(in_sections()) == published.names()


@pytest.mark.parametrize("name", published.names())
def test_sections_of_the_document_are_as_printed(name: str):
    system, (said, table) = published.load(name), in_sections()[name]
    title = system.title[0].upper() + system.title[1:]
    assert said == f"{title}. {system.source}."
    assert markdown(read(table)) == table
