"""The cases of `cimsim bench`: their ratios are recorded, not judged, for they hang on what else the machine does."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from cimsim import bench
from cimsim.bench.wires import WIRES, cells, one_array
from cimsim.crossbar.wires import effective_conductance


@pytest.mark.parametrize("case", list(bench.cases()), ids=lambda case: case.name)
def test_ratio(ratio: Any, case: bench.Case) -> None:
    ratio.of(case)


def test_ratio_of_a_large_array(ratio: Any) -> None:
    ratio.of(bench.Case("wires of a 512 x 512 array", "a sparse LU of its nodes", partial(one_array, 512), rounds=1))


def test_growth_of_time_with_the_side_of_an_array(benchmark: Any) -> None:
    sides = (128, 256, 512, 1024)
    seconds = [min(_seconds(cells(n, n)) for _ in range(2)) for n in sides]
    benchmark.extra_info.update({f"{n} x {n}, s": t for n, t in zip(sides, seconds, strict=True)})
    benchmark.extra_info["power"] = float(np.polyfit(np.log(sides), np.log(seconds), 1)[0])
    benchmark(lambda: None)


def _seconds(g: np.ndarray) -> float:
    start = time.perf_counter()
    effective_conductance(g, WIRES)
    return time.perf_counter() - start
