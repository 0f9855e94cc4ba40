"""Products of drives of which most lines are at rest, as spikes leave them: only driven lines are added up.

On the host alone; elsewhere, and where more lines are driven, the dense product is faster.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cimsim.backend import backend_name
from device_models.window import Array

SHARE = 0.1  # of lines driven, at most: from 0.12 to 0.15 on the dense product takes less time
# Below them, to look for driven lines and to lay sums by column costs about as much as it saves.
LEAST_SAMPLES, LEAST_LINES, LEAST_COLUMNS = 16, 256, 64


class Events(NamedTuple):
    """Driven lines, sample after sample: those of sample b are the numbers `ends[b]` to `ends[b + 1]`."""

    lines: np.ndarray
    volts: np.ndarray
    ends: np.ndarray

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.ends) - 1

    @property
    def squared(self) -> Events:
        """The same with the squares of the volts."""
        return self._replace(volts=self.volts * self.volts)

    def product(self, g: np.ndarray, out: np.ndarray) -> None:
        """Volts times conductances `(lines, columns)`, to `out` `(columns, samples)`, lines added in their order.

        That of the dense product, up to rounding (to the bit where the BLAS adds in this order too).
        """
        from cimsim.kernels import events_cpu

        events_cpu.product(*self, np.ascontiguousarray(g), out)


def events(volts: Array) -> Events | None:
    """The driven lines of volts `(samples, lines)`, or None where the dense product is the faster one."""
    if len(volts) < LEAST_SAMPLES or volts.shape[1] < LEAST_LINES:
        return None
    if backend_name(volts) != "numpy" or volts.dtype != np.float32:
        return None
    from cimsim.kernels import events_cpu

    found = events_cpu.listed(volts, SHARE)
    return None if found is None else Events(*found)


def few_columns(g: Array) -> bool:
    """Whether products with `g` `(lines, columns)` are too small to look for driven lines first."""
    return bool(g.shape[1] < LEAST_COLUMNS)
