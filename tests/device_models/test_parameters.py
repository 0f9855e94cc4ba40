from __future__ import annotations

import abc
import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from device_models.cards import load, names
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.faults import CellFaults
from device_models.parameters import FloatRange, Floats, Parameters, Siemens, SiemensRange, Variant, Volts, to_dict
from device_models.read_noise import ProportionalNoise
from device_models.window import Window

WINDOW = {"g_min": 1e-6, "g_max": 1e-4}
SIEMENS = "must be in siemens, 0 or between 1e-12 and 0.1"
PLAIN = "write a plain number in SI units, without quotes"

discs = st.builds(lambda radius: Disc(radius=radius), st.floats(0, 1e3))
boxes = st.builds(lambda label: Box(label=label), st.none() | st.text())


class Shape(Variant):
    @abc.abstractmethod
    def area(self) -> float: ...


class Disc(Shape):
    radius: float

    def area(self) -> float:
        return float(np.pi) * self.radius**2


class Box(Shape):
    sides: Floats = (1.0, 1.0)
    label: str | None = None

    def area(self) -> float:
        return float(np.prod(self.sides))


class Drawing(Parameters):
    shape: Shape
    scale: float = 1.0


class Limits(Parameters):
    volts: Volts = 1.0
    siemens: SiemensRange = (0.0, 1e-6)
    span: FloatRange = (0.0, 1.0)


def message(make: Any, **values: Any) -> str:
    """The one line with which `make(**values)` is refused."""
    with pytest.raises(ParameterError) as caught:
        make(**values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is refused, and in which words ---


@pytest.mark.parametrize(
    ("value", "remedy"), [(2, "; write 0.02 for 2 %"), (1.5, "; write 0.015 for 1.5 %"), (200, "")]
)
def test_a_percentage_in_the_place_of_a_fraction_is_seen(value: float, remedy: str) -> None:
    rule = "CellFaults.stuck_lrs: must be less than or equal to 1 (fraction, 0 to 1)"
    assert message(CellFaults, stuck_lrs=value) == f"{rule}, got {value}{remedy}"


def test_one_number_where_a_list_is_wanted_gets_brackets() -> None:
    assert message(Limits, span=1.6) == "Limits.span: must be a list, got 1.6; write it in brackets, with commas"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"g_max": 100.0}, f".g_max: {SIEMENS}, got 100.0; did you mean 100e-6?"),
        ({"g_max": 1e6}, f".g_max: {SIEMENS}, got 1000000.0; did you mean 0.001?"),
        ({"g_min": 1e-13}, f".g_min: {SIEMENS}, got 1e-13; did you mean 1e-10?"),
        ({"g_min": -1e-6}, f".g_min: {SIEMENS}, got -1e-06; check the unit"),
        ({"spacing": "lin"}, ".spacing: must be 'linear' or 'log', got 'lin'"),
        ({"g_min": float("nan")}, ".g_min: must be a finite number (siemens), got nan"),
        ({"g_min": float("inf")}, ".g_min: must be a finite number (siemens), got inf"),
        ({"g_min": "1e-6"}, f".g_min: must be a valid number (siemens), got '1e-6'; {PLAIN}"),
        ({"g_min": True}, ".g_min: must be a valid number (siemens), got True"),
        ({"g_min": None}, ".g_min: must be a valid number (siemens), got None"),
        ({"levels": "False"}, f".levels: must be a valid integer, got 'False'; {PLAIN}"),
        ({"levels": True}, ".levels: must be a valid integer, got True"),
        ({"levels": 3.0}, ".levels: must be a valid integer, got 3.0; write 3"),
        ({"levels": 3.5}, ".levels: must be a valid integer, got 3.5"),
        ({"levels": 1}, ".levels: must be greater than or equal to 2, got 1"),
        ({"level": 3}, ": unknown name, got 'level'; did you mean 'levels'? Known: g_min, g_max, levels, spacing"),
    ],
    ids=str,
)
def test_a_bad_value_is_refused_with_place_rule_value_and_remedy(values: dict[str, Any], text: str) -> None:
    assert message(Window, **{**WINDOW, **values}) == "Window" + text


def test_a_missing_value_is_named() -> None:
    assert message(Window, g_min=0.0) == "Window.g_max: is required, got nothing; give it a value"


def test_every_broken_rule_is_named_at_once() -> None:
    text = message(Device, name="d", window={"g_min": -1.0, "gmax": 1e-6}, read_noise={"kind": "ProportionalNoise"})
    assert [part.split(":")[0] for part in text.split(" | ")] == [
        "Device.window.g_min",
        "Device.window.g_max",
        "Device.window",
        "Device.read_noise.relative",
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"volts": 1e-6}, ".volts: must be in volts, between 0.0001 and 20, got 1e-06; did you mean 0.001?"),
        ({"volts": 300}, ".volts: must be in volts, between 0.0001 and 20, got 300; did you mean 300e-3?"),
        ({"siemens": (0.0, 25.0)}, f".siemens.1: {SIEMENS}, got 25.0; did you mean 25e-6?"),
        ({"siemens": (1e-6, 0.0)}, ".siemens: the first must be below the second, got (1e-06, 0.0); exchange them"),
        ({"span": [1.0, 1.0]}, ".span: the first must be below the second, got [1.0, 1.0]; exchange them"),
        ({"span": [1.0]}, ".span.1: is required, got nothing; give it a value"),
    ],
    ids=str,
)
def test_units_and_ranges(values: dict[str, Any], text: str) -> None:
    assert message(Limits, **values) == "Limits" + text


