"""Arrays of compact models in time: steps of one's own choice, or pulses with an error bound."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from device_models.compact.model import CompactModel, check_state, check_volts
from device_models.errors import InputError
from device_models.window import Array

LONGEST_GROWTH = 1.0  # exponent of growth in one step: a cliff in the rate must not throw a state across its range
REACH = 0.05  # share of the state's range that one adaptive step may cross, so that none misses a kink of the rate
ROUNDS = 20_000  # of adaptive steps before a pulse is given up


def step_array(model: CompactModel, x: Array, v: Array, dt: float, steps: int, rng: Any = None) -> Array:
    """States of an array of devices after `steps` steps of `dt` seconds at constant voltages.

    Each step is the exponential Rosenbrock pair exprb32 of Hochbruck, Ostermann and Schweitzer, SIAM J. Numer. Anal.
    47, 786 (2009), held within the bounds: of third order where the rate is smooth, of second at a kink and of first at
    a jump; exact for a relaxation at a linear rate, and stable however fast the state relaxes.
    With a generator the model's noise is added after each step (Euler-Maruyama).

    Args:
        model: the compact model.
        x: states, any shape, of any array library that answers NumPy's functions.
        v: voltages that broadcast against `x`.
        dt: seconds per step.
        steps: number of steps, 0 or more.
        rng: generator of the model's noise, drawing arrays of the library of `x`; None for the deterministic part.

    Raises:
        InputError: states out of their bounds, voltages above 20 V, a step that is not positive.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 0:
        raise InputError("steps", "must be an integer, 0 or more", steps)
    v = _checked(model, x, v, "dt", dt)
    for _ in range(steps):
        moved, _ = _step(model, x, v, dt)
        if rng is not None:
            walk = sqrt(dt) * model.diffusion(x, v) * rng.standard_normal(x.shape)
            moved = np.clip(moved + walk, *model.bounds)
        x = moved
    return x


def pulse_array(model: CompactModel, x: Array, v: Array, seconds: float, *, tolerance: float = 1e-7) -> Array:
    """States of an array of devices after one rectangular pulse, by the steps of `step_array` of adapted length.

    Every device has its own steps. Their error is estimated by the pair's formula of second order and the state goes on
    with that of third.

    Args:
        model: the compact model.
        x: states, any shape, of any array library that answers NumPy's functions.
        v: voltages that broadcast against `x`.
        seconds: width of the pulse.
        tolerance: largest estimated error of one step, as a share of the state's range.

    Raises:
        InputError: states out of their bounds, voltages above 20 V, a width that is not positive, or a pulse that takes
            more than ROUNDS steps.
    """
    v = _checked(model, x, v, "seconds", seconds)
    span, left = model.bounds[1] - model.bounds[0], np.full_like(x, seconds)
    dt = left
    for _ in range(ROUNDS):
        if not np.any(left > 0):
            return x
        dt = np.minimum(dt, REACH * span / np.maximum(np.abs(model.rate(x, v)), REACH * span / seconds))
        moved, error = _step(model, x, v, dt)
        error = error / (tolerance * span)
        kept = (error <= 1) | (dt <= 1e-14 * seconds)
        x, left = np.where(kept, moved, x), np.where(kept, left - dt, left)
        dt = np.minimum(dt * np.clip(0.9 * np.maximum(error, 1e-6) ** (-1 / 3), 0.2, 5.0), left)
    remedy = "shorten it, lower its voltage, or raise the tolerance"
    raise InputError(
        "pulse_array", f"a pulse must end within {ROUNDS} steps", f"{float(np.max(left)):g} s left", remedy
    )


def _step(model: CompactModel, x: Array, v: Array, dt: Array) -> tuple[Array, Array]:
    """States after one step, and how far the formulas of second and third order are apart."""
    low, high = model.bounds
    width, rate = sqrt(np.finfo(x.dtype).eps) * (high - low), model.velocity(x, v)
    ahead, behind = np.minimum(x + width, high), np.maximum(x - width, low)
    slope = (model.velocity(ahead, v) - model.velocity(behind, v)) / (ahead - behind)
    z = np.minimum(dt * slope, LONGEST_GROWTH)
    phi_1, phi_3 = _phi(z)
    second = np.clip(x + dt * phi_1 * rate, low, high)
    bend = dt * (model.velocity(second, v) - rate) - z * (second - x)  # what the linear law did not foresee
    correction, most = 2 * phi_3 * bend, np.abs(second - x) / 2  # never back past the start, however long the step
    return np.clip(second + np.clip(correction, -most, most), low, high), np.abs(correction)


def _phi(z: Array) -> tuple[Array, Array]:
    """The functions (e^z - 1) / z and (e^z - 1 - z - z^2 / 2) / z^3."""
    small = np.abs(z) < 0.3  # there the second is a sum, for the differences cancel
    safe = np.where(small, 1.0, z)
    phi_1 = np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))
    series = 1 / 6 + z * (1 / 24 + z * (1 / 120 + z * (1 / 720 + z * (1 / 5040 + z * (1 / 40320 + z / 362880)))))
    return phi_1, np.where(small, series, ((phi_1 - 1) / safe - 0.5) / safe)


def _checked(model: CompactModel, x: Array, v: Array, name: str, seconds: float) -> Array:
    """The voltages as an array like the states, once all are sound."""
    if not (np.isfinite(seconds) and seconds > 0):
        raise InputError(name, "must be a positive time (seconds)", seconds)
    check_state(model, x)
    check_volts(v)
    return np.zeros_like(x) + v
