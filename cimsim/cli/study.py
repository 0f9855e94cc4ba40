"""`cimsim study`: accuracy at every point of a sweep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cimsim.cli.console import app, print_json, print_table
from cimsim.study import files as studies
from cimsim.study.runner import StudyStopped, run_study
from cimsim.study.study import Study
from cimsim.study.study import schema as study_schema
from device_models.errors import InputError


@app.command()
def study(  # noqa: PLR0913, PLR0917 (one argument for each option)
    name: Annotated[str | None, typer.Argument(metavar="STUDY", help="A built-in study or a TOML file.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Directory of results [default: results/NAME].")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make chips.")] = 1,
    dies: Annotated[int | None, typer.Option(help="Chips per point, in place of the study's.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value, data.name=mnist say.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the built-in studies.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the TOML of a built-in study.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a study.")] = False,
) -> None:
    """Run a study: accuracy at every point of a sweep, as tables and plots. Run it again to go on where it stopped."""
    if schema:
        print_json(study_schema())
    elif list_all:
        print_table([{"name": n, "title": studies.load(n).title} for n in studies.names()])
    elif name is None:
        raise InputError("study", "needs a STUDY", "none", f"give a TOML file, or one of {', '.join(studies.names())}")
    elif show:
        typer.echo(studies.text(name), nl=False)
    else:
        given = dict(map(studies.parse_change, changes or [])) | ({} if dies is None else {"dies": dies})
        _run(studies.load(name, given), out, workers=workers, quiet=quiet)


def _run(chosen: Study, out: Path | None, *, workers: int, quiet: bool) -> None:
    try:
        result = run_study(chosen, out, workers=workers, progress=not quiet)
    except StudyStopped as stopped:
        print(stopped, file=sys.stderr)
        raise typer.Exit(130) from None
    if not quiet:
        typer.echo(f"\n{chosen.title or chosen.name}\n")
        typer.echo(result.summary.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
        typer.echo("\n" + "\n".join(map(str, result.files)))
