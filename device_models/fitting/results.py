"""What a fit gives: estimates with their intervals, the choice of family, residuals, and curves to draw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from device_models.errors import InputError

BOOTSTRAPS = 200


@dataclass(frozen=True)
class Estimate:
    """A parameter with its 95 % interval; NaN ends where these data give none."""

    name: str
    value: float
    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        scale, unit = (1e6, "µS") if self.unit == "S" else (1.0, self.unit)
        value, low, high = (f"{x * scale:.4g}" for x in (self.value, self.low, self.high))
        interval = "no interval" if np.isnan(self.low) else f"95 %: {low} to {high}"
        return f"{value} {unit}".strip() + f" ({interval})"

    def holds(self, truth: float) -> bool:
        """Whether a value lies in the interval."""
        return bool(self.low <= truth <= self.high)


@dataclass(frozen=True)
class Choice:
    """One family of laws tried on the data: Akaike's criterion, parameters, and whether it was taken."""

    family: str
    aic: float
    parameters: int
    chosen: bool = False


@dataclass(frozen=True)
class Series:
    """Points or a line to draw, SI units; `band` is half the height of a band around the line."""

    label: str
    x: np.ndarray
    y: np.ndarray
    band: np.ndarray | None = None


@dataclass(frozen=True)
class View:
    """A fit as a picture: measured points, the law's lines and what is left over; x and y are in `x_unit`, `y_unit`.

    `names` stand for x = 0, 1, ... where x is no number.
    """

    title: str
    x_label: str
    y_label: str
    x_unit: str
    y_unit: str
    data: tuple[Series, ...]
    law: tuple[Series, ...]
    residual: tuple[Series, ...]
    residual_unit: str = "S"
    log_x: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlotFit:
    """The fit of one measurement.

    Attributes:
        kind: of the table.
        source: its file.
        parts: fitted slots by name, "update" say.
        window: the ends of the window these data show, siemens, with their intervals.
        estimates: the parameters.
        choices: families tried.
        residual_rms: root mean square of data less law, in `unit`.
        spread: the data's own cycle-to-cycle (or read-to-read) spread, in `unit`; NaN where nothing is repeated.
        unit: of both.
        notes: what else was found or assumed.
    """

    kind: str
    source: str
    parts: dict[str, Any]
    estimates: tuple[Estimate, ...]
    choices: tuple[Choice, ...]
    residual_rms: float
    spread: float
    unit: str
    view: View
    window: tuple[Estimate, Estimate] | None = None
    notes: tuple[str, ...] = field(default=())


def choose(tried: list[Choice]) -> list[Choice]:
    """The same choices with the lowest criterion marked, best first."""
    ranked = sorted(tried, key=lambda choice: choice.aic)
    return [replace(choice, chosen=i == 0) for i, choice in enumerate(ranked)]


def interval(name: str, value: float, draws: np.ndarray, units: int, unit: str = "", *, log: bool = False) -> Estimate:
    """A 95 % interval from the standard error of bootstrap draws and Student's t with `units` - 1 degrees of freedom.

    `log` takes the error of the logarithm, for a parameter that is above 0.
    """
    from scipy import stats

    draws = draws[np.isfinite(draws)]
    if draws.size < 20 or units < 2:
        return Estimate(name, float(value), np.nan, np.nan, unit)
    t = float(stats.t.ppf(0.975, units - 1)) * np.sqrt(units / (units - 1))  # resampled units vary by (n - 1) / n
    if log and value > 0 and draws.min() > 0:
        reach = t * float(np.std(np.log(draws), ddof=1))
        return Estimate(name, float(value), float(value * np.exp(-reach)), float(value * np.exp(reach)), unit)
    reach = t * float(np.std(draws, ddof=1))
    return Estimate(name, float(value), float(value) - reach, float(value) + reach, unit)


def resampled(units: int, rng: np.random.Generator, draws: int = BOOTSTRAPS) -> np.ndarray:
    """How often each of `units` is in each bootstrap sample, `(draws, units)`."""
    return rng.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)


def need(have: int, least: int, what: str, source: str, law: str) -> None:
    """Raise `InputError` where there is too little to fit a law, saying what is missing."""
    if have < least:
        rule = f"needs at least {least} {what} to fit {law}"
        raise InputError(source, rule, have, f"measure {least - have} more")
