"""Conductances followed in time -> retention slot.

Each law gives the mean and the standard deviation of a device's change since its first reading. Laws are compared by
the likelihood of all changes as if the times of a device were independent (a composite likelihood); intervals come
from resampled devices, so they do not lean on that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_models.fitting import scale
from device_models.fitting.followed import Changes, changes, own_spread
from device_models.fitting.results import Choice, Estimate, SlotFit, choose, interval, need, resampled
from device_models.fitting.retention_view import picture
from device_models.fitting.tables import Table
from device_models.retention import LogTimeRelaxation, LogTimeShift, PowerLawDrift, Retention, TabulatedRetention

LEAST_DEVICES = 8
LEAST_IN_BIN = 20
MOST_BINS = 8


@dataclass(frozen=True)
class Law:
    """A fitted law: mean and standard deviation of the rows, parameters `(samples, k)` by name, and the slot's part."""

    mean: np.ndarray
    sigma: np.ndarray
    free: int
    part: Retention | None
    draws: dict[str, np.ndarray]
    units: dict[str, str]
    log: tuple[str, ...] = ()


def fit(table: Table, rng: np.random.Generator) -> SlotFit:
    """Fit power-law drift, log-time shift, log-time relaxation and a table; keep that of least AIC, or none.

    Raises:
        InputError: too few devices or times, or no convergence.
    """
    rows = changes(table)
    need(rows.devices, LEAST_DEVICES, "devices", table.source, "the retention slot")
    weights = np.vstack([np.ones(rows.devices), resampled(rows.devices, rng, _draws(rows))])
    laws: dict[str, Law] = {}
    unsettled: list[str] = []
    for name, make in MAKERS.items():
        try:
            law = make(rows, weights[:1])
        except scale.NotConverged:
            law = None
            unsettled.append(name)
        if law is not None:
            laws[name] = law
    choices = choose(
        [Choice(n, scale.aic(law.sigma, rows.d - law.mean, law.free), law.free) for n, law in laws.items()]
    )
    law = MAKERS[choices[0].family](rows, weights) or laws[choices[0].family]
    estimates = [
        interval(n, float(v[0]), v[1:], rows.devices, law.units.get(n, ""), log=n in law.log)
        for n, v in law.draws.items()
    ]
    rms = float(np.sqrt(np.mean((rows.d - law.mean) ** 2)))
    notes = [f"times from {rows.first:g} s (the start) to {rows.t.max():g} s; {rows.devices} devices"]
    notes.append("spread between devices at one time is device-to-device; read noise is part of it")
    notes += [f"intervals: bootstrap over {rows.devices} devices"]
    if unsettled:
        notes.append(f"did not converge, left out: {', '.join(unsettled)}")
    if law.part is None:
        notes.append("no change with time that these data show")
    parts: dict[str, Any] = {} if law.part is None else {"retention": law.part}
    return SlotFit(
        "retention", table.source, parts, tuple(estimates), tuple(choices), rms, own_spread(rows), "S",
        picture(rows, law.mean, law.sigma, choices[0].family), _window(table), tuple(notes),
    )  # fmt: skip


