"""What every test shares: no display, repeatable hypothesis examples, the real data sets, the benchmarks' marker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["MPLBACKEND"] = "Agg"

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

TESTS = Path(__file__).parent


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
