"""I-V sweeps -> conduction slot: one curve for all devices, scaled by each device's own conductance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from device_models.conduction import Conduction, Ohmic, PolynomialConduction, Sinh
from device_models.errors import InputError, ParameterError
from device_models.fitting.results import (
    BOOTSTRAPS,
    Choice,
    Estimate,
    Series,
    SlotFit,
    View,
    choose,
    interval,
    need,
    resampled,
)
from device_models.fitting.tables import Table

LEAST = 8  # voltages of each device
FLOOR = 0.02  # of a device's largest current: below it errors are taken as constant, above as proportional
MANY = 5
LAWS: dict[str, tuple[str, ...]] = {
    "Ohmic": (),
    "Sinh": ("v0",),
    "PolynomialConduction, a2": ("a2",),
    "PolynomialConduction, a3": ("a3",),
    "PolynomialConduction, a2 and a3": ("a2", "a3"),
}
UNITS = {"v0": "V", "a2": "1/V", "a3": "1/V^2"}


class Sweeps(NamedTuple):
    """Sweeps of all devices `(devices, points)`: volts, amperes, and 1 / error^2 of each current, 0 where padded."""

    v: np.ndarray
    i: np.ndarray
    weight: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Where there is a point."""
        return self.weight > 0


def fit(table: Table, rng: np.random.Generator) -> SlotFit:
    """Fit i = g f(v) by weighted least squares: ohmic, sinh and polynomial f.

    Raises:
        InputError: too few points, no current, or a device that conducts backwards.
    """
    sweeps = _sweeps(table)
    found = {name: _solve(sweeps, name, np.ones(len(sweeps.v))) for name in LAWS}
    possible = {name: values for name, values in found.items() if _part(name, values, sweeps) is not None}
    choices = choose([_choice(sweeps, name, values) for name, values in possible.items()])
    name = choices[0].family
    values = found[name]
    g = _conductances(sweeps, _shape(name, values, sweeps.v))
    if np.any(g < 0):
        remedy = "exchange the sign of v or i"
        raise InputError(f"{table.source}, device {np.argmin(g)}", "must conduct forwards", f"{g.min():.3g} S", remedy)
    draws, units = _bootstrap(sweeps, name, values, rng)
    estimates = [interval(n, values[k], draws[:, k], units, UNITS[n], log=n == "v0") for k, n in enumerate(LAWS[name])]
    rest = (sweeps.i - g[:, None] * _shape(name, values, sweeps.v))[sweeps.inside]
    notes = (f"voltages from {table['v'].min():g} to {table['v'].max():g} V", _how(units, len(g)))
    return SlotFit(
        "iv", table.source, {"conduction": _part(name, values, sweeps)}, tuple(estimates), tuple(choices),
        float(np.sqrt(np.mean(rest**2))), _repeated(table), "A", _view(sweeps, name, values, g), _window(g), notes,
    )  # fmt: skip


def _sweeps(table: Table) -> Sweeps:
    groups = list(table.groups("device"))
    v, i, weight = np.zeros((3, len(groups), max(map(len, groups))))
    for d, rows in enumerate(groups):
        n = len(rows)
        v[d, :n], i[d, :n] = table["v"][rows], table["i"][rows]
        different = len(np.unique(v[d][v[d] != 0]))
        need(different, LEAST, "different voltages of each device", table.source, "the conduction slot")
        if not i[d].any():
            raise InputError(table.source, "needs a current", "0 A throughout", "check the column i")
        size = np.abs(i[d, :n])
        weight[d, :n] = (size + FLOOR * size.max()) ** -2.0
    return Sweeps(v, i, weight)


def _shape(name: str, values: np.ndarray, v: np.ndarray) -> np.ndarray:
    """f(v), volts."""
    if name == "Sinh":
        return np.asarray(values[0] * np.sinh(v / values[0]))
    a = dict(zip(LAWS[name], values, strict=True))
    return np.asarray(v * (1 + a.get("a2", 0.0) * np.abs(v) + a.get("a3", 0.0) * v**2))


def _conductances(sweeps: Sweeps, f: np.ndarray) -> np.ndarray:
    """Each device's best conductance for a curve, siemens."""
    return np.asarray((sweeps.weight * f * sweeps.i).sum(1) / (sweeps.weight * f * f).sum(1))


def _costs(sweeps: Sweeps, name: str, values: np.ndarray) -> np.ndarray:
    """Weighted squares left over, by device."""
    f = _shape(name, values, sweeps.v)
    rest = sweeps.i - _conductances(sweeps, f)[:, None] * f
    return np.asarray((sweeps.weight * rest**2).sum(1))


def _choice(sweeps: Sweeps, name: str, values: np.ndarray) -> Choice:
    n, cost = int(sweeps.inside.sum()), float(_costs(sweeps, name, values).sum())
    free = len(values)
    return Choice(name, n * float(np.log(max(cost, 1e-300) / n)) + 2 * (free + len(sweeps.v)), free)


