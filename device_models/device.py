"""Device: what a kind of cell is (frozen parameters). Cells: what an array of them has become (frozen state)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.conduction import Conduction, Ohmic
from device_models.errors import InputError
from device_models.faults import STUCK_HRS, STUCK_LRS, WORKING, Faults
from device_models.half_select import HalfSelect
from device_models.parameters import Parameters, RuleBroken, Volts
from device_models.programming import Programming, PulsedCells, PulsedProgramming, Written
from device_models.read_noise import ReadNoise
from device_models.retention import Retention
from device_models.streams import Streams
from device_models.update import Update
from device_models.window import Array, CellLimits, Limits, Window

SLOTS = ("faults", "programming", "update", "retention", "read_noise", "conduction")


class Source(Parameters):
    """Where a device's numbers come from: the paper, its DOI, what each figure of it gave, and where they hold.

    `validity` says it in words; `v_read_max` is the highest read voltage (volts) at which they do, where it is known:
    a chip that reads above it is refused.
    """

    paper: str = ""
    doi: str = Field(default="", pattern=r"^(10\.\d{4,9}/\S+)?$")
    figures: dict[str, str] = Field(default_factory=dict)
    validity: str = ""
    v_read_max: Volts | None = None


@dataclass(frozen=True, repr=False)
class Cells:
    """The state of an array of devices: a value, never changed in place.

    Attributes:
        g: conductance at each cell's own last write, siemens, float64.
        seconds: time since each cell was last written, broadcasts against `g`.
        trajectory: the retention slot's sample, `(k, *g.shape)`, or None where nothing drifts.
        limits: each cell's own window, siemens.
        stuck: int8, STUCK_HRS, WORKING or STUCK_LRS.
        variation: the update slot's sample, `(k, *g.shape)`, or None where all cells answer pulses alike.
        pulses: int64, the pulses each working cell has received, of writes and of trains.
    """

    g: Array
    seconds: Array
    trajectory: Array | None
    limits: CellLimits
    stuck: Array
    variation: Array | None
    pulses: Array

    def __repr__(self) -> str:
        return f"Cells{self.shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of cells."""
        return tuple(self.g.shape)

    def each(self, move: Callable[[Array], Array]) -> Cells:
        """The same cells with every array passed through `move` (to another back end, say)."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        moved |= {name: move(array) for name, array in moved.items() if array is not None and name != "limits"}
        return Cells(**moved | {"limits": CellLimits(*map(move, self.limits))})


def stack_cells(arrays: list[Cells]) -> Cells:
    """Arrays of equal shape and of one device as one, stacked along a new first axis."""
    trajectories = [cells.trajectory for cells in arrays if cells.trajectory is not None]
    variations = [cells.variation for cells in arrays if cells.variation is not None]
    return Cells(
        g=np.stack([cells.g for cells in arrays]),
        seconds=_stack_clocks(arrays),
        trajectory=np.stack(trajectories, axis=1) if trajectories else None,
        limits=CellLimits(*(np.stack(ends) for ends in zip(*(cells.limits for cells in arrays), strict=True))),
        stuck=np.stack([cells.stuck for cells in arrays]),
        variation=np.stack(variations, axis=1) if variations else None,
        pulses=np.stack([cells.pulses for cells in arrays]),
    )


def _stack_clocks(arrays: list[Cells]) -> Array:
    """One clock for all where every array shows the same time, else one per cell."""
    clocks = [cells.seconds for cells in arrays]
    if all(np.ndim(t) == 0 for t in clocks) and len({float(t) for t in clocks}) == 1:
        return clocks[0]
    return np.stack([cells.seconds + np.zeros_like(cells.g) for cells in arrays])


class WriteReport(NamedTuple):
    """What a write cost, summed over an array: cells, pulses, cells given up by verify, cells that are stuck.

    `energy` (joules) and `seconds` are what the pulses took, one after the other; 0 where the programming slot knows
    no pulse.
    """

    cells: int
    pulses: int
    failed: int
    stuck: int
    energy: float = 0.0
    seconds: float = 0.0


class Device(Parameters):
    """A kind of memristive cell: a window and six slots, each None where it is ideal.

    `half_select` says how arrays `(..., rows, columns)` without transistors are written: every write and pulse train
    then disturbs the other cells, once all have had their own pulses. None, or no pulse response: nothing is disturbed.
    """

    name: str = Field(min_length=1)
    title: str = ""
    source: Source = Source()
    window: Window
    faults: Faults | None = None
    programming: Programming | None = None
    update: Update | None = None
    retention: Retention | None = None
    read_noise: ReadNoise | None = None
    conduction: Conduction | None = None
    half_select: HalfSelect | None = None

    @model_validator(mode="after")
    def _window_is_covered(self) -> Self:
        """A law with a range of conductances is no law beyond it; that of a write error is checked target by target."""
        low, high, margin = self.window.g_min, self.window.g_max, 1e-6 * self.window.span
        for slot in ("update", "retention", "read_noise"):
            valid = getattr(getattr(self, slot), "valid", None)
            if valid is not None and (low < valid[0] - margin or high > valid[1] + margin):
                rule = f"{slot} holds from {valid[0]:g} to {valid[1]:g} siemens, and must hold in all of the window"
                got = f"a window of {low:g} to {high:g}"
                raise RuleBroken(rule, "narrow the window, or measure further and widen 'valid'", got)
        return self

    def check_read(self, v_read: float) -> None:
        """Raise `InputError` for a read voltage (volts) above what the source or the I-V law is known for."""
        law = None if self.conduction is None else self.conduction.v_max
        known = min((v for v in (self.source.v_read_max, law) if v is not None), default=v_read)
        if v_read > known:
            rule = f"must be at most the {known:g} V that '{self.name}' is known for"
            remedy = f"read at {known:g} V or less, or measure further and raise source.v_read_max or conduction.v_max"
            raise InputError("v_read", rule, v_read, remedy)

    @property
    def ohmic(self) -> bool:
        """Whether current is proportional to voltage."""
        return self.conduction is None or isinstance(self.conduction, Ohmic)

    def fabricate(self, shape: tuple[int, ...], streams: Streams) -> Cells:
        """Make cells of the given shape, unwritten, at the low end of their windows (stuck ones where they stick)."""
        low, high = np.full(shape, self.window.g_min), np.full(shape, self.window.g_max)
        stuck = np.zeros(shape, dtype=np.int8)
        if self.faults is not None:
            made = self.faults.draw(shape, streams.rng("faults"))
            stuck, low, high = made.stuck, low * made.min_factor, high * made.max_factor
            low = np.minimum(low, high)
        g = np.where(stuck == STUCK_LRS, high, low)
        variation = None if self.update is None else self.update.draw(shape, streams.rng("update"))
        received = np.zeros(shape, dtype=np.int64)
        trajectory = self._trajectory(g, streams)
        return Cells(g, np.zeros(()), trajectory, CellLimits(low, high), stuck, variation, received)

    def program(self, cells: Cells, g_target: np.ndarray, streams: Streams) -> tuple[Cells, WriteReport]:
        """Write every working cell to its target (siemens, same shape as the cells) and start its clock at 0.

        Its pulses disturb other cells, where they do, as pulses towards the target.
        """
        self._check_target(cells, g_target)
        written = self._write(cells, g_target, streams)
        g = _unless_stuck(cells, written.g)
        working = cells.stuck == WORKING
        sent = np.where(working, written.pulses, 0)
        report = WriteReport(
            cells=g.size,
            pulses=int(sent.sum()),
            failed=int(written.failed[working].sum()),
            stuck=int(g.size - working.sum()),
            energy=float(np.sum(written.energy * working)),
            seconds=float(np.sum(written.seconds * working)),
        )
        trajectory = self._trajectory(g, streams)
        after = replace(cells, g=g, seconds=np.zeros(()), trajectory=trajectory, pulses=cells.pulses + sent)
        if self.half_select is not None:
            upwards = np.sign(g_target - self.conductance(cells)).astype(np.int64)
            after = self._disturbed(after, upwards * sent, streams.rng("half_select"))
        return after, report

    def age(self, cells: Cells, seconds: float) -> Cells:
        """The same cells `seconds` later; ageing by a and then by b is ageing by a + b."""
        if not isinstance(seconds, int | float | np.number) or not np.isfinite(seconds) or seconds < 0:
            raise InputError("age", "must be a time in seconds, 0 or more", seconds, "time does not run backwards")
        return replace(cells, seconds=cells.seconds + seconds)

    def conductance(self, cells: Cells) -> Array:
        """Conductance now, read noise aside, siemens."""
        if self.retention is None or cells.trajectory is None:
            return cells.g
        g = self.retention.apply(cells.g, cells.trajectory, cells.seconds)
        return np.where(cells.stuck == WORKING, g, cells.g)

    def read(self, cells: Cells, rng: Any) -> Array:
        """One explicit read of every cell, siemens."""
        g = self.conductance(cells)
        return g if self.read_noise is None else self.read_noise.read(g, rng, cells.seconds)

    def read_sigma(self, cells: Cells) -> Array | None:
        """Standard deviation of one read of every cell, siemens; None where reads are exact."""
        return None if self.read_noise is None else self.read_noise.sigma(self.conductance(cells), cells.seconds)

    def pulse(self, cells: Cells, n: Array, rng: Any) -> Cells:
        """Apply signed numbers of identical pulses; a pulsed cell starts a new trajectory at time 0.

        Raises:
            InputError: no update slot, or counts that are not integers or do not fit the cells.
        """
        update = self._pulse_response()
        n = np.where(cells.stuck == WORKING, n, 0)
        if n.shape != cells.shape or n.dtype.kind not in "iu":
            got = f"{n.dtype} of shape {tuple(n.shape)}"
            raise InputError("pulse", f"needs integer counts for cells of shape {cells.shape}", got, "round them first")
        pulsed = n != 0
        answer = _pulsed(update, self.conductance(cells), n, self.limits(cells), rng, cells.variation)
        g = np.where(pulsed, answer, cells.g)
        seconds, received = np.where(pulsed, 0.0, cells.seconds), cells.pulses + np.abs(n)
        trajectory = cells.trajectory
        if self.retention is not None and trajectory is not None:
            trajectory = np.where(pulsed, self.retention.draw(g, rng), trajectory)
        after = replace(cells, g=g, seconds=seconds, trajectory=trajectory, pulses=received)
        return self._disturbed(after, n, rng)

    def limits(self, cells: Cells) -> CellLimits:
        """The cells' windows now, siemens: `cells.limits` less what the pulses received have worn away."""
        return cells.limits if self.faults is None else self.faults.worn(cells.limits, cells.pulses)

    def pulse_step(self) -> float:
        """Nominal change of one pulse, siemens."""
        return float(self._pulse_response().step(self.window))

    def pulses_down(self, cells: Cells) -> Array:
        """Whole pulses that each cell is above the bottom of its own window, by the nominal step; 0 for a stuck one."""
        above = (self.conductance(cells) - self.limits(cells).g_min) / self.pulse_step()
        return np.where(cells.stuck == WORKING, np.maximum(np.floor(above + 1e-6), 0), 0)  # but for rounding

    def drive(self, v: Array) -> Array:
        """The voltages that drive ohmic cells as `v` drives these, volts."""
        return v if self.conduction is None else self.conduction.drive(v)

    def _pulse_response(self) -> Update:
        if self.update is None:
            remedy = "give the device an update slot, ExponentialUpdate say"
            raise InputError(f"device '{self.name}'", "has no pulse response (its update slot is empty)", "", remedy)
        return self.update

    def _disturbed(self, cells: Cells, pulses: Array, rng: Any) -> Cells:
        """The cells after the pulses that others of their array had."""
        if self.half_select is None or self.update is None or len(cells.shape) < 2:
            return cells
        return self.half_select.apply(self.replace(half_select=None), cells, pulses, rng)

    def _write(self, cells: Cells, g_target: np.ndarray, streams: Streams) -> Written:
        """The outcome of a write, stuck cells aside."""
        law, limits = self.programming, self.limits(cells)
        if law is None or (isinstance(law, PulsedProgramming) and self.update is None):
            none = np.zeros(cells.shape, dtype=bool)
            return Written(np.clip(g_target, *limits), np.ones(cells.shape, dtype=np.int64), none)
        rng = streams.rng("programming")
        if isinstance(law, PulsedProgramming):
            return law.write(g_target, limits, rng, self._under_pulses(cells, limits, rng))
        if law.closed_loop:
            return law.write(g_target, limits, rng)
        written = law.write(g_target, self.window, rng)
        share = (written.g - self.window.g_min) / self.window.span
        own = limits.g_min + share * (limits.g_max - limits.g_min)
        return written._replace(g=np.maximum(own, 0.0))

    def _under_pulses(self, cells: Cells, limits: CellLimits, rng: np.random.Generator) -> PulsedCells:
        """These very cells, flat, for a write by pulses; wear during the write itself is not followed."""
        update, g = self._pulse_response(), self.conductance(cells)
        low, high = (np.broadcast_to(end, g.shape).ravel() for end in limits)
        variation = None if cells.variation is None else cells.variation.reshape(len(cells.variation), -1)

        def pulse(g: np.ndarray, n: np.ndarray, which: np.ndarray) -> np.ndarray:
            own = None if variation is None else variation[:, which]
            pulsed: np.ndarray = _pulsed(update, g, n, CellLimits(low[which], high[which]), rng, own)
            return pulsed

        return PulsedCells(g.ravel(), pulse, self.pulse_step(), self.window.span)

    def _trajectory(self, g: np.ndarray, streams: Streams) -> np.ndarray | None:
        return None if self.retention is None else self.retention.draw(g, streams.rng("retention"))

    def _check_target(self, cells: Cells, g_target: np.ndarray) -> None:
        if g_target.shape != cells.shape:
            raise InputError("g_target", f"must have the shape of the cells {cells.shape}", g_target.shape)
        if not np.isfinite(g_target).all():
            raise InputError("g_target", "must be finite (siemens)", f"{(~np.isfinite(g_target)).sum()} not finite")
        low, high = self.window.g_min, self.window.g_max
        margin = 1e-6 * high  # room for the rounding of float32
        if g_target.size and (g_target.min() < low - margin or g_target.max() > high + margin):
            got = f"{g_target.min():.3g} to {g_target.max():.3g}"
            raise InputError("g_target", f"must lie in the window {low:g} to {high:g} siemens", got, "map the weights")


def _pulsed(update: Update, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None) -> Array:
    """Conductance after pulses; a law without device-to-device spread need not know of variation."""
    return update.pulse(g, n, window, rng) if variation is None else update.pulse(g, n, window, rng, variation)


def _unless_stuck(cells: Cells, g: Array) -> Array:
    """Conductances with stuck cells at the end of the window where they stick."""
    g = np.where(cells.stuck == STUCK_LRS, cells.limits.g_max, g)
    return np.where(cells.stuck == STUCK_HRS, cells.limits.g_min, g)
