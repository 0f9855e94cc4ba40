"""Repeated reads -> read-noise slot."""

from __future__ import annotations

import numpy as np

from device_models.errors import InputError
from device_models.fitting import scale
from device_models.fitting.results import Estimate, Series, SlotFit, View, interval, need
from device_models.fitting.tables import Table
from device_models.read_noise import AbsoluteNoise, OneOverFNoise, PolynomialNoise, ProportionalNoise, ReadNoise

LEAST = 10  # reads of each device
T_READ = 250e-9  # seconds, of the 1/f law: not to be told from these data
EXPONENTS = np.linspace(0.0, 2.0, 101)
SHOWN = 4000


def fit(table: Table, rng: np.random.Generator) -> SlotFit:
    """Fit the spread of reads around each device's mean: absolute, proportional, polynomial and 1/f noise.

    Raises:
        InputError: too few reads of a device, reads that do not differ, or no convergence.
    """
    mean, e, t, device = _centred(table)
    if np.abs(e).max() <= 1e-12 * mean.max():
        raise InputError(table.source, "needs reads that differ", "all equal", "export more digits")
    g_ref = float(mean.max())
    laws = _laws(mean, t, e, g_ref)
    choices = scale.compared(laws, e, where=table.source, slot="read-noise")
    name = choices[0].family
    x = laws[name][0]
    c, draws, units = scale.bootstrap(x, e, device, rng, where=table.source, slot="read-noise")
    if name == "OneOverFNoise":
        part, estimates = _flicker(mean, t, e, g_ref, scale.units(device, rng))
    else:
        part, estimates = _part(name, np.vstack([c, draws]), units, g_ref)
    notes = (
        *_successive(table, e),
        f"intervals: bootstrap over {units} {'devices' if table.devices >= 5 else 'reads'}",
    )
    if name == "OneOverFNoise":
        notes += (f"t_read = {T_READ * 1e9:g} ns assumed; time is counted from the write",)
    rms = float(np.sqrt(np.mean(e**2)))
    view = _view(mean, e, x @ c, name)
    return SlotFit(
        "reads", table.source, {"read_noise": part}, tuple(estimates), tuple(choices), rms, rms, "S", view,
        _window(mean), notes,
    )  # fmt: skip


