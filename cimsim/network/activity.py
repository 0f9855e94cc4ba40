"""What a network does per sample: spikes, synaptic operations, reads, and neurons that never or always fire."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cimsim.backend import to_host
from cimsim.network.firing import Spiking
from cimsim.network.layers import Layer, Weighted
from cimsim.network.network import LayerPass
from device_models.errors import InputError
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd

PART = 256  # samples at once


class Traced(Protocol):
    """What can be watched: a `Network` or a chip."""

    def trace(self, x: Array, *, seed: int = 0, row: int = 0) -> list[LayerPass]:
        """Every layer in turn with what it was given and what it gave."""
        ...


@dataclass(frozen=True)
class LayerActivity:
    """One layer with weights, means over samples.

    Attributes:
        layer: its number.
        reads: vectors that its matrix multiplies.
        needed: of these, the ones that are not all 0: a chip driven by events does no others.
        spikes: inputs that are not 0, over all reads.
        operations: synaptic operations, a weight met by a spike.
        density: share of inputs that are not 0.
        rate: spikes per step of the neurons behind it, NaN where there are none, as in what follows.
        dead: share of those that never fired on any sample.
        saturated: share of those that fired in every step of every sample.
    """

    layer: int
    reads: float
    needed: float
    spikes: float
    operations: float
    density: float
    rate: float = np.nan
    dead: float = np.nan
    saturated: float = np.nan


@dataclass(frozen=True)
class Activity:
    """The activity of all layers; printed as a table."""

    layers: tuple[LayerActivity, ...]

    @property
    def spikes(self) -> float:
        """Spikes on word lines per sample."""
        return sum(row.spikes for row in self.layers)

    @property
    def operations(self) -> float:
        """Synaptic operations per sample."""
        return sum(row.operations for row in self.layers)

    @property
    def reads(self) -> float:
        """Reads of matrices per sample."""
        return sum(row.reads for row in self.layers)

    def to_frame(self) -> pd.DataFrame:
        """One row per layer."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.layers])

    def __str__(self) -> str:
        return str(self.to_frame().to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep="-"))


def activity(model: Traced, x: Array, *, seed: int = 0) -> Activity:
    """The activity of a network, or of the chip that carries it, on samples `x`. Raises `InputError` for a bad `x`."""
    if not len(x):
        raise InputError("x", "must hold at least one sample", "none")
    sums: list[_Sums] = []
    for start in range(0, len(x), PART):
        passes = model.trace(x[start : start + PART], seed=seed, row=start)
        sums = sums or [_Sums(p.layer) for p in passes]
        for total, one in zip(sums, passes, strict=True):
            total.add(one)
    return Activity(tuple(_rows(sums, len(x))))


@dataclass
class _Sums:
    """What is counted of one layer."""

    layer: Layer
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    fired: np.ndarray | None = None

    def add(self, one: LayerPass) -> None:
        if isinstance(self.layer, Weighted):
            for v in self.layer.vectors(one.x, one.y):
                driven = v != 0
                self.counts["reads"] += len(v)
                self.counts["needed"] += int(np.sum(np.any(driven, axis=1)))
                self.counts["spikes"] += int(np.sum(driven))
        elif isinstance(self.layer, Spiking):
            fired = to_host(np.sum(one.y, axis=0, dtype=np.float64))
            self.fired = fired if self.fired is None else self.fired + fired
            self.counts["steps"] += len(one.y)


def _rows(sums: list[_Sums], samples: int) -> list[LayerActivity]:
    """One row per layer with weights, and in it the first neurons behind it."""
    places = [i for i, total in enumerate(sums) if isinstance(total.layer, Weighted)]
    rows = []
    for k, (i, end) in enumerate(zip(places, [*places[1:], len(sums)], strict=True)):
        layer, counts = sums[i].layer, sums[i].counts
        assert isinstance(layer, Weighted)
        rows_of_matrix, columns = layer.weight.shape
        neurons = next((total for total in sums[i:end] if total.fired is not None), None)
        rows.append(
            LayerActivity(
                layer=k,
                reads=counts["reads"] / samples,
                needed=counts["needed"] / samples,
                spikes=counts["spikes"] / samples,
                operations=counts["spikes"] * columns / samples,
                density=counts["spikes"] / (counts["reads"] * rows_of_matrix),
                **({} if neurons is None else _firing(neurons)),
            )
        )
    return rows


def _firing(neurons: _Sums) -> dict[str, float]:
    assert neurons.fired is not None
    rates = neurons.fired / neurons.counts["steps"]
    return {
        "rate": float(rates.mean()),
        "dead": float(np.mean(rates == 0)),
        "saturated": float(np.mean(rates == 1)),
    }
