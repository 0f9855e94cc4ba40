"""Maximum likelihood of pulse trains whose mean step is a straight line of the state, with noise of two kinds.

    x[k+1] = r x[k] + b + process noise (stays: cycle-to-cycle spread),  y[k] = x[k] + read noise (does not stay)

The linear, exponential and soft-bounds laws are of this form. The one-step errors of such a record follow
e[k] = y[k] - r y[k-1] - b + theta e[k-1] with white e (an ARMA(1, 1) process, Box and Jenkins, Time Series Analysis,
section 4.3), so for a given theta the fit of r and b is linear, each train enters by a matrix of sums alone, and a
bootstrap over trains adds such matrices up anew. The state before the first pulse is a free parameter of each train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter

THETAS = 1.0 - np.concatenate([[1.0], np.geomspace(0.97, 0.002, 31)])
EDGE = 1e-4  # how near to the window's end, in spans, a curve that would stop inside it is made to stop


class Sums(NamedTuple):
    """What the likelihood takes from trains.

    Attributes:
        products: sums of products of (y[k], y[k-1], 1), filtered, by train and theta, `(trains, thetas, 3, 3)`.
        starts: ln of the weight with which the unknown start enters, `(trains, thetas)`: the likelihood is integrated
            over it.
        steps: steps by train.
    """

    products: np.ndarray
    starts: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class Affine:
    """Fitted laws, one for each bootstrap sample: arrays of one shape, conductance in spans of the window.

    Attributes:
        r, b: mean state after a pulse is r x + b.
        theta: share of a one-step error that is read noise.
        variance: of one-step errors.
        aic: n ln(variance) + 2 (parameters).
    """

    r: np.ndarray
    b: np.ndarray
    theta: np.ndarray
    variance: np.ndarray
    aic: np.ndarray

    @property
    def process(self) -> np.ndarray:
        """Variance of what one pulse adds and stays, spans squared."""
        read = self.theta / np.maximum(self.r, 1e-9)
        return np.asarray(np.maximum(self.variance * (1 + self.theta**2 - (1 + self.r**2) * read), 0.0))

    @property
    def read(self) -> np.ndarray:
        """Variance of read noise, spans squared."""
        return np.asarray(self.theta * self.variance / np.maximum(self.r, 1e-9))

    def at(self, stride: int) -> Affine:
        """The law of one pulse where the record shows every `stride`-th."""
        if stride == 1:
            return self
        r = np.sign(self.r) * np.abs(self.r) ** (1 / stride)
        power = np.arange(stride)
        share = (r[..., None] ** power).sum(-1)
        shrink = (r[..., None] ** (2 * power)).sum(-1)
        return Affine(r, self.b / share, self.theta, self.variance / shrink, self.aic)


def sums(trains: list[np.ndarray], *, noisy_reads: bool = True) -> Sums:
    """The sums of trains, conductances in spans and rising; for theta = 0 alone where reads are not noisy."""
    longest = max(map(len, trains))
    y = np.zeros((len(trains), longest))
    inside = np.zeros_like(y, dtype=bool)
    for i, train in enumerate(trains):
        y[i, : len(train)], inside[i, : len(train)] = train, True
    products, powers = zip(
        *(_products(y, inside, theta) for theta in THETAS[: len(THETAS) if noisy_reads else 1]), strict=True
    )
    return Sums(np.stack(products, axis=1), np.log(np.stack(powers, axis=1)), inside.sum(axis=1) - 1)


def _products(y: np.ndarray, inside: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    filtered, start = filtered_columns(y, theta)
    filtered, start = filtered * inside, start * inside
    along = np.einsum("ctk,tk->tc", filtered, start) / np.einsum("tk,tk->t", start, start)[:, None]
    whole: np.ndarray = np.einsum("ctk,dtk->tcd", filtered, filtered)
    power = np.einsum("tk,tk->t", start, start)
    return whole - along[:, :, None] * along[:, None, :] * power[:, None, None], power


def filtered_columns(y: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """(y[k], y[k-1], 1) `(3, trains, pulses)` and the unknown start's column, run through 1 / (1 - theta L)."""
    columns = np.zeros((3, *y.shape))
    columns[0, :, 1:], columns[1, :, 1:], columns[2, :, 1:] = y[:, 1:], y[:, :-1], 1.0
    impulse = np.zeros_like(y)
    impulse[:, 0] = 1.0
    return lfilter([1.0], [1.0, -theta], columns, axis=-1), lfilter([1.0], [1.0, -theta], impulse, axis=-1)


