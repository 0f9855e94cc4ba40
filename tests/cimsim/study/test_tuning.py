"""Studies whose chips are trained in place before they are tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cimsim import datasets
from cimsim.chip import program
from cimsim.crossbar.converters import ADC
from cimsim.learning.aware import Hardware
from cimsim.learning.hybrid import training_share
from cimsim.learning.offchip import train
from cimsim.learning.onchip import fine_tune
from cimsim.learning.rules import ThresholdSign
from cimsim.network.evaluate import accuracy
from cimsim.network.network import mlp
from cimsim.study import files, runner
from cimsim.study.files import load
from cimsim.study.runner import run_study
from cimsim.study.store import resolved
from cimsim.study.study import Study, die_seed
from device_models.errors import InputError, ParameterError

SET_ONLY = {"kind": "LinearUpdate", "step_size": 1e-7, "asymmetry": 1.0}


@pytest.fixture
def tuned(tiny: dict[str, Any]) -> dict[str, Any]:
    """The tiny study, its last layer tuned on half of the data or on none."""
    rule = {"kind": "ThresholdSign", "threshold": 1e-7}
    tuning = {"epochs": 2, "learning_rate": 0.5, "rule": rule}
    return {**tiny, "tuning": tuning, "sweep": {"tuning.share": [0, 0.5]}}


def test_a_row_is_that_of_the_chip_after_tuning(tuned: dict[str, Any], tmp_path: Path) -> None:
    study = Study(**tuned)
    found = run_study(study, tmp_path / "out", progress=False).results.set_index(["tuning.share", "die"])["accuracy"]
    (x, y), test = datasets.load("digits", train=120, test=40)
    net = train(mlp([64, 6, 10], seed=5), x, y, seed=5, epochs=2, learning_rate=0.02)
    for die in (0, 1):
        chip = program(net, study.chip, calibrate=x[:32], seed=die_seed(5, "chip", die))
        assert found[0.0, die] == accuracy(chip, *test, seed=die_seed(5, "read", die))
        chosen, seed = training_share(120, 0.5, die_seed(5, "tune", die)), die_seed(5, "tune", die)
        rule = ThresholdSign(threshold=1e-7)
        after, _ = fine_tune(chip, x[chosen], y[chosen], rule=rule, epochs=2, learning_rate=0.5, seed=seed)
        assert found[0.5, die] == accuracy(after, *test, seed=die_seed(5, "read", die))


def test_a_rate_in_pulses_survives_the_file(tuned: dict[str, Any], tmp_path: Path) -> None:
    study = Study(**{**tuned, "tuning": {"learning_pulses": 20.0}})
    path = tmp_path / "study.toml"
    path.write_text(resolved(study), encoding="utf-8")
    assert load(path) == study
    assert len(run_study(study, tmp_path / "out", progress=False).results) == 4


def test_a_rule_has_the_rate_of_its_name_or_that_of_all(tuned: dict[str, Any], tmp_path: Path) -> None:
    rules = [{"kind": "ThresholdSign", "threshold": 1e-7}, {"kind": "MixedPrecision"}, {"kind": "PulseCount"}]
    tuned["sweep"] = {"tuning.rule": rules}

    def accuracies(**rates: Any) -> list[float]:
        study = Study(**{**tuned, "dies": 1, "tuning": {"share": 0.5, "epochs": 1, **rates}})
        (tmp_path / "study.toml").write_text(resolved(study), encoding="utf-8")
        assert load(tmp_path / "study.toml") == study
        out = tmp_path / f"{rates}"
        return list(run_study(study, out, progress=False).results.groupby("tuning.rule", sort=False)["accuracy"].sum())

    high, low = accuracies(learning_rate=0.5), accuracies(learning_rate=0.01)
    mixed = accuracies(learning_rate=0.5, learning_rates={"MixedPrecision": 0.01})
    assert high != [high[0], low[1], high[2]] == mixed
    over_all = accuracies(learning_pulses=1.0, learning_rates=dict.fromkeys(("ThresholdSign", "PulseCount"), 0.01))
    assert over_all[0::2] == low[0::2]


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"Manhatten": 0.1}, "Study.tuning.learning_rates: unknown rule, got Manhatten; did you mean 'Manhattan'?"),
        ({"Manhattan": 0.0}, "Study.tuning.learning_rates.Manhattan: must be greater than 0, got 0.0"),
    ],
)
def test_rates_of_rules_there_are_not_and_rates_that_are_none_are_refused(
    tuned: dict[str, Any], rates: dict[str, float], message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        Study(**{**tuned, "tuning": {"learning_rates": rates}})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": {"layers": [2]}}, r"tuning\.layers: must be an integer from -2 to 1, got 2; the chip has 2 layers"),
        ({"update": "off"}, r"device 'generic-rram': has no pulse response"),
        (
            {"update": {"kind": "LinearUpdate", "step_size": 1e-7, "asymmetry": 1.0}},
            r"ThresholdSign: needs depression \(RESET\), which no pulse to",
        ),
        ({"weights": {"kind": "BitSlices"}}, "BitSlices: has no rule for pulsing its cells"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_trained(
    tuned: dict[str, Any], changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "train", None)
    tuned["tuning"] |= changes.get("tuning", {})
    if "update" in changes:
        tuned["chip"]["device"]["update"] = changes["update"]
    if "weights" in changes:
        tuned["chip"]["weights"] = changes["weights"]
    with pytest.raises(InputError, match=message):
        run_study(Study(**tuned), tmp_path / "out", progress=False)


def test_off_chip_training_that_feels_the_chip_is_one_for_every_chip(tiny: dict[str, Any], tmp_path: Path) -> None:
    study = Study(**{**tiny, "sweep": {"chip.adc.bits": [4, 6], "training.hardware": [False, True]}})
    found = run_study(study, tmp_path / "out", progress=False).results.astype({"training.hardware": str})
    found = found.set_index(["chip.adc.bits", "training.hardware", "die"])
    (x, y), test = datasets.load("digits", train=120, test=40)
    for bits in (4, 6):
        spec = study.chip.replace(adc=ADC(bits=bits))
        chosen = Hardware(chip=spec, calibrate=32)
        net = train(mlp([64, 6, 10], seed=5), x, y, hardware=chosen, seed=5, epochs=2, learning_rate=0.02)
        chip = program(net, spec, seed=die_seed(5, "chip", 1))
        row = found.loc[(bits, "True", 1)]
        assert row["accuracy"] == accuracy(chip, *test, seed=die_seed(5, "read", 1))
        assert row["float_accuracy"] == accuracy(net, *test)
    assert found.xs("False", level=1)["float_accuracy"].nunique() == 1


@pytest.mark.parametrize("name", ["hybrid", "on-chip-rules"])
def test_built_in_studies_tune_what_their_titles_say(name: str) -> None:
    study = files.load(name)
    points = study.points()
    assert {len(point.settings.tuning.layers) for point in points} == {1 if name == "hybrid" else 2}
    rules = {type(point.settings.tuning.rule).__name__ for point in points}
    assert len(rules) == (1 if name == "hybrid" else 6)