def _solve(sweeps: Sweeps, name: str, counts: np.ndarray) -> np.ndarray:
    """The curve's parameters, each device counted `counts` times; conductances are found on the way."""
    if name == "Ohmic":
        return np.empty(0)
    if name != "Sinh":
        return _polynomial(sweeps, name, counts)
    ends = np.log(np.abs(sweeps.v).max()) + np.array([-3.4, 3.4])

    def cost(log: float) -> float:
        return float(counts @ _costs(sweeps, name, np.exp([log])))

    return np.exp([minimize_scalar(cost, bounds=tuple(ends), method="bounded", options={"xatol": 1e-6}).x])


def _polynomial(sweeps: Sweeps, name: str, counts: np.ndarray) -> np.ndarray:
    """a2 and a3: linear once each device's conductance is known, which is then found again."""
    v, i, w = sweeps
    columns = np.stack([{"a2": v * np.abs(v), "a3": v**3}[n] for n in LAWS[name]])
    power, along = (w * v * v).sum(1), (w * v * columns).sum(2)
    free = columns - (along / power)[..., None] * v  # each device's own multiple of v taken out
    normal = np.einsum("kdp,ldp->dkl", free * w, columns)
    right = np.einsum("kdp,dp->dk", free * w, i)
    values = np.zeros(len(columns))
    for _ in range(100):
        g = _conductances(sweeps, _shape(name, values, v))
        new = np.linalg.solve(np.einsum("d,dkl->kl", counts * g**2, normal), (counts * g) @ right)
        settled = np.allclose(new, values, rtol=1e-8, atol=1e-10)
        values = new
        if settled:
            break
    return np.asarray(values)


def _part(name: str, values: np.ndarray, sweeps: Sweeps) -> Conduction | None:
    """The slot's part; None where the curve breaks its rules."""
    given = {n: float(x) for n, x in zip(LAWS[name], values, strict=True)}
    v_max = float(np.abs(sweeps.v).max())
    try:
        if name == "Ohmic":
            return Ohmic(v_max=v_max)
        if name == "Sinh":
            return Sinh(**given, v_max=v_max)
        return PolynomialConduction(**given, v_max=v_max)
    except ParameterError:
        return None


def _bootstrap(sweeps: Sweeps, name: str, values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Parameters of resampled devices, or of curves whose residuals have random signs where devices are few."""
    devices, points = len(sweeps.v), int(sweeps.inside.sum())
    if name == "Ohmic":
        return np.empty((0, 0)), devices
    if devices >= MANY:
        return np.array([_solve(sweeps, name, counts) for counts in resampled(devices, rng)]), devices
    f = _shape(name, values, sweeps.v)
    law = _conductances(sweeps, f)[:, None] * f
    rest = (sweeps.i - law) * np.sqrt(points / (points - devices - len(values)))
    signs = rng.choice(
        [-1.0, 1.0], (BOOTSTRAPS, *law.shape)
    )  # each residual stays where it is: errors need not be alike
    redrawn = (sweeps._replace(i=law + rest * sign) for sign in signs)
    return np.array([_solve(one, name, np.ones(devices)) for one in redrawn]), points


def _how(units: int, devices: int) -> str:
    return f"intervals: bootstrap over {units} {'devices' if devices >= MANY else 'residuals'}"


def _repeated(table: Table) -> float:
    """Standard deviation of currents measured again at one voltage of a device; NaN where none is."""
    keys = np.stack([table["device"].astype(float), table["v"]], axis=1)
    _, which, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    rest = table["i"] - (np.bincount(which, table["i"]) / counts)[which]
    free = len(rest) - len(counts)
    return float(np.sqrt(np.sum(rest**2) / free)) if free else float("nan")


def _window(g: np.ndarray) -> tuple[Estimate, Estimate]:
    return Estimate("g_min", float(g.min()), np.nan, np.nan, "S"), Estimate(
        "g_max", float(g.max()), np.nan, np.nan, "S"
    )


def _view(sweeps: Sweeps, name: str, values: np.ndarray, g: np.ndarray) -> View:
    inside = sweeps.inside
    v, i = sweeps.v[inside], sweeps.i[inside]
    rest = (sweeps.i - g[:, None] * _shape(name, values, sweeps.v))[inside]
    x = np.linspace(v.min(), v.max(), 201)
    law = tuple(Series(f"law at {k * 1e6:.3g} µS", x, k * _shape(name, values, x)) for k in sorted({g.min(), g.max()}))
    data, left = (Series("currents", v, i),), (Series("currents", v, rest),)
    return View(f"I-V: {name}", "voltage", "current", "V", "A", data, law, left, "A")
