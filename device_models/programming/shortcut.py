"""Write-verify drawn at once from tables that were fitted to a simulated loop."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import FloatRows, Floats, RuleBroken, Seconds, Siemens
from device_models.programming.base import Programming, PulsedCells, Written
from device_models.programming.loop import Joules, VerifyLoop
from device_models.streams import Streams
from device_models.update import Update
from device_models.window import Limits, Window

QUANTILES = 64


class VerifyShortcut(Programming):
    """What a `VerifyLoop` makes of erased cells, drawn at once from tables: see `shortcut`, which fits them.

    A table has one row for each of the targets that run evenly from the low to the high end of the nominal `window`,
    and is linear between them. A row of `errors` (siemens) and of `pulses` holds quantiles of cells that verify
    accepted, at the probabilities (1 - cos(pi k / K)) / 2, k = 0 to K; `failures` the share given up and
    `failed_errors` the quantiles of their error.
    A cell whose own window ends before its target keeps that end, and is given up when that is outside the `tolerance`.
    """

    closed_loop: ClassVar[bool] = True

    tolerance: Siemens
    max_pulses: int = Field(ge=1, le=1_000_000)
    window: Window
    errors: FloatRows = Field(description="siemens")
    pulses: FloatRows
    failures: Floats = Field(min_length=2)
    failed_errors: FloatRows = Field(description="siemens")
    pulse_energy: Joules = 0.0
    pulse_seconds: Seconds = 0.0

    @model_validator(mode="after")
    def _tables(self) -> Self:
        for name in ("errors", "pulses", "failed_errors"):
            rows = getattr(self, name)
            if len(rows) != len(self.failures) or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
                raise RuleBroken(f"{name} needs a row of quantiles for each of failures", value=f"{len(rows)} rows")
        if not all(0 <= share <= 1 for share in self.failures):
            raise RuleBroken("failures must be fractions, 0 to 1", value=str(self.failures))
        return self

    def write(self, g_target: np.ndarray, window: Limits, rng: np.random.Generator) -> Written:
        """Draw the outcome of one write of every cell, from the low end of its window."""
        place = np.clip((g_target - self.window.g_min) / self.window.span, 0.0, 1.0) * (len(self.failures) - 1)
        chance, u_error, u_pulses = rng.random((3, *g_target.shape))
        failed = chance < np.interp(place, np.arange(len(self.failures)), self.failures)
        error = _drawn(self.errors, place, u_error)
        error[failed] = _drawn(self.failed_errors, place[failed], u_error[failed])
        g = np.clip(g_target + error, window.g_min, window.g_max)
        failed |= np.abs(g - g_target) > self.tolerance * (1 + 1e-9)
        pulses = np.rint(_drawn(self.pulses, place, u_pulses)).astype(np.int64)
        pulses = np.where(failed, self.max_pulses, np.clip(pulses, 0, self.max_pulses))
        return Written(g, pulses, failed, pulses * self.pulse_energy, pulses * self.pulse_seconds)

    def promised(self, span: float) -> float:
        """The tolerance, siemens."""
        return self.tolerance


def shortcut(
    loop: VerifyLoop, update: Update, window: Window, *, targets: int = 65, cells: int = 4000
) -> VerifyShortcut:
    """A `VerifyShortcut` that agrees in distribution with `loop` on cells of this `update` and `window`.

    It does not agree where cells do not start erased (the pulses count the way from g_min); nor within a table interval
    of g_min, where the loop stops sending pulses at all; nor, for a law with little noise, on targets within a step of
    one another, whose staircase it averages over. It draws error and pulses independently of one another and of earlier
    writes, where a loop on cells with device-to-device spread repeats itself.

    Args:
        loop: the loop; its verify read must be exact, for a noisy one accepts cells outside the tolerance.
        update: the pulse response; its device-to-device spread becomes part of the distribution.
        window: the nominal window.
        targets: targets at which the loop is run, evenly spaced, each spread over one nominal step, so that the places
            where a regular staircase of pulses ends are averaged over.
        cells: cells written at each target; the sampling error of the tables falls with their square root.

    Raises:
        InputError: a verify read with noise, or fewer than 2 targets or 100 cells.
    """
    if loop.read_sigma:
        raise InputError("shortcut", "needs a loop with an exact verify read", loop.read_sigma, "set read_sigma=0")
    if targets < 2 or cells < 100:
        raise InputError("shortcut", "needs 2 targets and 100 cells or more", f"{targets} and {cells}", "give more")
    rng = Streams(0).rng("shortcut")
    wanted = np.linspace(window.g_min, window.g_max, targets)[:, None]
    wanted = wanted + rng.uniform(-0.5, 0.5, (targets, cells)) * update.step(window)
    wanted = np.clip(wanted, window.g_min, window.g_max)
    written = loop.write(wanted, window, rng, erased(wanted.size, update, window, rng))
    error, kept = written.g - wanted, ~written.failed
    whole = written.pulses + rng.uniform(-0.5, 0.5, wanted.shape)  # rounded when drawn: integers keep their shares
    return VerifyShortcut(
        tolerance=loop.accepts(window.span),
        max_pulses=loop.max_pulses,
        window=window,
        errors=_quantiles(error, kept),
        pulses=_quantiles(whole, kept),
        failures=tuple(written.failed.mean(axis=1).tolist()),
        failed_errors=_quantiles(error, ~kept),
        pulse_energy=loop.pulse_energy,
        pulse_seconds=loop.pulse_seconds,
    )


def erased(n: int, update: Update, window: Window, rng: np.random.Generator) -> PulsedCells:
    """`n` cells at the low end of one window, each with parameters of its own where the update spreads."""
    variation = update.draw((n,), rng)

    def pulse(g: np.ndarray, counts: np.ndarray, which: np.ndarray) -> np.ndarray:
        own = None if variation is None else variation[:, which]
        pulsed: np.ndarray = update.pulse(g, counts, window, rng, own)
        return pulsed

    return PulsedCells(np.full(n, window.g_min), pulse, float(update.step(window)), window.span)


def _quantiles(values: np.ndarray, chosen: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Quantiles of the chosen values of each row; zeros where there are none."""
    at = (1 - np.cos(np.pi * np.linspace(0, 1, QUANTILES + 1))) / 2
    rows = [np.quantile(v[c], at) if c.any() else np.zeros(at.size) for v, c in zip(values, chosen, strict=True)]
    return tuple(tuple(row.tolist()) for row in rows)


def _drawn(table: tuple[tuple[float, ...], ...], place: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Values at places between the rows of a table of quantiles, for chances `u` from 0 to 1."""
    rows = np.array(table)
    at = np.arccos(1 - 2 * u) * ((rows.shape[1] - 1) / np.pi)
    r = np.minimum(place.astype(np.int64), rows.shape[0] - 2)
    c = np.minimum(at.astype(np.int64), rows.shape[1] - 2)
    up, along = place - r, at - c
    corner = r * rows.shape[1] + c
    flat = rows.ravel()
    here = flat[corner] * (1 - along) + flat[corner + 1] * along
    corner += rows.shape[1]
    there = flat[corner] * (1 - along) + flat[corner + 1] * along
    result: np.ndarray = here + up * (there - here)
    return result
