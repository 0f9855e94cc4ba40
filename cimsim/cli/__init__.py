"""The command line: parse, call, print. Every mistake of the user is one line on stderr and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

import typer

from cimsim.cli import bench, devices, fit, published, study, train, wires
from cimsim.cli.console import app
from device_models.errors import InputError, ParameterError

__all__ = ["app", "bench", "devices", "fit", "main", "published", "study", "train", "wires"]


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(metadata.version("cimsim"))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (default: that of the process) and exit: 0, 2 after a mistake, 130 after Ctrl-C."""
    try:
        code = app(arguments, prog_name="cimsim", standalone_mode=False)
    except typer.TyperException as error:
        _fail(error.format_message())
    except (InputError, ParameterError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> NoReturn:
    print("cimsim: error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
