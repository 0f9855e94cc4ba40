"""ChipReport: what is on, what was written, what failed, what clips; printed as text, or as a table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from device_models.device import WriteReport

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerReport:
    """One layer: its size, the cost of writing it, and how well it came out.

    `failed` counts cells given up by verify, `stuck` those that cannot be written. `write_energy` (joules) and
    `write_seconds` are what the pulses took, one after the other, NaN where the device does not say what a pulse takes;
    arrays written side by side take less time. `weight_error` is the root mean
    square of held less wanted weights over the largest weight; `adc_clipping` the share of conversions out of range,
    NaN where there were no inputs to convert. `tiles` counts those of all `copies`, `utilisation` is the share of their
    cells in use, and `cycles` how often in turn one sample makes an array convert.
    """

    layer: int
    inputs: int
    outputs: int
    copies: int
    tiles: int
    utilisation: float
    cycles: int
    cells: int
    pulses: int
    failed: int
    stuck: int
    write_energy: float
    write_seconds: float
    weight_error: float
    adc_clipping: float


def write_counts(report: WriteReport) -> dict[str, Any]:
    """Fields of `LayerReport` from a write; energy and seconds are NaN for pulses that are said to take none."""
    energy, seconds = (cost if cost or not report.pulses else math.nan for cost in (report.energy, report.seconds))
    counts = {name: getattr(report, name) for name in ("cells", "pulses", "failed", "stuck")}
    return {**counts, "write_energy": energy, "write_seconds": seconds}


@dataclass(frozen=True)
class ChipReport:
    """The state of a chip: `effects` by slot ("off" where ideal), seconds since programming, one row per layer."""

    effects: dict[str, str]
    seconds: float
    layers: tuple[LayerReport, ...]

    @property
    def cells(self) -> int:
        """Cells of all layers."""
        return sum(row.cells for row in self.layers)

    @property
    def pulses(self) -> int:
        """Programming pulses of all layers."""
        return sum(row.pulses for row in self.layers)

    @property
    def failed(self) -> int:
        """Cells given up by verify."""
        return sum(row.failed for row in self.layers)

    @property
    def stuck(self) -> int:
        """Cells that cannot be written."""
        return sum(row.stuck for row in self.layers)

    @property
    def write_energy(self) -> float:
        """Energy of all programming pulses, joules; NaN where it is not known."""
        return sum(row.write_energy for row in self.layers)

    @property
    def write_seconds(self) -> float:
        """Duration of all programming pulses, one after the other; NaN where it is not known."""
        return sum(row.write_seconds for row in self.layers)

    def to_frame(self) -> pd.DataFrame:
        """One row per layer."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.layers])

    def __str__(self) -> str:
        width = max(map(len, self.effects))
        lines = [f"{name:<{width}}  {what}" for name, what in self.effects.items()]
        lines.append(f"{'age':<{width}}  {self.seconds:g} s")
        table = self.to_frame().to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep="unknown")
        return "\n".join([*lines, "", table])
