"""`cimsim fit`: from measured files to a card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cimsim.cli.console import app, check_file


@app.command()
def fit(
    data: Annotated[list[Path], typer.Argument(metavar="DATA.csv...", help="Measurements of one device.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The card, .toml.")],
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a PNG of data, laws and residuals.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the device [default: that of the card].")] = None,
    seed: Annotated[int, typer.Option(help="Fixes the bootstrap of the intervals.")] = 0,
) -> None:
    """Fit a device to measured CSV files: a card, with intervals, residuals and what stays undetermined."""
    from device_models import fitting

    check_file(out, ".toml")
    if plot is not None:
        check_file(plot, ".png")
    found = fitting.fit(*data, name=name or out.stem, seed=seed)
    typer.echo(found)
    typer.echo(f"\n{found.save(out)}")
    if plot is not None:
        from cimsim.plots.fits import fit_page

        fit_page(found).savefig(plot, dpi=150)
        typer.echo(plot)