def _centred(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each device's mean, reads less it (enlarged by sqrt(n / (n - 1)), for it is estimated), times and devices."""
    _, which, counts = np.unique(table["device"], return_inverse=True, return_counts=True)
    need(int(counts.min()), LEAST, "reads of each device", table.source, "the read-noise slot")
    mean = (np.bincount(which, table["g"]) / counts)[which]
    e = (table["g"] - mean) * np.sqrt(counts / (counts - 1))[which]
    return mean, e, table["t"], which


def _laws(mean: np.ndarray, t: np.ndarray, e: np.ndarray, g_ref: float) -> dict[str, tuple[np.ndarray, int]]:
    """What each law's standard deviation is made of, and its parameters beside the coefficients."""
    states = len(np.unique(mean))
    laws = {
        "AbsoluteNoise": (scale.powers(mean, g_ref, 0), 0),
        "ProportionalNoise": ((mean / g_ref)[:, None], 0),
    }
    for degree in (1, 2):
        if states > 4 * (degree + 1):
            laws[f"PolynomialNoise, degree {degree}"] = (scale.powers(mean, g_ref, degree), 0)
    if np.any(t > 10 * T_READ) and states > 8:
        laws["OneOverFNoise"] = (_one_over_f(mean, t, g_ref, _exponent(mean, t, e, g_ref))[:, None], 1)
    return laws


def _one_over_f(mean: np.ndarray, t: np.ndarray, g_ref: float, exponent: float) -> np.ndarray:
    growth = np.sqrt(np.log(np.maximum((t + T_READ) / (2 * T_READ), 1.0)))
    return np.asarray(mean * (mean / g_ref) ** -exponent * growth)


def _exponent(mean: np.ndarray, t: np.ndarray, e: np.ndarray, g_ref: float) -> float:
    """The exponent of state dependence of 1/f noise with the best likelihood, its size profiled out."""
    return float(_profiled(mean, t, e, g_ref, np.ones((1, len(e))))[0][0])


def _profiled(
    mean: np.ndarray, t: np.ndarray, e: np.ndarray, g_ref: float, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Exponent and q of 1/f noise for each weighting of the reads."""
    late = t > 2 * T_READ
    base = _one_over_f(mean[late], t[late], g_ref, 0.0)
    x, w = np.log(mean[late] / g_ref), weights[:, late]
    total = w.sum(axis=1)
    square = np.stack([w @ (e[late] / base * np.exp(p * x)) ** 2 / total for p in EXPONENTS], axis=1)
    cost = np.log(square) - 2 * EXPONENTS * (w @ x / total)[:, None]
    best = np.argmin(cost, axis=1)
    return EXPONENTS[best], np.sqrt(square[np.arange(len(best)), best])


def _flicker(
    mean: np.ndarray, t: np.ndarray, e: np.ndarray, g_ref: float, resampling: tuple[np.ndarray, np.ndarray, int]
) -> tuple[ReadNoise, list[Estimate]]:
    rows, weights, units = resampling
    (exponent,), (q,) = _profiled(mean, t, e, g_ref, np.ones((1, len(e))))
    exponents, sizes = _profiled(mean[rows], t[rows], e[rows], g_ref, weights)
    estimates = [interval("q", q, sizes, units, log=True), interval("exponent", exponent, exponents, units)]
    largest = float(min(max(0.2, 10 * q), 10.0))
    part = OneOverFNoise(q=float(q), exponent=float(exponent), g_ref=g_ref, t_read=T_READ, q_max=largest)
    return part, estimates


def _part(name: str, c: np.ndarray, units: int, g_ref: float) -> tuple[ReadNoise, list[Estimate]]:
    value = tuple(map(float, c[0]))
    if name == "AbsoluteNoise":
        return AbsoluteNoise(std=value[0]), [interval("std", value[0], c[1:, 0], units, "S", log=True)]
    if name == "ProportionalNoise":
        relative = c[:, 0] / g_ref
        part = ProportionalNoise(relative=float(relative[0]))
        return part, [interval("relative", relative[0], relative[1:], units, log=True)]
    estimates = [interval(f"coefficients[{k}]", v, c[1:, k], units, "S") for k, v in enumerate(value)]
    return PolynomialNoise(coefficients=value, g_ref=g_ref), estimates


def _successive(table: Table, e: np.ndarray) -> list[str]:
    """How much successive reads of a device resemble each other: what independent draws leave out."""
    products, squares = 0.0, 0.0
    for rows in table.groups("device"):
        ordered = e[rows[np.argsort(table["t"][rows], kind="stable")]]
        products += float(ordered[1:] @ ordered[:-1])
        squares += float(ordered @ ordered)
    correlation = products / squares
    if abs(correlation) < 3 / np.sqrt(len(e)):
        return ["successive reads: independent, as far as these data tell"]
    return [f"successive reads correlate by {correlation:.2f}; the law draws them independently"]


def _window(mean: np.ndarray) -> tuple[Estimate, Estimate] | None:
    if mean.min() == mean.max():
        return None
    ends = zip(("g_min", "g_max"), (mean.min(), mean.max()), strict=True)
    low, high = (Estimate(name, float(value), np.nan, np.nan, "S") for name, value in ends)
    return low, high


def _view(mean: np.ndarray, e: np.ndarray, sigma: np.ndarray, name: str) -> View:
    shown = np.linspace(0, len(e) - 1, min(len(e), SHOWN)).astype(int)
    x, first = np.unique(mean, return_index=True)
    law = (Series("law: ± one standard deviation", x, 0 * x, sigma[first]),)
    data = (Series("reads", mean[shown], e[shown]),)
    left = (Series("reads", mean[shown], e[shown] / np.maximum(sigma[shown], 1e-15)),)
    return View(f"Read noise: {name}", "mean conductance", "read less mean", "S", "S", data, law, left, "σ")
