"""Noise, conversion, shift and add against the bare float32 matrix products of the same shapes, on the same cores.

The reference of A and C is one product per tile; that of B one per tile, input bit and slice.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.kernels.parts import available_cores

SIZE, BATCH, TILE = 512, 1024, 128
SLICES, BITS = cim.BitSlices(slices=4, bits=2), 8
A: dict[str, Any] = {"dac": cim.DAC(bits=8), "adc": cim.ADC(bits=8)}
B: dict[str, Any] = {"dac": cim.DAC(bits=BITS, slice_bits=1), "adc": cim.ADC(bits=8), "weights": SLICES}
C: dict[str, Any] = A | {"wires": cim.Wires(word=1.0, bit=1.0)}
READS = pytest.mark.parametrize("read_noise", [None, 0.02], ids=["exact-reads", "read-noise"])


def device(read_noise: float | None) -> dm.Device:
    noise = None if read_noise is None else dm.read_noise.ProportionalNoise(relative=read_noise)
    window = dm.Window(g_min=5e-6, g_max=100e-6)
    return dm.Device(name="bench", window=window, programming=dm.programming.SpanError(error=0.02), read_noise=noise)


def inputs(batch: int = BATCH) -> np.ndarray:
    return np.random.default_rng(0).random((batch, SIZE), dtype=np.float32)


def made(design: dict[str, Any], read_noise: float | None) -> cim.Chip:
    spec = cim.ChipSpec(device=device(read_noise), tile=(TILE, TILE), **design)
    return cim.program(cim.mlp([SIZE, SIZE], seed=1), spec, calibrate=inputs(128))


def products(times: int = 1) -> Callable[[], Any]:
    """The float32 products of every tile, `times` over."""
    x, w = inputs(), np.random.default_rng(1).standard_normal((SIZE, SIZE), dtype=np.float32)
    cuts = [slice(start, start + TILE) for start in range(0, SIZE, TILE)]
    parts = [(x[:, rows], np.ascontiguousarray(w[rows, columns])) for rows in cuts for columns in cuts]
    return lambda: [v @ g for _ in range(times) for v, g in parts]


@READS
def test_a_8_bit_converters(ratio: Any, read_noise: float | None) -> None:
    chip, x = made(A, read_noise), inputs()
    assert ratio(lambda: chip.matmul(0, x), products(), of="16 products") < (2 if read_noise is None else 4)


@READS
def test_b_slices_of_inputs_and_weights(ratio: Any, read_noise: float | None) -> None:
    chip, x = made(B, read_noise), inputs()
    times = BITS * SLICES.slices
    found = ratio(lambda: chip.matmul(0, x), products(times), rounds=5, of="16 x 32 products")
    assert found < (2.5 if read_noise is None else 4)


@READS
def test_c_wires_cost_no_more_than_a(ratio: Any, read_noise: float | None) -> None:
    wired, plain, x = made(C, read_noise), made(A, read_noise), inputs()
    assert ratio(lambda: wired.matmul(0, x), lambda: plain.matmul(0, x), rounds=41, of="A") < 1.05


@pytest.mark.parametrize("design", [A, B], ids=["A", "B"])
@READS
def test_memory_beside_the_outputs_is_flat_in_the_batch(design: dict[str, Any], read_noise: float | None) -> None:
    chip = made(design, read_noise)
    chip.matmul(0, inputs(8))
    held = {batch: _peak(lambda x: chip.matmul(0, x), inputs(batch)) for batch in (1024, 8192)}
    assert held[8192] < 1.5 * held[1024]  # threads need not be at their peaks at once
    assert held[8192] < 4e6 * available_cores()  # bytes: blocks of 256 samples


def _peak(run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> int:
    """Most bytes that NumPy held at once beside inputs and outputs."""
    tracemalloc.start()
    try:
        y = run(x)
        return tracemalloc.get_traced_memory()[1] - y.nbytes
    finally:
        tracemalloc.stop()
