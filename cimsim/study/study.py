"""Study: data, network, training, chip and what is swept, as one validated value, checked at every point."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cimsim import datasets
from cimsim.chip import ChipSpec
from cimsim.learning.aware import Hardware
from cimsim.learning.offchip import Training
from cimsim.study import paths
from cimsim.study.architecture import Architecture
from cimsim.study.paths import Label, Plain
from cimsim.study.sweep import axis_values
from cimsim.study.tuning import Tuning
from device_models import cards
from device_models.device import SLOTS
from device_models.errors import InputError, ParameterError, suggestion
from device_models.parameters import Parameters, RuleBroken, Seconds, to_dict
from device_models.streams import Streams

OFF = "off"  # TOML has no null: how a study empties a slot of the device, or takes a converter or the wires away


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Data(Parameters):
    """The data set; `train` and `test` keep only that many samples, the first ones."""

    name: str = "digits"
    train: int | None = Field(default=None, ge=1, description="samples")
    test: int | None = Field(default=None, ge=1, description="samples")

    @field_validator("name")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in datasets.names():
            raise RuleBroken("unknown data set", suggestion(name, datasets.names()))
        return name


CELL = (*SLOTS, "half_select")
PARTS = ("dac", "adc", "neurons", "wires")
Ablation = Literal[
    "nothing",
    "faults",
    "programming",
    "update",
    "retention",
    "read_noise",
    "conduction",
    "half_select",
    "dac",
    "adc",
    "neurons",
    "wires",
    "all",
]


class StudyTraining(Training):
    """Off-chip training, with `hardware` on what simulates the chip of the point, flaws and learned ranges and all."""

    hardware: bool = False


class Inference(Parameters):
    """How the chip is used: seconds between programming and reading, training samples that calibrate the converters.

    `without` takes one slot of the device or one part of the chip as ideal, "all" every one of them; no draw of the
    others changes, so the accuracy gained is what that slot costs.
    """

    age: Seconds = 0.0
    calibrate: int = Field(default=256, ge=1, description="samples")
    without: Ablation = "nothing"


class Settings(Parameters):
    """Everything that decides an accuracy, seeds aside: what a path can point into."""

    data: Data = Data()
    network: Architecture = Architecture()
    training: StudyTraining = StudyTraining()
    chip: ChipSpec
    tuning: Tuning = Tuning()
    inference: Inference = Inference()

    def built(self) -> ChipSpec:
        """The design that is built: the chip, without what `inference.without` takes away."""
        return without(self.chip, self.inference.without)

    def simulated(self) -> Hardware | None:
        """What off-chip training feels."""
        if not self.training.hardware:
            return None
        return Hardware(chip=self.built(), age=self.inference.age, calibrate=self.inference.calibrate)


def without(spec: ChipSpec, part: Ablation) -> ChipSpec:
    """A design with one slot of its device or one part of the chip taken as ideal, or with "all" of them."""
    slots = [slot for slot in CELL if part in (slot, "all")]
    parts = [name for name in PARTS if part in (name, "all")]
    device = spec.device.replace(**dict.fromkeys(slots)) if slots else spec.device
    return spec.replace(device=device, **dict.fromkeys(parts))


def die_seed(seed: int, role: str, die: int) -> int:
    """The seed of what a die draws: the same at every point, so that points are compared chip by chip."""
    return int(Streams(seed).at("study", "die", die).rng(role).integers(2**63))


class Point(NamedTuple):
    """One combination of swept values: how they read in a table, by axis, and the settings they give."""

    labels: dict[str, Label]
    settings: Settings

    def __str__(self) -> str:
        return ", ".join(f"{axis}={value}" for axis, value in self.labels.items()) or "the only point"


class Study(Settings):
    """A study: settings, the paths into them that are swept, chips per point, and the seed of everything drawn.

    In `chip`, "off" empties a slot of the device or takes a converter or the wires away. A device is the name or the
    path of a card, or a table; a table with `card` starts from that card, and a table inside it changes only the
    values it names, unless it names a `kind`. What is swept need not be given otherwise: the settings of a study are
    those of its first point. An axis is a path, or several that change together, with commas between them:

        [sweep]
        "chip.wires.word, chip.wires.bit" = [0, 1, 2, 5]
        "chip.tile" = [[64, 128], [128, 128]]

    Raises `ParameterError` if the study, or any point of its sweep, breaks a rule.
    """

    name: str = Field(pattern=r"^\w[\w.-]*$")
    title: str = ""
    seed: int = Field(default=0, ge=0)
    dies: int = Field(default=10, ge=1, description="chips per point")
    sweep: dict[str, Annotated[tuple[Any, ...], BeforeValidator(_tuple)]] = Field(
        default_factory=dict, description="values of a path, or of several paths with commas between them"
    )

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, values: Any) -> Any:
        """The same study with devices written out, and each axis at its first value in the settings."""
        if not isinstance(values, Mapping):
            return values
        try:
            return _at_first_point(expanded(to_dict(values), Path()))
        except InputError as error:
            raise ParameterError([error.problem._replace(where=("Study", *error.problem.where))]) from None

    @model_validator(mode="after")
    def _every_point_holds(self) -> Self:
        self.points()
        return self

    def points(self) -> list[Point]:
        """Every combination of swept values, the last axis fastest; the shallower of two paths is set first."""
        base = {name: value for name, value in to_dict(self).items() if name in Settings.model_fields}
        combinations = itertools.product(*self.sweep.values())
        return [_point(base, dict(zip(self.sweep, values, strict=True))) for values in combinations]


def schema() -> dict[str, Any]:
    """The JSON schema of a study file: that of `Study`, what a file may say besides, and may leave to its sweep."""
    found = Study.model_json_schema()
    found["required"] = ["name"]
    del found["$defs"]["ChipSpec"]["required"]
    chip = found["$defs"]["ChipSpec"]["properties"]
    card = {"type": "object", "properties": {"card": {"type": "string"}}, "required": ["card"]}
    chip["device"] = {"anyOf": [{"type": "string"}, card, chip["device"]]}
    for part in (*PARTS, "back_dac", "back_adc"):
        chip[part]["anyOf"].append({"const": OFF})
    return found


def expanded(values: Mapping[str, Any], folder: Path) -> Plain:
    """Study values with every device written out in full; cards given by a path lie relative to `folder`."""
    found = deepcopy(dict(values))
    chip, sweep = found.get("chip"), found.get("sweep", {})
    if not isinstance(sweep, dict):
        raise InputError("sweep", "must be a table of paths and their values", sweep, "write [sweep] above them")
    if isinstance(chip, dict) and "device" in chip:
        chip["device"] = _device(chip["device"], folder)
    if "chip.device" in sweep:
        devices = axis_values("sweep.chip.device", sweep["chip.device"])
        sweep["chip.device"] = [_device(device, folder) for device in devices]
    return found


def _device(value: Any, folder: Path) -> Any:
    """A device's values in full: those of a card by name or path, or a table on top of a card's."""
    if isinstance(value, str):
        beside = folder / value
        card = beside if value not in cards.names() and beside.is_file() else value
        return dict(to_dict(cards.load(card)))
    if isinstance(value, Mapping) and "card" in value:
        rest = {name: v for name, v in value.items() if name != "card"}
        return _merged(_device(value["card"], folder), rest)
    return value


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Plain:
    """A table with some values changed; a table inside is changed in turn, unless it names a new kind."""
    merged = dict(base)
    for name, value in changes.items():
        old = base.get(name)
        inside = isinstance(old, Mapping) and isinstance(value, Mapping) and "kind" not in value
        merged[name] = _merged(old or {}, value) if inside else value
    return merged


def _at_first_point(values: Plain) -> Plain:
    """The values with axes checked and made lists, and the first value of each axis in its place."""
    values = _without_off(values)
    swept = values.get("sweep", {})
    for path, axis in _in_order(swept):
        paths.check("sweep", path, [p for p in paths.known(Settings, values) if "." in p])
        paths.put(values, path, deepcopy(_axis(axis, swept[axis])[0]))
        values = _without_off(values)
    return {**values, "sweep": {", ".join(paths.together(axis)): _axis(axis, given) for axis, given in swept.items()}}


def _in_order(axes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every swept path with the axis that sets it, the shallower first."""
    found = [(path, axis) for axis in axes for path in paths.together(axis)]
    swept = [path for path, _ in found]
    twice = [path for i, path in enumerate(swept) if path in swept[:i]]
    if twice:
        raise InputError("sweep", "must name a path once", f"{twice[0]} twice", "leave it out of one of its places")
    return sorted(found, key=lambda pair: pair[0].count("."))


