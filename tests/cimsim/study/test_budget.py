"""The error budget: paired gains, and what taking a part away leaves unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import cimsim as cim
import device_models as dm
from cimsim.study import files
from cimsim.study.budget import AXIS, bars, budget, error_budget, flaws
from cimsim.study.runner import run_study
from cimsim.study.study import Settings, Study, without
from device_models import fitting

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


def small(**settings: object) -> Study:
    """A budget that takes a second."""
    return Study(
        name="small",
        seed=3,
        dies=2,
        data={"name": "digits", "train": 300, "test": 100},
        training={"epochs": 5},
        chip={"device": DEVICE, "adc": {"bits": 3}},
        inference={"age": 86400.0, "calibrate": 64},
        **settings,
    )


def test_from_python_the_budget_is_that_of_a_study(tmp_path: Path) -> None:
    study = small(sweep={AXIS: ["nothing", "retention", "read_noise", "adc", "all"]})
    run_study(study, tmp_path / "out", progress=False)
    stored = pd.read_csv(tmp_path / "out" / "error-budget.csv").set_index("part")
    (x, y), (x_test, y_test) = cim.datasets.load("digits", train=300, test=100)
    settings = {name: value for name, value in dict(study.training).items() if name != "hardware"}
    network = cim.train(cim.mlp([64, 32, 10], seed=3), x, y, seed=3, **settings)
    made = error_budget(network, study.chip, x_test, y_test, calibrate=x[:64], age=86400.0, dies=2, seed=3)
    pd.testing.assert_frame_equal(made.set_index("part").loc[stored.index], stored)


def test_the_flaws_of_a_design_are_what_is_on_and_can_be_taken_away() -> None:
    device = dm.load(DEVICE).replace(conduction=None)
    spec = cim.ChipSpec(device=device, adc=cim.ADC(bits=4))
    assert device.update is not None
    assert flaws(spec) == ["faults", "programming", "retention", "read_noise", "adc"]
    assert flaws(cim.ChipSpec(device=dm.Device(name="ideal", window=device.window))) == []


def test_an_ideal_design_has_nothing_to_gain() -> None:
    ideal = cim.ChipSpec(device=dm.Device(name="ideal", window=dm.load(DEVICE).window))
    _, (x, y) = cim.datasets.load("digits", test=50)
    table = error_budget(cim.mlp([64, 8, 10], seed=0), ideal, x, y, dies=2)
    assert table["part"].tolist() == ["all"]
    assert table["gain"].tolist() == [0.0]


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    """A card fitted to a measured file, written errors of 5 % of the window."""
    device = dm.load(DEVICE).replace(programming=dm.programming.SpanError(error=0.05), faults=None, read_noise=None)
    file = fitting.measure(device, "writes", devices=200, seed=1).save(tmp_path / "writes.csv")
    return fitting.fit(file, name="mine").save(tmp_path / "mine.toml")


def test_the_built_in_study_takes_a_fitted_card(fitted: Path) -> None:
    study = files.load("error-budget", {"chip.device": str(fitted), "inference.age": 0.0})
    assert study.chip.device == dm.load(str(fitted))
    assert flaws(study.points()[0].settings.chip) == ["programming", "dac", "adc", "wires"]


def test_a_study_file_takes_a_fitted_card_from_beside_it(fitted: Path) -> None:
    text = files.text("error-budget").replace('"generic-rram"', f'"{fitted.name}"')
    path = fitted.with_name("budget.toml")
    path.write_text(text)
    assert files.load(path).chip.device == dm.load(str(fitted))


def test_half_select_and_neuron_circuits_are_flaws_like_the_others() -> None:
    update = dm.update.ExponentialUpdate(pulses_up=50, pulses_down=50, nl_up=1.0, nl_down=-1.0)
    shared = dm.half_select.HalfSelect(scheme="V/2", v_write=1.0, disturb=dm.half_select.ExponentialDisturb(v0=0.1))
    window = dm.Window(g_min=1e-6, g_max=1e-4)
    device = dm.Device(name="passive", window=window, update=update, half_select=shared)
    spec = cim.ChipSpec(device=device, neurons=cim.Integrate(gain_spread=0.1))
    assert flaws(spec) == ["half_select", "neurons"]
    assert without(spec, "half_select").device == device.replace(half_select=None)
    assert without(spec, "neurons") == spec.replace(neurons=None)
    bare = without(spec, "all")
    assert flaws(bare) == []
    assert bare.device.update is None
