"""Reads through tiles against the bare float32 matrix products of the same shapes.

The products of sliced weights and inputs are one for each tile, slice and pass; those of a pair read by one ADC, one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from cimsim.bench.timing import Case, Run
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair
from cimsim.crossbar.matrix import cuts
from cimsim.crossbar.wires import Wires
from cimsim.network.build import Conv, Linear, MaxPool, cnn
from cimsim.network.network import Network, mlp
from device_models.device import Device
from device_models.programming import SpanError
from device_models.read_noise import ProportionalNoise
from device_models.streams import Streams
from device_models.window import Window

SIZE, BATCH, TILE = 512, 1024, 128
EIGHT_BITS, BIT_SERIAL = DAC(bits=8), DAC(bits=8, slice_bits=1)
PAIR, SLICES = DifferentialPair(), BitSlices(slices=4, bits=2)
WIRES = Wires(word=1.0, bit=1.0)


def cases() -> Iterator[Case]:
    """One layer in several designs, and whole networks; without read noise and with it."""
    for noisy in (False, True):
        reads = "read noise" if noisy else "exact reads"
        tiles, a = "the products of its tiles", f"512 x 512, batch 1024, 8-bit converters, {reads}"
        yield Case(a, tiles, partial(layer, noisy=noisy))
        yield Case(f"the same with wires of 1 ohm, {reads}", "without wires", partial(wired, noisy=noisy), rounds=31)
        b = f"4 slices of 2 bits, 8 one-bit passes, {reads}"
        yield Case(b, "its 32 products", partial(layer, BIT_SERIAL, SLICES, noisy=noisy, times=32), rounds=5)
        perceptron = partial(network, mlp([784, 128, 10], seed=0), 10_000, EIGHT_BITS, noisy=noisy)
        yield Case(f"784-128-10, 10,000 inputs, 8-bit converters, {reads}", "its products", perceptron, rounds=5)
        serial = partial(network, five_layers(), 1000, BIT_SERIAL, noisy=noisy, times=8)
        yield Case(f"CNN of 5 layers, 1,000 images, 8 one-bit passes, {reads}", "its 8 x 3 products", serial, rounds=5)


def layer(
    dac: DAC = EIGHT_BITS, weights: DifferentialPair | BitSlices = PAIR, *, noisy: bool, times: int = 1
) -> tuple[Run, Run]:
    """One layer through 128 x 128 tiles, against the product of every tile, `times` over."""
    chip, x = chip_of_a_layer(dac, weights, noisy=noisy)
    return partial(chip.matmul, 0, x), products(chip.network.weights[0], x, times)


def wired(*, noisy: bool) -> tuple[Run, Run]:
    """One layer behind wires, against the same layer without."""
    there, x = chip_of_a_layer(wires=WIRES, noisy=noisy)
    here, _ = chip_of_a_layer(noisy=noisy)
    return partial(there.matmul, 0, x), partial(here.matmul, 0, x)


def network(net: Network, n: int, dac: DAC, *, noisy: bool, times: int = 1) -> tuple[Run, Run]:
    """Labels of `n` inputs by a network on a chip, against the product of every layer, `times` over."""
    x = Streams(0).rng("inputs").random((n, net.n_in), dtype=np.float32)
    spec = ChipSpec(device=device(noisy=noisy), dac=dac, adc=ADC(bits=8))
    chip = program(net, spec, calibrate=x[:32])
    given, _ = net.activations(x)
    return partial(chip.predict, x), _all_of(list(zip(given, net.weights, strict=True)), times)


def chip_of_a_layer(
    dac: DAC = EIGHT_BITS,
    weights: DifferentialPair | BitSlices = PAIR,
    *,
    noisy: bool,
    wires: Wires | None = None,
) -> tuple[Chip, np.ndarray]:
    """A chip of one layer, calibrated, and inputs for it."""
    x = inputs(BATCH)
    spec = ChipSpec(device=device(noisy=noisy), tile=(TILE, TILE), dac=dac, adc=ADC(bits=8), wires=wires,
                    weights=weights)  # fmt: skip
    return program(mlp([SIZE, SIZE], seed=0), spec, calibrate=x[:64]), x


def device(*, noisy: bool) -> Device:
    """A cell with a programming error, and with read noise or without."""
    noise = ProportionalNoise(relative=0.02) if noisy else None
    window = Window(g_min=5e-6, g_max=100e-6)
    return Device(name="bench", window=window, programming=SpanError(error=0.02), read_noise=noise)


def five_layers() -> Network:
    """The CNN of Yao et al., Nature 577, 641 (2020)."""
    first, second = MaxPool(kernel=(3, 3), ceil=True), MaxPool(kernel=(2, 2), ceil=True)
    return cnn(
        (1, 28, 28),
        [
            Conv(channels=8, kernel=(3, 3)),
            "relu",
            first,
            Conv(channels=12, kernel=(3, 3)),
            "relu",
            second,
            Linear(outputs=10),
        ],
    )


def inputs(batch: int) -> np.ndarray:
    """Inputs of one layer, 0 to 1."""
    return Streams(0).rng("inputs").random((batch, SIZE), dtype=np.float32)


def products(w: np.ndarray, x: np.ndarray, times: int = 1) -> Run:
    """The float32 product of every tile, `times` over."""
    tiles = [(np.ascontiguousarray(x[:, rows]), np.ascontiguousarray(w[rows, columns]))
             for rows in cuts(w.shape[0], TILE) for columns in cuts(w.shape[1], TILE)]  # fmt: skip
    return _all_of(tiles, times)


def _all_of(factors: list[tuple[np.ndarray, np.ndarray]], times: int) -> Run:
    """Products into arrays that are used again: new memory for each could cost as much as the product."""
    results = {(len(v), w.shape[1]): np.empty((len(v), w.shape[1]), np.float32) for v, w in factors}

    def run() -> None:
        for _ in range(times):
            for v, w in factors:
                np.matmul(v, w, out=results[len(v), w.shape[1]])

    return run
