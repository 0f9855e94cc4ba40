"""`cimsim wires`: the same currents as the solver, a picture, and clear words for bad files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires, effective_conductance
from tests.conftest import Run

G = np.random.default_rng(0).uniform(1e-6, 1e-4, (12, 7))
V = np.random.default_rng(1).uniform(0, 0.2, (3, 12))
OPTIONS = ("--word", "2", "--bit", "1.5", "--source", "50", "--sense", "20")
WIRES = Wires(word=2.0, bit=1.5, source=50.0, sense=20.0)


@pytest.fixture
def files(run: Run, tmp_path: Path) -> Path:
    np.save(tmp_path / "G.npy", G)
    np.save(tmp_path / "V.npy", V)
    return tmp_path


def test_currents_are_the_solvers(run: Run, files: Path) -> None:
    code, out, err = run("wires", "G.npy", "V.npy", *OPTIONS, "-o", "I.npy")
    assert (code, err) == (0, "")
    np.testing.assert_allclose(np.load(files / "I.npy"), V @ effective_conductance(G, WIRES), rtol=1e-12)
    lost = 100 * (1 - np.load(files / "I.npy") / (V @ G))
    assert out == (
        f"I.npy: currents (3, 7) in amperes; the wires take {lost.mean():.3g} % of the current (mean), "
        f"{lost.min():.3g} to {lost.max():.3g} %\n"
    )


def test_one_input_and_a_stack_of_arrays(run: Run, files: Path) -> None:
    np.save(files / "G.npy", np.stack([G, 2 * G]))
    np.save(files / "V.npy", V[0])
    assert run("wires", "G.npy", "V.npy", *OPTIONS, "-o", "I.npy").code == 0
    expected = np.stack([V[0] @ effective_conductance(g, WIRES) for g in (G, 2 * G)])
    np.testing.assert_allclose(np.load(files / "I.npy"), expected, rtol=1e-10)


def test_a_picture_is_written(run: Run, files: Path) -> None:
    code, out, _ = run("wires", "G.npy", "V.npy", *OPTIONS, "-o", "I.npy", "--plot", "drop.png")
    assert (code, out.splitlines()[-1]) == (0, "drop.png")
    assert (files / "drop.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("X.npy", "V.npy", "-o", "I.npy"), "X.npy: must be an existing file"),
        (("G.npy", "V.npy", "-o", "I.csv"), "I.csv: must end in .npy"),
        (("text.npy", "V.npy", "-o", "I.npy"), "text.npy: must be an array of numbers saved by numpy.save"),
        (("G.npy", "G.npy", "-o", "I.npy"), "G.npy: must be voltages (rows,) or (batch, rows) for 12 rows"),
        (("G.npy", "V.npy", "-o", "I.npy", "--word", "-1"), "Wires.word"),
        (("G.npy", "V.npy", "-o", "I.npy", "--drive", "top"), "Wires.drive"),
        (("minus.npy", "V.npy", "-o", "I.npy"), "g: must be 0 siemens or more"),
        (("stack.npy", "V.npy", "-o", "I.npy", "--plot", "a.png"), "stack.npy: must be one array (rows, columns)"),
        (("names.npy", "V.npy", "-o", "I.npy"), "names.npy: must be one array of real numbers"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run: Run, files: Path, arguments: tuple[str, ...], said: str) -> None:
    np.save(files / "minus.npy", -G)
    np.save(files / "stack.npy", np.stack([G, G]))
    np.save(files / "names.npy", np.array(["a", "b"]))
    (files / "text.npy").write_text("12, 13\n")
    code, _, err = run("wires", *arguments)
    assert code == 2
    assert err.startswith(f"cimsim: error: {said}")
    assert err.count("\n") == 1
    assert not (files / "I.npy").exists()
