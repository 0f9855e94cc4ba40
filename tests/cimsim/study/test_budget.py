"""The error budget: paired gains, and what taking a part away leaves unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cimsim.study.budget import AXIS, bars, budget
from cimsim.study.runner import run_study
from cimsim.study.study import Settings, Study

DEVICE = "generic-rram"


def rows(values: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [{AXIS: part, "die": die, "accuracy": a} for part, column in values.items() for die, a in enumerate(column)]
    )


def test_gains_are_paired_by_die_and_the_costliest_comes_first() -> None:
    table = budget(rows({"nothing": [0.5, 0.9], "adc": [0.6, 1.0], "faults": [0.8, 1.0]}))
    assert table["part"].tolist() == ["faults", "adc"]
    np.testing.assert_allclose(table["gain"], [0.2, 0.1])
    np.testing.assert_allclose(table.loc[1, ["low", "high"]].astype(float), [0.1, 0.1])  # the same on both dies
    assert table["pairs"].tolist() == [2, 2]


def test_other_axes_pair_as_well() -> None:
    apart = pd.concat([rows({"nothing": [a], "adc": [a + 0.1]}).assign(**{"inference.age": a}) for a in (0.3, 0.6)])
    np.testing.assert_allclose(budget(apart)["gain"], [0.1])


def test_without_a_base_there_is_no_budget() -> None:
    assert budget(rows({"adc": [0.6]})).empty


def test_bars_are_the_gains_in_points() -> None:
    ax = bars(budget(rows({"nothing": [0.5, 0.9], "adc": [0.6, 1.0], "all": [0.8, 1.0]})), Figure().add_subplot())
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([10.0, 20.0])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["ADC", "everything"]


@pytest.mark.parametrize("part", ["faults", "programming", "retention", "read_noise", "adc", "dac"])
def test_one_part_alone_is_taken_away(part: str) -> None:
    chip = {"device": DEVICE, "adc": {"bits": 4}, "dac": {"bits": 4}}
    whole, without = Settings(chip=chip), Settings(chip=chip, inference={"without": part})
    owner, other = (
        (whole.built(), without.built()) if part in ("adc", "dac") else (whole.built().device, without.built().device)
    )
    assert getattr(owner, part) is not None
    assert other == owner.replace(**{part: None})


def test_all_leaves_an_ideal_chip_as_good_as_the_network(tmp_path: Path) -> None:
    study = Study(
        name="budget",
        dies=2,
        data={"name": "digits", "train": 300, "test": 100},
        training={"epochs": 5},
        chip={"device": {"card": DEVICE, "window": {"levels": 4096}}, "adc": {"bits": 3}, "dac": {"bits": 8}},
        inference={"age": 86400.0},
        sweep={AXIS: ["nothing", "adc", "all"]},
    )
    done = run_study(study, tmp_path / "out", progress=False)
    ideal = done.results[done.results[AXIS] == "all"]
    assert (ideal["accuracy"] - ideal["float_accuracy"]).abs().max() <= 0.011
    assert ideal["stuck"].tolist() == [0, 0]
    names = [path.name for path in done.files]
    assert {"error-budget.csv", "error-budget.png"} <= set(names)
    assert pd.read_csv(tmp_path / "out" / "error-budget.csv")["part"].tolist()[0] == "all"