def fit(given: Sums, weights: np.ndarray, law: str, *, noisy_reads: bool) -> Affine:
    """Fit one law to each of many weightings of the trains.

    Args:
        given: sums of the trains.
        weights: how often each train counts, `(samples, trains)`.
        law: "exponential" (r and b free), "linear" (r = 1) or "soft bounds" (no step at the window's end).
        noisy_reads: whether theta is free, else 0.
    """
    thetas = len(THETAS) if noisy_reads else 1
    total = np.einsum("st,tkij->skij", weights, given.products[:, :thetas])
    r, b = _coefficients(total, law)
    v = np.stack([np.ones_like(r), -r, -b], axis=-1)
    error = np.maximum(np.einsum("ski,skij,skj->sk", v, total, v), 1e-300)
    rows = weights @ given.steps
    started = weights @ given.starts[:, :thetas] / np.maximum(rows, 1)[:, None]
    best, weight = _lowest(np.log(error) + started)
    theta, r, b, error, started = (
        _at(x, best, weight) for x in (np.broadcast_to(THETAS[:thetas], r.shape), r, b, error, started)
    )
    free = {"exponential": 2, "linear": 1, "soft bounds": 1}[law] + 1 + noisy_reads
    variance = error / np.maximum(rows - free + 1, 1)
    return Affine(r, b, theta, variance, rows * (np.log(error / rows) + started) + 2 * free)


def _coefficients(total: np.ndarray, law: str) -> tuple[np.ndarray, np.ndarray]:
    """Slope and step at every theta; a curve that stops within the window is made to stop at its end."""
    yy, xx, one = total[..., 0, :], total[..., 1, :], total[..., 2, :]
    if law == "linear":
        return np.ones_like(yy[..., 0]), (yy[..., 2] - xx[..., 2]) / one[..., 2]
    if law == "soft bounds":
        return _through(total, 1.0)
    det = xx[..., 1] * one[..., 2] - xx[..., 2] ** 2
    det = np.where(np.abs(det) > 1e-300, det, np.nan)
    r = (yy[..., 1] * one[..., 2] - yy[..., 2] * xx[..., 2]) / det
    b = (yy[..., 2] * xx[..., 1] - yy[..., 1] * xx[..., 2]) / det
    upper, lower = _through(total, 1.0 + EDGE), _through(total, -EDGE)
    stops, starts = (r < 1) & (b / np.where(r == 1, 1.0, 1 - r) < 1 + EDGE), (r > 1) & (b < (r - 1) * EDGE)
    r = np.where(stops, upper[0], np.where(starts, lower[0], r))
    return r, np.where(stops, upper[1], np.where(starts, lower[1], b))


def _through(total: np.ndarray, rest: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope and step of the best line with no step at the state `rest`."""
    u, w = np.array([1.0, 0.0, -rest]), np.array([0.0, -1.0, rest])
    r = -np.einsum("i,...ij,j->...", u, total, w) / np.einsum("i,...ij,j->...", w, total, w)
    return r, (1 - r) * rest


def _lowest(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The theta of least cost by sample, and how far to go to a neighbour: the vertex of a parabola."""
    points = cost.shape[1]
    best = np.argmin(cost, axis=1)
    if points < 3:
        return best, np.zeros(len(best))
    inner = np.clip(best, 1, points - 2)
    rows = np.arange(len(best))
    left, mid, right = (cost[rows, inner + d] for d in (-1, 0, 1))
    bend = left - 2 * mid + right
    vertex = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    return best, np.where(best == inner, np.clip(vertex, -0.5, 0.5), 0.0)


def _at(values: Any, best: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Values at a grid point moved towards its neighbour."""
    rows = np.arange(len(best))
    other = np.clip(best + np.sign(weight).astype(int), 0, values.shape[1] - 1)
    share = np.abs(weight)
    return np.asarray(values[rows, best] * (1 - share) + values[rows, other] * share)


def starts(trains: list[np.ndarray], r: float, b: float, theta: float) -> np.ndarray:
    """The state before the first pulse of each train, read noise taken off, spans."""
    found = []
    for train in trains:
        columns, start = filtered_columns(train[None], theta)
        left = columns[0, 0] - r * columns[1, 0] - b * columns[2, 0]
        found.append(train[0] + (left @ start[0]) / (start[0] @ start[0]))
    return np.array(found)


def curve(start: np.ndarray, r: float, b: float, n: np.ndarray) -> np.ndarray:
    """The mean state after n pulses from `start` `(trains,)`, held in the window: `(trains, n)`."""
    power = r**n
    share = n.astype(np.float64) if abs(r - 1) < 1e-12 else (1 - power) / (1 - r)
    return np.clip(start[:, None] * power + b * share, min(0.0, start.min()), max(1.0, start.max()))


def simulated(
    start: float, length: int, law: tuple[float, float, float, float], rng: np.random.Generator, draws: int
) -> np.ndarray:
    """Trains drawn from a law (r, b, process and read variance): a parametric bootstrap, `(draws, length)`."""
    r, b, process, read = law
    pushed = np.full((draws, length), b) + np.sqrt(process) * rng.standard_normal((draws, length))
    pushed[:, 0] = start
    x = lfilter([1.0], [1.0, -r], pushed, axis=1)
    return np.asarray(x + np.sqrt(read) * rng.standard_normal(x.shape))
