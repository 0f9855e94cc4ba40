"""`cimsim wires`: what wire resistance makes of an array's currents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from cimsim.cli.console import app, check_file
from device_models.errors import InputError


@app.command()
def wires(  # noqa: PLR0913, PLR0917 (one argument for each option)
    g: Annotated[Path, typer.Argument(metavar="G.npy", help="Conductances, siemens, (..., rows, columns).")],
    v: Annotated[Path, typer.Argument(metavar="V.npy", help="Word-line voltages, (rows,) or (batch, rows).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Bit-line currents, amperes, .npy.")],
    word: Annotated[float, typer.Option(help="Ohm per word-line segment.")] = 0.0,
    bit: Annotated[float, typer.Option(help="Ohm per bit-line segment.")] = 0.0,
    source: Annotated[float, typer.Option(help="Ohm of each word-line driver.")] = 0.0,
    sense: Annotated[float, typer.Option(help="Ohm of each sense amplifier.")] = 0.0,
    drive: Annotated[str, typer.Option(help="Word lines driven from the left or from both ends.")] = "left",
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a PNG of the voltage drop.")] = None,
) -> None:
    """Solve an array with wire resistance exactly: currents, and a picture of the voltage drop."""
    from cimsim.crossbar.wires import Wires, effective_conductance

    check_file(out, ".npy")
    if plot is not None:
        check_file(plot, ".png")
    design = Wires(word=word, bit=bit, source=source, sense=sense, drive=drive)  # type: ignore[arg-type]
    cells, volts = _array(g), _array(v)
    if plot is not None and cells.ndim != 2:
        raise InputError(str(g), "must be one array (rows, columns) to be drawn", cells.shape, "leave --plot out")
    seen = effective_conductance(cells, design)
    if volts.ndim not in (1, 2) or volts.shape[-1] != cells.shape[-2]:
        rule = f"must be voltages (rows,) or (batch, rows) for {cells.shape[-2]} rows"
        raise InputError(str(v), rule, volts.shape, "match the rows of G")
    currents, without = volts @ seen, volts @ cells
    np.save(out, currents)
    typer.echo(f"{out}: currents {currents.shape} in amperes; {_lost(currents, without)}")
    if plot is not None:
        from cimsim.plots.wires import wires_page

        wires_page(cells, design, volts).savefig(plot, dpi=150)
        typer.echo(plot)


def _lost(currents: np.ndarray, without: np.ndarray) -> str:
    """What the wires take, over all currents that there are."""
    there = without != 0
    if not there.any():
        return "no current flows"
    lost = 100 * (1 - currents[there] / without[there])
    return f"the wires take {lost.mean():.3g} % of the current (mean), {lost.min():.3g} to {lost.max():.3g} %"


def _array(path: Path) -> np.ndarray:
    try:
        found: Any = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(str(path), "must be an existing file", "nothing there", "check the path") from None
    except (ValueError, EOFError):
        raise InputError(str(path), "must be an array of numbers saved by numpy.save", "another file", "") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        got = found.dtype if isinstance(found, np.ndarray) else "an archive"
        raise InputError(str(path), "must be one array of real numbers", got, "save it with numpy.save")
    return found
