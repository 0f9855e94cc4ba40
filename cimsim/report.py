"""ChipReport: what is on, what was written, what failed, what clips; printed as text, or as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerReport:
    """One layer: its size, the cost of writing it, and how well it came out.

    `failed` counts cells given up by verify, `stuck` those that cannot be written. `weight_error` is the root mean
    square of held less wanted weights over the largest weight; `adc_clipping` the share of conversions out of range,
    NaN where there were no inputs to convert.
    """

    layer: int
    inputs: int
    outputs: int
    tiles: int
    cells: int
    pulses: int
    failed: int
    stuck: int
    weight_error: float
    adc_clipping: float


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

    def to_frame(self) -> pd.DataFrame:
        """One row per layer."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.layers])

    def __str__(self) -> str:
        width = max(map(len, self.effects))
        lines = [f"{name:<{width}}  {what}" for name, what in self.effects.items()]
        lines.append(f"{'age':<{width}}  {self.seconds:g} s")
        return "\n".join([*lines, "", self.to_frame().to_string(index=False, float_format=lambda v: f"{v:.4g}")])
