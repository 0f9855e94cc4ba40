"""The wire solver on a CUDA device against the host. Run by `make gpu` where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cimsim.backend import backend_name, to_device, to_host
from cimsim.crossbar.wires import Wires, effective_conductance
from device_models.streams import Streams

pytestmark = pytest.mark.gpu

ALL = Wires(word=1.0, bit=2.0, source=50.0, sense=20.0)


@pytest.mark.parametrize(
    "wires", [ALL, ALL.replace(drive="both"), Wires(word=1.0, sense=9.0), Wires(bit=1.0), Wires(sense=9.0)]
)
@pytest.mark.parametrize("shape", [(1, 1), (3, 100, 37), (2, 128, 128)])
def test_effective_conductance_agrees(shape: tuple[int, ...], wires: Any) -> None:
    g = Streams(seed=1).rng("cells").uniform(1e-7, 1e-4, shape)
    there = effective_conductance(to_device(g, "cupy"), wires)
    assert backend_name(there) == "cupy"
    np.testing.assert_allclose(to_host(there), effective_conductance(g, wires), rtol=1e-11)


def test_ten_thousand_tiles_of_128x128_in_one_call() -> None:
    few = Streams(seed=2).rng("cells").uniform(1e-6, 1e-4, (8, 128, 128))
    there = effective_conductance(np.tile(to_device(few, "cupy"), (1250, 1, 1)), ALL)
    assert there.shape == (10_000, 128, 128)
    expected = effective_conductance(few, ALL)
    for start in (0, 4992, 9992):
        np.testing.assert_allclose(to_host(there[start : start + 8]), expected, rtol=1e-11)
