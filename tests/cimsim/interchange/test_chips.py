"""A chip as files: held weights, conductances, tile map and spec, each equal to what the chip has."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import device_models as dm
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.crossbar.wires import Wires
from cimsim.interchange import export, load_network
from cimsim.learning.onchip import fine_tune
from cimsim.network.network import mlp
from device_models.errors import InputError
from device_models.streams import Streams

NET = mlp([20, 12, 4], seed=1)
SCHEMES = [DifferentialPair(), OffsetColumn(), BitSlices(slices=2, bits=2)]
FILES = ["weights.safetensors", "weights.npz", "conductances.npz", "tiles.json", "spec.toml"]


def inputs(n: int = 100) -> np.ndarray:
    return Streams(1).rng("inputs").random((n, 20), dtype=np.float32)


def made(*, calibrate: bool = True, **spec: Any) -> Chip:
    full = {"device": "generic-rram", "tile": (8, 8), "adc": ADC(bits=6), "dac": DAC(bits=6), "wires": Wires(word=1.0)}
    return program(NET, ChipSpec(**(full | spec)), calibrate=inputs() if calibrate else None, seed=2)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("seconds", [0.0, 1e6])
def test_exported_weights_predict_what_the_chip_read_once_without_noise_and_converters_predicts(
    tmp_path: Path, scheme: Any, seconds: float
) -> None:
    chip = made(weights=scheme).age(seconds)
    quiet = dm.load("generic-rram").replace(read_noise=None)
    exact = made(weights=scheme, device=quiet, adc=None, dac=None, calibrate=False).age(seconds)
    export(chip, tmp_path)
    logits = load_network(tmp_path).forward(inputs())
    expected = exact.forward(inputs())
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    assert (load_network(tmp_path).predict(inputs()) == exact.predict(inputs())).all()


@pytest.mark.parametrize("name", ["", "weights.safetensors", "weights.npz"])
def test_exported_weights_are_the_held_network_to_the_bit(tmp_path: Path, name: str) -> None:
    chip = made()
    export(chip, tmp_path)
    back, held = load_network(tmp_path / name), chip.held_network()
    for a, b in zip(back.weighted, held.weighted, strict=True):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)
    assert (back.predict(inputs()) == held.predict(inputs())).all()


def test_a_tuned_chip_is_exported_as_it_is_now(tmp_path: Path) -> None:
    tuned, _ = fine_tune(made(), inputs(), np.arange(100) % 4, epochs=1, learning_rate=0.5)
    export(tuned, tmp_path)
    assert np.array_equal(load_network(tmp_path).weights[1], tuned.held_network().weights[1])
    assert not np.array_equal(load_network(tmp_path).weights[1], made().held_network().weights[1])


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_conductances_are_those_asked_for_and_those_got_of_every_array(tmp_path: Path, scheme: Any) -> None:
    chip = made(weights=scheme).age(100.0)
    export(chip, tmp_path)
    with np.load(tmp_path / "conductances.npz", allow_pickle=False) as archive:
        names = [f"layer{k}/tile{r}-{c}" for k, m in enumerate(chip.matrices) for r, c in m.places]
        assert sorted(archive.files) == sorted(f"{n}/{what}" for n in names for what in ("target", "achieved"))
        for k, matrix in enumerate(chip.matrices):
            targets = matrix.targets(NET.weights[k])
            for (r, c), tile in matrix.tiles.items():
                target, got = (archive[f"layer{k}/tile{r}-{c}/{what}"] for what in ("target", "achieved"))
                assert got.shape == target.shape == tile.cells.shape
                assert np.array_equal(target, targets[r, c])
                assert np.array_equal(got, tile.device.conductance(tile.cells))


def test_achieved_conductances_are_within_the_tolerance_of_verify_where_it_succeeded(tmp_path: Path) -> None:
    device = dm.load("generic-rram").replace(faults=None, retention=None)
    chip = made(device=device)
    export(chip, tmp_path)
    with np.load(tmp_path / "conductances.npz") as archive:
        targets, got = (
            np.concatenate([archive[n].ravel() for n in archive.files if n.endswith(what)])
            for what in ("/target", "/achieved")
        )
    failed = np.abs(got - targets) > device.programming.tolerance
    assert failed.sum() == chip.report().failed
    assert np.isin(targets, device.window.level_values()).all()


def test_the_tile_map_says_where_every_weight_lies(tmp_path: Path) -> None:
    chip = made()
    export(chip, tmp_path)
    tiles = json.loads((tmp_path / "tiles.json").read_text())
    assert (tiles["format"], tiles["seed"], tiles["seconds"]) == ("cimsim.chip", 2, 0.0)
    with np.load(tmp_path / "conductances.npz") as archive:
        for layer, matrix, weight in zip(tiles["layers"], chip.matrices, NET.weights, strict=True):
            assert layer["shape"] == list(weight.shape)
            assert layer["input_full_scale"] == matrix.inputs.full
            assert layer["write"] == matrix.write._asdict()
            rebuilt = np.full(weight.shape, np.nan)
            for tile in layer["tiles"]:
                rows, columns = slice(*tile["rows"]), slice(*tile["columns"])
                target = archive[f"{tile['name']}/target"]
                assert tile["cells"] == list(target.shape)
                rebuilt[rows, columns] = (target[0] - target[1]) / chip.spec.device.window.span * layer["weight_scale"]
            step = layer["weight_scale"] / (chip.spec.device.window.levels - 1)
            assert np.abs(rebuilt - weight).max() <= 0.5 * step * (1 + 1e-6)


def test_the_tile_map_holds_the_ranges_of_the_adcs(tmp_path: Path) -> None:
    chip = made(adc=ADC(bits=6, per="column"))
    export(chip, tmp_path)
    tiles = json.loads((tmp_path / "tiles.json").read_text())
    for layer, matrix in zip(tiles["layers"], chip.matrices, strict=True):
        for tile, place in zip(layer["tiles"], matrix.places, strict=True):
            bank = matrix.banks[place]
            low, high = np.array(tile["adc_low"]), np.array(tile["adc_high"])
            np.testing.assert_allclose((high - low) / 2**6, bank.step, rtol=1e-6)
            np.testing.assert_allclose(
                (low + high) / 2, bank.first + (2**6 - 1) / 2 * bank.step, atol=1e-6 * high.max()
            )


def test_a_chip_without_adcs_or_ranges_has_none_in_its_map(tmp_path: Path) -> None:
    export(made(adc=None, dac=None, calibrate=False), tmp_path)
    layers = json.loads((tmp_path / "tiles.json").read_text())["layers"]
    assert all(layer["input_full_scale"] is None for layer in layers)
    assert not any("adc_low" in tile for layer in layers for tile in layer["tiles"])


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("card", dm.names())
def test_the_spec_comes_back_equal_device_and_all(tmp_path: Path, scheme: Any, card: str) -> None:
    chip = made(weights=scheme, device=card)
    export(chip, tmp_path)
    with (tmp_path / "spec.toml").open("rb") as file:
        assert ChipSpec(**tomllib.load(file)) == chip.spec


def test_the_same_seed_and_spec_make_the_chip_again(tmp_path: Path) -> None:
    chip = made()
    export(chip, tmp_path)
    spec = ChipSpec(**tomllib.loads((tmp_path / "spec.toml").read_text()))
    seed = json.loads((tmp_path / "tiles.json").read_text())["seed"]
    again = program(NET, spec, calibrate=inputs(), seed=seed)
    assert np.array_equal(again.forward(inputs()), chip.forward(inputs()))


def test_the_files_written_are_returned_and_a_second_export_replaces_them(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for chip in (made(), made().age(1e6)):
        assert [path.relative_to(folder).as_posix() for path in export(chip, folder)] == FILES
        assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert json.loads((folder / "tiles.json").read_text())["seconds"] == 1e6


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError) as caught:
            export(made(), folder)
        assert str(caught.value).startswith(f"{folder}: must be a folder one can write to, got ")
        assert str(caught.value).endswith("; choose another")
