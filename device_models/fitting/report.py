"""Fit: what several measurements say of one device, as a card and as a page of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_models import cards
from device_models.device import SLOTS, Device, Source
from device_models.errors import InputError
from device_models.fitting import adapters, conduction, faults, pulses, reads, retention, tables, writes
from device_models.fitting.results import Estimate, SlotFit
from device_models.fitting.tables import Table
from device_models.streams import Streams
from device_models.window import Window

FITTERS = {
    "pulses": pulses.fit,
    "retention": retention.fit,
    "reads": reads.fit,
    "iv": conduction.fit,
    "faults": faults.fit,
}
MISSING = {
    "faults": "no fault map, nor pulse trains of many devices",
    "programming": "no written-versus-target pairs",
    "update": "no pulse trains",
    "retention": "no conductances followed in time",
    "read_noise": "no repeated reads",
    "conduction": "no I-V sweep",
}


@dataclass(frozen=True)
class Fit:
    """A device fitted to measurements.

    Attributes:
        device: ready to use or to save.
        slots: one fit for each kind of measurement.
        window: its ends with their intervals, and what they come from.
        left_ideal: slots these data say nothing of, and why.
        assumed: what was taken for granted to read the files.
    """

    device: Device
    slots: tuple[SlotFit, ...]
    window: tuple[Estimate, Estimate]
    window_from: str
    left_ideal: dict[str, str]
    assumed: tuple[str, ...]

    @property
    def parameters(self) -> dict[str, Estimate]:
        """Estimates by "measurement.parameter", "pulses.nl_up" say."""
        return {f"{slot.kind}.{e.name}": e for slot in self.slots for e in slot.estimates}

    def save(self, path: str | Path) -> Path:
        """Write the device as a card; the intervals are in its source."""
        return cards.save(self.device, path)

    def __str__(self) -> str:
        lines = [f"{self.device.name}: fitted from {self.device.source.paper.removeprefix('measured: ')}", ""]
        lines += [f"window   {e.name} {e}" for e in self.window] + [f"         from the {self.window_from}"]
        for slot in self.slots:
            lines += ["", *_slot_lines(slot)]
        if self.left_ideal:
            lines += ["", "left ideal, these data do not determine"]
            lines += [f"  {slot.replace('_', ' '):<12} {why}" for slot, why in self.left_ideal.items()]
        if self.assumed:
            lines += ["", "assumed to read the files", *(f"  {line}" for line in self.assumed)]
        return "\n".join(lines)


def fit(*given: str | Path | Table, name: str | None = None, seed: int = 0) -> Fit:
    """Fit a device to measured files or tables.

    Args:
        given: paths of CSV files, or tables; those of one kind are joined.
        name: of the device; by default the first file's, without its ending.
        seed: of the bootstrap.

    Raises:
        InputError: a file that cannot be read, too few points, or a fit that does not converge.
    """
    if not given:
        raise InputError("fit", "needs a measurement", "none", "give a CSV file")
    found = tables.merged([t for one in given for t in ([one] if isinstance(one, Table) else adapters.read(one))])
    slots = _fitted(found, Streams(seed).at("fit"))
    ends, window_from = _window(slots)
    left = {slot: MISSING[slot] for slot in SLOTS if not any(slot in one.parts for one in slots)}
    left |= {"retention": "measured, but no change with time that these data show"} if _still(slots) else {}
    device = _device(name or _plain(found[0].source), found, slots, ends)
    return Fit(device, tuple(slots), ends, window_from, left, tuple(s for t in found for s in t.assumed))


def _fitted(found: list[Table], streams: Streams) -> list[SlotFit]:
    slots = [FITTERS[t.kind](t, streams.rng(t.kind)) for t in found if t.kind in FITTERS]
    for table in found:
        if table.kind == "writes":
            window = slots[0].window if slots and slots[0].kind == "pulses" else None
            ends = None if window is None else (window[0].value, window[1].value)
            slots.insert(1 if window else 0, writes.fit(table, streams.rng("writes"), ends))
    return slots


def _window(slots: list[SlotFit]) -> tuple[tuple[Estimate, Estimate], str]:
    """The window of the measurement that says most of it."""
    words = {
        "pulses": "pulse trains",
        "writes": "extreme targets",
        "retention": "1 % and 99 % quantiles of the targets",
        "reads": "lowest and highest mean read",
        "iv": "lowest and highest conductance of the sweeps",
    }
    for kind, said in words.items():
        for slot in slots:
            if slot.kind == kind and slot.window is not None and slot.window[0].value < slot.window[1].value:
                return slot.window, said
    remedy = "add a pulse train, or writes, reads or sweeps at two conductances at least"
    raise InputError(", ".join(s.source for s in slots), "needs measurements that show a window", "none", remedy)


def _still(slots: list[SlotFit]) -> bool:
    return any(slot.kind == "retention" and not slot.parts for slot in slots)


def _device(name: str, found: list[Table], slots: list[SlotFit], ends: tuple[Estimate, Estimate]) -> Device:
    parts: dict[str, Any] = {}
    for slot in reversed(slots):  # the first measurement of a slot wins, but for rates of stuck cells
        parts |= slot.parts
    for slot in slots:
        if slot.kind == "reads":
            parts |= slot.parts  # repeated reads say more of noise than pulse trains do
    both = [slot.parts["faults"] for slot in slots if "faults" in slot.parts]
    if len(both) == 2:
        spread, stuck = both
        parts["faults"] = stuck.replace(spread_g_min=spread.spread_g_min, spread_g_max=spread.spread_g_max)
    figures = {e.name: str(e) for e in ends}
    figures |= {f"{s.kind}.{e.name}": str(e) for s in slots for e in s.estimates if len(s.estimates) <= 40}
    figures |= {f"{s.kind}.choice": f"{s.choices[0].family}, least AIC of {len(s.choices)}" for s in slots if s.choices}
    source = Source(
        paper="measured: " + ", ".join(dict.fromkeys(t.source for t in found)),
        figures=figures,
        validity=f"{ends[0].value * 1e6:.4g} to {ends[1].value * 1e6:.4g} uS, the range measured",
    )
    window = Window(g_min=ends[0].value, g_max=ends[1].value)
    return Device(name=name, title="Fitted to measurements", source=source, window=window, **parts)


def _plain(source: str) -> str:
    """A device's name from a file's."""
    stem = re.split(r"[.,]", source)[0]
    return re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower() or "fitted"


def _slot_lines(slot: SlotFit) -> list[str]:
    lines = [f"{slot.view.title}   ({slot.source})"]
    shown = slot.estimates[:12]
    wide = max((len(e.name) for e in shown), default=0)
    lines += [f"  {e.name:<{wide}}  {e}" for e in shown]
    if len(slot.estimates) > 12:
        lines.append(f"  and {len(slot.estimates) - 12} more, in the card")
    if np.isfinite(slot.residual_rms):
        own = "not repeated" if np.isnan(slot.spread) else _with_unit(slot.spread, slot.unit)
        lines.append(f"  residual RMS {_with_unit(slot.residual_rms, slot.unit)}; the data's own spread {own}")
    if slot.choices:
        best = slot.choices[0]
        rest = ", ".join(f"{c.family} +{c.aic - best.aic:.4g}" for c in slot.choices[1:])
        lines.append(f"  chosen by AIC: {best.family}" + (f"; others: {rest}" if rest else ""))
    return lines + [f"  {note}" for note in slot.notes]


def _with_unit(value: float, unit: str) -> str:
    return f"{value * 1e6:.4g} µ{unit}" if unit in ("S", "A") else f"{value:.4g} {unit}".strip()
