"""`cimsim published`: published arrays and chips, their papers' figures beside ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cimsim.cli.console import app, print_table
from cimsim.published import tables
from cimsim.published.base import Published, Row


@app.command()
def published(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The system to run; none lists them.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A minute at most: less data, fewer repeats.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="As long a training as the paper's, up to hours.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Directory of CSV and PNG [default: results/published].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes every draw.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Run nothing: print the table of the CSV there is as Markdown.")
    ] = False,
) -> None:
    """Run a published system and print paper | here | difference; without a name, list them."""
    from cimsim import published as systems

    if name is None:
        print_table([_entry(systems.load(n)) for n in systems.names()])
        return
    from cimsim.published.files import ready, write

    system, folder = systems.load(name), out or Path("results") / "published"
    if markdown:
        typer.echo(tables.markdown(tables.stored(name, folder)))
        return
    ready(folder)
    say = (lambda line: None) if quiet else lambda line: print(line, file=sys.stderr)
    result = system.result(systems.Effort(quick, seed, say, whole))
    files = write(system, result, folder)
    if not quiet:
        typer.echo(f"\n{system.title}\n{system.source}\n")
        print_table([_printed(row) for row in result.rows])
        typer.echo("\n" + "\n".join(map(str, files)))


def _entry(system: Published) -> dict[str, str]:
    return {"name": system.name, "title": system.title, "source": system.source}


def _printed(row: Row) -> dict[str, str]:
    """A row of the table as text."""
    figures = {"paper": row.paper, "here": row.here, "difference": row.difference}
    shown = {key: tables.figure(value) for key, value in figures.items()}
    return {"quantity": row.quantity, **shown, "unit": row.unit, "how": row.how, "note": row.note}
