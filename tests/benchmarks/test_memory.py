"""Memory beside inputs and outputs: a few megabytes a thread, whatever the batch."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cimsim.bench import reads
from cimsim.kernels.parts import available_cores


@pytest.mark.parametrize(
    "design", [(reads.EIGHT_BITS, reads.PAIR), (reads.BIT_SERIAL, reads.SLICES)], ids=["one pass", "slices"]
)
@pytest.mark.parametrize("noisy", [False, True], ids=["exact reads", "read noise"])
def test_memory_is_flat_in_the_batch(benchmark: Any, design: tuple[Any, Any], noisy: bool) -> None:
    chip, _ = reads.chip_of_a_layer(*design, noisy=noisy)
    chip.matmul(0, reads.inputs(8))
    held = {batch: _peak(lambda x: chip.matmul(0, x), reads.inputs(batch)) for batch in (1024, 8192)}
    benchmark.extra_info.update({f"bytes, batch {batch}": peak for batch, peak in held.items()})
    benchmark(lambda: None)
    assert held[8192] < 1.5 * held[1024]  # threads need not be at their peaks at once
    assert held[8192] < 4e6 * available_cores()


def _peak(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> int:
    """Most bytes that NumPy held at once beside inputs and outputs."""
    tracemalloc.start()
    try:
        y = run(x)
        return tracemalloc.get_traced_memory()[1] - y.nbytes
    finally:
        tracemalloc.stop()
