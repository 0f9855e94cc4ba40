"""What all commands share: the application they hang on, checks of files to write, tables and JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer

from device_models.errors import InputError

app = typer.Typer(
    name="cimsim",
    help="What will my network do on my memristor chip?",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def check_file(path: Path, *endings: str) -> None:
    """What can be said of a file to write before the work that leads to it."""
    if path.suffix not in endings:
        raise InputError(str(path), f"must end in {' or '.join(endings)}", path.suffix or "no ending", "rename it")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise InputError(str(path), "must lie in a folder one can write", str(path.parent), "create it first")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows with their columns lined up to the left."""
    cells = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    """A value as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
