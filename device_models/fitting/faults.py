"""Fault maps -> rates of stuck cells."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from device_models.faults import STUCK_HRS, STUCK_LRS, CellFaults
from device_models.fitting.results import Estimate, Series, SlotFit, View, need
from device_models.fitting.tables import Table

LEAST = 20


def fit(table: Table, rng: np.random.Generator) -> SlotFit:
    """Rates of stuck cells with exact (Clopper-Pearson) 95 % intervals."""
    need(len(table), LEAST, "cells", table.source, "the faults slot")
    estimates, counts = [], []
    for name, state in (("stuck_lrs", STUCK_LRS), ("stuck_hrs", STUCK_HRS)):
        count = int(np.sum(table["stuck"] == state))
        exact = binomtest(count, len(table)).proportion_ci(0.95, method="exact")
        estimates.append(Estimate(name, count / len(table), float(exact.low), float(exact.high)))
        counts.append(count)
    part = CellFaults(stuck_lrs=estimates[0].value, stuck_hrs=estimates[1].value)
    notes = (f"{counts[0]} of {len(table)} cells stuck at LRS, {counts[1]} at HRS", "intervals: exact binomial")
    return SlotFit(
        "faults",
        table.source,
        {"faults": part},
        tuple(estimates),
        (),
        np.nan,
        np.nan,
        "",
        _view(estimates),
        notes=notes,
    )


def _view(estimates: list[Estimate]) -> View:
    """The share of each kind, its interval beside it."""
    data = Series("measured", np.arange(2.0), np.array([e.value for e in estimates]))
    gap = [np.nan]  # between the two bars
    x = np.concatenate([np.r_[k - 0.1, k + 0.1, gap] for k in range(2)])
    middle = np.concatenate([np.r_[np.full(2, (e.low + e.high) / 2), gap] for e in estimates])
    reach = np.concatenate([np.r_[np.full(2, (e.high - e.low) / 2), gap] for e in estimates])
    bars = Series("95 % interval", x, middle, reach)
    names = ("stuck at LRS", "stuck at HRS")
    return View("Stuck cells", "", "share of cells", "", "", (data,), (bars,), (), "", names=names)
