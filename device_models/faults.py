"""What fabrication does to single cells, drawn once per chip: stuck cells and the spread of the window."""

from __future__ import annotations

import abc
from typing import NamedTuple, Self

import numpy as np
from pydantic import model_validator

from device_models.parameters import Fraction, RuleBroken, Spread, Variant

STUCK_HRS, WORKING, STUCK_LRS = -1, 0, 1


class Fabricated(NamedTuple):
    """What fabrication made of each cell.

    `stuck` is int8: STUCK_HRS, WORKING or STUCK_LRS. `min_factor` and `max_factor` multiply the nominal ends of the
    window (dimensionless).
    """

    stuck: np.ndarray
    min_factor: np.ndarray
    max_factor: np.ndarray


class Faults(Variant):
    """Slot of stuck-at faults and device-to-device (D2D) spread."""

    @abc.abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        """Fabricate cells of the given shape, once per chip."""


class CellFaults(Faults):
    """Independent stuck cells at the given rates, and a lognormal spread of both ends of the window.

    A spread s multiplies an end by exp(s z - s^2/2) with z normal, so the mean end is the nominal one and the
    relative standard deviation is sqrt(exp(s^2) - 1), s for small s.
    """

    stuck_lrs: Fraction = 0.0
    stuck_hrs: Fraction = 0.0
    spread_g_min: Spread = 0.0
    spread_g_max: Spread = 0.0

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        if self.stuck_lrs + self.stuck_hrs > 1:
            got = f"{self.stuck_lrs:g} + {self.stuck_hrs:g}"
            raise RuleBroken("stuck_lrs + stuck_hrs must not exceed 1 (fractions of all cells)", value=got)
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        """Fabricate cells; every draw is made whatever is switched off, so no effect moves another's draw."""
        chance = rng.random(shape)
        z_min, z_max = rng.standard_normal(shape), rng.standard_normal(shape)
        stuck = np.where(chance < self.stuck_lrs, STUCK_LRS, WORKING)
        stuck = np.where(chance >= 1 - self.stuck_hrs, STUCK_HRS, stuck).astype(np.int8)
        return Fabricated(stuck, _lognormal(z_min, self.spread_g_min), _lognormal(z_max, self.spread_g_max))


def _lognormal(z: np.ndarray, spread: float) -> np.ndarray:
    return np.exp(spread * z - spread**2 / 2)
