"""Exponential saturation of identical pulses, given by the literature's nonlinearity labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from device_models.parameters import Spread
from device_models.update.affine import FLATTEST, AffineUpdate
from device_models.window import Array, Limits

LABEL_SCALE = 1 / (0.07 * 2**0.5)  # the label is the largest distance from the straight line, over 0.07 sqrt(2)
LARGEST_LABEL = 9
LABELS = ("nl_up", "nl_down")


class ExponentialUpdate(AffineUpdate):
    """Exponential saturation of identical pulses, with cycle-to-cycle (C2C) noise on every pulse.

    G(P) = G_min + B (1 - exp(-P / A)), B = (G_max - G_min) / (1 - exp(-P_max / A)), A in pulses; n pulses move a cell
    n places along the curve, found by inverting it, which needs no loop: the distance to the asymptote shrinks by
    exp(-1/A) a pulse. LTD follows the same formula with its own, usually negative, A. Chen, Peng and Yu, IEEE TCAD 37,
    3067 (2018), Eqs. (1)-(3).
    `nl_up` and `nl_down` are the literature's nonlinearity labels (LTP usually positive, LTD negative); 0 is linear.
    The spread of a label is absolute: a spread of 0.5 makes labels of 2.4 +- 0.5.
    """

    SIGNED: ClassVar[frozenset[str]] = frozenset(LABELS)

    pulses_up: int = Field(ge=1, le=1_000_000)
    pulses_down: int = Field(ge=1, le=1_000_000)
    nl_up: float = Field(default=0.0, ge=-LARGEST_LABEL, le=LARGEST_LABEL)
    nl_down: float = Field(default=0.0, ge=-LARGEST_LABEL, le=LARGEST_LABEL)
    c2c: Spread = 0.0
    spread_pulses_up: Spread = 0.0
    spread_pulses_down: Spread = 0.0
    spread_nl_up: Spread = 0.0
    spread_nl_down: Spread = 0.0
    spread_c2c: Spread = 0.0

    def step(self, window: Limits) -> Array:
        """Span over the number of pulses that cross it, siemens; the mean of both directions."""
        return (window.g_max - window.g_min) * 0.5 * (1 / self.pulses_up + 1 / self.pulses_down)

    def own(self, variation: Array | None) -> dict[str, Any]:
        """Parameters by name, with P_max / A in the place of each label: what a variation holds of it as well."""
        alike = [name for name in LABELS if variation is None or name not in self._spreading()]
        return super().own(variation) | {name: bend(getattr(self, name)) for name in alike}

    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, Array]:
        """Bend exp(-1 / A) - 1 and first step of the curve; LTD mirrored is LTP with A of the other sign."""
        pulses, bent = (own["pulses_up"], own["nl_up"]) if up else (own["pulses_down"], -own["nl_down"])
        bent = np.where(np.abs(bent) < FLATTEST, FLATTEST, bent)[()]
        fall = np.expm1(-bent / pulses)
        return fall, fall / np.expm1(-bent)

    def _vary(self, name: str, z: Array) -> Array:
        return bends(super()._vary(name, z)) if name in LABELS else super()._vary(name, z)


@lru_cache(maxsize=256)
def curve_constant(label: float) -> float:
    """A / P_max of the curve with a nonlinearity label, with the label's sign.

    Solves label = LABEL_SCALE ((1 - A D) / D + A ln(A D)), D = 1 - exp(-1 / A), the largest distance between the curve
    and the straight line (Chen, Peng and Yu, IEEE TCAD 37, 3067 (2018)). Labels below 0.01 use the limit
    LABEL_SCALE / (8 label).
    """
    from scipy.optimize import brentq

    if abs(label) < 0.01:
        return LABEL_SCALE / (8 * label)

    def excess(a: float) -> float:
        return float(_label(a) - abs(label))

    return float(np.copysign(brentq(excess, 1e-3, 200.0, xtol=1e-14), label))


def bend(label: float) -> float:
    """P_max / A of the curve with a nonlinearity label: the logarithm of the last step over the first, 0 if linear."""
    return 1 / curve_constant(label) if label else 0.0


def bends(labels: np.ndarray) -> np.ndarray:
    """`bend` of many labels, by a table to 1e-5 relative."""
    table, bent = _bend_table()
    signed: np.ndarray = np.copysign(np.interp(np.abs(labels), table, bent), labels)
    return signed


@lru_cache(maxsize=1)
def _bend_table() -> tuple[np.ndarray, np.ndarray]:
    """Labels from 0 to the largest, and their bends."""
    bent = np.concatenate([[0.0], np.geomspace(0.02, bend(LARGEST_LABEL) * 1.01, 2048)])
    return np.concatenate([[0.0], _label(1 / bent[1:])]), bent


def _label(a: Any) -> Any:
    """The label of a curve of constant A / P_max = a > 0."""
    d = -np.expm1(-1 / a)
    return LABEL_SCALE * ((1 - a * d) / d + a * np.log(a * d))