def _draws(rows: Changes) -> int:
    """Fewer bootstrap draws for much data: at most about 4e6 weights."""
    return int(np.clip(4e6 // len(rows.d), 40, 200))


# --- the laws ---


def _no_change(rows: Changes, weights: np.ndarray) -> Law:
    sigma = np.full_like(rows.d, np.sqrt(np.mean(rows.d**2)))
    return Law(0 * rows.d, sigma, 1, None, {}, {})


def _power_law(rows: Changes, weights: np.ndarray) -> Law | None:
    """Each device's exponent by least squares of ln g against ln t; their mean, state dependence and variance."""
    if np.any(rows.d + rows.g0 <= 0) or np.any(rows.g0 <= 0) or len(rows.times) + (rows.first > 0) < 3:
        return None
    nu, error, ln_t0, noise = _exponents(rows)
    states, steps = rows.states(), []
    g_ref = float(np.exp(np.mean(np.log(states))))
    x = np.log(states / g_ref)
    total = weights.sum(axis=1)
    mean_x, mean_nu = weights @ x / total, weights @ nu / total
    var_x = weights @ x**2 / total - mean_x**2
    slope = np.where(var_x > 1e-6, (weights @ (x * nu) / total - mean_x * mean_nu) / np.maximum(var_x, 1e-12), 0.0)
    for with_slope in (False, True):
        s = slope if with_slope else 0 * slope
        at_ref = mean_nu - s * mean_x
        square = np.einsum("sd,sd->s", weights, (nu - at_ref[:, None] - s[:, None] * x) ** 2) / (total - 1)
        spread = np.sqrt(np.maximum(square - weights @ error / total, 0.0))
        steps.append(_power(rows, at_ref, s, spread, (g_ref, ln_t0, noise), with_slope))
    costs = [scale.aic(law.sigma, rows.d - law.mean, law.free) for law in steps]
    return steps[int(np.argmin(costs))]


def _exponents(rows: Changes) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Exponent by device, the variance of its error, ln t0, and the standard deviation of ln g around the lines."""
    y, x = np.log1p(rows.d / rows.g0), np.log(rows.t)
    device, n = rows.device, rows.devices
    if rows.first > 0:  # the first reading is a point like the others, at y = 0
        device = np.concatenate([device, np.arange(n)])
        y, x = np.concatenate([y, np.zeros(n)]), np.concatenate([x, np.full(n, np.log(rows.first))])
    count = np.bincount(device, minlength=n)
    mx, my = np.bincount(device, x, n) / count, np.bincount(device, y, n) / count
    sxx = np.maximum(np.bincount(device, (x - mx[device]) ** 2, n), 1e-12)
    nu = -np.bincount(device, (x - mx[device]) * (y - my[device]), n) / sxx
    rest = y - my[device] + nu[device] * (x - mx[device])
    variance = float(np.sum(rest**2) / max(len(y) - 2 * n, 1))
    start = my + nu * mx  # ln g / g0 at ln t = 0: nu ln t0
    ln_t0 = np.log(rows.first) if rows.first > 0 else float(start @ nu / (nu @ nu))
    return nu, variance / sxx, float(ln_t0), float(np.sqrt(variance))


def _power(
    rows: Changes,
    nu: np.ndarray,
    slope: np.ndarray,
    spread: np.ndarray,
    fixed: tuple[float, float, float],
    sloped: bool,
) -> Law:
    g_ref, ln_t0, noise = fixed
    ln_t0 = float(np.clip(ln_t0, np.log(1e-12), np.log(rows.times[0])))
    age = np.log(rows.t) - ln_t0
    mean_nu = nu[0] + slope[0] * np.log(rows.g0 / g_ref)
    mean = rows.g0 * np.expm1(-mean_nu * age)
    sigma = (rows.g0 + mean) * np.hypot(spread[0] * age, noise)
    t0 = float(np.exp(ln_t0))
    values = {"nu": float(nu[0]), "spread": float(spread[0]), "nu_slope": float(slope[0])}
    if max(map(abs, values.values())) > 1:
        values = {name: float(np.clip(v, -1, 1)) for name, v in values.items()}
    nu_0, spread_0, slope_0 = values["nu"], values["spread"], values["nu_slope"]
    part = PowerLawDrift(nu=nu_0, spread=spread_0, nu_slope=slope_0, g_ref=g_ref, t0=t0)
    draws = {"nu": nu, "spread": spread} | ({"nu_slope": slope} if sloped else {})
    free = 3 + sloped + (rows.first == 0)
    return Law(mean, sigma, free, part, draws, {}, log=("spread",))


def _shift(rows: Changes, weights: np.ndarray) -> Law | None:
    """A shift in proportion to ln(t / t0), with a standard deviation that is a line of ln(t / t0)."""
    if len(rows.times) < 2:
        return None
    t0 = float(rows.times[0]) if rows.first == 0 else rows.first
    x = np.log(rows.t / t0)
    by_row = weights[:, rows.device]
    shift = by_row @ (x * rows.d) / (by_row @ x**2)
    basis = np.stack([np.ones_like(x), x], axis=1)
    c = np.empty((len(weights), 2))
    for _ in range(2):  # weigh by the spread found
        c[0] = scale.fit(basis, rows.d - shift[0] * x, by_row[:1], where=rows.source, slot="retention")[0]
        w = np.maximum(basis @ c[0], 1e-3 * np.abs(rows.d).max()) ** -2.0
        shift = by_row @ (w * x * rows.d) / (by_row @ (w * x**2))
    c = scale.fit(basis, rows.d - shift[0] * x, by_row, where=rows.source, slot="retention")
    if c[0].min() < 0:
        return None
    part = LogTimeShift(shift=float(shift[0]), spread=float(c[0, 0]), spread_slope=float(c[0, 1]), t0=t0)
    draws = {"shift": shift, "spread": c[:, 0], "spread_slope": c[:, 1]}
    return Law(shift[0] * x, basis @ c[0], 3, part, draws, dict.fromkeys(draws, "S"), ("spread",))


def _relaxation(rows: Changes, weights: np.ndarray) -> Law | None:
    """A spread without a mean shift: one polynomial of the state for each time, of the degree of least AIC."""
    g_ref, fitted = float(rows.g0.max()), {}
    states = len(np.unique(rows.g0))
    for degree in (d for d in (0, 1, 2) if states > 2 * d):
        x = scale.powers(rows.g0, g_ref, degree)
        try:
            per_time = [_one_time(rows, weights[:1], x, t) for t in rows.times]
        except scale.NotConverged:
            if degree == 0:
                raise
            continue
        sigma = np.zeros_like(rows.d)
        for t, c in zip(rows.times, per_time, strict=True):
            sigma[rows.t == t] = x[rows.t == t] @ c[0]
        fitted[degree] = (scale.aic(sigma, rows.d, len(rows.times) * (degree + 1)), sigma)
    degree = min(fitted, key=lambda d: fitted[d][0])
    x = scale.powers(rows.g0, g_ref, degree)
    draws = {
        f"sigma[{i}][{k}]": column
        for i, t in enumerate(rows.times)
        for k, column in enumerate(_one_time(rows, weights, x, t).T)
    }
    k = degree + 1
    table = tuple(tuple(float(draws[f"sigma[{i}][{j}]"][0]) for j in range(k)) for i in range(len(rows.times)))
    part = LogTimeRelaxation(times=tuple(map(float, rows.times)), sigma=table, g_ref=g_ref, t0=_begin(rows))
    log = tuple(draws) if degree == 0 else ()
    return Law(0 * rows.d, fitted[degree][1], len(rows.times) * k, part, draws, dict.fromkeys(draws, "S"), log)


def _one_time(rows: Changes, weights: np.ndarray, x: np.ndarray, t: float) -> np.ndarray:
    at = rows.t == t
    w = weights[:, rows.device[at]]
    return scale.fit(x[at], rows.d[at], w, where=rows.source, slot="retention")


def _begin(rows: Changes) -> float:
    """When change begins: at the first reading, or well before the first time where that was at once."""
    return rows.first if rows.first > 0 else min(1e-6, float(rows.times[0]) / 10)


def _table(rows: Changes, weights: np.ndarray) -> Law | None:
    """Mean and standard deviation of the change by time and state."""
    states = rows.states()
    bins = min(MOST_BINS, rows.devices // LEAST_IN_BIN)
    if bins < 1:
        return None
    edges = np.quantile(states, np.linspace(0, 1, bins + 1))[1:-1]
    which = np.searchsorted(edges, states, side="right")
    centres = np.array([states[which == k].mean() for k in range(bins) if np.any(which == k)])
    which = np.searchsorted(np.unique(which), which)
    bins = len(centres)
    if np.any(np.diff(centres) <= 0):
        return None
    mean, sigma = np.zeros((len(rows.times), bins)), np.zeros((len(rows.times), bins))
    draws: dict[str, np.ndarray] = {}
    for i, t in enumerate(rows.times):
        for k in range(bins):
            at = (rows.t == t) & (which[rows.device] == k)
            if at.sum() < 3:
                return None
            m, s = _moments(weights[:, rows.device[at]], rows.d[at])
            mean[i, k], sigma[i, k] = m[0], s[0]
            draws |= {f"shift[{i}][{k}]": m, f"sigma[{i}][{k}]": s}
    part = TabulatedRetention(
        times=tuple(map(float, rows.times)), g=tuple(map(float, centres)), t0=_begin(rows),
        shift=tuple(tuple(map(float, row)) for row in mean), sigma=tuple(tuple(map(float, row)) for row in sigma),
    )  # fmt: skip
    place = np.searchsorted(rows.times, rows.t)
    looked = np.stack([[np.interp(g, centres, table[i]) for g, i in zip(rows.g0, place, strict=True)]
                       for table in (mean, sigma)])  # fmt: skip
    log = tuple(name for name in draws if name.startswith("sigma"))
    return Law(looked[0], looked[1], 2 * mean.size, part, draws, dict.fromkeys(draws, "S"), log)


def _moments(w: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = np.maximum(w.sum(axis=1), 2.0)
    mean = w @ d / total
    square = np.maximum(w @ d**2 / total - mean**2, 0.0) * total / (total - 1)
    return mean, np.sqrt(square)


MAKERS: dict[str, Callable[[Changes, np.ndarray], Law | None]] = {
    "no change": _no_change,
    "PowerLawDrift": _power_law,
    "LogTimeShift": _shift,
    "LogTimeRelaxation": _relaxation,
    "TabulatedRetention": _table,
}


# --- what is said of it ---


def _window(table: Table) -> tuple[Estimate, Estimate]:
    low, high = np.quantile(table["g_target"], [0.01, 0.99])
    return Estimate("g_min", float(low), np.nan, np.nan, "S"), Estimate("g_max", float(high), np.nan, np.nan, "S")
