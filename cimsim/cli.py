"""The command line: parse, call, print. Every mistake of the user is one line on stderr and exit code 2."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cimsim import datasets
from cimsim.learning import offchip
from cimsim.network.evaluate import accuracy
from cimsim.network.network import mlp
from cimsim.study import files as studies
from cimsim.study.runner import StudyStopped, run_study
from cimsim.study.study import Study
from cimsim.study.study import schema as study_schema
from device_models import cards
from device_models.device import SLOTS, Device
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict

app = typer.Typer(
    name="cimsim",
    help="What will my network do on my memristor chip?",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


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
        _print_json(study_schema())
    elif list_all:
        _print_table([{"name": n, "title": studies.load(n).title} for n in studies.names()])
    elif name is None:
        raise InputError("study", "needs a STUDY", "none", f"give a TOML file, or one of {', '.join(studies.names())}")
    elif show:
        typer.echo(studies.text(name), nl=False)
    else:
        given = dict(map(studies.parse_change, changes or [])) | ({} if dies is None else {"dies": dies})
        _run(studies.load(name, given), out, workers=workers, quiet=quiet)


@app.command()
def devices(
    name: Annotated[str | None, typer.Argument(help="A card or a TOML file; none lists all cards.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Write a PNG: one card's curves, or all cards side by side.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The PNG [default: NAME.png or devices.png].")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a card.")] = False,
) -> None:
    """Show the device cards, or one of them with its source."""
    if schema:
        _print_json(Device.model_json_schema())
        return
    path = out or Path("devices.png" if name is None else f"{Path(name).stem}.png")
    _check_file(path, ".png")
    if name is None:
        found = [cards.load(card) for card in cards.names()]
        _print_json([to_dict(device) for device in found]) if as_json else _print_table(list(map(_card, found)))
    else:
        found = [cards.load(name)]
        _print_json(to_dict(found[0])) if as_json else typer.echo("\n".join(_lines(to_dict(found[0]))))
    if plot or out is not None:
        _plot(found, path, catalogue=name is None)


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

    _check_file(out, ".toml")
    if plot is not None:
        _check_file(plot, ".png")
    found = fitting.fit(*data, name=name or out.stem, seed=seed)
    typer.echo(found)
    typer.echo(f"\n{found.save(out)}")
    if plot is not None:
        from cimsim.fit_plots import fit_page

        fit_page(found).savefig(plot, dpi=150)
        typer.echo(plot)


@app.command()
def train(  # noqa: PLR0913, PLR0917 (one argument for each option)
    out: Annotated[Path, typer.Option("--out", "-o", help="The file of weights, .safetensors.")],
    data: Annotated[str, typer.Option(help=f"The data set: {', '.join(datasets.names())}.")] = "digits",
    hidden: Annotated[
        list[int] | None, typer.Option(help="Size of a hidden layer; repeat for more [default: 32].")
    ] = None,
    activation: Annotated[str, typer.Option(help="relu, sigmoid or tanh.")] = "relu",
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Largest step of a weight.")] = None,
    weight_noise: Annotated[float | None, typer.Option(help="Noise on the weights, of the largest one.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes first weights and minibatches.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a float network, save its weights and say its accuracy."""
    from cimsim.interchange import save_network

    given: dict[str, Any] = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
    given["weight_noise"] = weight_noise
    training = offchip.Training(**{name: value for name, value in given.items() if value is not None})
    _check_file(out, ".safetensors", ".npz")
    (x, y), (x_test, y_test) = datasets.load(data)
    sizes = [x.shape[1], *(hidden or [32]), int(max(y.max(), y_test.max())) + 1]
    network = mlp(sizes, activation=activation, seed=seed)
    network = offchip.train(network, x, y, seed=seed, progress=not quiet, **dict(training))
    path = save_network(network, out)
    typer.echo(f"accuracy on {len(x_test)} test samples: {accuracy(network, x_test, y_test):.4f}\n{path}")


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


def _plot(devices: Sequence[Device], path: Path, *, catalogue: bool) -> None:
    from cimsim import catalogue_plots, device_plots

    figure = catalogue_plots.catalogue(devices) if catalogue else device_plots.device_card(devices[0])
    figure.savefig(path, dpi=150)
    typer.echo(path)


def _check_file(path: Path, *endings: str) -> None:
    """What can be said of a file to write before the work that leads to it."""
    if path.suffix not in endings:
        raise InputError(str(path), f"must end in {' or '.join(endings)}", path.suffix or "no ending", "rename it")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise InputError(str(path), "must lie in a folder one can write", str(path.parent), "create it first")


def _card(device: Device) -> dict[str, Any]:
    """One line of the table of devices."""
    window = device.window
    slots = [slot for slot in SLOTS if getattr(device, slot) is not None]
    return {
        "name": device.name,
        "title": device.title,
        "window (µS)": f"{window.g_min * 1e6:.3g} to {window.g_max * 1e6:.3g}",
        "levels": "continuous" if window.levels is None else window.levels,
        "slots on": ", ".join(slots),
    }


def _lines(values: Any, indent: str = "") -> list[str]:
    """Nested values, one to a line, what lies inside further in."""
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        elif value != "":
            lines.append(f"{indent}{name}: {value}")
    return lines


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Rows with their columns lined up to the left."""
    cells = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
