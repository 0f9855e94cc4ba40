"""Written conductances against their targets -> programming slot."""

from __future__ import annotations

import numpy as np

from device_models.fitting import scale
from device_models.fitting.results import Choice, Estimate, Series, SlotFit, View, interval, need
from device_models.fitting.tables import Table
from device_models.programming import PolynomialError, Programming, SpanError

LEAST = 20
DEGREES = {"SpanError": 0, "PolynomialError, degree 1": 1, "PolynomialError, degree 2": 2}
Ends = tuple[float, float]


def fit(table: Table, rng: np.random.Generator, ends: Ends | None = None) -> SlotFit:
    """Fit the error of a one-shot write: `SpanError`, and `PolynomialError` of degree 1 and 2, by maximum likelihood.

    Args:
        table: written-versus-target pairs.
        rng: of the bootstrap.
        ends: the window, siemens, where other measurements gave one; else the extreme targets.

    Raises:
        InputError: too few writes or targets, or no convergence.
    """
    target, g = table["g_target"], table["g"]
    need(len(target), LEAST, "writes", table.source, "the programming slot")
    low, high = ends or (float(target.min()), float(target.max()))
    need(len(np.unique(target)), 2, "different targets", table.source, "the programming slot")
    e = g - target
    choices = _tried(target, e, high, table.source)
    degree = DEGREES[choices[0].family]
    x = scale.powers(target, high, degree)
    c, draws, units = scale.bootstrap(x, e, table["device"], rng, where=table.source, slot="programming")
    part, estimates = _part(c, draws, units, (low, high), target)
    sigma = x @ c
    notes = (_mean_error(e, sigma), *_between(table, e / sigma), f"intervals: bootstrap over {units} {_what(table)}")
    return SlotFit(
        "writes", table.source, {"programming": part}, tuple(estimates), tuple(choices), float(np.sqrt(np.mean(e**2))),
        _repeated(table, e), "S", _view(target, e, degree, c, high, choices[0].family), _window(target), notes,
    )  # fmt: skip


def _tried(target: np.ndarray, e: np.ndarray, g_ref: float, where: str) -> list[Choice]:
    """The families with enough different targets."""
    laws = {name: (scale.powers(target, g_ref, degree), 0)
            for name, degree in DEGREES.items() if len(np.unique(target)) > degree}  # fmt: skip
    return scale.compared(laws, e, where=where, slot="programming")


def _part(
    c: np.ndarray, draws: np.ndarray, units: int, ends: Ends, target: np.ndarray
) -> tuple[Programming, list[Estimate]]:
    low, high = ends
    if len(c) == 1:
        error = c[0] / (high - low)
        return SpanError(error=float(error)), [interval("error", error, draws[:, 0] / (high - low), units, log=True)]
    valid = (float(min(target.min(), low)), float(max(target.max(), high)))
    estimates = [interval(f"coefficients[{k}]", c[k], draws[:, k], units, "S") for k in range(len(c))]
    return PolynomialError(coefficients=tuple(map(float, c)), g_ref=high, valid=valid), estimates


def _window(target: np.ndarray) -> tuple[Estimate, Estimate]:
    ends = zip(("g_min", "g_max"), (target.min(), target.max()), strict=True)
    low, high = (Estimate(name, float(value), np.nan, np.nan, "S") for name, value in ends)
    return low, high


def _what(table: Table) -> str:
    return "devices" if table.devices >= 5 else "writes"


def _mean_error(e: np.ndarray, sigma: np.ndarray) -> str:
    error = float(np.mean(e))
    doubt = 2 * float(np.std(e)) / np.sqrt(len(e))
    said = "no larger than chance" if abs(error) <= doubt else "not in the law"
    return f"mean error {error * 1e6:.3g} ± {doubt * 1e6:.2g} µS ({said})"


def _between(table: Table, z: np.ndarray) -> list[str]:
    """The share of the variance that belongs to devices (one-way analysis of variance)."""
    share = variance_share(table["device"], z)
    return [] if np.isnan(share) else [f"device-to-device share of the variance: {max(share, 0.0):.0%}"]


def variance_share(device: np.ndarray, z: np.ndarray) -> float:
    """Variance between devices over the whole, by the method of moments; NaN where no device is repeated."""
    _, which, counts = np.unique(device, return_inverse=True, return_counts=True)
    k, n = len(counts), len(z)
    if k < 2 or n <= k:
        return float("nan")
    means = np.bincount(which, z) / counts
    within = float(np.sum((z - means[which]) ** 2) / (n - k))
    between = float(np.sum(counts * (means - z.mean()) ** 2) / (k - 1))
    size = (n - np.sum(counts**2) / n) / (k - 1)
    variance = (between - within) / size
    return variance / (max(variance, 0.0) + within) if within + variance > 0 else 0.0


def _repeated(table: Table, e: np.ndarray) -> float:
    """Standard deviation between writes of one device to one target; NaN where none is repeated."""
    keys = np.stack([table["device"].astype(float), table["g_target"]], axis=1)
    _, which, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    means = np.bincount(which, e) / counts
    free = len(e) - len(counts)
    return float(np.sqrt(np.sum((e - means[which]) ** 2) / free)) if free > 0 else float("nan")


def _view(target: np.ndarray, e: np.ndarray, degree: int, c: np.ndarray, g_ref: float, name: str) -> View:
    x = np.linspace(target.min(), target.max(), 101)
    sigma = np.maximum(scale.powers(x, g_ref, degree) @ c, 0)
    z = e / np.maximum(scale.powers(target, g_ref, degree) @ c, 1e-15)
    law = (Series("law: ± one standard deviation", x, 0 * x, sigma),)
    data, left = (Series("writes", target, e),), (Series("writes", target, z),)
    return View(f"Programming error: {name}", "target", "written less target", "S", "S", data, law, left, "σ")
