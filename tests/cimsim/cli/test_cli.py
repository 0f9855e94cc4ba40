from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import cimsim as cim
from cimsim.study import files
from device_models import cards
from device_models.parameters import to_dict
from device_models.read_noise import AbsoluteNoise, ProportionalNoise, SumOfNoise
from tests.conftest import Run


def test_version(run: Run) -> None:
    assert run("version") == (0, f"{cim.__version__}\n", "")


def test_help_lists_the_commands(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in ("study", "devices", "train", "version"))


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(cim.__file__).parents[1])}
    command = [sys.executable, "-m", "cimsim", "devices", "no-such-card"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("cimsim: error: device: must be the name of a card")
    assert ended.stderr.count("\n") == 1


class TestStudy:
    def test_list(self, run: Run) -> None:
        code, out, _ = run("study", "--list")
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == ["name", *files.names()]

    def test_show_prints_what_can_be_saved_and_run(self, run: Run) -> None:
        code, out, _ = run("study", "--show", "smoke")
        assert (code, out) == (0, files.text("smoke"))

    def test_smoke(self, run: Run, tmp_path: Path) -> None:
        code, out, err = run("study", "smoke")
        folder = tmp_path / "results" / "smoke"
        assert code == 0
        assert "4/4" in err
        written = [Path(line) for line in out.split("\n\n")[-1].splitlines()]
        assert {p.name for p in written} == {p.name for p in folder.iterdir()}
        assert all(p.is_file() for p in written)
        assert "accuracy_mean" in out

    def test_quiet_says_nothing(self, run: Run) -> None:
        assert run("study", "smoke", "-q", "-o", "out", "--dies", "1") == (0, "", "")

    def test_dies_and_set_change_the_study(self, run: Run, tmp_path: Path) -> None:
        options = ("--dies", "1", "--set", "chip.device=hfox-wan-2022", "--set", "sweep.chip.adc.bits=[3]")
        assert run("study", "smoke", "-q", "-o", "out", *options).code == 0
        study = files.load(tmp_path / "out" / "study.toml")
        assert (study.dies, study.chip.device.name, study.sweep["chip.adc.bits"]) == (1, "hfox-wan-2022", (3,))

    def test_schema_describes_every_study(self, run: Run) -> None:
        code, out, _ = run("study", "--schema")
        assert code == 0
        jsonschema.Draft202012Validator.check_schema(json.loads(out))


class TestDevices:
    def test_all_cards(self, run: Run) -> None:
        code, out, _ = run("devices")
        assert code == 0
        header, *lines = out.splitlines()
        assert header.split("  ")[0] == "name"
        assert [line.split()[0] for line in lines] == cards.names()
        assert "5 to 100" in next(line for line in lines if line.startswith("generic-rram"))
        assert "62.5 to 10000" in next(line for line in lines if line.startswith("tio2-strukov-2008"))

    def test_one_card_with_its_source(self, run: Run) -> None:
        device = cards.load("pcm-joshi-2020")
        code, out, _ = run("devices", "pcm-joshi-2020")
        assert code == 0
        assert device.source.doi in out
        assert device.source.paper in out
        assert "kind: PowerLawDrift" in out

    def test_json_reads_back(self, run: Run) -> None:
        one, every = run("devices", "generic-rram", "--json"), run("devices", "--json")
        assert cards.parse(json.loads(one.out), "out") == cards.load("generic-rram")
        assert [card["name"] for card in json.loads(every.out)] == cards.names()

    def test_a_card_from_a_file(self, run: Run, tmp_path: Path) -> None:
        cards.save(cards.load("generic-rram").replace(name="mine"), tmp_path / "mine.toml")
        assert "name: mine" in run("devices", "mine.toml").out

    def test_parts_of_a_sum_are_shown_like_sections(self, run: Run, tmp_path: Path) -> None:
        noise = SumOfNoise(parts=(ProportionalNoise(relative=0.01), AbsoluteNoise(std=1e-7)))
        cards.save(cards.load("generic-rram").replace(name="mine", read_noise=noise), tmp_path / "mine.toml")
        lines = run("devices", "mine.toml").out.splitlines()
        at = lines.index("  parts 1")
        assert lines[at : at + 6] == [
            "  parts 1",
            "    kind: ProportionalNoise",
            "    relative: 0.01",
            "  parts 2",
            "    kind: AbsoluteNoise",
            "    std: 1e-07",
        ]

    def test_plot_writes_a_png(self, run: Run, tmp_path: Path) -> None:
        code, out, _ = run("devices", "ag-si-jo-2010", "--plot")
        assert code == 0
        assert out.splitlines()[-1] == "ag-si-jo-2010.png"
        assert (tmp_path / "ag-si-jo-2010.png").read_bytes()[:4] == b"\x89PNG"

    def test_schema_holds_for_every_card(self, run: Run) -> None:
        schema = json.loads(run("devices", "--schema").out)
        jsonschema.Draft202012Validator.check_schema(schema)
        valid = jsonschema.Draft202012Validator(schema)
        for name in cards.names():
            valid.validate(to_dict(cards.load(name)))
        without_kind = to_dict(cards.load("generic-rram"))
        del without_kind["read_noise"]["kind"]
        with pytest.raises(jsonschema.ValidationError):
            valid.validate(without_kind)


def test_train_saves_what_it_scored(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("train", "--hidden", "16", "--hidden", "12", "--epochs", "3", "-o", "net.safetensors")
    assert code == 0
    network = cim.load_network(tmp_path / "net.safetensors")
    assert [w.shape for w in network.weights] == [(64, 16), (16, 12), (12, 10)]
    _, (x_test, y_test) = cim.datasets.load("digits")
    assert (
        out == f"accuracy on {len(x_test)} test samples: {cim.accuracy(network, x_test, y_test):.4f}\nnet.safetensors\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study"], "study: needs a STUDY, got none; give a TOML file, or one of adc-bits"),
        (["study", "device-nois"], "got device-nois; did you mean 'device-noise'?"),
        (["study", "--show", "smok"], "study: must be the name of a built-in study, got smok; did you mean 'smoke'?"),
        (["study", "x.toml"], "x.toml: must be an existing file"),
        (["study", "smoke", "--dies", "0"], "smoke: dies: must be greater than or equal to 1"),
        (["study", "smoke", "--dies", "many"], "Invalid value for '--dies'"),
        (["study", "smoke", "--workers", "0"], "workers: must be an integer, 1 or more, got 0"),
        (["study", "smoke", "--worker", "2"], "No such option: --worker"),
        (["study", "smoke", "--set", "chip.adc"], "--set: must be PATH=VALUE, got chip.adc"),
        (["study", "smoke", "--set", "chip.dac.bit=4"], "got chip.dac.bit; did you mean 'chip.dac.bits'?"),
        (
            ["study", "smoke", "--set", "sweep.chip.adc.bits=[3,99]"],
            "smoke: at chip.adc.bits=99: chip.adc.bits: must",
        ),
        (
            ["study", "smoke", "--set", "data.name=mnits"],
            "unknown data set, got 'mnits'; did you mean 'mnist'?",
        ),
        (["study", "smoke", "-o", "/dev/null/x"], "/dev/null/x: must be a directory that can be written"),
        (["devices", "generic-ram"], "got generic-ram; did you mean 'generic-rram'?"),
        (
            ["devices", "generic-rram", "--plot", "-o", "/dev/null/x.png"],
            "x.png: must lie in a folder one can write",
        ),
        (
            ["train", "-o", "no/such/net.safetensors"],
            "must lie in a folder one can write, got no/such",
        ),
        (["devices", "generic-rram", "--plot", "-o", "x.jpg"], "x.jpg: must end in .png, got .jpg; rename it"),
        (["train", "-o", "net"], "net: must end in .safetensors or .npz, got no ending; rename it"),
        (["train", "-o", "n.safetensors", "--data", "cifar"], "data set: unknown name, got cifar"),
        (["train", "-o", "n.safetensors", "--epochs", "0"], "Training.epochs: must be greater than or equal to 1"),
        (["train"], "Missing option '--out'"),
        (["studies"], "No such command 'studies'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("cimsim: error: ")
    assert err.count("\n") == 1
    assert not out


def test_a_broken_data_file_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte").write_bytes(bytes(range(100)))
    monkeypatch.setenv("CIMSIM_DATA", str(tmp_path))
    code, _, err = run("study", "smoke", "--set", "data.name=mnist", "-o", "out")
    assert code == 2
    assert "train-images-idx3-ubyte: must start with the IDX magic" in err
    assert err.count("\n") == 1
