"""A perceptron with one-bit activations on a 4 M cell ReRAM macro: sense amplifiers compare pairs of bit lines.

Mochida et al., VLSI Technology (2018). The error of writing is the paper's, of its 180 nm cells; how the network was
trained, how thresholds are set, the offset of the amplifiers and how ten one-bit outputs name a digit are not given.
Nothing is fitted: two ways of naming the digit are shown, and what offsets would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cimsim import datasets
from cimsim.chip import ChipSpec
from cimsim.crossbar.integrate import Integrate
from cimsim.crossbar.mapping import DifferentialPair
from cimsim.learning.offchip import train
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense, Heaviside
from cimsim.network.network import Network, mlp
from cimsim.published.base import Curve, Effort, Published, Result, Row, mean_accuracy
from device_models.device import Device
from device_models.programming import SpanError
from device_models.window import Window

SIZES = (196, 64, 10)
ACCURACY = 90.8  # %
RANGE = 30e-6  # amperes: linear range of a cell's current
WRITE_ERROR = 0.59e-6  # amperes, standard deviation of a written current
V_READ = 0.3  # volts, not given: currents are all that counts
G_MIN = 1e-6  # siemens, not given
BIAS_LINES = 8  # word lines that are always on, in place of thresholds; not given
OFFSETS = (0.0, 2e-6, 5e-6, 10e-6, 20e-6, 40e-6, 80e-6)  # amperes, standard deviation over sense amplifiers
WRITE_ERRORS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # of the range


def images(x: np.ndarray) -> np.ndarray:
    """MNIST as black and white images of 14 x 14 pixels, `(n, 196)`: means of four pixels against one half."""
    return np.asarray(datasets.shrink(x, (28, 28), (14, 14)) > 0.5, np.float32)


def with_bias_lines(net: Network) -> Network:
    """The same function of one-bit inputs without digital biases: as weights of lines that are always on.

    Inputs get `BIAS_LINES` ones behind them, and the hidden layer as many neurons that always fire.
    """
    hidden, last = net.weighted
    firing = np.zeros((hidden.n_in + BIAS_LINES, BIAS_LINES))
    firing[hidden.n_in :] = np.abs(hidden.weight).max()
    first = np.hstack([_with_lines(hidden.weight, hidden.bias), firing])
    second = _with_lines(last.weight, last.bias)
    made = iter(Dense(w, np.zeros(w.shape[1])) for w in (first.astype(np.float32), second))
    return Network(tuple(next(made) if isinstance(layer, Dense) else layer for layer in net.layers))


def _with_lines(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.vstack([weight, np.tile(bias / BIAS_LINES, (BIAS_LINES, 1))])


def spec(write_error: float = WRITE_ERROR / RANGE, offset: float = 0.0) -> ChipSpec:
    """The macro: a matrix is one array, the pair's currents meet in a sense amplifier with an offset in amperes."""
    window = Window(g_min=G_MIN, g_max=G_MIN + RANGE / V_READ)
    device = Device(name="Mochida 2018", window=window, programming=SpanError(error=write_error))
    return ChipSpec(
        device=device,
        tile=(256, 128),
        weights=DifferentialPair(),
        v_read=V_READ,
        neurons=Integrate(offset_spread=offset),
    )


def networks(x: np.ndarray, y: np.ndarray, effort: Effort) -> tuple[Network, Network]:
    """Trained networks: one whose digit is the largest of ten currents, one whose ten outputs are bits.

    Of several bits that are set the first names the digit.
    """
    net = mlp(SIZES, activation="step", seed=effort.seed)
    epochs, found = 3 if effort.quick else 20, list[Network]()
    for layers in (net.layers, (*net.layers, Heaviside())):
        effort.say(f"training the network with {'bits' if found else 'currents'} as outputs")
        found.append(
            train(Network(layers), x, y, seed=effort.seed, epochs=epochs, batch=64, weight_noise=0.02, clip=3.0)
        )
    return found[0], found[1]


def run(effort: Effort) -> Result:
    """Accuracy as designed, and against the offsets of sense amplifiers and the error of writing."""
    sizes = {"train": 12_000, "test": 2_000} if effort.quick else {}
    (x, y), (x_test, y_test) = datasets.load("mnist", **sizes)
    x, x_test = images(x), images(x_test)
    by_current, by_bits = networks(x, y, effort)
    lined = np.hstack([x_test, np.ones((len(x_test), BIAS_LINES), np.float32)])
    dies = range(effort.seed, effort.seed + (1 if effort.quick else 10))

    def measured(net: Network, design: ChipSpec) -> float:
        return mean_accuracy(with_bias_lines(net), design, None, (lined, y_test), dies)

    def swept(designs: Sequence[ChipSpec]) -> dict[str, list[float]]:
        effort.say(f"{len(designs)} designs on {len(dies)} dies each")
        nets = {"digit by currents": by_current, "digit by bits": by_bits}
        return {name: [measured(net, design) for design in designs] for name, net in nets.items()}

    software = [100 * accuracy(net, x_test, y_test) for net in (by_current, by_bits)]
    chips = [measured(net, spec()) for net in (by_current, by_bits)]
    errors = swept([spec(write_error=e) for e in WRITE_ERRORS])
    offsets = swept([spec(offset=o) for o in OFFSETS])
    return Result("mlp-macro-2018", _rows(software, chips), _curves(errors, offsets))


def _rows(software: Sequence[float], chips: Sequence[float]) -> tuple[Row, ...]:
    cells = 2 * sum(a * b for a, b in pairwise(SIZES))
    return (
        Row("test accuracy, digit by largest current", ACCURACY, chips[0], note="written with the paper's error"),
        Row("test accuracy, digit by one-bit outputs", ACCURACY, chips[1], note="the first of several set bits"),
        Row("software, one-bit activations, currents", None, software[0], note="training is not given"),
        Row("software, one-bit outputs", None, software[1]),
        Row("cells of the network's weights", None, cells, "", "given", "of 4 M; lines for thresholds apart"),
    )


def _curves(errors: dict[str, list[float]], offsets: dict[str, list[float]]) -> tuple[Curve, ...]:
    label, paper = "test accuracy (%)", {"chip": ([100 * WRITE_ERROR / RANGE], [ACCURACY])}
    written = {name: ([100 * e for e in WRITE_ERRORS], found) for name, found in errors.items()}
    sensed = {name: ([o * 1e6 for o in OFFSETS], found) for name, found in offsets.items()}
    return (
        Curve("error of writing", "standard deviation (% of the range)", label, written, paper),
        Curve("offset of sense amplifiers", "standard deviation (uA)", label, sensed),
    )


SYSTEM = Published(
    "mlp-macro-2018",
    "40 nm ReRAM macro, 196-64-10 with one-bit activations",
    "Mochida et al., VLSI Technology (2018)",
    run,
)
