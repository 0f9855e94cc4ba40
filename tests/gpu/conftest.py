"""What tests on a GPU share: they are skipped, with the reason, where there is none."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _needs_a_gpu() -> None:
    cupy = pytest.importorskip("cupy", reason="needs the extra `gpu`")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"needs a CUDA device: {error}")
