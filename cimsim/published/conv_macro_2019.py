"""A 1 Mb macro for convolutions: weights of 3 bits on four single-level cells, 1- or 2-bit inputs, 4-bit results.

Xue et al., ISSCC (2019), 24.1. Current mirrors weigh the columns of the two bits, one sign is subtracted from the other
as a current, and one sense amplifier converts the result for nine word lines, a 3 x 3 kernel, at once. The paper's
accuracy is on CIFAR-10 with a network it does not name, so that those here, on MNIST, stand alone. The resistances of
its cells and how they spread are not given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cimsim import datasets
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices
from cimsim.learning.offchip import train
from cimsim.network.build import Conv, Linear, MaxPool, cnn
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network
from cimsim.published.base import Curve, Effort, Published, Result, Row, mean_accuracy
from device_models.device import Device
from device_models.faults import CellFaults
from device_models.window import Window

WEIGHT_BITS, RESULT_BITS = 3, 4  # both with the sign
ROWS = 9  # word lines on at once
CELLS = 4  # of a weight: two bits of each sign
MODES = {"1-bit inputs": (1, "step"), "2-bit inputs": (2, "relu")}
R_LRS, R_HRS = 10e3, 200e3  # ohm, not given
SPREAD = 0.05  # of resistances from cell to cell, not given
SPREADS = (0.0, 0.05, 0.1, 0.2, 0.4)
RESULTS = (2, 3, 4, 5, 7)
CALIBRATION = 100  # images
PERCENTILE = 98.0  # of activations is the full scale of 2-bit inputs


class Made(NamedTuple):
    """A trained network whose activations lie between 0 and 1, and the bits that they get."""

    net: Network
    bits: int


def network(activation: str, seed: int) -> Network:
    """Two 3 x 3 convolutions and a fully connected layer."""
    pool = MaxPool(kernel=(2, 2))
    first, second = Conv(8, kernel=(3, 3)), Conv(16, kernel=(3, 3))
    return cnn((1, 28, 28), [first, activation, pool, second, activation, pool, Linear(10)], seed=seed)


def spec(input_bits: int, spread: float = SPREAD, result_bits: int | None = RESULT_BITS) -> ChipSpec:
    """The macro, its arrays cut into groups of the word lines that are on at once."""
    window = Window(g_min=1 / R_HRS, g_max=1 / R_LRS, levels=2)
    return ChipSpec(
        device=Device(name="Xue 2019", window=window, faults=CellFaults(spread_g_min=spread, spread_g_max=spread)),
        tile=(ROWS, 256),
        weights=BitSlices(slices=WEIGHT_BITS - 1, bits=1, add="analog"),
        dac=DAC(bits=input_bits, range=(0.0, 1.0)),
        adc=None if result_bits is None else ADC(bits=result_bits),
    )


def with_full_scale_one(net: Network, x: np.ndarray) -> Network:
    """The same ReLU network with weights scaled so that the percentile of every layer's inputs is 1."""
    given, _ = net.activations(x)
    full = [1.0, *(float(np.percentile(v[v > 0], PERCENTILE)) for v in given[1:]), 1.0]
    pairs = zip(net.weighted, full, full[1:], strict=False)
    return net.with_weights([(a.weight * np.float32(s / t), a.bias / np.float32(t)) for a, s, t in pairs])


def mac_error(chip: Chip, x: np.ndarray, bits: int) -> float:
    """Rms error of the first layer's converted products, in units of one input step times one weight step.

    Patches without any ink are left out: they give 0 and no error.
    """
    patches = next(chip.network.weighted[0].vectors(x))
    patches = patches[patches.any(axis=1)]
    exact = chip.with_adc(None).matmul(0, patches)
    step = chip.matrices[0].copies[0].weight_scale / (2 ** (WEIGHT_BITS - 1) - 1) / (2**bits - 1)
    return float(np.sqrt(np.mean((chip.matmul(0, patches) - exact) ** 2)) / step)


def run(effort: Effort) -> Result:
    """Errors of products and accuracy in both modes; accuracy against the spread of cells and the bits of results."""
    sizes = {"train": 1_500, "test": 200} if effort.quick else {"train": 15_000}
    (x, y), test = datasets.load("mnist", **sizes)
    dies = range(effort.seed, effort.seed + (1 if effort.quick else 2))
    made, epochs = dict[str, Made](), 2 if effort.quick else 5
    for mode, (bits, activation) in MODES.items():
        effort.say(f"training for {mode}")
        net = network(activation, effort.seed)
        net = train(net, x, y, seed=effort.seed, epochs=epochs, batch=32, weight_noise=0.1, clip=2.5)
        made[mode] = Made(with_full_scale_one(net, x[:500]) if activation == "relu" else net, bits)

    def measured(mode: str, spread: float = SPREAD, result_bits: int = RESULT_BITS) -> float:
        design, some = spec(made[mode].bits, spread, result_bits), (test[0][:1000], test[1][:1000])
        return mean_accuracy(made[mode].net, design, x[:CALIBRATION], some, dies)

    rows = [row for mode in MODES for row in _rows(mode, made[mode], (x, *test), effort.seed)]
    effort.say("accuracy against spread and the bits of results")
    spreads, results = ((0.0, 0.4), (2, 7)) if effort.quick else (SPREADS, RESULTS)
    by_spread = {mode: (spreads, [measured(mode, spread=s) for s in spreads]) for mode in MODES}
    by_bits = {mode: (results, [measured(mode, result_bits=b) for b in results]) for mode in MODES}
    label = "test accuracy (%)"
    curves = (
        Curve("spread of cells", "relative standard deviation of both states", label, by_spread),
        Curve("sense amplifiers", "bits of a result", label, by_bits),
    )
    return Result("conv-macro-2019", (*_design(), *rows), curves)


def _rows(mode: str, made: Made, data: Sequence[np.ndarray], seed: int) -> tuple[Row, ...]:
    x, x_test, y_test = data
    chip = program(made.net, spec(made.bits), calibrate=x[:CALIBRATION], seed=seed)
    error = mac_error(chip, x_test[:100], made.bits)
    largest = ROWS * (2 ** (WEIGHT_BITS - 1) - 1) * (2**made.bits - 1)
    return (
        Row(f"error of products, {mode}", None, error, "steps", note=f"rms of 4-bit results; products reach {largest}"),
        Row(f"software, {mode}", None, 100 * accuracy(made.net, x_test, y_test), note=_trained(mode)),
        Row(f"test accuracy, {mode}", None, 100 * accuracy(chip, x_test, y_test, seed=seed), note="MNIST"),
    )


def _trained(mode: str) -> str:
    return "float weights, " + ("one-bit activations" if MODES[mode][1] == "step" else "float activations")


def _design() -> tuple[Row, ...]:
    design = spec(1)
    cells = design.weights.analog().shape[1]
    kernel = design.design().tiles((9, 1))
    return (
        Row("cells of a weight", CELLS, cells, "", "given"),
        Row("conversions of a 3 x 3 kernel", 1, kernel * len(design.weights.worths()), "", "given"),
    )


SYSTEM = Published(
    "conv-macro-2019",
    "1 Mb macro, 1-2 bit inputs, 3-bit weights on four SLC cells, 4-bit results",
    "Xue et al., ISSCC (2019), 24.1",
    run,
)
