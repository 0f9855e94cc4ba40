"""What every compact model is: a state between two bounds, a current and a rate of change."""

from __future__ import annotations

import abc
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import RuleBroken, Variant
from device_models.window import Array

Metres = Annotated[float, Field(ge=0, le=1e-6, description="metres")]
V_LIMIT = 20.0
SignedVolts = Annotated[float, Field(ge=-V_LIMIT, le=V_LIMIT, description="volts")]
Kelvins = Annotated[float, Field(gt=0, le=5000, description="kelvin")]


class CompactModel(Variant):
    """One memristive device as a circuit model: i = I(x, v), dx/dt = f(x, v), with a single state x.

    x is in the unit of the paper's state (a fraction, or metres). All methods work element by element on arrays of any
    shape and library; v broadcasts against x. A model of one's own gives `bounds`, `current` and `velocity`.
    """

    initial: float

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest state."""

    @abc.abstractmethod
    def current(self, x: Array, v: Array) -> Array:
        """Current, amperes, at state x and v volts."""

    @abc.abstractmethod
    def velocity(self, x: Array, v: Array) -> Array:
        """The law of dx/dt, per second, between the bounds."""

    def rate(self, x: Array, v: Array) -> Array:
        """dx/dt, per second: the velocity, but 0 where it would lead out of the bounds."""
        low, high = self.bounds
        velocity = self.velocity(x, v)
        blocked = ((x <= low) & (velocity < 0)) | ((x >= high) & (velocity > 0))
        return np.where(blocked, 0.0, velocity)

    def diffusion(self, x: Array, v: Array) -> Array:
        """Standard deviation of the state's random walk after one second; 0 for a deterministic model."""
        return np.zeros_like(x)

    def conductance(self, x: Array, v_read: float) -> Array:
        """Current over voltage at a read voltage other than 0, siemens."""
        return self.current(x, v_read) / v_read

    @model_validator(mode="after")
    def _starts_inside(self) -> Self:
        low, high = self.bounds
        if low >= high:
            raise RuleBroken("the state's lower bound must be below the upper", value=f"{low:g} and {high:g}")
        if not low <= self.initial <= high:
            raise RuleBroken(f"initial must be a state between {low:g} and {high:g}", value=f"{self.initial:g}")
        return self


def check_state(model: CompactModel, x: Array) -> None:
    """Raise `InputError` unless all states lie within the model's bounds."""
    low, high = model.bounds
    margin = 1e-6 * (high - low)  # room for the rounding of float32
    if not np.all((x >= low - margin) & (x <= high + margin)):
        got = f"{float(np.min(x)):g} to {float(np.max(x)):g}"
        raise InputError("state", f"must lie between {low:g} and {high:g}", got, "see the model's bounds")


def check_volts(v: Array) -> None:
    """Raise `InputError` unless all voltages are plausible numbers."""
    if not np.all(np.abs(v) <= V_LIMIT):
        got = f"up to {float(np.max(np.abs(v))):g}"
        raise InputError("v", f"must be in volts, at most {V_LIMIT:g} either way", got, "did you give millivolts?")
