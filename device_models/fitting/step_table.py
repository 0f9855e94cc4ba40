"""A table of the mean step and its spread against the state, by least squares: for pulses that follow no law here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from device_models.fitting.pulse_view import Course
from device_models.fitting.results import Choice, Estimate, interval, resampled
from device_models.fitting.trains import SIGNS, Trains
from device_models.tabulated import TabulatedUpdate

KNOTS = np.linspace(0.0, 1.0, 9)  # of the window, from the end where pulses start
LEAST_STEPS = 10  # near each knot


class Sums(NamedTuple):
    """Normal equations of one polarity by train: `(trains, knots, knots)` and `(trains, knots)`."""

    normal: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class StepTable:
    """Mean step and standard deviation at each knot by polarity, in spans and along the pulses; `error` is overall."""

    mean: dict[int, np.ndarray]
    spread: dict[int, np.ndarray]
    sums: dict[int, Sums]
    aic: float
    error: float

    @property
    def choice(self) -> Choice:
        """The table among other laws."""
        return Choice("TabulatedUpdate", self.aic, (len(KNOTS) + 1) * len(self.mean))

    def update(self, low: float, span: float) -> TabulatedUpdate:
        """The slot in a window from `low`, siemens; a polarity that was not measured is the mirror of the other."""
        up, spread_up = self._of(1)
        down, spread_down = self._of(-1)
        columns = {"dG_up": up, "dG_down": -down[::-1]}
        columns |= {"spread_up": spread_up, "spread_down": spread_down[::-1]}
        values: dict[str, Any] = {name: tuple(map(float, span * column)) for name, column in columns.items()}
        return TabulatedUpdate(g=tuple(map(float, low + span * KNOTS)), **values)

    def _of(self, sign: int) -> tuple[np.ndarray, np.ndarray]:
        have = sign if sign in self.mean else -sign
        return np.maximum(self.mean[have], 0.0), self.spread[have]

    def estimates(
        self, units: dict[int, np.ndarray], span: float, rng: np.random.Generator
    ) -> tuple[list[Estimate], int]:
        """Steps at the knots with bootstrap intervals, `units` saying which trains go together."""
        found, least = [], 0
        for sign, sums in self.sums.items():
            names, which = np.unique(units[sign], return_inverse=True)
            least = len(names)
            weights = resampled(len(names), rng)[:, which]
            draws = _solved(np.einsum("bt,tkl->bkl", weights, sums.normal), weights @ sums.right)
            order = slice(None) if sign > 0 else slice(None, None, -1)
            for k, (value, column) in enumerate(zip(self.mean[sign][order], draws[:, order].T, strict=True)):
                name = f"dG_{SIGNS[sign]}[{k}]"
                found.append(interval(name, sign * span * value, sign * span * column, least, "S"))
        return found, least

    def course(self, sign: int, trains: Trains) -> Course:
        """The table of one polarity as it is drawn."""
        mean, spread = self._of(sign)

        def along(start: np.ndarray, n: np.ndarray) -> np.ndarray:
            x, found = start.copy(), []
            for k in range(int(n[-1]) + 1):
                if k:
                    x = np.clip(x + np.interp(x, KNOTS, mean), min(0.0, start.min()), max(1.0, start.max()))
                found.append(x)
            return np.stack(found, axis=1)[:, n]

        return Course(np.array([x[0] for x in trains.whole]), along, lambda n: float(np.mean(spread**2)) * n)


def fit(trains: dict[int, Trains]) -> StepTable | None:
    """The table of trains recorded after every pulse; None where steps are too few near some knot.

    The criterion counts steps with one standard deviation for all, as the laws it is compared with do.
    """
    mean, spread, sums, aic, squares = {}, {}, {}, 0.0, []
    for sign, mine in trains.items():
        basis = [_hats(x[:-1]) for x in mine.used]
        steps = [np.diff(x) for x in mine.used]
        every = np.concatenate(basis)
        if mine.stride != 1 or every.sum(axis=0).min() < LEAST_STEPS:
            return None
        sums[sign] = Sums(
            np.stack([h.T @ h for h in basis]), np.stack([h.T @ d for h, d in zip(basis, steps, strict=True)])
        )
        mean[sign] = _solved(sums[sign].normal.sum(axis=0)[None], sums[sign].right.sum(axis=0)[None])[0]
        rest = np.concatenate(steps) - every @ mean[sign]
        spread[sign] = np.sqrt(np.maximum(every.T @ rest**2 / every.sum(axis=0), 0.0))
        squares.append(float(np.mean(rest**2)))
        aic += len(rest) * float(np.log(np.mean(rest**2) + 1e-300)) + 2 * (len(KNOTS) + 1)
    return StepTable(mean, spread, sums, aic, float(np.sqrt(np.mean(squares))))


def _hats(x: np.ndarray) -> np.ndarray:
    """Weights of the knots in a value linear between them, `(n, knots)`; constant beyond the ends."""
    place = np.clip(x, 0.0, 1.0)[:, None] * (len(KNOTS) - 1)
    return np.asarray(np.maximum(1 - np.abs(place - np.arange(len(KNOTS))), 0.0))


def _solved(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(normal.shape[1])
    return np.asarray(np.linalg.solve(normal + ridge, right[..., None])[..., 0])
