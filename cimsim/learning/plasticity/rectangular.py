"""The rectangular rule of memristive STDP."""

from __future__ import annotations

from pydantic import Field

from device_models.errors import InputError
from device_models.parameters import Parameters, Seconds


class RectangularSTDP(Parameters):
    """When a neuron fires, inputs that fired within the `window` before it are potentiated, all others depressed.

    Potentiated by `set_pulses` SET pulses, depressed by `reset_pulses` RESET pulses, whatever the exact times: what a
    pulse does is the device's matter. A long rectangular pulse of the input that overlaps with a short one of the
    neuron does it without a clock. Querlioz, Bichler, Dollfus and Gamrat, IEEE Trans. Nanotechnol. 12, 288 (2013).
    """

    window: Seconds = Field(default=0.11, gt=0)
    set_pulses: int = Field(default=1, ge=0, le=100)
    reset_pulses: int = Field(default=1, ge=0, le=100)

    @property
    def needs(self) -> frozenset[str]:
        """The directions that its pulses take: "up", "down"."""
        return frozenset(n for n, k in (("up", self.set_pulses), ("down", self.reset_pulses)) if k)

    def steps(self, dt: float) -> int:
        """The window in time steps of `dt` seconds. Raises `InputError` for steps longer than the window."""
        if dt > self.window:
            rule = f"the time step must be at most the window, {self.window:g} s"
            raise InputError("RectangularSTDP", rule, f"{dt:g} s", "take more steps, or check the unit of both")
        return 1 + round(self.window / dt)
