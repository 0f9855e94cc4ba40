from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w

from cimsim.study import files
from cimsim.study.study import schema
from device_models import cards
from device_models.errors import InputError, ParameterError
from device_models.parameters import to_dict


def write(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def valid() -> jsonschema.Draft202012Validator:
    """The schema of a study, itself checked once."""
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("name", files.names())
def test_built_in_studies_hold_their_own_schema(name: str, valid: jsonschema.Draft202012Validator) -> None:
    assert files.load(name).name == name
    valid.validate(tomllib.loads(files.text(name)))
    valid.validate(to_dict(files.load(name)))


def test_the_built_in_studies_are_those_promised() -> None:
    assert {"adc-bits", "adc-range", "device-noise", "drift", "slices", "smoke", "wires"} <= set(files.names())
    assert {"snn-noise", "snn-steps"} <= set(files.names())


def test_cards_lie_beside_the_study_file(tmp_path: Path, tiny: dict[str, Any]) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    cards.save(cards.load("generic-rram").replace(name="mine"), folder / "mine.toml")
    tiny["chip"]["device"] = "mine.toml"
    tiny["sweep"] = {"chip.device": ["mine.toml", {"card": "mine.toml", "name": "no-faults", "faults": "off"}]}
    points = files.load(write(folder / "study.toml", tiny)).points()
    assert [p.labels["chip.device"] for p in points] == ["mine", "no-faults"]


def test_changes_are_made_before_the_study_is_checked(tmp_path: Path, tiny: dict[str, Any]) -> None:
    changes = {
        "dies": 3,
        "chip.wires.word": 2.0,
        "chip.device.window.levels": 4,
        "sweep.chip.adc.bits": [5],
        "sweep.chip.device.window.levels": [4, 8],
    }
    study = files.load(write(tmp_path / "s.toml", tiny), changes)
    assert study.dies == 3
    assert study.chip.wires is not None
    assert study.chip.wires.word == 2.0
    assert study.sweep == {"chip.adc.bits": (5,), "inference.age": (0.0, 1e6), "chip.device.window.levels": (4, 8)}


def test_an_axis_of_several_paths_is_changed_however_it_is_spaced(tmp_path: Path, tiny: dict[str, Any]) -> None:
    tiny["sweep"] = {"chip.wires.word,chip.wires.bit": [1.0, 2.0]}
    change = files.parse_change("sweep.chip.wires.word, chip.wires.bit=[4.0, 8.0]")
    study = files.load(write(tmp_path / "s.toml", tiny), dict([change]))
    assert study.sweep == {"chip.wires.word, chip.wires.bit": (4.0, 8.0)}


def test_one_of_several_swept_paths_is_not_changed_in_vain(tmp_path: Path, tiny: dict[str, Any]) -> None:
    tiny["sweep"] = {"chip.wires.word, chip.wires.bit": [1.0, 2.0]}
    with pytest.raises(InputError, match=r"chip\.wires\.bit: must not be swept already"):
        files.load(write(tmp_path / "s.toml", tiny), {"chip.wires.bit": 3.0})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("chip.adc.bits=6", ("chip.adc.bits", 6)),
        ("data.name = mnist", ("data.name", "mnist")),
        ('data.name="mnist"', ("data.name", "mnist")),
        ("training.learning_rate=1e-3", ("training.learning_rate", 1e-3)),
        ("chip.tile=[64, 128]", ("chip.tile", [64, 128])),
        ("chip.adc={bits=4}", ("chip.adc", {"bits": 4})),
        ("chip.device=fits/my=1.toml", ("chip.device", "fits/my=1.toml")),
    ],
)
def test_assignments_are_toml_or_bare_text(text: str, value: tuple[str, Any]) -> None:
    assert files.parse_change(text) == value


@pytest.mark.parametrize("text", ["chip.adc.bits", "=3", "a=", "chip.tile=[64,", "data.name='mnist"])
def test_bad_assignments_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--set"):
        files.parse_change(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chip.adc.bit": 3}, "study: must be a path that exists, got chip.adc.bit; did you mean 'chip.adc.bits'?"),
        ({"chip.adc.bits": 3}, "chip.adc.bits: must not be swept already, got 3; set sweep.chip.adc.bits to a list"),
        ({"training.epochs": "ten"}, "s.toml: training.epochs: must be a valid integer"),
        ({"sweep.chip.adc.bits": [3, "four"]}, "s.toml: at chip.adc.bits=four"),
        ({"sweep": [1]}, "s.toml: sweep: must be a table of paths"),
    ],
)
def test_bad_changes_are_refused(tmp_path: Path, tiny: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises((InputError, ParameterError)) as caught:
        files.load(write(tmp_path / "s.toml", tiny), changes)
    assert message in str(caught.value)


def test_a_parent_that_is_swept_is_not_changed_in_vain(tmp_path: Path, tiny: dict[str, Any]) -> None:
    tiny["sweep"] = {"chip.adc": ["off", {"bits": 3}]}
    with pytest.raises(InputError, match=r"chip\.adc\.bits: must not be swept already"):
        files.load(write(tmp_path / "s.toml", tiny), {"chip.adc.bits": 3})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "adc-bit",
            "study: must be the name of a built-in study or the path of one, got adc-bit; did you mean 'adc-bits'?",
        ),
        ("nowhere.toml", "nowhere.toml: must be an existing file"),
    ],
)
def test_studies_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        files.load(name)
    assert message in str(caught.value)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"s\.toml: must be TOML"):
        files.load(tmp_path / "s.toml")


def test_an_unknown_name_in_a_file_is_named_with_the_file(tmp_path: Path, tiny: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"^s\.toml: unknown name, got 'dice'; did you mean 'dies'\?"):
        files.load(write(tmp_path / "s.toml", tiny | {"dice": 3}))
