"""The loops of membranes in array functions: for CuPy arrays and any other library that answers NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cimsim.kernels.laws import Membrane
from device_models.window import Array


def integrate(x: Array, law: Membrane, fire: Callable[[Array], Array] | None = None) -> tuple[Array, Array]:
    """As `membrane.integrate`. `fire` gives the spikes of potentials (None: 1 from the threshold on)."""
    v, spikes = np.empty_like(x), np.empty_like(x)
    m, wait = np.zeros_like(x[:, 0]) + law.start, np.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        u = np.where(wait > 0, m, law.decay * m + x[:, t])
        s = (u >= 1).astype(x.dtype) if fire is None else fire(u)
        s = np.where(wait > 0, 0, s)
        m = u - (1 - law.v_reset) * s if law.soft else u * (1 - s) + law.v_reset * s
        wait = np.where(s > 0, law.refractory, np.maximum(wait - 1, 0)) if law.refractory else wait
        v[:, t], spikes[:, t] = u, s
    return v, spikes


def adjoint(dy: Array, slope: Array, v: Array, spikes: Array, law: Membrane) -> Array:
    """As `membrane.adjoint`."""
    dx, held = np.empty_like(v), _held(spikes, law.refractory)
    dm = np.zeros_like(v[:, 0])
    for t in reversed(range(v.shape[1])):
        by_spike = law.v_reset - (1 if law.soft else v[:, t])
        kept = 1 if law.soft else 1 - spikes[:, t]
        du = np.where(held[:, t], dm, (dy[:, t] + dm * by_spike) * slope[:, t] + dm * kept)
        dx[:, t] = np.where(held[:, t], 0, du)
        dm = np.where(held[:, t], du, law.decay * du)
    return dx


def _held(spikes: Array, refractory: int) -> Array:
    """Whether a membrane is held in a step: a spike was in one of the `refractory` steps before."""
    held = np.zeros_like(spikes, dtype=np.bool_)
    for lag in range(1, min(refractory, spikes.shape[1] - 1) + 1):
        held[:, lag:] |= spikes[:, :-lag] > 0
    return held
