"""The speed of this machine in ratios: each run timed by turns with its reference in the same process.

A ratio holds from machine to machine where seconds do not: a bare matrix product, a sparse LU or NumPy's normal
deviates are slow where cimsim is slow. `cimsim bench` prints them, `make bench` records them.
"""

from __future__ import annotations

from collections.abc import Iterator

from cimsim.bench import devices, reads, wires
from cimsim.bench.environment import environment
from cimsim.bench.timing import Case, Timing, timed

__all__ = ["Case", "Timing", "cases", "environment", "timed"]


def cases() -> Iterator[Case]:
    """Every case; what it times is made when it is timed."""
    for room in (reads, wires, devices):
        yield from room.cases()
