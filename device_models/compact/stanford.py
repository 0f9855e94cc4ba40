"""Stanford-PKU RRAM: a gap in a filament that grows and shrinks by field- and heat-driven hopping.

Guan, Yu and Wong, IEEE EDL 33, 1405 (2012); Jiang et al., IEEE TED 63, 1884 (2016). The form is that of the authors'
Verilog-A model, version 1.0.0 (Jiang and Wong, nanoHUB, 2014, doi 10.4231/D37H1DN48).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from pydantic import Field

from device_models.compact.model import CompactModel, Kelvins, Metres
from device_models.parameters import Amperes, Seconds, Volts
from device_models.window import Array

BOLTZMANN = 8.617333262e-5  # electronvolts per kelvin
CUT_OFF = 1e-6  # relative rise of the field over which gamma comes on: a jump would have no solution by implicit steps


class StanfordPKU(CompactModel):
    """The state is the gap in metres: a wide one insulates. Positive voltage closes it (SET), negative opens it.

    i = I0 exp(-gap / gap0) sinh(v / v0); T = T_ambient + |v i| r_th;
    gamma = gamma0 - beta (gap / 1 nm)^3, with gamma_reset for gamma0 at v < 0, and 0 where gamma |v| / t_ox < f_min;
    d gap/dt = -velocity0 exp(-E_a / kT) sinh(gamma a0 / t_ox v / kT), kT in electronvolts.
    The stochastic part adds N(0, 1) delta_gap0 / (1 + exp((t_crit - T) / t_smooth)) metres per second, drawn afresh
    each `noise_step`; here as a random walk of that strength, so that its law does not depend on the time step.
    """

    i0: Amperes = Field(gt=0)
    gap0: Metres = Field(gt=0)
    v0: Volts
    velocity0: float = Field(gt=0, le=1e6, description="metres per second")
    activation: float = Field(gt=0, le=10, description="electronvolts")
    beta: float = Field(ge=0, le=100)
    gamma0: float = Field(gt=0, le=1000)
    gamma_reset: float = Field(gt=0, le=1000)
    hop: Metres = Field(gt=0)
    t_ox: Metres = Field(gt=0)
    f_min: float = Field(default=0.0, ge=0, le=1e11, description="volts per metre")
    t_ambient: Kelvins = 298.0
    r_th: float = Field(default=0.0, ge=0, le=1e9, description="kelvin per watt")
    gap_min: Metres
    gap_max: Metres
    initial: Metres
    delta_gap0: float = Field(default=0.0, ge=0, le=1e3, description="metres per second")
    t_crit: Kelvins = 450.0
    t_smooth: Kelvins = 500.0
    noise_step: Seconds = Field(default=1e-9, gt=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """Narrowest and widest gap, metres."""
        return self.gap_min, self.gap_max

    def current(self, x: Array, v: Array) -> Array:
        """Tunnelling through the gap, amperes."""
        return self.i0 * np.exp(-x / self.gap0) * np.sinh(v / self.v0)

    def temperature(self, x: Array, v: Array) -> Array:
        """Temperature of the filament under Joule heat, kelvin."""
        return self.t_ambient + np.abs(v * self.current(x, v)) * self.r_th

    def velocity(self, x: Array, v: Array) -> Array:
        """Metres per second, negative while the gap closes."""
        thermal = BOLTZMANN * self.temperature(x, v)
        loss = self.beta * (x / 1e-9) ** 3
        gamma = np.where(v < 0, self.gamma_reset - loss, self.gamma0 - loss)
        excess = gamma * np.abs(v) / self.t_ox - self.f_min
        moving = np.clip(excess / (CUT_OFF * self.f_min + 1.0), 0.0, 1.0)
        hops = np.sinh(gamma * self.hop / self.t_ox * v / thermal)
        return -self.velocity0 * np.exp(-self.activation / thermal) * hops * moving

    def diffusion(self, x: Array, v: Array) -> Array:
        """Strength of the gap's random walk, metres per square root of a second."""
        heat = np.exp((self.t_crit - self.temperature(x, v)) / self.t_smooth)
        return self.delta_gap0 * sqrt(self.noise_step) / (1 + heat)


# The defaults of the Verilog-A model, its stochastic part included.
DEFAULT = StanfordPKU(
    i0=1e-3,
    gap0=0.25e-9,
    v0=0.25,
    velocity0=10.0,
    activation=0.6,
    beta=0.8,
    gamma0=16.0,
    gamma_reset=16.0,
    hop=0.25e-9,
    t_ox=12e-9,
    f_min=1.4e9,
    r_th=2.1e3,
    gap_min=0.2e-9,
    gap_max=1.7e-9,
    initial=0.2e-9,
    delta_gap0=0.02,
)
# N-doped AlOx, fitted to published data in the crossbar generator pyxbar (test/test_1R_AlON.sp), there with an earlier
# form of the model: no heating, no least field, one gamma0 for both polarities, no noise, and a gap that may close.
ALOX = StanfordPKU(
    i0=3e-6,
    gap0=0.175e-9,
    v0=0.4,
    velocity0=18.0,
    activation=0.6,
    beta=2.35,
    gamma0=14.5,
    gamma_reset=14.5,
    hop=0.4e-9,
    t_ox=15e-9,
    gap_min=0.0,
    gap_max=1.7e-9,
    initial=1.7e-9,
)