def _axis(axis: str, given: Any) -> list[Any]:
    """The values of an axis, of one type where they are numbers, no two alike."""
    where = f'sweep."{axis}"'
    values = axis_values(where, given)
    if any(type(v) is float for v in values):
        values = [float(v) if type(v) is int else v for v in values]
    labels = [paths.label(v) for v in values]
    twice = [v for i, v in enumerate(labels) if v in labels[:i]]
    if twice:
        raise InputError(where, "must have different values", f"{twice[0]} twice", "leave one out or rename a device")
    return values


def _point(base: Plain, swept: Mapping[str, Any]) -> Point:
    values, labels = deepcopy(base), {axis: paths.label(value) for axis, value in swept.items()}
    try:
        for path, axis in _in_order(swept):
            paths.put(values, path, deepcopy(swept[axis]))
        return Point(labels, Settings(**_without_off(values)))
    except (InputError, ParameterError) as error:
        problem = error.problem if isinstance(error, InputError) else error.problems[0]
        at = ", ".join(f"{axis}={value}" for axis, value in labels.items())
        place = problem.where if isinstance(error, InputError) else problem.where[1:]
        raise ParameterError([problem._replace(where=("Study", f"at {at}: {'.'.join(place)}"))]) from None


def _without_off(values: Plain) -> Plain:
    """Study values without the parts of the chip that are "off"."""
    return {**values, "chip": _kept(values["chip"])} if "chip" in values else values


def _kept(table: Any) -> Any:
    return {k: _kept(v) for k, v in table.items() if v != OFF} if isinstance(table, Mapping) else table
