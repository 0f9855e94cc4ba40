"""Every notebook runs from top to bottom, says what it misses where it cannot, and is stored without output."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MEASURED = {
    "02-from-measurement-to-accuracy": (
        "rram-relaxation-stanford/techB_relaxdata_10k.min.tsv.gz",
        "aihwkit-gong-reram/gong_et_al.csv",
    )
}
"""Measured files that a notebook reads from the folder of real data."""

MNIST = ("04-hybrid-training", "05-spiking")

kernel_starts = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # by itself


def run(path: Path, folder: Path) -> None:
    """All cells of a notebook, in a kernel that works in `folder`."""
    resources = {"metadata": {"path": str(folder)}}
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()


def test_there_are_notebooks() -> None:
    promised = {"01-accuracy-vs-device-noise", "03-wires-and-converters", "05-spiking", *MEASURED, *MNIST}
    assert promised <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_output(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow  # `make notebooks`, which CI runs too
@kernel_starts
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files = MEASURED.get(path.stem, ())
    if files or path.stem in MNIST:
        folder = request.getfixturevalue("real_data")
        missing = [name for name in files if not (folder / name).is_file()]
        if missing:
            pytest.skip(f"needs {' and '.join(missing)} in {folder}")
    run(path, tmp_path)


@pytest.mark.slow
@kernel_starts
@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem in MEASURED], ids=lambda path: path.stem)
def test_without_its_data_a_notebook_says_how_to_get_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIMSIM_DATA", raising=False)
    said = f"CIMSIM_DATA: must name the folder that holds {MEASURED[path.stem][0]}, got nothing; the table above says"
    with pytest.raises(CellExecutionError) as stopped:
        run(path, tmp_path)
    assert said in str(stopped.value)
    text = path.read_text(encoding="utf-8")
    assert all(name in text for name in (*MEASURED[path.stem], "%env CIMSIM_DATA=", "https://github.com/"))
