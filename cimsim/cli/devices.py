"""`cimsim devices`: the cards, one of them, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cimsim.cli.console import app, check_file, print_json, print_table
from device_models import cards
from device_models.device import SLOTS, Device
from device_models.parameters import to_dict


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
        print_json(Device.model_json_schema())
        return
    path = out or Path("devices.png" if name is None else f"{Path(name).stem}.png")
    check_file(path, ".png")
    if name is None:
        found = [cards.load(card) for card in cards.names()]
        print_json([to_dict(device) for device in found]) if as_json else print_table(list(map(_card, found)))
    else:
        found = [cards.load(name)]
        print_json(to_dict(found[0])) if as_json else typer.echo("\n".join(_lines(to_dict(found[0]))))
    if plot or out is not None:
        _plot(found, path, catalogue=name is None)


def _plot(devices: Sequence[Device], path: Path, *, catalogue: bool) -> None:
    from cimsim.plots import catalogue as all_cards
    from cimsim.plots import devices as one_card

    figure = all_cards.catalogue(devices) if catalogue else one_card.device_card(devices[0])
    figure.savefig(path, dpi=150)
    typer.echo(path)


def _card(device: Device) -> dict[str, Any]:
    """One line of the table of devices."""
    window = device.window
    slots = [slot for slot in SLOTS if getattr(device, slot) is not None]
    return {
        "name": device.name,
        "title": device.title,
        "window (µS)": " to ".join(f"{float(f'{g * 1e6:.3g}'):g}" for g in (window.g_min, window.g_max)),
        "levels": "continuous" if window.levels is None else window.levels,
        "slots on": ", ".join(slots),
    }


def _lines(values: Any, indent: str = "") -> list[str]:
    """Nested values, one to a line, what lies inside further in."""
    lines = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for k, part in enumerate(value):
                lines += [f"{indent}{name} {k + 1}", *_lines(part, indent + "  ")]
        elif value != "":
            lines.append(f"{indent}{name}: {value}")
    return lines
