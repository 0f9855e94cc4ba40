"""Pulse trains -> update slot, window and, where reads are noisy, read noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from device_models.errors import InputError
from device_models.faults import CellFaults
from device_models.fitting import affine, step_table
from device_models.fitting.laws import LAWS, SIGNED, UNITS, parameters, update
from device_models.fitting.pulse_view import Course, Picture, picture
from device_models.fitting.results import BOOTSTRAPS, Choice, Estimate, SlotFit, choose, interval, resampled
from device_models.fitting.tables import Table
from device_models.fitting.trains import SIGNS, Trains, Windows, find_windows, of_sign
from device_models.read_noise import AbsoluteNoise

MANY_DEVICES = 5  # from here on devices are told apart, and resampled
PARAMETRIC = 1000  # stands for the number of units where trains are drawn from the law
NULL_DRAWS = 150  # devices drawn alike, to see what noise alone makes of their parameters
READ = "read_noise.std"


def fit(table: Table, rng: np.random.Generator) -> SlotFit:
    """Fit every law of `LAWS` to the trains of a table and keep the one of least AIC.

    Raises:
        InputError: too few pulses, or trains that do not move the conductance.
    """
    windows = find_windows(table)
    trains = {sign: of_sign(table, sign, windows) for sign in SIGNS if np.any(table["polarity"] == sign)}
    given = {sign: affine.sums(t.used) for sign, t in trains.items()}
    fits = {(law, noisy): _both(given, law, noisy) for law in LAWS for noisy in (False, True)}
    tried = [_choice(law, noisy, one) for (law, noisy), one in fits.items() if _moves(one)]
    if not tried:
        rule = "the fit of the update slot did not converge: no law moves the conductance along the pulses"
        raise InputError(table.source, rule, "", "check the polarity column and the order of the pulses")
    choices = choose(tried)
    best, noisy = next(key for key in fits if _name(*key) == choices[0].family)
    report = _Report(table, windows, trains, given, best, noisy, rng)
    steps = None if noisy else step_table.fit(trains)
    if steps is None or steps.aic >= choices[0].aic:
        return report.slot(choose([*choices, *([] if steps is None else [steps.choice])]))
    return report.tabulated(steps, choose([*choices, steps.choice]))


def _both(given: dict[int, affine.Sums], law: str, noisy: bool) -> dict[int, affine.Affine]:
    return {s: affine.fit(one, np.ones((1, len(one.steps))), law, noisy_reads=noisy) for s, one in given.items()}


def _name(law: str, noisy: bool) -> str:
    return LAWS[law].__name__ + (" with noisy reads" if noisy else "")


def _choice(law: str, noisy: bool, fits: dict[int, affine.Affine]) -> Choice:
    free = {"exponential": 2, "linear": 1, "soft bounds": 1}[law] + 1 + noisy
    return Choice(_name(law, noisy), float(sum(one.aic[0] for one in fits.values())), free * len(fits))


def _moves(fits: dict[int, affine.Affine]) -> bool:
    return all(bool(np.isfinite(one.aic[0]) and one.b[0] > 0 and one.r[0] > 0) for one in fits.values())


@dataclass(frozen=True)
class _Report:
    """The chosen law with everything that is reckoned from it."""

    table: Table
    windows: Windows
    trains: dict[int, Trains]
    given: dict[int, affine.Sums]
    law: str
    noisy: bool
    rng: np.random.Generator

    @property
    def many(self) -> bool:
        """Whether there are devices enough to tell them apart."""
        return self.windows.devices >= MANY_DEVICES

    def fitted(self, weights: dict[int, np.ndarray]) -> dict[int, affine.Affine]:
        """The law for weightings of the trains."""
        return {
            sign: affine.fit(self.given[sign], w, self.law, noisy_reads=self.noisy).at(self.trains[sign].stride)
            for sign, w in weights.items()
        }

    def pooled(self) -> dict[int, affine.Affine]:
        """The law of all trains."""
        return self.fitted({sign: np.ones((1, len(t.used))) for sign, t in self.trains.items()})

    def by_device(self) -> dict[int, affine.Affine]:
        """The law of each device by itself."""
        devices = np.arange(self.windows.devices)
        return self.fitted({sign: (t.device == devices[:, None]).astype(float) for sign, t in self.trains.items()})

    def slot(self, choices: list[Choice]) -> SlotFit:
        """The fit of the chosen law."""
        spreads, said = self._between_devices()
        point, drawn, units = self._estimated(differ=bool(spreads))
        found = [interval(n, v, drawn[n], units, UNITS.get(n, ""), log=n not in SIGNED) for n, v in point.items()]
        law = {n: v for n, v in point.items() if n != READ} | {e.name: e.value for e in spreads}
        parts: dict[str, Any] = {"update": update(self.law, law)}
        if self.noisy:
            parts["read_noise"] = AbsoluteNoise(std=point[READ])
        shown = f"Pulse trains: {LAWS[self.law].__name__}", self._courses()
        error = float(np.mean([self._recorded(sign).variance for sign in self.trains])) ** 0.5
        said += [_one_ahead(error, self.windows.span), _how(units, self.many)]
        return self._assembled(parts, [*found, *spreads], choices, shown, said)

    def tabulated(self, steps: step_table.StepTable, choices: list[Choice]) -> SlotFit:
        """The fit where a table of steps does better than every law."""
        units = {sign: t.device if self.many else np.arange(len(t.used)) for sign, t in self.trains.items()}
        found, n = steps.estimates(units, self.windows.span, self.rng)
        parts = {"update": steps.update(float(self.windows.low.mean()), self.windows.span)}
        drawn = "Pulse trains: TabulatedUpdate", {sign: steps.course(sign, t) for sign, t in self.trains.items()}
        said = [_one_ahead(steps.error, self.windows.span), _how(n, self.many)]
        return self._assembled(parts, found, choices, drawn, said)

    def _assembled(
        self,
        parts: dict[str, Any],
        found: list[Estimate],
        choices: list[Choice],
        drawn: tuple[str, dict[int, Course]],
        said: list[str],
    ) -> SlotFit:
        """A fit with its window, picture and notes."""
        ends, spread, where = window_estimates(self.windows, self.rng, many=self.many)
        if spread:
            parts = parts | {"faults": _spread_of(spread)}
        shown = picture(drawn[0], self.trains, self.windows, drawn[1])
        return SlotFit(
            "pulses", self.table.source, parts, (*found, *spread), tuple(choices), shown.rms, shown.spread, "S",
            shown.view, ends, (where, shown.said, *_wanders(shown), *self._one_sided(), *said),
        )  # fmt: skip

    def _estimated(self, *, differ: bool) -> tuple[dict[str, float], dict[str, np.ndarray], int]:
        """Parameters, their bootstrap draws, and how many independent units were resampled.

        Where devices differ, the mean of each device's own parameters; else those of all trains together.
        """
        pooled = self.pooled()
        point = {name: float(values[0]) for name, values in self._named(pooled).items()}
        if differ:
            return self._mean_device(point)
        if self.many:
            counts = resampled(self.windows.devices, self.rng)
            drawn = self.fitted({sign: counts[:, t.device] for sign, t in self.trains.items()})
            return point, self._named(drawn), self.windows.devices
        cycles = {sign: len(t.used) for sign, t in self.trains.items()}
        if min(cycles.values()) >= MANY_DEVICES:
            drawn = self.fitted({sign: resampled(n, self.rng) for sign, n in cycles.items()})
            return point, self._named(drawn), min(cycles.values())
        return point, self._named(self._simulated(BOOTSTRAPS)), PARAMETRIC

    def _mean_device(self, pooled: dict[str, float]) -> tuple[dict[str, float], dict[str, np.ndarray], int]:
        """The mean of each parameter over devices, less the bias of a fit to so few trains."""
        each, alike = self._named(self.by_device()), self._named(self._as_one_device())
        kept = np.all([np.isfinite(v) for v in each.values()], axis=0)
        weights = resampled(int(kept.sum()), self.rng) / kept.sum()
        point, draws = {}, {}
        for name, values in each.items():
            same = alike[name][np.isfinite(alike[name])]
            bias = same.mean() - pooled[name]
            doubt = self.rng.choice(same, (BOOTSTRAPS, len(same))).mean(axis=1) - same.mean()
            point[name], draws[name] = float(values[kept].mean() - bias), weights @ values[kept] - bias - doubt
        return point, draws, int(kept.sum())

    def _named(self, fits: dict[int, affine.Affine]) -> dict[str, np.ndarray]:
        found = parameters(self.law, fits, self.windows.span)
        if self.noisy:
            found[READ] = self.windows.span * np.sqrt(np.mean([one.read for one in fits.values()], axis=0))
        return found

    def _as_one_device(self) -> dict[int, affine.Affine]:
        """The law of devices drawn from the law of all, with as many trains each as were measured."""
        trains = max(1, round(np.mean([len(t.used) for t in self.trains.values()]) / self.windows.devices))
        return self._simulated(NULL_DRAWS, trains)

    def _simulated(self, draws: int, trains: int = 0) -> dict[int, affine.Affine]:
        """The law fitted to trains drawn from it: as many as were measured, or `trains`, in each of many draws."""
        found = {}
        for sign, t in self.trains.items():
            one = self._recorded(sign)
            law = float(one.r[0]), float(one.b[0]), float(one.process[0]), float(one.read[0])
            wanted = t.used[: trains or len(t.used)]
            drawn = [list(affine.simulated(x[0], len(x), law, self.rng, draws)) for x in wanted]
            sets = [affine.sums(one_of_each, noisy_reads=self.noisy) for one_of_each in drawn]
            total = affine.Sums(*(np.sum(parts, axis=0) for parts in zip(*sets, strict=True)))
            found[sign] = affine.fit(total, np.eye(draws), self.law, noisy_reads=self.noisy).at(t.stride)
        return found

    def _recorded(self, sign: int) -> affine.Affine:
        """The law of all trains from one record to the next."""
        return affine.fit(self.given[sign], np.ones((1, len(self.trains[sign].used))), self.law, noisy_reads=self.noisy)

    def _between_devices(self) -> tuple[list[Estimate], list[str]]:
        """Device-to-device spread: the variance between devices less what cycle-to-cycle noise makes of it."""
        if not self.many:
            return [], [f"device-to-device spread: needs {MANY_DEVICES} devices, has {self.windows.devices}"]
        each = parameters(self.law, self.by_device(), self.windows.span)
        noise = parameters(self.law, self._as_one_device(), self.windows.span)
        found, alike = [], []
        for name in each:
            values, within = (x if name in SIGNED else np.log(x) for x in (each[name], noise[name]))
            spread = between_devices(name, values[np.isfinite(values)], float(np.nanvar(within, ddof=1)), self.rng)
            if spread is None:
                alike.append(name)
            else:
                found.append(spread)
        said = f"device-to-device spread: {', '.join(alike)} no larger than cycle-to-cycle noise makes it"
        return found, [said] if alike else []

    def _courses(self) -> dict[int, Course]:
        """The law of each polarity as it is drawn."""
        found = {}
        for sign, one in self.pooled().items():
            recorded = self._recorded(sign)
            r, b, theta = (float(v[0]) for v in (recorded.r, recorded.b, recorded.theta))
            begun = affine.starts(self.trains[sign].whole, r, b, theta)
            law = float(one.r[0]), float(one.b[0]), float(one.process[0]), float(one.read[0])
            found[sign] = Course(begun, partial(_mean, law), partial(_variance, law))
        return found

    def _one_sided(self) -> list[str]:
        if len(self.trains) == 2:
            return []
        have, lack = ("up", "down") if 1 in self.trains else ("down", "up")
        return [f"no pulses {lack}: taken as the mirror of those {have}"]


def between_devices(name: str, values: np.ndarray, within: float, rng: np.random.Generator) -> Estimate | None:
    """The spread of a parameter between devices by the method of moments; None where noise explains it (F test, 1 %).

    Args:
        name: the parameter.
        values: one for each device.
        within: the variance that cycle-to-cycle noise alone gives them, from `NULL_DRAWS` simulated devices.
        rng: of the bootstrap.
    """
    between = float(np.var(values, ddof=1))
    if between < within * stats.f.ppf(0.99, len(values) - 1, NULL_DRAWS - 1):
        return None
    draws = np.var(rng.choice(values, (BOOTSTRAPS, len(values))), axis=1, ddof=1)
    errors = np.sqrt(np.maximum(draws - within, 1e-3 * between))
    return interval(f"spread_{name}", np.sqrt(between - within), errors, len(values), log=True)


def window_estimates(
    windows: Windows, rng: np.random.Generator, *, many: bool
) -> tuple[tuple[Estimate, Estimate], list[Estimate], str]:
    """Ends of the window (the mean of the devices' own), their spread where devices are many, and how found."""
    n, spread = windows.devices, []
    weights = resampled(n, rng) / n
    ends = {"g_min": windows.low, "g_max": windows.high}
    low, high = (interval(k, float(v.mean()), weights @ v, n, "S", log=True) for k, v in ends.items())
    how = {True: "extreme, held there", False: "end of the median curve, smoothed over 5 % of a train"}
    said = f"window of each device: low {how[windows.held_low]}; high {how[windows.held_high]}"
    for name, values in ends.items():
        if many and values.min() > 0 and np.std(values) > 1e-6 * values.mean():
            logs = np.log(values)
            draws = np.std(rng.choice(logs, (BOOTSTRAPS, n)), axis=1, ddof=1)
            spread.append(interval(f"spread_{name}", float(np.std(logs, ddof=1)), draws, n, log=True))
    return (low, high), spread, said


def _spread_of(spread: list[Estimate]) -> CellFaults:
    values = {e.name: e.value for e in spread}
    return CellFaults(spread_g_min=values.get("spread_g_min", 0.0), spread_g_max=values.get("spread_g_max", 0.0))


def _mean(law: tuple[float, float, float, float], start: np.ndarray, n: np.ndarray) -> np.ndarray:
    return affine.curve(start, law[0], law[1], n)


def _variance(law: tuple[float, float, float, float], n: np.ndarray) -> np.ndarray:
    r, _, process, read = law
    grown = n if abs(r - 1) < 1e-12 else (1 - r ** (2.0 * n)) / (1 - r**2)
    return np.asarray(process * grown + read)


def _wanders(shown: Picture) -> list[str]:
    """A long noisy train leaves the mean curve without the law being wrong: noise of pulses adds up."""
    if not shown.rms > 1.5 * shown.spread:
        return []
    return ["residuals are taken from the mean curve; the noise of pulses adds up along a train, as the band shows"]


def _one_ahead(error: float, span: float) -> str:
    return f"one record ahead the law errs by {error * span * 1e6:.3g} µS (RMS)"


def _how(units: int, many: bool) -> str:
    if units == PARAMETRIC:
        return "intervals: parametric bootstrap"
    return f"intervals: bootstrap over {units} {'devices' if many else 'cycles'}"
