"""The wire solver against a sparse LU of the same network with one right-hand side per column."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.nodal import admittance, network_of
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from device_models.conduction import Sinh
from device_models.streams import Streams

WIRES = Wires(word=1.0, bit=1.0)


def cells(*shape: int) -> np.ndarray:
    return Streams(seed=0).rng("cells").uniform(5e-6, 100e-6, shape)


def sparse_lu(g: np.ndarray) -> Callable[[], Any]:
    """SciPy's sparse LU as it comes, and its solution for a current into each of as many nodes as there are columns."""
    from scipy.sparse.linalg import splu

    ends = sum(g.shape)
    inner = admittance(network_of(*g.shape, WIRES), g)[ends:, ends:].tocsc()
    sides = np.eye(inner.shape[0], g.shape[1])
    return lambda: splu(inner).solve(sides)


@pytest.mark.parametrize(("side", "rounds"), [(64, 9), (128, 5), (256, 3), (512, 1)])
def test_one_array(ratio: Any, side: int, rounds: int) -> None:
    g = cells(side, side)
    ratio(lambda: effective_conductance(g, WIRES), sparse_lu(g), rounds=rounds, of="sparse LU")


@pytest.mark.parametrize(("shape", "wires"), [((100, 37), WIRES), ((128, 128), Wires(word=1.0, sense=50.0))])
def test_other_shapes_and_wires(ratio: Any, shape: tuple[int, int], wires: Wires) -> None:
    g = cells(*shape)
    ratio(lambda: effective_conductance(g, wires), sparse_lu(g), rounds=5, of="sparse LU")


def test_64_arrays_of_128x128_at_once(ratio: Any) -> None:
    g = cells(64, 128, 128)
    at_once = ratio(
        lambda: effective_conductance(g, WIRES), lambda: [effective_conductance(one, WIRES) for one in g], rounds=3,
        of="64 single ones",
    )  # fmt: skip
    assert at_once < 1


def test_time_grows_as_the_third_power_of_the_side(benchmark: Any) -> None:
    sides = (128, 256, 512, 1024)
    seconds = [min(_seconds(cells(n, n)) for _ in range(2)) for n in sides]
    growth = np.polyfit(np.log(sides), np.log(seconds), 1)[0]
    benchmark.extra_info.update({f"{n} x {n}, s": t for n, t in zip(sides, seconds, strict=True)}, power=growth)
    benchmark(lambda: None)
    print(benchmark.extra_info)
    assert growth < 3.2


def test_nonlinear_currents_of_100_inputs(ratio: Any) -> None:
    g, v = cells(64, 64), Streams(seed=1).rng("volts").uniform(0, 0.2, (100, 64))
    ratio(lambda: nonlinear_currents(g, WIRES, v, Sinh(v0=0.2)), sparse_lu(g), rounds=3, of="sparse LU, linear")


def _seconds(g: np.ndarray) -> float:
    start = time.perf_counter()
    effective_conductance(g, WIRES)
    return time.perf_counter() - start
