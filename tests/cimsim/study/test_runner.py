from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

import cimsim as cim
from cimsim.study.runner import Bench, StudyStopped, run_study
from cimsim.study.study import Study
from device_models.errors import InputError


def same_but_for_time(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def read(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results.csv")


@pytest.fixture
def study(tiny: dict[str, Any]) -> Study:
    return Study(**tiny)


def interrupt_row(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while this row is computed, counted from 0."""
    rows, compute = iter(range(1000)), Bench.row

    def row(self: Bench, index: int, die: int) -> dict[str, Any]:
        if next(rows) == number:
            raise KeyboardInterrupt
        return compute(self, index, die)

    monkeypatch.setattr(Bench, "row", row)


def test_a_row_is_what_the_public_door_gives(tmp_path: Path, study: Study) -> None:
    """Programming, ageing and evaluating by hand a chip with the seeds of a die gives its row."""
    result = run_study(study, tmp_path / "out", progress=False)
    row = result.results.query("`chip.adc.bits` == 6 and `inference.age` == 1e6 and die == 1").iloc[0]
    (x, y), (x_test, y_test) = cim.datasets.load("digits", train=120, test=40)
    net = cim.train(cim.mlp([64, 6, 10], seed=5), x, y, seed=5, epochs=2, learning_rate=0.02)
    spec = study.chip.replace(adc=cim.ADC(bits=6))
    seeds = [Bench(5, [], {}).seed_of(role, 1) for role in ("chip", "read")]
    chip = cim.program(net, spec, calibrate=x[:32], seed=seeds[0]).age(1e6)
    report = chip.report()
    assert row["accuracy"] == cim.accuracy(chip, x_test, y_test, seed=seeds[1])
    assert row["float_accuracy"] == cim.accuracy(net, x_test, y_test)
    assert tuple(row[["cells", "pulses", "failed", "stuck"]]) == (
        report.cells,
        report.pulses,
        report.failed,
        report.stuck,
    )
    assert row["adc_clipping"] == pytest.approx(sum(layer.adc_clipping for layer in report.layers) / 2)


def test_paths_that_change_together_are_both_set_on_the_chip(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """Without wires, and with 400 ohms in word and bit lines, as the public door makes the same chips."""
    study = Study(**tiny | {"dies": 1, "sweep": {"chip.wires.word, chip.wires.bit": [0.0, 400.0]}})
    result = run_study(study, tmp_path / "out", progress=False)
    (x, y), (x_test, y_test) = cim.datasets.load("digits", train=120, test=40)
    net = cim.train(cim.mlp([64, 6, 10], seed=5), x, y, seed=5, epochs=2, learning_rate=0.02)
    seeds = [Bench(5, [], {}).seed_of(role, 0) for role in ("chip", "read")]
    specs = [study.chip.replace(wires=wires) for wires in (None, cim.Wires(word=400.0, bit=400.0))]
    chips = [cim.program(net, spec, calibrate=x[:32], seed=seeds[0]) for spec in specs]
    assert result.results["accuracy"].tolist() == [cim.accuracy(chip, x_test, y_test, seed=seeds[1]) for chip in chips]


def test_a_die_is_the_same_silicon_at_every_point(tmp_path: Path, study: Study) -> None:
    table = run_study(study, tmp_path / "out", progress=False).results
    stuck = table.pivot(index=["chip.adc.bits", "inference.age"], columns="die", values="stuck")
    assert (stuck.nunique() == 1).all()
    longer = Study(**dict(study) | {"dies": 3, "sweep": {"chip.adc.bits": [2]}, "seed": 5})
    more = run_study(longer, tmp_path / "more", progress=False).results
    assert more["stuck"].tolist()[:2] == stuck.iloc[0].tolist()


def test_everything_promised_is_written(tmp_path: Path, study: Study) -> None:
    result = run_study(study, tmp_path / "out", progress=False)
    names = {"results.csv", "summary.csv", "study.toml", "provenance.json"}
    names |= {"accuracy-chip.adc.bits.png", "accuracy-inference.age.png"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names == {p.name for p in result.files}
    assert len(result.results) == 8
    assert len(result.summary) == 4


def test_a_finished_study_run_again_computes_nothing(
    tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_study(study, tmp_path / "out", progress=False)
    before = (tmp_path / "out" / "results.csv").read_bytes()
    interrupt_row(0, monkeypatch)
    second = run_study(study, tmp_path / "out", progress=False)
    pd.testing.assert_frame_equal(first.results, second.results)
    assert (tmp_path / "out" / "results.csv").read_bytes() == before


@pytest.mark.parametrize("stop", [0, 3, 7])
def test_ctrl_c_keeps_what_is_done_and_a_second_run_does_the_rest(
    tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    with monkeypatch.context() as patch:
        interrupt_row(stop, patch)
        with pytest.raises(StudyStopped) as caught:
            run_study(study, tmp_path / "out", progress=False)
    assert str(caught.value) == (
        f"stopped: {stop} of 8 results kept in {tmp_path / 'out'}; run the same command again to go on"
    )
    assert len(read(tmp_path / "out")) == stop
    resumed = run_study(study, tmp_path / "out", progress=False).results
    same_but_for_time(resumed, run_study(study, tmp_path / "whole", progress=False).results)


def test_any_number_of_workers_gives_the_same_results(tmp_path: Path, study: Study) -> None:
    one, two = (run_study(study, tmp_path / str(n), workers=n, progress=False) for n in (1, 2))
    same_but_for_time(one.results, two.results)
    pd.testing.assert_frame_equal(one.summary, two.summary, check_exact=True)


def test_each_training_setting_is_trained_once(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from cimsim.study import runner

    trained: list[int] = []
    train = runner.train
    monkeypatch.setattr(runner, "train", lambda *a, **k: trained.append(k["epochs"]) or train(*a, **k))
    swept = Study(**dict(study) | {"sweep": {"training.epochs": [1, 2], "chip.adc.bits": [3, 6]}})
    table = run_study(swept, tmp_path / "out", progress=False).results
    assert trained == [1, 2]
    assert (table.groupby("training.epochs")["float_accuracy"].nunique() == 1).all()


def test_progress_goes_to_stderr(tmp_path: Path, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    run_study(study, tmp_path / "out")
    out, err = capsys.readouterr()
    assert "8/8" in err
    assert not out


@pytest.mark.parametrize("workers", [1, 2])
def test_a_point_that_fails_is_named_and_the_rows_before_it_are_kept(
    tmp_path: Path, study: Study, workers: int
) -> None:
    """A law measured on half the window refuses targets outside it: seen only when a chip is written."""
    narrow = {"kind": "PolynomialError", "coefficients": [1e-6], "g_ref": 1e-4, "valid": [0.0, 5e-5]}
    axes = {"chip.device.programming": [{"kind": "SpanError", "error": 0.1}, narrow]}
    swept = Study(**dict(study) | {"sweep": axes, "dies": 1})
    expected = r"^die 0 at chip\.device\.programming=PolynomialError.*valid: holds for targets from 0 to 5e-05 siemens"
    with pytest.raises(InputError, match=expected):
        run_study(swept, tmp_path / "out", workers=workers, progress=False)
    assert len(read(tmp_path / "out")) <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference": {"calibrate": 121}}, "inference.calibrate: must be at most 120, the training samples, got 121"),
        ({"data": {"name": "digits", "train": 5000}}, "train part of digits: has 1437 samples, got a limit of 5000"),
    ],
)
def test_data_that_do_not_suffice_are_refused_and_leave_the_directory_free(
    tmp_path: Path, tiny: dict[str, Any], study: Study, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        run_study(Study(**tiny | changes), tmp_path / "out", progress=False)
    assert message in str(caught.value)
    assert len(run_study(study, tmp_path / "out", progress=False).results) == 8


def test_a_bad_directory_is_refused_before_anything_is_trained(
    tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cimsim.study import runner

    monkeypatch.setattr(runner, "train", lambda *a, **k: pytest.fail("trained first"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a directory that can be written"):
        run_study(study, tmp_path / "file" / "out", progress=False)


def started(folder: Path, tiny: dict[str, Any], *options: str) -> subprocess.Popen[str]:
    """The command line at work on many dies of a study, in a process of its own."""
    (folder / "study.toml").write_text(tomli_w.dumps(tiny | {"dies": 25}))
    command = [sys.executable, "-m", "cimsim", "study", "study.toml", "-o", "out", "--quiet", *options]
    environment = os.environ | {"PYTHONPATH": str(Path(cim.__file__).parents[1])}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_ctrl_c,
    )


def _heed_ctrl_c() -> None:
    """A shell starts its background jobs deaf to Ctrl-C, and so would be what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def rows_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 1 if path.exists() else -1


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_kill_9_loses_no_row_and_the_same_command_goes_on(tmp_path: Path, tiny: dict[str, Any], workers: str) -> None:
    results = tmp_path / "out" / "results.csv"
    process = started(tmp_path, tiny, "--workers", workers)
    wait_until(lambda: rows_in(results) >= 5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = rows_in(results)
    assert 5 <= kept < 100
    with results.open("a") as file:
        file.write("6,0.0,3")  # the line that was being written
    wait_until(lambda: not processes_of(process.pid))
    resumed = run_study(tmp_path / "study.toml", tmp_path / "out", progress=False).results
    same_but_for_time(resumed, run_study(tmp_path / "study.toml", tmp_path / "whole", progress=False).results)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_ctrl_c_ends_with_130_and_one_line(tmp_path: Path, tiny: dict[str, Any], workers: str) -> None:
    results = tmp_path / "out" / "results.csv"
    process = started(tmp_path, tiny, "--workers", workers)
    wait_until(lambda: rows_in(results) >= 5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == f"stopped: {rows_in(results)} of 100 results kept in out; run the same command again to go on\n"


def processes_of(session: int) -> list[int]:
    """The processes left in a session, zombies aside."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
