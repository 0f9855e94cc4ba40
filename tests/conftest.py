"""What every test shares: no display, repeatable hypothesis examples, the real data sets, the benchmarks' marker."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

os.environ["MPLBACKEND"] = "Agg"

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

TESTS = Path(__file__).parent


class Ended(NamedTuple):
    """How a command ended: exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS / "benchmarks"):
            item.add_marker(pytest.mark.benchmark)


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data: $CIMSIM_DATA, else ../shared/data beside the checkout, else the test is skipped.

    CIMSIM_DATA is set to it for the test, so that `datasets.load` reads from there.
    """
    given = os.environ.get("CIMSIM_DATA")
    folder = Path(given or TESTS.parents[1] / "shared" / "data")
    if not folder.is_dir():
        refuse = pytest.fail if given else pytest.skip
        refuse(f"needs real data: set CIMSIM_DATA to their folder ({folder} is none)")
    monkeypatch.setenv("CIMSIM_DATA", str(folder))
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in an empty directory."""
    from cimsim.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return call
