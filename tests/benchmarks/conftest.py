"""Speed as ratios: each benchmark is timed beside a reference in the same process, and both are reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cimsim.bench import Case, Timing, timed
from cimsim.bench.timing import Run

_TIMINGS: list[Timing] = []


class Ratio:
    """Times a run and its reference, and keeps their ratio with the benchmark."""

    def __init__(self, benchmark: Any, name: str) -> None:
        self.benchmark, self.name = benchmark, name

    def __call__(self, run: Run, reference: Run, *, rounds: int = 15, of: str = "") -> float:
        return self.of(Case(self.name, of, lambda: (run, reference), rounds))

    def of(self, case: Case) -> float:
        found = timed(case)
        _TIMINGS.append(found)
        self.benchmark.extra_info[found.of or "ratio"] = found.ratio
        return found.ratio


@pytest.fixture
def ratio(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[Ratio]:
    yield Ratio(benchmark, request.node.name)
    if not benchmark.stats:  # pytest-benchmark wants its own clock used once
        benchmark(lambda: None)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _TIMINGS:
        terminalreporter.section("ratios to the reference in the same process (median)")
    for name, of, mine, theirs, ratio in _TIMINGS:
        terminalreporter.line(f"{name:<62} {mine * 1e3:9.2f} ms {theirs * 1e3:9.2f} ms {ratio:9.3g} x  {of}")
