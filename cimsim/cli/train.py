"""`cimsim train`: a float network, trained and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cimsim import datasets
from cimsim.cli.console import app, check_file
from cimsim.learning import offchip
from cimsim.network.evaluate import accuracy
from cimsim.network.network import mlp


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
    check_file(out, ".safetensors", ".npz")
    (x, y), (x_test, y_test) = datasets.load(data)
    sizes = [x.shape[1], *(hidden or [32]), int(max(y.max(), y_test.max())) + 1]
    network = mlp(sizes, activation=activation, seed=seed)
    network = offchip.train(network, x, y, seed=seed, progress=not quiet, **dict(training))
    path = save_network(network, out)
    typer.echo(f"accuracy on {len(x_test)} test samples: {accuracy(network, x_test, y_test):.4f}\n{path}")
