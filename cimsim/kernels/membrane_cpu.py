"""The loops of membranes compiled for the CPU: one pass over a sample's steps while its neurons are in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cimsim.kernels.laws import Membrane

_compiled = njit(nogil=True, error_model="numpy", cache=True)


def integrate(x: np.ndarray, law: Membrane) -> tuple[np.ndarray, np.ndarray]:
    """As `membrane.integrate`."""
    x = np.ascontiguousarray(x)
    v, spikes = np.empty_like(x), np.empty_like(x)
    _integrate(x, v, spikes, law)
    return v, spikes


def adjoint(dy: np.ndarray, slope: np.ndarray, v: np.ndarray, spikes: np.ndarray, law: Membrane) -> np.ndarray:
    """As `membrane.adjoint`."""
    dx = np.empty_like(v)
    _adjoint((np.ascontiguousarray(dy, v.dtype), slope, v, spikes), dx, law)
    return dx


@_compiled
def _integrate(x: Any, v: Any, spikes: Any, law: Any) -> None:
    batch, steps, n = x.shape
    number = x.dtype.type
    zero, one, decay = number(0), number(1), number(law.decay)
    v_reset, drop = number(law.v_reset), number(1 - law.v_reset)
    m, wait = np.empty(n, x.dtype), np.empty(n, np.int64)
    for b in range(batch):
        m[:], wait[:] = law.start, 0
        for t in range(steps):
            for k in range(n):
                u = decay * m[k] + x[b, t, k]
                if law.refractory:
                    u = m[k] if wait[k] > 0 else u
                s = one if u >= one and wait[k] <= 0 else zero
                m[k] = u - drop * s if law.soft else (v_reset if s > zero else u)
                if law.refractory:
                    wait[k] = law.refractory if s > zero else max(wait[k] - 1, 0)
                v[b, t, k], spikes[b, t, k] = u, s


@_compiled
def _adjoint(given: Any, dx: Any, law: Any) -> None:
    dy, slope, v, spikes = given
    batch, steps, n = v.shape
    number = v.dtype.type
    zero, one, decay = number(0), number(1), number(law.decay)
    v_reset, drop = number(law.v_reset), number(1 - law.v_reset)
    dm, held = np.empty(n, v.dtype), np.zeros((steps, n), np.bool_)
    for b in range(batch):
        dm[:] = zero
        if law.refractory:
            _mark_held(spikes[b], law.refractory, held)
        for t in range(steps - 1, -1, -1):
            for k in range(n):
                by_spike = -drop if law.soft else v_reset - v[b, t, k]
                kept = one if law.soft else one - spikes[b, t, k]
                du = (dy[b, t, k] + dm[k] * by_spike) * slope[b, t, k] + dm[k] * kept
                rest = held[t, k]
                dx[b, t, k] = zero if rest else du
                dm[k] = dm[k] if rest else decay * du


@_compiled
def _mark_held(spikes: Any, refractory: Any, held: Any) -> None:
    steps, n = spikes.shape
    for k in range(n):
        wait = 0
        for t in range(steps):
            held[t, k] = wait > 0
            wait = refractory if spikes[t, k] > 0 else max(wait - 1, 0)
