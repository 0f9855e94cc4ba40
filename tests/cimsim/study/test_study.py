from __future__ import annotations

import tomllib
from itertools import product
from typing import Any

import numpy as np
import pytest

from cimsim import ADC, DAC, ChipSpec, DifferentialPair, OffsetColumn, Wires
from cimsim.study.store import resolved
from cimsim.study.study import Study
from device_models import cards
from device_models.errors import ParameterError
from device_models.read_noise import ProportionalNoise


def with_sweep(values: dict[str, Any], **axes: Any) -> dict[str, Any]:
    return values | {"sweep": {path.replace("__", "."): given for path, given in axes.items()}}


def test_points_are_the_product_of_the_axes_in_order(tiny: dict[str, Any]) -> None:
    points = Study(**tiny).points()
    expected = list(product([2, 6], [0.0, 1e6]))
    assert [tuple(p.labels.values()) for p in points] == expected
    assert [(p.settings.chip.adc.bits, p.settings.inference.age) for p in points if p.settings.chip.adc] == expected


def test_without_a_sweep_there_is_one_point(tiny: dict[str, Any]) -> None:
    (point,) = Study(**with_sweep(tiny)).points()
    assert point.labels == {}


def test_what_is_swept_need_not_be_given(tiny: dict[str, Any]) -> None:
    del tiny["chip"]["device"], tiny["chip"]["adc"]
    study = Study(**with_sweep(tiny, chip__adc__bits=[3, 4], chip__device=["hfox-wan-2022", "generic-rram"]))
    assert study.chip.adc == ADC(bits=3)
    assert study.chip.device == cards.load("hfox-wan-2022")


def test_the_value_a_swept_path_has_otherwise_changes_nothing(tiny: dict[str, Any]) -> None:
    other = tiny | {"chip": tiny["chip"] | {"adc": {"bits": 9}}}
    assert Study(**tiny) == Study(**other)


def test_a_device_on_top_of_a_card(tiny: dict[str, Any]) -> None:
    tiny["chip"]["device"] = {
        "card": "generic-rram",
        "name": "mine",
        "window": {"levels": 8},
        "read_noise": {"kind": "ProportionalNoise", "relative": 0.1},
        "faults": "off",
    }
    base = cards.load("generic-rram")
    expected = base.replace(
        name="mine", window=base.window.replace(levels=8), read_noise=ProportionalNoise(relative=0.1), faults=None
    )
    assert Study(**tiny).chip.device == expected


def test_off_takes_a_part_away_at_single_points(tiny: dict[str, Any]) -> None:
    points = Study(**with_sweep(tiny, chip__adc=["off", {"bits": 4}], chip__device__faults=["off"])).points()
    assert [p.settings.chip.adc for p in points] == [None, ADC(bits=4)]
    assert [p.settings.chip.device.faults for p in points] == [None, None]
    assert [p.labels["chip.adc"] for p in points] == ["off", "bits=4"]


def test_a_path_inside_a_swept_device_is_set_in_each_of_them(tiny: dict[str, Any]) -> None:
    noisy = {"card": "generic-rram", "name": "noisy", "read_noise": {"kind": "ProportionalNoise", "relative": 0.5}}
    axes = {"chip__device__read_noise__relative": [0.1, 0.2], "chip__device": ["hfox-wan-2022", noisy]}
    devices = [p.settings.chip.device for p in Study(**with_sweep(tiny, **axes)).points()]
    assert [d.name for d in devices] == ["hfox-wan-2022", "noisy"] * 2
    assert [d.read_noise for d in devices] == [ProportionalNoise(relative=r) for r in (0.1, 0.1, 0.2, 0.2)]


def test_a_family_is_swept_by_tables(tiny: dict[str, Any]) -> None:
    schemes = [{"kind": "DifferentialPair", "subtract": "digital"}, {"kind": "OffsetColumn"}]
    points = Study(**with_sweep(tiny, chip__weights=schemes)).points()
    assert [p.settings.chip.weights for p in points] == [DifferentialPair(subtract="digital"), OffsetColumn()]


def test_paths_that_change_together_are_one_axis(tiny: dict[str, Any]) -> None:
    study = Study(**tiny | {"sweep": {"chip.wires.word,chip.wires.bit": [1, 2.5], "chip.adc.bits": [4]}})
    axis = "chip.wires.word, chip.wires.bit"
    assert list(study.sweep) == [axis, "chip.adc.bits"]
    assert [p.settings.chip.wires for p in study.points()] == [Wires(word=r, bit=r) for r in (1.0, 2.5)]
    assert [p.labels for p in study.points()] == [{axis: r, "chip.adc.bits": 4} for r in (1.0, 2.5)]
    assert str(study.points()[0]) == f"{axis}=1.0, chip.adc.bits=4"
    assert Study(**tomllib.loads(resolved(study))) == study


def test_parts_that_change_together_can_be_off_together(tiny: dict[str, Any]) -> None:
    points = Study(**tiny | {"sweep": {"chip.dac, chip.adc": ["off", {"bits": 5}]}}).points()
    assert [(p.settings.chip.dac, p.settings.chip.adc) for p in points] == [(None, None), (DAC(bits=5), ADC(bits=5))]


