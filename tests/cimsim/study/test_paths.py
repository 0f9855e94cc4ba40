from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.chip import ChipSpec
from cimsim.study import paths
from cimsim.study.study import Settings
from device_models import cards
from device_models.errors import InputError
from device_models.parameters import to_dict

NAMES = st.text("abc", min_size=1, max_size=2)
LEAVES = st.sampled_from([0, 1, 0.5, "a", [1, 2]])
TABLES = st.recursive(LEAVES, lambda x: st.dictionaries(NAMES, x, max_size=3), max_leaves=6)


def known(device: str = "generic-rram") -> list[str]:
    return paths.known(Settings, {"chip": {"device": to_dict(cards.load(device))}})


def test_paths_reach_into_every_section_and_the_members_in_use() -> None:
    found = known()
    assert {"data.name", "network.hidden", "training.learning_rate", "chip.tile", "inference.age"} <= set(found)
    assert {"chip.dac.bits", "chip.wires.word", "chip.weights.subtract"} <= set(found)
    assert {"chip.device.programming.error.error", "chip.device.read_noise.g_ref"} <= set(found)
    assert "chip.device.read_noise.relative" not in found
    assert "chip.device.read_noise.relative" in known("hfox-wan-2022")


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("chip.adc.bit", "'chip.adc.bits'"),
        ("adc.bits", "'chip.adc.bits'"),
        ("learning_rate", "'training.learning_rate'"),
        ("bits", "'chip.dac.bits' or 'chip.adc.bits'"),
        ("chip.device.retention.kind", "'chip.device.retention"),
        ("xyz", "a path starts with one of data, network, training, chip, tuning, inference"),
    ],
)
def test_a_path_that_does_not_exist_is_answered_with_the_nearest(path: str, nearest: str) -> None:
    with pytest.raises(InputError, match="must be a path that exists, got") as caught:
        paths.check("sweep", path, known())
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    ("axis", "found"),
    [
        ("chip.adc.bits", ["chip.adc.bits"]),
        ("chip.wires.word, chip.wires.bit", ["chip.wires.word", "chip.wires.bit"]),
        (" a,b ,c", ["a", "b", "c"]),
    ],
)
def test_an_axis_is_a_path_or_several_with_commas_between_them(axis: str, found: list[str]) -> None:
    assert paths.together(axis) == found


def test_put_makes_the_tables_on_the_way_and_refuses_to_go_through_a_value() -> None:
    values: dict[str, Any] = {"chip": {"tile": [1, 2]}}
    paths.put(values, "chip.adc.bits", 3)
    assert values == {"chip": {"tile": [1, 2], "adc": {"bits": 3}}}
    with pytest.raises(InputError, match=r"chip\.tile: must be a table for 'chip\.tile\.rows' to be set, got \[1, 2\]"):
        paths.put(values, "chip.tile.rows", 3)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, 3),
        (1e-3, 1e-3),
        (True, True),
        ("digits", "digits"),
        ([64, 128], "[64, 128]"),
        ({"name": "my-device", "window": {"g_min": 1e-6}}, "my-device"),
        ({"kind": "OffsetColumn"}, "OffsetColumn"),
        ({"kind": "BitSlices", "slices": 2, "bits": 1}, "BitSlices(slices=2, bits=1)"),
        ({"bits": 4, "range": [0.0, 1.0]}, "bits=4, range=[0.0, 1.0]"),
    ],
)
def test_labels_are_plain_and_readable(value: Any, label: Any) -> None:
    assert paths.label(value) == label


@given(st.dictionaries(NAMES, TABLES, max_size=3), st.dictionaries(NAMES, TABLES, max_size=3))
def test_a_difference_is_found_exactly_where_tables_differ(a: dict[str, Any], b: dict[str, Any]) -> None:
    found = paths.first_difference(a, b)
    assert (found is None) == (a == b)
    if found is not None:
        path, old, new = found
        assert old != new
        assert (look_up(a, path), look_up(b, path)) == (old, new)


def look_up(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def test_where_a_table_need_not_name_its_kind_the_paths_are_those_of_the_kind_it_gets() -> None:
    """An ADC without `kind` is a uniform one."""
    uniform, logarithmic = paths.known(ChipSpec, {}), paths.known(ChipSpec, {"adc": {"kind": "LogADC"}})
    assert paths.known(ChipSpec, {"adc": {"bits": 4}}) == uniform
    assert "adc.bits" in uniform
    assert "adc.mu" not in uniform
    assert "adc.mu" in logarithmic
