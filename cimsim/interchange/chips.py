"""A programmed chip as files: held weights, conductances of every tile, the tile map and the spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cimsim.backend import to_host
from cimsim.chip import Chip
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.interchange.networks import save_network
from device_models.errors import InputError
from device_models.parameters import to_dict


def export(chip: Chip, folder: str | Path) -> list[Path]:
    """Write a chip into a folder (made if need be) and return the files written.

    - `weights.safetensors`, `weights.npz`: the network with the weights the cells hold now (wires and drift included,
      read noise, converters and a nonlinear I-V law not); `load_network(folder)` reads them.
    - `conductances.npz`: for every tile `layer0/tile0-0/target` and `/achieved`, siemens, `(arrays, rows, columns)`;
      targets are those of programming, achieved ones are as of now.
    - `tiles.json`: which rows and columns of which layer lie on which tile, scales and ADC ranges.
    - `spec.toml`: the chip's design, its device in full.

    Raises `InputError` where they cannot be written.
    """
    try:
        return _written(chip, Path(folder))
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


def _conductances(chip: Chip) -> dict[str, np.ndarray]:
    arrays = {}
    for k, (matrix, layer) in enumerate(zip(chip.matrices, chip.network.weighted, strict=True)):
        targets = matrix.targets(to_host(layer.weight))
        for place, tile in matrix.tiles.items():
            name = _tile_name(k, place)
            arrays[f"{name}/target"] = targets[place]
            arrays[f"{name}/achieved"] = to_host(tile.device.conductance(tile.cells))
    return arrays


def _tile_map(chip: Chip) -> dict[str, Any]:
    return {
        "format": "cimsim.chip",
        "seed": chip.seed,
        "seconds": chip.seconds,
        "layers": [_layer_map(k, matrix) for k, matrix in enumerate(chip.matrices)],
    }


def _layer_map(k: int, matrix: AnalogMatrix) -> dict[str, Any]:
    return {
        "layer": k,
        "shape": list(matrix.shape),
        "weight_scale": matrix.weight_scale,
        "input_full_scale": None if matrix.inputs is None else matrix.inputs.full,
        "write": matrix.write._asdict(),
        "tiles": [_tile_entry(k, matrix, place) for place in matrix.places],
    }


def _tile_entry(k: int, matrix: AnalogMatrix, place: tuple[int, int]) -> dict[str, Any]:
    rows, columns = matrix.rows[place[0]], matrix.columns[place[1]]
    entry = {
        "name": _tile_name(k, place),
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


def _tile_name(k: int, place: tuple[int, int]) -> str:
    return f"layer{k}/tile{place[0]}-{place[1]}"
