"""A case and how it is timed: by turns with its reference in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Run = Callable[[], Any]


class Case(NamedTuple):
    """A run and its reference `of`, made when they are asked for, and how often both are timed."""

    name: str
    of: str
    make: Callable[[], tuple[Run, Run]]
    rounds: int = 11


class Timing(NamedTuple):
    """Median seconds of run and reference, and the ratio of the two."""

    name: str
    of: str
    seconds: float
    reference: float
    ratio: float


SETTLING = 0.2  # seconds: threads of a BLAS look for more work for 0.1 s, on the cores of whoever comes next
WARMING = 0.05  # seconds: at first a new thread may share a core with the one that started it


def timed(case: Case) -> Timing:
    """Time a case and its reference by turns, so that a busy spell of the machine meets both."""
    run, reference = case.make()
    times = np.array([[_seconds(f) for f in (run, reference)] for _ in range(case.rounds)])
    mine, theirs = (float(t) for t in np.median(times, axis=0))
    return Timing(case.name, case.of, mine, theirs, mine / theirs)


def _seconds(f: Run) -> float:
    """Seconds of a run within a series of its own."""
    time.sleep(SETTLING)
    start = time.perf_counter()
    while time.perf_counter() < start + WARMING:
        f()
    start = time.perf_counter()
    f()
    return time.perf_counter() - start
