"""The squid axon of Hodgkin and Huxley, J. Physiol. 117, 500 (1952): the reference of the simpler neurons."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from cimsim.network.neurons.base import Neuron, Potential, Shape, filled
from device_models.window import Array

SiemensPerArea = Annotated[float, Field(ge=0, le=1e6, description="siemens per square metre")]
Rates = tuple[Array, Array]


class HodgkinHuxleyState(NamedTuple):
    """Membrane potential, volts, and the open shares of the gates m, h (sodium) and n (potassium)."""

    v: Array
    m: Array
    h: Array
    n: Array


class HodgkinHuxley(Neuron):
    """C dv/dt = -g_na m^3 h (v - e_na) - g_k n^4 (v - e_k) - g_leak (v - e_leak) + I / area, gates at 6.3 degrees C.

    Potentials are absolute, with the rest at -65 mV; defaults are those of the paper, shifted to it. A spike is an
    upward crossing of `v_spike`. Integrated by Strang splitting, of second order: half a step of the gates at fixed
    potential, a step of the potential at fixed gates, half a step of the gates, each exact in itself.
    """

    area: float = Field(default=1e-9, gt=0, le=1.0, description="square metres")
    capacitance: float = Field(default=0.01, gt=0, le=100.0, description="farads per square metre")
    g_na: SiemensPerArea = 1200.0
    g_k: SiemensPerArea = 360.0
    g_leak: SiemensPerArea = Field(default=3.0, gt=0)
    e_na: Potential = 50e-3
    e_k: Potential = -77e-3
    e_leak: Potential = -54.387e-3
    v_rest: Potential = -65e-3
    v_spike: Potential = 0.0

    @property
    def shortest(self) -> float:
        """The shortest time constant of the fastest gate, m, between the reversal potentials, seconds."""
        return min(float(1 / sum(_rates_m(np.float64(v)))) for v in (self.e_k, self.e_na))

    def rest(self, shape: Shape, like: Array | None = None) -> HodgkinHuxleyState:
        v = filled(self.v_rest, shape, like)
        return HodgkinHuxleyState(v, *(up / (up + down) for up, down in (_rates_m(v), _rates_h(v), _rates_n(v))))

    def advance(self, state: HodgkinHuxleyState, current: Array, dt: float) -> tuple[HodgkinHuxleyState, Array]:
        m, h, n = _relax_gates(state, state.v, dt / 2)
        v = self._relax_potential(state.v, (m, h, n), current, dt)
        after = HodgkinHuxleyState(v, *_relax_gates(HodgkinHuxleyState(v, m, h, n), v, dt / 2))
        return after, (v >= self.v_spike) & (state.v < self.v_spike)

    def _relax_potential(self, v: Array, gates: tuple[Array, Array, Array], current: Array, dt: float) -> Array:
        """The potential after `dt` seconds at fixed gates: exponential approach to its target."""
        m, h, n = gates
        sodium, potassium = self.g_na * m**3 * h, self.g_k * n**4
        g = sodium + potassium + self.g_leak
        target = (sodium * self.e_na + potassium * self.e_k + self.g_leak * self.e_leak + current / self.area) / g
        return target + (v - target) * np.exp(-g * (dt / self.capacitance))


def _relax_gates(state: HodgkinHuxleyState, v: Array, dt: float) -> tuple[Array, Array, Array]:
    """The gates after `dt` seconds at a fixed potential."""
    m, h, n = (
        _relax(gate, *rates(v), dt) for gate, rates in ((state.m, _rates_m), (state.h, _rates_h), (state.n, _rates_n))
    )
    return m, h, n


def _relax(gate: Array, opening: Array, closing: Array, dt: float) -> Array:
    """Exponential approach of a gate to the share opening / (opening + closing), rates per second."""
    rate = opening + closing
    target = opening / rate
    return target + (gate - target) * np.exp(-rate * dt)


def _rates_m(v: Array) -> Rates:
    """Opening and closing rates of m, per second, at v volts."""
    return 1e3 * _linoid((v + 40e-3) / 10e-3), 4e3 * np.exp(-(v + 65e-3) / 18e-3)


def _rates_h(v: Array) -> Rates:
    """Opening and closing rates of h, per second, at v volts."""
    return 70.0 * np.exp(-(v + 65e-3) / 20e-3), 1e3 / (1 + np.exp(-(v + 35e-3) / 10e-3))


def _rates_n(v: Array) -> Rates:
    """Opening and closing rates of n, per second, at v volts."""
    return 100.0 * _linoid((v + 55e-3) / 10e-3), 125.0 * np.exp(-(v + 65e-3) / 80e-3)


def _linoid(x: Array) -> Array:
    """The function x / (1 - exp(-x)), which is 1 at 0."""
    at_zero = x == 0
    return np.where(at_zero, 1.0, x / -np.expm1(-np.where(at_zero, 1.0, x)))
