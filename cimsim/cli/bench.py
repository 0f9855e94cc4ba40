"""`cimsim bench`: the speed of this machine, as ratios."""

from __future__ import annotations

from typing import Annotated

import typer

from cimsim.cli.console import app, print_json


@app.command()
def bench(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Time inference, wires, writes and pulses against bare matrix products and the like (about a minute)."""
    from cimsim import bench as benchmarks

    timings = []
    for case in benchmarks.cases():
        found = benchmarks.timed(case)
        timings.append(found._asdict())
        if not as_json:
            took = f"{found.seconds * 1e3:10.2f} ms  {found.reference * 1e3:10.2f} ms {found.ratio:9.3g} x"
            typer.echo(f"{found.name:<62} {took}  {found.of}")
    environment = benchmarks.environment()
    if as_json:
        print_json({"environment": environment, "timings": timings})
    else:
        typer.echo("\n" + "\n".join(f"{name}: {value}" for name, value in environment.items()))
