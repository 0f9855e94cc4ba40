"""A whole perceptron on one chip: weights of a few levels on sign-weighted pairs (2T2R), low-bit ramp converters.

Liu et al., ISSCC (2020), 33.2. A converter's count is the train of pulses that drives the next array, so that inputs
have as many bits as converters. Their number is not given: it is fitted to the headline accuracy; more weight levels,
other converters and errors of writing are predicted.

Both cells of a 2T2R weight sit on one source line, to which they send currents of opposite sign; with 1T1R cells each
sign has a source line of its own. Cells of inputs that are 0 are switched off by their transistors, so that the lines
are solved for every input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import DAC, RampADC
from cimsim.crossbar.wires import Wires, node_voltages
from cimsim.learning.offchip import train
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network, mlp
from cimsim.published.base import Curve, Effort, Published, Result, Row, mean_accuracy
from device_models.device import Device
from device_models.programming import SpanError
from device_models.window import Window

SIZES = (784, 100, 10)  # no biases: 158,800 cells are the weights of both signs
CELLS = 158_800
ACCURACY = 94.4  # %
R_HRS, R_LRS = 20e6, 60e3  # ohm, read off roughly
V_READ = 0.2  # volts
WEIGHTS = {"3 levels": 2, "7 levels": 4}  # conductances of a cell behind each
BITS = (2, 3, 4, 5, 6, 8)
FITTED_BITS = 4
WRITE_ERRORS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)  # standard deviation over the window
OHMS = (0.1, 0.3, 1.0, 3.0)  # of a source line, from one weight to the next; not given
OHM = 1.0
COLUMNS = 10  # source lines looked at: they do not touch each other


class Lines(NamedTuple):
    """Currents at the ends of source lines, amperes `(columns,)`, signs subtracted, and the largest voltage on them."""

    currents: np.ndarray
    volts: float


def spec(levels: int, bits: int = FITTED_BITS, write_error: float = 0.0) -> ChipSpec:
    """The chip: each layer one array, trains of pulses as inputs."""
    window = Window(g_min=1 / R_HRS, g_max=1 / R_LRS, levels=levels)
    return ChipSpec(
        device=Device(name="Liu 2020", window=window, programming=SpanError(error=write_error)),
        tile=SIZES[:2],
        v_read=V_READ,
        dac=DAC(bits=bits, encoding="pulse-width"),
        adc=RampADC(bits=bits),
    )


def own_lines(g: np.ndarray, on: np.ndarray, ohm: float) -> Lines:
    """1T1R: the cells `(2, rows, columns)` of each sign on source lines of their own; `on` `(rows,)` says which are."""
    volts = np.stack([node_voltages(one * on[:, None], Wires(bit=ohm), V_READ * on)[1] for one in g])
    plus, minus = volts[:, -1] / ohm
    return Lines(plus - minus, float(volts.max()))


def shared_lines(g: np.ndarray, on: np.ndarray, ohm: float) -> Lines:
    """2T2R: both cells of a weight on one source line, driven up and down; half a segment from one to the other."""
    both = (g * on[:, None]).swapaxes(0, 1).reshape(-1, g.shape[2])
    drive = V_READ * np.repeat(on, 2) * np.tile([1.0, -1.0], len(on))
    volts = node_voltages(both, Wires(bit=ohm / 2), drive)[1]
    return Lines(volts[-1] / (ohm / 2), float(np.abs(volts).max()))


def run(effort: Effort) -> Result:
    """Accuracy against converters, weight levels and errors of writing; source lines of both kinds of cell."""
    sizes = {"train": 12_000, "test": 1_000} if effort.quick else {}
    (x, y), (x_test, y_test) = datasets.load("mnist", **sizes)
    effort.say("training with noise on the weights, so that few levels do")
    epochs, net = 2 if effort.quick else 10, mlp(SIZES, bias=False, seed=effort.seed)
    net = train(net, x, y, seed=effort.seed, epochs=epochs, batch=128, weight_noise=0.2, clip=2.0)
    dies = range(effort.seed, effort.seed + (1 if effort.quick else 5))

    def measured(levels: int, bits: int = FITTED_BITS, write_error: float = 0.0) -> float:
        return mean_accuracy(net, spec(levels, bits, write_error), x[:512], (x_test, y_test), dies)

    effort.say("accuracy against converters and errors of writing")
    bits, errors = ((FITTED_BITS, 8), (0.0, 0.3)) if effort.quick else (BITS, WRITE_ERRORS)
    by_bits = {name: {b: measured(k, b) for b in bits} for name, k in WEIGHTS.items()}
    by_error = {name: {100 * e: measured(k, write_error=e) for e in errors} for name, k in WEIGHTS.items()}
    effort.say("source lines")
    ohms = (OHM,) if effort.quick else OHMS
    images = (x_test[: 2 if effort.quick else 10] > 0.5).astype(np.float64)
    lines = {ohm: source_lines(net, images, ohm) for ohm in ohms}
    found = 100 * accuracy(net, x_test, y_test), by_bits
    return Result("mlp-chip-2020", (*_rows(net, *found), *_line_rows(lines[OHM])), _curves(by_bits, by_error, lines))


def source_lines(net: Network, images: np.ndarray, ohm: float) -> dict[str, tuple[float, float]]:
    """By kind of cell: error of products of 3-level weights (rms over rms), and the largest voltage on a line."""
    (matrix,) = program(net, spec(WEIGHTS["3 levels"]), calibrate=images).matrices[0].copies
    g = matrix.tiles[0, 0].cells.g[:, :, :COLUMNS]
    exact = V_READ * images @ (g[0] - g[1])
    found = {}
    for name, solve in (("1T1R", own_lines), ("2T2R", shared_lines)):
        lines = [solve(g, on, ohm) for on in images]
        error = np.stack([line.currents for line in lines]) - exact
        found[name] = float(np.sqrt(np.mean(error**2) / np.mean(exact**2))), max(line.volts for line in lines)
    return found


def _rows(net: Network, software: float, by_bits: dict[str, dict[int, float]]) -> tuple[Row, ...]:
    matrices = program(net, spec(2), calibrate=np.ones((1, SIZES[0]))).matrices
    cells = sum(tile.cells.g.size for matrix in matrices for tile in matrix.copies[0].tiles.values())
    note = f"by the bits of converters and inputs: {FITTED_BITS}"
    return (
        Row("cells", CELLS, cells, "", "given"),
        Row("test accuracy, 3-level weights", ACCURACY, by_bits["3 levels"][FITTED_BITS], "%", "fitted", note),
        Row("test accuracy, 7-level weights", None, by_bits["7 levels"][FITTED_BITS], note="the same converters"),
        Row("3-level weights, 8-bit converters", None, by_bits["3 levels"][8]),
        Row("7-level weights, 8-bit converters", None, by_bits["7 levels"][8]),
        Row("software", None, software, note="784-100-10 without biases, trained with noise on its weights"),
    )


def _line_rows(lines: dict[str, tuple[float, float]]) -> tuple[Row, ...]:
    (own, own_volts), (shared, shared_volts) = lines["1T1R"], lines["2T2R"]
    note = f"{OHM:g} ohm from weight to weight is assumed"
    equal = "equal to first order: the error is r (Q(G+) - Q(G-)) either way, Q a quadratic form"
    return (
        Row("largest voltage on a source line, 1T1R", None, own_volts * 1e3, "mV", note=note),
        Row("largest voltage on a source line, 2T2R", None, shared_volts * 1e3, "mV", note=note),
        Row("error of products by source lines, 1T1R", None, 100 * own, "% of rms", note=note),
        Row("error of products by source lines, 2T2R", None, 100 * shared, "% of rms", note=equal),
    )


def _curves(
    by_bits: dict[str, dict[int, float]],
    by_error: dict[str, dict[float, float]],
    lines: dict[float, dict[str, tuple[float, float]]],
) -> tuple[Curve, ...]:
    label, segment = "test accuracy (%)", "source line (ohm from weight to weight)"
    bits = {name: (tuple(found), tuple(found.values())) for name, found in by_bits.items()}
    errors = {name: (tuple(found), tuple(found.values())) for name, found in by_error.items()}
    volts = {name: (tuple(lines), [1e3 * found[name][1] for found in lines.values()]) for name in ("1T1R", "2T2R")}
    products = {name: (tuple(lines), [100 * found[name][0] for found in lines.values()]) for name in ("1T1R", "2T2R")}
    return (
        Curve("converters", "bits", label, bits, {"3 levels": ([FITTED_BITS], [ACCURACY])}),
        Curve("writing", "standard deviation (% of the window)", label, errors),
        Curve("source lines, voltage", segment, "largest voltage (mV)", volts),
        Curve("source lines, products", segment, "error (%)", products),
    )


SYSTEM = Published(
    "mlp-chip-2020",
    "784-100-10 on one chip, sign-weighted 2T2R, low-bit ramp ADC",
    "Liu et al., ISSCC (2020), 33.2",
    run,
)
