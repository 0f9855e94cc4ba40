from __future__ import annotations

import numpy as np
import pytest

from device_models.errors import InputError, ParameterError, Problem, renamed, shown, suggestion


@pytest.mark.parametrize(
    ("value", "remedy", "text"),
    [
        ("", "", "window: must be above 0"),
        ("none", "", "window: must be above 0, got none"),
        (-1, "check the unit", "window: must be above 0, got -1; check the unit"),
        (np.float64(-0.5), "", "window: must be above 0, got -0.5"),
        (np.zeros((2, 2)), "", "window: must be above 0, got array([[0., 0.], [0., 0.]])"),
    ],
)
def test_an_error_is_one_line_where_rule_value_remedy(value: object, remedy: str, text: str) -> None:
    assert str(InputError("window", "must be above 0", value, remedy)) == text


def test_a_problem_names_its_place_from_the_outside_in() -> None:
    assert str(Problem(("Device", "window", "g_max"), "is required", "", "")) == "Device.window.g_max: is required"


def test_problems_seen_from_further_out_keep_their_rules() -> None:
    inner = ParameterError([Problem(("Window",), "a", "", ""), Problem(("Window", "g_max"), "b", "1", "c")])
    assert str(inner.within("card.toml")) == "card.toml.Window: a | card.toml.Window.g_max: b, got 1; c"


def test_both_errors_are_value_errors() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(ParameterError, ValueError)


def test_an_error_names_what_the_caller_gave() -> None:
    with pytest.raises(InputError) as caught, renamed(x="x_test", y="y_test"):
        raise InputError("y", "must fit x", 3, "give 4")
    assert str(caught.value) == "y_test: must fit x, got 3; give 4"
    with pytest.raises(InputError, match=r"^network\.layers\[0\]: must fit$"), renamed(cnn="network"):
        raise InputError("cnn.layers[0]", "must fit")


def test_an_error_of_another_name_stays_itself() -> None:
    error = InputError("xs", "must fit")
    with pytest.raises(InputError) as caught, renamed(x="x_test"):
        raise error
    assert caught.value is error


def test_long_values_are_cut_to_eighty_characters() -> None:
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == "x" * 77 + "..."
    assert shown("a\n  b\tc") == "a b c"


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("tolerence", ["tolerance", "error"], "did you mean 'tolerance'? Known: tolerance, error"),
        ("zzz", ["tolerance", "error"], "known: tolerance, error"),
        ("zzz", [], "nothing can be given here"),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(name: str, known: list[str], remedy: str) -> None:
    assert suggestion(name, known) == remedy
