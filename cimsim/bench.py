"""The speed of this machine in ratios: each run timed by turns with its reference in the same process.

A ratio holds from machine to machine where seconds do not: a bare matrix product, a sparse LU or NumPy's normal
deviates are slow where cimsim is slow.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair
from cimsim.crossbar.matrix import cuts
from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.network.network import Network, mlp
from device_models.device import Device
from device_models.programming import SpanError, VerifyLoop
from device_models.read_noise import ProportionalNoise
from device_models.streams import Streams
from device_models.update import ExponentialUpdate
from device_models.window import Window

Run = Callable[[], Any]
WINDOW = Window(g_min=5e-6, g_max=100e-6)
SIZE, BATCH, TILE = 512, 1024, 128
CELLS, PULSES = 1_000_000, 100


class Case(NamedTuple):
    """A run, its reference `of`, and how often both are timed."""

    name: str
    of: str
    run: Run
    reference: Run
    rounds: int = 11


class Timing(NamedTuple):
    """Median seconds of run and reference, and the ratio of the two."""

    name: str
    of: str
    seconds: float
    reference: float
    ratio: float


def timed(case: Case) -> Timing:
    """Time a case and its reference by turns, so that a busy spell of the machine meets both."""
    case.run(), case.reference()
    times = np.array([[_seconds(f) for f in (case.run, case.reference)] for _ in range(case.rounds)])
    mine, theirs = (float(t) for t in np.median(times, axis=0))
    return Timing(case.name, case.of, mine, theirs, mine / theirs)


def cases() -> Iterator[Case]:
    """Every case, made when it is asked for."""
    for noisy in (False, True):
        reads = "read noise" if noisy else "exact reads"
        yield inference(f"512 x 512, batch 1024, 8-bit converters, {reads}", noisy=noisy)
        yield inference(f"the same with wires of 1 ohm, {reads}", noisy=noisy, wires=Wires(word=1.0, bit=1.0))
        yield bit_serial(f"4 slices of 2 bits, 8 one-bit passes, {reads}", noisy=noisy)
    yield from map(wires, (128, 256))
    yield verify()
    yield pulses()


def device(*, noisy: bool) -> Device:
    """A cell with a programming error, and with read noise or without."""
    noise = ProportionalNoise(relative=0.02) if noisy else None
    return Device(name="bench", window=WINDOW, programming=SpanError(error=0.02), read_noise=noise)


def inference(name: str, *, noisy: bool, wires: Wires | None = None) -> Case:
    """One layer through 128 x 128 tiles, against the products of the same shapes in float32."""
    net, x = _layer()
    spec = ChipSpec(device=device(noisy=noisy), tile=(TILE, TILE), dac=DAC(bits=8), adc=ADC(bits=8), wires=wires,
                    weights=DifferentialPair())  # fmt: skip
    chip = program(net, spec, calibrate=x[:64])
    return Case(name, "the products of its tiles", lambda: chip.matmul(0, x), products(net.weights[0], x))


def bit_serial(name: str, *, noisy: bool) -> Case:
    """The layer in 4 slices of 2 bits with 8 one-bit passes, against its 32 products."""
    net, x = _layer()
    spec = ChipSpec(device=device(noisy=noisy), tile=(TILE, TILE), dac=DAC(bits=8, slice_bits=1), adc=ADC(bits=8),
                    weights=BitSlices(slices=4, bits=2))  # fmt: skip
    chip = program(net, spec, calibrate=x[:64])
    return Case(name, "its 32 products", lambda: chip.matmul(0, x), products(net.weights[0], x, times=32), rounds=5)


def products(w: np.ndarray, x: np.ndarray, times: int = 1) -> Run:
    """The float32 product of every tile, `times` over."""
    tiles = [(x[:, rows], np.ascontiguousarray(w[rows, columns]))
             for rows in cuts(w.shape[0], TILE) for columns in cuts(w.shape[1], TILE)]  # fmt: skip
    tiles = [(np.ascontiguousarray(v), part) for v, part in tiles]
    return lambda: [v @ part for _ in range(times) for v, part in tiles]


def wires(n: int) -> Case:
    """The effective conductance of an n x n array, against a sparse LU with one right-hand side per column."""
    g = Streams(0).rng("cells").uniform(WINDOW.g_min, WINDOW.g_max, (n, n))
    design = Wires(word=1.0, bit=1.0)
    matrix, sides = grid(n)
    from scipy.sparse.linalg import splu

    return Case(
        f"wires of a {n} x {n} array", "a sparse LU of its nodes",
        lambda: effective_conductance(g, design), lambda: splu(matrix).solve(sides), rounds=5 if n < 256 else 1,
    )  # fmt: skip


def grid(n: int) -> tuple[Any, np.ndarray]:
    """The admittance matrix of the nodes of an n x n array with wires of 1 S and cells of 50 uS, and n right sides.

    Word lines are driven at one end, bit lines grounded at the other.
    """
    from scipy import sparse

    between = -np.ones(n - 1)

    def line(diagonal: np.ndarray) -> Any:
        return sparse.diags_array([between, diagonal, between], offsets=[-1, 0, 1])

    ends = np.full(n, 2.0)
    ends[-1] = 1.0  # the far end of a line is open
    eye, cell = sparse.eye_array(n), 50e-6 * sparse.eye_array(n * n)
    words, bits = sparse.kron(eye, line(ends)), sparse.kron(line(ends[::-1]), eye)
    matrix = sparse.csc_array(sparse.block_array([[words + cell, -cell], [-cell, bits + cell]]))
    sides = np.zeros((2 * n * n, n))
    sides[np.arange(n) * n, np.arange(n)] = 1.0
    return matrix, sides


def verify() -> Case:
    """A 1024 x 1024 array written by simulated write-verify to 2 % of the window, against as many normal deviates."""
    update = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
    made = Device(name="bench", window=WINDOW, update=update, programming=VerifyLoop(tolerance_share=0.02))
    streams = Streams(0)
    cells = made.fabricate((1024, 1024), streams)
    target = streams.rng("targets").uniform(WINDOW.g_min, WINDOW.g_max, cells.shape)
    return Case("1024 x 1024 by write-verify, 2 %", "1e6 normal deviates",
                lambda: made.program(cells, target, streams), _normals(1), rounds=3)  # fmt: skip


def pulses() -> Case:
    """A hundred single pulses on a million devices, against as many normal deviates."""
    update = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=1.0, nl_down=-1.0, c2c=0.01)
    made = Device(name="bench", window=WINDOW, update=update)
    cells, n = made.fabricate((CELLS,), Streams(0)), np.ones(CELLS, dtype=int)

    def train() -> None:
        now, rng = cells, Streams(0).rng("pulse")
        for _ in range(PULSES):
            now = made.pulse(now, n, rng)

    return Case("1e6 devices x 100 pulses", "as many normal deviates", train, _normals(PULSES), rounds=1)


def environment() -> dict[str, Any]:
    """What the figures were taken on: processor, cores, versions, the BLAS library and its threads."""
    import numba
    import scipy
    from threadpoolctl import threadpool_info

    blas = [f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in threadpool_info()
            if p["user_api"] == "blas"]  # fmt: skip
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "blas": "; ".join(dict.fromkeys(blas)),
        "cimsim": metadata.version("cimsim"),
    }


def _processor() -> str:
    """The processor's name where the system tells it."""
    info = "/proc/cpuinfo"
    if os.path.exists(info):
        with open(info, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _layer() -> tuple[Network, np.ndarray]:
    rng = Streams(0).rng("inputs")
    return mlp([SIZE, SIZE], seed=0), rng.random((BATCH, SIZE), dtype=np.float32)


def _normals(times: int) -> Run:
    rng = np.random.Generator(np.random.SFC64(0))
    return lambda: [rng.standard_normal(CELLS) for _ in range(times)]


def _seconds(f: Run) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start
