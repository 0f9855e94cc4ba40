"""PRIME: weights and inputs composed of coarse cells and drivers in the mats of a ReRAM main memory.

Chi et al., ISCA (2016), a design study: 8-bit weights on pairs of 4-bit cells, 6-bit inputs in two passes of 3 bits,
6-bit sense amplifiers. As in the paper, cells are written exactly and wires have no resistance. The paper keeps fewer
bits of the lower partial products; here every partial product is converted by the same amplifiers. Its accuracies on
MNIST are not given per network, so that those here stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices
from cimsim.learning.offchip import train
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense
from cimsim.network.network import Network, mlp
from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window

MLPS = {"MLP-S": (784, 500, 250, 10), "MLP-M": (784, 1000, 500, 250, 10), "MLP-L": (784, 1500, 1000, 500, 10)}
CNNS = {  # matrices: a 5 x 5 convolution to 5 channels, or 7 x 7 to 10, then fully connected layers
    "CNN-1": ((25, 5), (720, 70), (70, 10)),
    "CNN-2": ((49, 10), (1210, 120), (120, 10)),
}
MAT = (256, 256)  # cells
CELL_BITS, DRIVER_BITS = 4, 3
WEIGHT_BITS, INPUT_BITS, OUTPUT_BITS = 8, 6, 6
R_ON, R_OFF = 1e3, 20e3  # ohm, Pt/TiO2-x/Pt
EXAMPLE, EXAMPLE_MATS = (512, 512), 4  # one cell a weight, one sign
UTILISATION = 39.8  # %, mean of the five networks before replication


def spec(
    weight_bits: int = WEIGHT_BITS, input_bits: int = INPUT_BITS, output_bits: int | None = OUTPUT_BITS
) -> ChipSpec:
    """The mats; weights of 4 bits or fewer need one cell, inputs of 3 bits or fewer one pass."""
    slices = -(-weight_bits // CELL_BITS)
    window = Window(g_min=1 / R_OFF, g_max=1 / R_ON, levels=2**CELL_BITS)
    return ChipSpec(
        device=Device(name="PRIME 2016", window=window),
        tile=MAT,
        weights=BitSlices(slices=slices, bits=weight_bits // slices),
        dac=DAC(bits=input_bits, slice_bits=min(input_bits, DRIVER_BITS)),
        adc=None if output_bits is None else ADC(bits=output_bits, per="tile"),
    )


def composed_wrongly(seed: int, rows: int = 256, columns: int = 64) -> float:
    """Share of products of random 8-bit weights and 6-bit inputs that differ from whole-number arithmetic."""
    rng = Streams(seed).at("prime").rng("weights and inputs")
    top, full = 2**WEIGHT_BITS - 1, 2**INPUT_BITS - 1
    w, x = rng.integers(-top, top + 1, (rows, columns)), rng.integers(0, full + 1, (100, rows))
    w[0, 0], x[0, 0] = top, full  # so that codes are whole numbers themselves
    net = Network((Dense(w.astype(np.float32), np.zeros(columns)),))
    chip = program(net, spec(output_bits=None), calibrate=x)
    return float(np.mean(np.rint(chip.matmul(0, x)) != x @ w))


def mats(shapes: Sequence[tuple[int, int]], design: ChipSpec) -> tuple[int, float]:
    """Mats that matrices of these shapes take, signs and slices included, and the share of their cells in use."""
    each = len(design.weights.analog()[0])
    tiles = sum(design.design().tiles(shape) for shape in shapes)
    return tiles * each, sum(a * b for a, b in shapes) / (tiles * MAT[0] * MAT[1])


def run(effort: Effort) -> Result:
    """Exactness, accuracy of the three perceptrons, mats; accuracy against the bits of each part."""
    sizes = {"train": 6_000, "test": 500} if effort.quick else {}
    (x, y), (x_test, y_test) = datasets.load("mnist", **sizes)
    rows, small = list[Row](), None
    for name in ("MLP-S",) if effort.quick else MLPS:
        effort.say(f"training {name}")
        net = train(
            mlp(MLPS[name], seed=effort.seed), x, y, epochs=1 if effort.quick else 3, batch=128, learning_rate=2e-3
        )
        small = small or net
        rows += _accuracies(name, net, x[:256], (x_test, y_test))

    def measured(**bits: int) -> float:
        assert small is not None
        chip = program(small, spec(**bits), calibrate=x[:256])
        return 100 * accuracy(chip, x_test[:2000], y_test[:2000])

    effort.say("MLP-S against the bits of each part")
    return Result("prime-2016", (*_exact(effort.seed), *rows, *_mats()), _curves(measured, quick=effort.quick))


def _accuracies(name: str, net: Network, reference: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> tuple[Row, Row]:
    chip = program(net, spec(), calibrate=reference)
    found = [100 * accuracy(model, *test) for model in (net, chip)]
    return Row(f"{name}, software", None, found[0]), Row(f"{name}, in mats", None, found[1], note="8, 6 and 6 bits")


def _exact(seed: int) -> tuple[Row, ...]:
    note = "8-bit weights, 6-bit inputs, 256 rows, before any amplifier"
    return (
        Row("composed products that are not exact", 0.0, 100 * composed_wrongly(seed), "% of products", "given", note),
    )


def _mats() -> tuple[Row, ...]:
    single = spec(weight_bits=CELL_BITS)
    shapes = {name: tuple(pairwise(sizes)) for name, sizes in MLPS.items()}
    counted = [Row(f"mats of {name}", None, mats(shapes[name], spec())[0], "") for name in MLPS]
    used = [mats(matrices, spec())[1] for matrices in (*shapes.values(), *CNNS.values())]
    return (
        Row("mats of a 512 x 512 matrix", EXAMPLE_MATS, mats([EXAMPLE], single)[0] / 2, "", "given", "of each sign"),
        *counted,
        Row(
            "cells in use, mean of five networks",
            UTILISATION,
            100 * float(np.mean(used)),
            "% of cells",
            note="of the mats taken; what the paper divides by is open",
        ),
    )


def _curves(measured: Callable[..., float], *, quick: bool) -> tuple[Curve, ...]:
    label, weight_bits = "MLP-S, test accuracy (%)", (2, 8) if quick else (2, 3, 4, 6, 8)
    drivers = (INPUT_BITS,) if quick else (DRIVER_BITS, INPUT_BITS)
    weights = {
        f"{k}-bit inputs": (weight_bits, [measured(weight_bits=b, input_bits=k) for b in weight_bits]) for k in drivers
    }
    outputs = (3, 6) if quick else (3, 4, 5, 6, 7, 8)
    return (
        Curve("weights and inputs", "bits of a weight", label, weights),
        Curve(
            "sense amplifiers",
            "bits of an amplifier",
            label,
            {"8-bit weights, 6-bit inputs": (outputs, [measured(output_bits=b) for b in outputs])},
        ),
    )


SYSTEM = Published(
    "prime-2016",
    "PRIME, 8-bit weights and 6-bit inputs composed of 4-bit cells and 3-bit drivers",
    "Chi et al., ISCA (2016)",
    run,
)
