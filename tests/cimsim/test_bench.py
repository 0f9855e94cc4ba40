"""The references of `cimsim bench` are what they say, and its cases run."""

from __future__ import annotations

import itertools
import time
import unittest.mock

import numpy as np
import pytest
from scipy.sparse.linalg import splu

from cimsim import bench
from cimsim.bench import reads, timing, wires
from cimsim.crossbar.wires import Wires, effective_conductance


def test_the_grid_of_the_reference_is_the_array_that_is_solved() -> None:
    n = 12
    matrix, sides = wires.grid(n)
    bits = splu(matrix).solve(sides)[n * n :].reshape(n, n, n)
    g = np.full((n, n), 50e-6)
    np.testing.assert_allclose(bits[-1].T, effective_conductance(g, Wires(word=1.0, bit=1.0)), rtol=1e-10)


def test_the_products_of_the_reference_are_those_of_the_layer() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(256, 256)).astype(np.float32), rng.random((5, 256), dtype=np.float32)
    with unittest.mock.patch("numpy.matmul", side_effect=np.matmul) as multiply:
        reads.products(w, x, times=3)()
    tiles = [given.args[0] @ given.args[1] for given in multiply.call_args_list]
    assert len(tiles) == 12
    whole = np.hstack([tiles[0] + tiles[2], tiles[1] + tiles[3]])
    np.testing.assert_allclose(whole, x @ w, rtol=1e-4, atol=1e-4)


def test_a_case_is_timed_by_turns_after_runs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SETTLING", 0.0)
    monkeypatch.setattr(timing, "WARMING", 0.02)
    calls: list[str] = []

    def called(name: str) -> None:
        calls.append(name)
        time.sleep(0.005)

    case = bench.Case("a", "b", lambda: (lambda: called("run"), lambda: called("reference")), rounds=3)
    found = bench.timed(case)
    turns = [(name, len(list(group))) for name, group in itertools.groupby(calls)]
    assert [name for name, _ in turns] == ["run", "reference"] * 3
    assert all(2 <= n <= 5 for _, n in turns)
    assert found.ratio == pytest.approx(found.seconds / found.reference)


def test_the_environment_names_processor_and_versions() -> None:
    found = bench.environment()
    assert found["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert found["processor"]
    assert found["blas"]


@pytest.mark.slow
def test_every_case_runs() -> None:
    for case in bench.cases():
        run, reference = case.make()
        run()
        reference()
