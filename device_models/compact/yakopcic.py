"""The generalised model of Yakopcic et al., IEEE EDL 32, 1436 (2011) and IEEE TCAD 32, 1201 (2013)."""

from __future__ import annotations

from math import exp
from typing import Literal

import numpy as np
from pydantic import Field

from device_models.compact.model import CompactModel
from device_models.parameters import Fraction, Volts
from device_models.window import Array


class Yakopcic(CompactModel):
    """A state in [0, 1], a sinh current proportional to it, and exponential motion beyond two thresholds.

    i = a x sinh(b v), a = a1 for v >= 0 and a2 below. dx/dt = eta g(v) f(x): g = A_p (e^v - e^V_p) above V_p,
    -A_n (e^-v - e^V_n) below -V_n, 0 between; f is 1 up to x_p (down to 1 - x_n) and from there falls exponentially,
    by alpha_p (alpha_n), to 0 at the bound ahead. Voltages in the exponents are in volts.
    """

    a1: float = Field(gt=0, le=10, description="amperes")
    a2: float = Field(gt=0, le=10, description="amperes")
    b: float = Field(gt=0, le=100, description="per volt")
    a_p: float = Field(ge=0, le=1e12, description="per second")
    a_n: float = Field(ge=0, le=1e12, description="per second")
    v_p: Volts
    v_n: Volts
    alpha_p: float = Field(ge=0, le=100)
    alpha_n: float = Field(ge=0, le=100)
    x_p: float = Field(ge=0, lt=1)
    x_n: float = Field(ge=0, lt=1)
    eta: Literal[1, -1] = 1
    initial: Fraction

    @property
    def bounds(self) -> tuple[float, float]:
        """0, where no current flows, and 1."""
        return 0.0, 1.0

    def current(self, x: Array, v: Array) -> Array:
        """Tunnelling current, amperes."""
        return np.where(v >= 0, self.a1 * x, self.a2 * x) * np.sinh(self.b * v)

    def velocity(self, x: Array, v: Array) -> Array:
        """Per second; exactly 0 between the thresholds."""
        up = self.a_p * (np.exp(np.maximum(v, self.v_p)) - exp(self.v_p))
        down = self.a_n * (np.exp(np.maximum(-v, self.v_n)) - exp(self.v_n))
        return self.eta * (up - down) * np.where(self.eta * v > 0, self._rising(x), self._falling(x))

    def _rising(self, x: Array) -> Array:
        beyond = np.maximum(x - self.x_p, 0.0)
        return np.exp(-self.alpha_p * beyond) * (1 - beyond / (1 - self.x_p))

    def _falling(self, x: Array) -> Array:
        beyond = np.maximum(1 - self.x_n - x, 0.0)
        return np.exp(-self.alpha_n * beyond) * (1 - beyond / (1 - self.x_n))


# Sets of the TCAD paper for measured devices; the drive each belongs to is named.
# Silver chalcogenide (Oblea et al., IJCNN 2010), sine of 0.45 V at 100 Hz.
OBLEA_SINE = Yakopcic(
    a1=0.17,
    a2=0.17,
    b=0.05,
    a_p=4000.0,
    a_n=4000.0,
    v_p=0.16,
    v_n=0.15,
    alpha_p=1.0,
    alpha_n=5.0,
    x_p=0.3,
    x_n=0.5,
    initial=0.11,
)
# The same device, triangles of 0.25 V.
OBLEA_TRIANGLE = OBLEA_SINE.replace(a1=0.097, a2=0.097, initial=0.001)
# TaOx (Miao et al., Advanced Materials 23, 5633 (2011)), +0.75 and -1.25 V in 20 s.
MIAO = OBLEA_SINE.replace(a1=0.11, a2=0.11, b=0.5, a_p=7.5, a_n=2.0, v_p=0.09, v_n=0.75)
# Ag/a-Si (Jo et al., Nano Letters 10, 1297 (2010)), triangles of +4 and -2 V in 5 s.
JO = OBLEA_SINE.replace(
    a1=3.7e-7,
    a2=4.35e-7,
    b=0.7,
    a_p=0.005,
    a_n=0.08,
    v_p=1.5,
    v_n=0.5,
    alpha_p=1.2,
    alpha_n=3.0,
    x_p=0.2,
    initial=0.1,
)
