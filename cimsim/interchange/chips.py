"""A programmed chip as files: held weights, conductances of every tile, the tile map and the spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cimsim.backend import to_host
from cimsim.chip import Chip
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.tile import Tile
from cimsim.interchange.networks import save_network
from cimsim.interchange.spice import netlist
from device_models.errors import InputError
from device_models.parameters import to_dict


def export(chip: Chip, folder: str | Path, *, spice: bool = False) -> list[Path]:
    """Write a chip into a folder (made if need be) and return the files written.

    - `weights.safetensors`, `weights.npz`: the network with the weights the cells hold now (wires and drift included,
      read noise, converters and a nonlinear I-V law not); `load_network(folder)` reads them.
    - `conductances.npz`: for every tile `layer0/tile0-0/target` and `/achieved` (`layer0/copy1/tile0-0/...` for the
      second copy of a layer), siemens, `(arrays, rows, columns)`;
      targets are those of programming, achieved ones are as of now.
    - `tiles.json`: which rows and columns of which layer lie on which tile, scales and ADC ranges.
    - `spec.toml`: the chip's design, its device in full.
    - `spice`: also `spice/layer0-tile0-0.cir`, ..., a netlist of each tile (see `cimsim.interchange.spice.netlist`).

    Raises `InputError` where they cannot be written, or where the conduction slot has no form in SPICE.
    """
    netlists = _netlists(chip) if spice else {}
    try:
        return _written(chip, Path(folder)) + _spice_written(netlists, Path(folder) / "spice")
    except OSError as error:
        rule = "must be a folder one can write to"
        raise InputError(str(folder), rule, error.strerror or error, "choose another") from None


def _written(chip: Chip, folder: Path) -> list[Path]:
    import tomli_w

    folder.mkdir(parents=True, exist_ok=True)
    held = chip.held_network()
    files = [save_network(held, folder / "weights.safetensors"), save_network(held, folder / "weights.npz")]
    np.savez(folder / "conductances.npz", **_conductances(chip))  # type: ignore[arg-type]
    (folder / "tiles.json").write_text(json.dumps(_tile_map(chip), indent=1) + "\n", encoding="utf-8")
    (folder / "spec.toml").write_text(tomli_w.dumps(to_dict(chip.spec)), encoding="utf-8")
    return [*files, folder / "conductances.npz", folder / "tiles.json", folder / "spec.toml"]


def _netlists(chip: Chip) -> dict[str, str]:
    """Each tile's netlist by the name of its file."""
    return {
        f"{name.replace('/', '-')}.cir": netlist(tile, re.sub("[/-]", "_", name))
        for name, tile, _ in _named_tiles(chip)
    }


def _spice_written(netlists: dict[str, str], folder: Path) -> list[Path]:
    if netlists:
        folder.mkdir(exist_ok=True)
    for name, text in netlists.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in netlists]


def _conductances(chip: Chip) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tile, target in _named_tiles(chip):
        arrays[f"{name}/target"] = target
        arrays[f"{name}/achieved"] = to_host(tile.device.conductance(tile.cells))
    return arrays


def _named_tiles(chip: Chip) -> Iterator[tuple[str, Tile, np.ndarray]]:
    """Every tile by name, copies of layers included, with its targets."""
    for k, (matrix, layer) in enumerate(zip(chip.matrices, chip.network.weighted, strict=True)):
        targets = matrix.copies[0].targets(to_host(layer.weight))
        for c, copy in enumerate(matrix.copies):
            for place, tile in copy.tiles.items():
                yield _tile_name(k, c, place), tile, targets[place]


def _tile_map(chip: Chip) -> dict[str, Any]:
    return {
        "format": "cimsim.chip",
        "seed": chip.seed,
        "seconds": chip.seconds,
        "layers": [_layer_map(k, c, copy) for k, m in enumerate(chip.matrices) for c, copy in enumerate(m.copies)],
    }


def _layer_map(k: int, copy: int, matrix: AnalogMatrix) -> dict[str, Any]:
    return {
        "layer": k,
        "copy": copy,
        "shape": list(matrix.shape),
        "weight_scale": matrix.weight_scale,
        "input_full_scale": None if matrix.inputs is None else matrix.inputs.full,
        "write": matrix.write._asdict(),
        "tiles": [_tile_entry(_tile_name(k, copy, place), matrix, place) for place in matrix.places],
    }


def _tile_entry(name: str, matrix: AnalogMatrix, place: tuple[int, int]) -> dict[str, Any]:
    rows, columns = matrix.rows[place[0]], matrix.columns[place[1]]
    entry = {
        "name": name,
        "rows": [rows.start, rows.stop],
        "columns": [columns.start, columns.stop],
        "cells": list(matrix.tiles[place].cells.shape),
    }
    if matrix.banks is not None:
        bank = matrix.banks[place]
        first, step = to_host(bank.first).astype(float), to_host(bank.step).astype(float)
        low = first - step / 2
        entry |= {"adc_low": low.tolist(), "adc_high": (low + step * (bank.top + 1)).tolist()}
    return entry


def _tile_name(k: int, copy: int, place: tuple[int, int]) -> str:
    return f"layer{k}/{f'copy{copy}/' if copy else ''}tile{place[0]}-{place[1]}"