def test_of_paths_in_several_axes_the_shallower_is_set_first(tiny: dict[str, Any]) -> None:
    axes = {"chip.dac.bits, chip.adc.bits": [3, 7], "chip.adc": [{"bits": 5, "per": "column"}]}
    points = Study(**tiny | {"sweep": axes}).points()
    assert [p.settings.chip.adc for p in points] == [ADC(bits=b, per="column") for b in (3, 7)]
    assert [p.settings.chip.dac for p in points] == [DAC(bits=b) for b in (3, 7)]


def test_a_study_from_python_takes_objects_ranges_and_arrays() -> None:
    spec = ChipSpec(device="generic-rram", adc=ADC(bits=4))
    study = Study(
        name="mine", chip=spec, sweep={"chip.adc.bits": range(3, 6), "inference.age": np.geomspace(1, 100, 3)}
    )
    assert study.chip == spec.replace(adc=ADC(bits=3))
    assert study.sweep == {"chip.adc.bits": (3, 4, 5), "inference.age": (1.0, 10.0, 100.0)}


def test_reading_the_resolved_study_back_gives_the_same_study(tiny: dict[str, Any]) -> None:
    study = Study(**tiny)
    again = Study(**tomllib.loads(resolved(study)))
    assert again == study
    assert resolved(again) == resolved(study)


def test_whole_numbers_beside_fractions_are_fractions(tiny: dict[str, Any]) -> None:
    study = Study(**with_sweep(tiny, inference__age=[0, 0.5]))
    assert [type(v) for v in study.sweep["inference.age"]] == [float, float]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dice": 3}, "Study: unknown name, got 'dice'; did you mean 'dies'?"),
        ({"dies": 0}, "Study.dies: must be greater than or equal to 1"),
        ({"name": "a/b"}, "Study.name: "),
        ({"data": {"name": "digit"}}, "Study.data.name: unknown data set, got 'digit'; did you mean 'digits'?"),
        ({"network": {"hidden": [32, 0]}}, "Study.network.hidden.1: must be greater than or equal to 1"),
        ({"training": {"epoch": 3}}, "Study.training: unknown name, got 'epoch'; did you mean 'epochs'?"),
        (
            {"chip": {"device": "generic-ram"}},
            "must be the name of a card or the path of one, got generic-ram",
        ),
        ({"chip": {"device": "generic-rram", "adc": {"bits": 17}}}, "Study.chip.adc.bits: must be less than or equal"),
        (
            {"sweep": {"chip.adc.bit": [1]}},
            "a path that exists, got chip.adc.bit; did you mean 'chip.adc.bits'?",
        ),
        ({"sweep": {"seed": [1]}}, "must be a path that exists, got seed; a path starts with one of data, network"),
        ({"sweep": {"chip.adc.bits": 8}}, 'Study.sweep."chip.adc.bits": must be a list of values, got 8; write [8]'),
        ({"sweep": {"chip.adc.bits": []}}, 'Study.sweep."chip.adc.bits": must have a value or more'),
        (
            {"sweep": {"chip.adc.bits": [3, 4, 3]}},
            'sweep."chip.adc.bits": must have different values, got 3 twice',
        ),
        ({"sweep": {"chip.adc.bits": [3, 17]}}, "Study.at chip.adc.bits=17: chip.adc.bits: must be less than or equal"),
        ({"sweep": {"chip.device": ["generic-rram", "pcm"]}}, "must be the name of a card or the path of one, got pcm"),
        ({"sweep": {"data.name": ["digits", "mnits"]}}, "Study.at data.name=mnits: data.name: unknown data set"),
        ({"sweep": {"inference.age": [1.0, -1.0]}}, "Study.at inference.age=-1.0: inference.age: must be in seconds"),
        (
            {"sweep": {"chip.wires.word, chip.wires.bits": [1]}},
            "a path that exists, got chip.wires.bits; did you mean 'chip.wires.bit'?",
        ),
        ({"sweep": {"chip.wires.word,": [1]}}, "Study.sweep: must be a path that exists, got nothing; a path starts"),
        (
            {"sweep": {"chip.wires.word, chip.wires.bit": [1], "chip.wires.bit": [2]}},
            "Study.sweep: must name a path once, got chip.wires.bit twice; leave it out of one of its places",
        ),
        (
            {"sweep": {"chip.wires.word, chip.wires.bit": [1, -1]}},
            "Study.at chip.wires.word, chip.wires.bit=-1: chip.wires.word: must be in ohms",
        ),
        (
            {"sweep": {"chip.wires.word, chip.wires.bit": 2}},
            'Study.sweep."chip.wires.word, chip.wires.bit": must be a list of values, got 2; write [2]',
        ),
        ({"sweep": 3}, "Study.sweep: must be a table of paths and their values, got 3"),
    ],
)
def test_bad_studies_are_refused_in_one_line(tiny: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Study(**tiny | {"sweep": {}} | changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
