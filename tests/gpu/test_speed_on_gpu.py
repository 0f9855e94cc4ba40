"""Benchmark D: seconds on a CUDA device, and the share of its measured matrix-product rate. Run by `make gpu`.

Nothing is judged: figures are printed, and recorded with the benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cimsim.backend import to_device
from cimsim.bench import reads
from cimsim.bench.wires import WIRES, cells
from cimsim.crossbar.wires import effective_conductance

pytestmark = pytest.mark.gpu

SIDE, BATCH = 8192, 65_536


def seconds(run: Callable[[], Any], rounds: int = 5) -> float:
    """Median seconds of a run, until the device has done its work."""
    import cupy

    run()
    times = []
    for _ in range(rounds):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        run()
        cupy.cuda.Device().synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def record(benchmark: Any, **figures: float) -> None:
    benchmark.extra_info.update(figures)
    benchmark(lambda: None)
    print(", ".join(f"{name} {value:.4g}" for name, value in figures.items()))


@pytest.fixture(scope="module")
def rate() -> float:
    """Floating-point operations per second of a large float32 product, as the library does it."""
    x = to_device(np.ones((SIDE, SIDE), np.float32), "cupy")
    return 2 * SIDE**3 / seconds(lambda: x @ x)


@pytest.mark.parametrize("noisy", [False, True], ids=["exact reads", "read noise"])
@pytest.mark.parametrize(
    ("dac", "weights", "products"),
    [(reads.EIGHT_BITS, reads.PAIR, 1), (reads.BIT_SERIAL, reads.SLICES, 32)],
    ids=["one pass", "slices"],
)
def test_reads_of_a_layer(benchmark: Any, rate: float, dac: Any, weights: Any, products: int, noisy: bool) -> None:
    chip, _ = reads.chip_of_a_layer(dac, weights, noisy=noisy)
    there, x = chip.to("cupy"), to_device(reads.inputs(BATCH), "cupy")
    took = seconds(lambda: there.matmul(0, x))
    work = 2 * BATCH * reads.SIZE**2 * products  # of the first product alone: noise takes a second one
    record(benchmark, seconds=took, rate=rate, share_of_rate=work / took / rate)


def test_wires_of_ten_thousand_tiles_in_one_batch(benchmark: Any) -> None:
    g = np.tile(to_device(cells(8, 128, 128), "cupy"), (1250, 1, 1))
    took = seconds(lambda: effective_conductance(g, WIRES), rounds=1)
    record(benchmark, seconds=took, arrays_per_second=len(g) / took)
