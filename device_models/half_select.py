"""Disturb of cells that share a line with a written one, in arrays without selectors (0T1R).

A write puts its full voltage on one cell. In scheme "V/2" the other cells of its row and column see half of it. In
"V/3" they see a third, and all cells of other rows and columns a third with the opposite sign. Chen, IEEE Trans.
Electron Devices 60, 1318 (2013). Behind transistors ("1T1R") no other cell sees anything.
In a card this is the section `half_select`, and the device then disturbs its arrays at every write and pulse train.
"""

from __future__ import annotations

import abc
import math
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from pydantic import Field

from device_models.errors import InputError
from device_models.parameters import Parameters, Variant, Volts
from device_models.window import Array

FRACTIONS = {"V/2": 1 / 2, "V/3": 1 / 3, "1T1R": 0.0}


class Shaped(Protocol):
    """Cells of an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...


C = TypeVar("C", bound=Shaped)


class Pulsed(Protocol[C]):
    """A device, as far as a disturb needs one: what pulses do to its cells."""

    def pulse(self, cells: C, n: Array, rng: Any) -> C: ...


class Exposures(NamedTuple):
    """How many partial pulses each cell has seen while others were written: integers, potentiating and depressing."""

    up: Array
    down: Array


class Disturb(Variant):
    """How much of a write pulse a pulse of lower voltage is."""

    @abc.abstractmethod
    def chance(self, v: float, v_write: float) -> float:
        """Full pulses, 0 to 1, that one pulse of `v` volts is worth where writing takes `v_write`; 1 at `v_write`."""


class ThresholdDisturb(Disturb):
    """Below `v_threshold` nothing happens; from there on a pulse is a full one."""

    v_threshold: Volts

    def chance(self, v: float, v_write: float) -> float:
        """0 or 1."""
        return float(v >= self.v_threshold)


class ExponentialDisturb(Disturb):
    """A pulse loses effect exponentially with its voltage: exp(-(v_write - v) / v0).

    Waiting times to switch fall by e for every `v0` volts, and a pulse has its chance of switching in proportion: Jo,
    Kim and Lu, Nano Lett. 9, 496 (2009).
    """

    v0: Volts = Field(gt=0)

    def chance(self, v: float, v_write: float) -> float:
        """The ratio of switching rates."""
        return math.exp(-max(v_write - v, 0.0) / self.v0)


class HalfSelect(Parameters):
    """A write scheme, its voltage, and what lower voltages do.

    Each partial pulse acts as one full pulse with the chance `disturb` gives, independently. So the mean change is
    that chance times a pulse's; its spread is that of switching events, not of a small steady creep.
    """

    scheme: Literal["V/2", "V/3", "1T1R"]
    v_write: Volts = Field(gt=0)
    disturb: Disturb

    @property
    def v_others(self) -> float:
        """Voltage on cells that are not written, volts."""
        return self.v_write * FRACTIONS[self.scheme]

    @property
    def chance(self) -> float:
        """Chance that one exposure acts as a full pulse."""
        return 0.0 if self.scheme == "1T1R" else self.disturb.chance(self.v_others, self.v_write)

    def exposures(self, pulses: Array) -> Exposures:
        """Partial pulses on every cell while an array is written with `pulses`.

        Args:
            pulses: signed integers, `(..., rows, columns)`: potentiating and depressing pulses each cell is written
                with. Leading axes are arrays of their own.

        Raises:
            InputError: not integers, or fewer than two axes.
        """
        if pulses.ndim < 2 or pulses.dtype.kind not in "iu":
            got = f"{pulses.dtype} of shape {tuple(pulses.shape)}"
            raise InputError("pulses", "must be integers (..., rows, columns)", got, "round them first")
        up, down = np.maximum(pulses, 0), np.maximum(-pulses, 0)
        if self.scheme == "1T1R":
            return Exposures(np.zeros_like(up), np.zeros_like(down))
        if self.scheme == "V/2":
            return Exposures(_on_lines(up), _on_lines(down))
        return Exposures(_on_lines(up) + _off_lines(down), _on_lines(down) + _off_lines(up))

    def expected(self, pulses: Array) -> tuple[Array, Array]:
        """Mean numbers of full pulses, potentiating and depressing, that the exposures are worth."""
        seen = self.exposures(pulses)
        return seen.up * self.chance, seen.down * self.chance

    def apply(self, device: Pulsed[C], cells: C, pulses: Array, rng: Any) -> C:
        """The cells after all of an array was written with `pulses`: those that were disturbed have moved.

        Args:
            device: the kind of cell; its update slot says what a pulse does. It has no `half_select` of its own, or
                every disturb would disturb again.
            cells: the cells after their own writes, `(..., rows, columns)`.
            pulses: as in `exposures`; the shape of the cells.
            rng: a generator with `binomial`, drawing beside the cells.

        Raises:
            InputError: pulses that are not integers or do not fit the cells, or a device without an update slot.
        """
        if tuple(pulses.shape) != cells.shape:
            raise InputError("pulses", f"must have the shape of the cells {cells.shape}", tuple(pulses.shape))
        seen, chance = self.exposures(pulses), self.chance
        if chance == 0:
            return cells
        cells = device.pulse(cells, rng.binomial(seen.up, chance), rng)
        return device.pulse(cells, -rng.binomial(seen.down, chance), rng)


def _on_lines(n: Array) -> Array:
    """Pulses on the other cells of each cell's row and column."""
    return n.sum(axis=-1, keepdims=True) + n.sum(axis=-2, keepdims=True) - 2 * n


def _off_lines(n: Array) -> Array:
    """Pulses on cells that share neither row nor column with a cell."""
    return n.sum(axis=(-2, -1), keepdims=True) - _on_lines(n) - n
