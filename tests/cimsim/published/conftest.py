"""What the tests of published systems share: MNIST, for as long as a module's tests take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def mnist_here() -> Iterator[None]:
    """Real data as the fixture `real_data` finds them, for results that a module's tests share."""
    given = os.environ.get("CIMSIM_DATA")
    folder = Path(given or Path(__file__).parents[4] / "shared" / "data")
    if not folder.is_dir():
        refuse = pytest.fail if given else pytest.skip
        refuse(f"needs real data: set CIMSIM_DATA to their folder ({folder} is none)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIMSIM_DATA", str(folder))
        yield
