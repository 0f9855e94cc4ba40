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
        v[:, t], spikes[:, t], m, wait = step(m, wait, x[:, t], law, fire)
    return v, spikes


def step(
    m: Array, wait: Array, x: Array, law: Membrane, fire: Callable[[Array], Array] | None = None
) -> tuple[Array, Array, Array, Array]:
    """One step of membranes at potentials `m` with `wait` refractory steps to pass: v, spikes, and the next m, wait."""
    u = np.where(wait > 0, m, law.decay * m + x)
    s = (u >= 1).astype(x.dtype) if fire is None else fire(u)
    s = np.where(wait > 0, 0, s)
    m = u - (1 - law.v_reset) * s if law.soft else u * (1 - s) + law.v_reset * s
    wait = np.where(s > 0, law.refractory, np.maximum(wait - 1, 0)) if law.refractory else wait
    return u, s, m, wait


def adjoint(dy: Array, slope: Array, v: Array, spikes: Array, law: Membrane) -> Array:
    """As `membrane.adjoint`."""
    dx, resting = np.empty_like(v), held(spikes, law.refractory)
    dm = np.zeros_like(v[:, 0])
    for t in reversed(range(v.shape[1])):
        dx[:, t], dm = step_back(dm, dy[:, t], slope[:, t], v[:, t], spikes[:, t], resting[:, t], law)
    return dx


def step_back(
    dm: Array, dy: Array, slope: Array, v: Array, spikes: Array, resting: Array, law: Membrane
) -> tuple[Array, Array]:
    """The adjoint of one step: gradients at its input and at the potential before, from those after it, `dm`, `dy`."""
    by_spike = law.v_reset - (1 if law.soft else v)
    kept = 1 if law.soft else 1 - spikes
    du = np.where(resting, dm, (dy + dm * by_spike) * slope + dm * kept)
    return np.where(resting, 0, du), np.where(resting, du, law.decay * du)


def held(spikes: Array, refractory: int) -> Array:
    """Whether a membrane is held in a step: a spike was in one of the `refractory` steps before."""
    resting = np.zeros_like(spikes, dtype=np.bool_)
    for lag in range(1, min(refractory, spikes.shape[1] - 1) + 1):
        resting[:, lag:] |= spikes[:, :-lag] > 0
    return resting
