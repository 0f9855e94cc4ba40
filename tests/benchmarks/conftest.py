"""Speed as ratios: each benchmark is timed beside a reference in the same process, and both are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

_RATIOS: list[tuple[str, float, float]] = []


class Ratio:
    """Times a run and its reference by turns, so that a busy spell of the machine meets both."""

    def __init__(self, benchmark: Any, name: str) -> None:
        self.benchmark, self.name = benchmark, name

    def __call__(
        self, run: Callable[[], Any], reference: Callable[[], Any], *, rounds: int = 15, of: str = ""
    ) -> float:
        run()
        reference()
        times = np.array([[_seconds(f) for f in (run, reference)] for _ in range(rounds)])
        mine, theirs = np.median(times, axis=0)
        _RATIOS.append((f"{self.name}{' / ' + of if of else ''}", mine, theirs))
        self.benchmark.extra_info[of or "ratio"] = mine / theirs
        return float(mine / theirs)


def _seconds(f: Callable[[], Any]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


@pytest.fixture
def ratio(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[Ratio]:
    yield Ratio(benchmark, request.node.name)
    if not benchmark.stats:  # pytest-benchmark wants its own clock used once
        benchmark(lambda: None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _RATIOS:
        terminalreporter.section("ratios to the reference in the same process (median)")
    for name, mine, theirs in _RATIOS:
        terminalreporter.line(f"{name:<70} {mine * 1e3:9.2f} ms {theirs * 1e3:9.2f} ms {mine / theirs:8.2f} x")
