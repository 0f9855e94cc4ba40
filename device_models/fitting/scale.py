"""Maximum likelihood of a state-dependent standard deviation: e ~ N(0, (X c)^2), solved by Fisher scoring."""

from __future__ import annotations

import numpy as np

from device_models.errors import InputError
from device_models.fitting.results import Choice, choose, resampled

STEPS = 100
MANY = 5  # devices, from which on they are the units of a bootstrap
LARGEST_SAMPLE = 4000
FLOOR = 1e-3  # of the overall standard deviation: no law goes below


class NotConverged(InputError):
    """A fit that does not settle; other families may."""


def fit(x: np.ndarray, e: np.ndarray, weights: np.ndarray, *, where: str, slot: str) -> np.ndarray:
    """Coefficients for each of many weightings of the observations.

    The expected information of c is 2 sum(w x x' / sigma^2), the score sum(w x (e^2 - sigma^2) / sigma^3), sigma = X c.

    Args:
        x: what the standard deviation is made of, `(n, k)`.
        e: errors of mean 0, `(n,)`.
        weights: `(samples, n)`.
        where: the file, for the error.
        slot: what is fitted, for the error.

    Raises:
        NotConverged: no convergence for the first weighting.
    """
    rms = np.sqrt(weights @ e**2 / weights.sum(axis=1))
    unit = np.sqrt(np.mean(x**2, axis=0))
    scaled = x / unit
    c = np.zeros((len(weights), x.shape[1]))
    c[:, 0] = rms / max(float(np.mean(scaled[:, 0])), 1e-12)
    settled = np.zeros(len(weights), dtype=bool)
    for k in range(STEPS):
        sigma = np.maximum(c @ scaled.T, FLOOR * rms[:, None] + 1e-300)
        information = 2 * np.einsum("sn,ni,nj->sij", weights / sigma**2, scaled, scaled, optimize=True)
        score = (weights * (e**2 - sigma**2) / sigma**3) @ scaled
        step = np.linalg.solve(information + 1e-12 * np.eye(x.shape[1]) * np.trace(information[0]), score[..., None])
        step = step[..., 0]
        length = np.abs(step @ scaled.T).max(axis=1) / rms
        c += step / np.maximum(length, 1.0)[:, None] * (1.0 if k < 15 else 0.4)
        settled = length < 1e-4
        if settled.all():
            break
    if not settled[0]:
        remedy = "no card is written; look at the plot of the data for outliers, or give more of them"
        raise NotConverged(where, f"the fit of the {slot} slot did not converge", f"{STEPS} steps", remedy)
    c[~settled] = np.nan
    return np.asarray(c / unit)


def compared(laws: dict[str, tuple[np.ndarray, int]], e: np.ndarray, *, where: str, slot: str) -> list[Choice]:
    """The laws that converge, best first, each given by X and its number of parameters beside the coefficients.

    Raises:
        NotConverged: none of them converges.
    """
    found, failed = [], None
    for name, (x, extra) in laws.items():
        try:
            c = fit(x, e, np.ones((1, len(e))), where=where, slot=slot)[0]
            found.append(Choice(name, aic(x @ c, e, x.shape[1] + extra), x.shape[1] + extra))
        except NotConverged as error:
            failed = error
    if not found and failed is not None:
        raise failed
    return choose(found)


def aic(sigma: np.ndarray, e: np.ndarray, parameters: int) -> float:
    """Akaike's criterion of errors with given standard deviations."""
    floor = FLOOR * float(np.sqrt(np.mean(e**2))) + 1e-300
    s = np.maximum(sigma, floor)
    return float(np.sum(np.log(2 * np.pi * s**2) + (e / s) ** 2) + 2 * parameters)


def powers(g: np.ndarray, g_ref: float, degree: int) -> np.ndarray:
    """1, g / g_ref, (g / g_ref)^2, ... as columns."""
    return np.asarray((g / g_ref)[:, None] ** np.arange(degree + 1))


def bootstrap(
    x: np.ndarray, e: np.ndarray, device: np.ndarray, rng: np.random.Generator, *, where: str, slot: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Coefficients `(k,)`, their bootstrap draws `(samples, k)` and the number of units resampled.

    Devices are resampled where they are `MANY` or more, else single observations. Beyond `LARGEST_SAMPLE`
    observations a random part is resampled and, where observations are the units, errors are scaled to the whole.
    """
    point = fit(x, e, np.ones((1, len(e))), where=where, slot=slot)[0]
    rows, weights, n = units(device, rng)
    draws = fit(x[rows], e[rows], weights, where=where, slot=slot)
    shrink = np.sqrt(len(rows) / len(e)) if n == len(e) else 1.0
    return point, point + (draws - np.nanmean(draws, axis=0)) * shrink, n


def units(device: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows to resample, their weights `(samples, rows)`, and how many independent units they are."""
    rows = rng.permutation(len(device))[:LARGEST_SAMPLE]
    names, which = np.unique(device[rows], return_inverse=True)
    if len(names) >= MANY:
        return rows, resampled(len(names), rng)[:, which], len(names)
    return rows, resampled(len(rows), rng), len(device)