@given(st.floats(1e-12, 1e-1), st.sampled_from([1e3, 1e6, 1e9]))
def test_a_suggested_value_is_one_that_would_be_taken(value: float, factor: float) -> None:
    class Holder(Parameters):
        g: Siemens

    try:
        Holder(g=value * factor)
    except ParameterError as error:
        _, _, remedy = str(error).partition("did you mean ")
        assert Holder(g=float(remedy.removesuffix("?")))


# --- a frozen value ---


def test_parameters_take_keywords_only_and_never_change() -> None:
    window = Window(**WINDOW)
    with pytest.raises(TypeError):
        Window(1e-6, 1e-4)  # type: ignore[call-arg, misc]
    with pytest.raises(ValidationError, match="frozen"):
        window.g_min = 0.0  # type: ignore[misc]


def test_replace_gives_a_validated_copy() -> None:
    window = Window(**WINDOW)
    assert window.replace(levels=4) == Window(**WINDOW, levels=4)
    assert window == Window(**WINDOW)
    assert message(window.replace, g_max=1e-9).startswith("Window: g_min must be below g_max")
    assert message(window.replace, g_mex=1e-3).startswith("Window: unknown name, got 'g_mex'; did you mean 'g_max'?")


def test_numpy_numbers_count_as_the_numbers_they_hold() -> None:
    window = Window(g_min=np.float64(1e-6), g_max=np.float32(1e-4), levels=np.int64(4))  # type: ignore[arg-type]
    assert type(window.g_min) is float
    assert type(window.levels) is int
    assert Limits(span=tuple(np.array([0.0, 2.0]))).span == (0.0, 2.0)


# --- families ---


def test_kind_names_the_member() -> None:
    drawing = Drawing(shape={"kind": "Box", "sides": [2.0, 3.0]})  # type: ignore[arg-type]
    assert drawing.shape == Box(sides=(2.0, 3.0))
    assert drawing.shape.area() == 6.0


def test_a_family_knows_its_members() -> None:
    assert set(Shape.members()) == {"Disc", "Box"}
    assert Disc.members() == {"Disc": Disc}


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ({"kind": "Bax"}, ": unknown 'kind', got Bax; did you mean 'Box'? Known: Disc, Box"),
        ({"kind": 3}, ": unknown 'kind', got 3; known: Disc, Box"),
        ({"kind": "Shape"}, ": unknown 'kind', got Shape; known: Disc, Box"),
        ({"sides": [1.0, 1.0]}, ": needs a 'kind', got none; one of Disc, Box"),
        ({"kind": "Disc"}, ".radius: is required, got nothing; give it a value"),
        ({"kind": "Box", "side": [1.0]}, ": unknown name, got 'side'; did you mean 'sides'? Known: sides, label"),
        ({"kind": "Disc", "radius": "False"}, f".radius: must be a valid number, got 'False'; {PLAIN}"),
        (3, ": must be a valid dictionary or instance of Shape, got 3"),
    ],
    ids=str,
)
def test_a_bad_member_is_refused_in_one_line(shape: Any, text: str) -> None:
    assert message(Drawing, shape=shape) == "Drawing.shape" + text


def test_a_member_of_another_family_is_refused() -> None:
    assert "instance of Shape" in message(Drawing, shape=ProportionalNoise(relative=0.1))


def test_plain_values_name_the_kind_and_leave_out_none() -> None:
    assert to_dict(Drawing(shape=Box())) == {"shape": {"kind": "Box", "sides": [1.0, 1.0]}, "scale": 1.0}


@given(
    st.one_of(st.builds(Disc, radius=st.floats(0, 1e3)), st.builds(Box, label=st.none() | st.text())), st.floats(0, 9)
)
def test_plain_values_make_the_same_parameters_again(shape: Shape, scale: float) -> None:
    drawing = Drawing(shape=shape, scale=scale)
    assert Drawing(**to_dict(drawing)) == drawing
    assert Drawing(**json.loads(json.dumps(to_dict(drawing)))) == drawing


def test_the_schema_takes_what_the_parameters_take() -> None:
    schema = Drawing.model_json_schema()
    jsonschema.validate(to_dict(Drawing(shape=Disc(radius=1.0))), schema)
    jsonschema.validate(to_dict(Drawing(shape=Box())), schema)
    for shape in ({"kind": "Bax"}, {"radius": 1.0}, {"kind": "Disc", "radius": 1.0, "radios": 2.0}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"shape": shape}, schema)


@pytest.fixture(scope="module")
def card_schema() -> jsonschema.Draft202012Validator:
    """What checks a card; the schema itself is checked once, which takes longer than any card."""
    schema = Device.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", names())
def test_every_card_follows_the_schema(name: str, card_schema: jsonschema.Draft202012Validator) -> None:
    card_schema.validate(to_dict(load(name)))
