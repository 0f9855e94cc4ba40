"""From a compact model and a pulse to the `update` slot of a device."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from device_models.compact.arrays import pulse_array, step_array
from device_models.compact.model import CompactModel, SignedVolts
from device_models.errors import InputError
from device_models.parameters import Parameters, Seconds
from device_models.tabulated import TabulatedUpdate
from device_models.window import Array, CellLimits, Limits

CANDIDATES = 1000


class Pulse(Parameters):
    """The programming pulses of a device, rectangular, and the voltage at which its conductance is read.

    Voltages carry their sign: SET raises the conductance, RESET lowers it.
    """

    v_set: SignedVolts
    t_set: Seconds = Field(gt=0)
    v_reset: SignedVolts
    t_reset: Seconds = Field(gt=0)
    v_read: SignedVolts = 0.1


def window_of(model: CompactModel, v_read: float) -> CellLimits:
    """The conductances at the two bounds of a model's state, in rising order, siemens.

    Raises:
        InputError: a read voltage of 0.
    """
    if v_read == 0:
        raise InputError("v_read", "must differ from 0 volts", v_read, "0.1, say")
    ends = sorted(float(model.conductance(np.array(x), v_read)) for x in model.bounds)
    return CellLimits(*ends)


def state_of(model: CompactModel, g: Array, v_read: float) -> Array:
    """The states at which a model shows the conductances g (siemens): bisection, to the last bit or two.

    Raises:
        InputError: conductances the model does not reach, or a read voltage of 0.
    """
    g_low, g_high = window_of(model, v_read)
    margin = 1e-9 * g_high
    if not np.all((g >= g_low - margin) & (g <= g_high + margin)):
        got = f"{float(np.min(g)):g} to {float(np.max(g)):g}"
        raise InputError("g", f"must be a conductance of the model, {g_low:g} to {g_high:g} siemens", got)
    low, high = model.bounds
    rises = model.conductance(np.array(high), v_read) > model.conductance(np.array(low), v_read)
    below, above = np.zeros_like(g) + low, np.zeros_like(g) + high
    for _ in range(60):
        middle = (below + above) / 2
        further = (model.conductance(middle, v_read) < g) == bool(rises)
        below, above = np.where(further, middle, below), np.where(further, above, middle)
    return (below + above) / 2


def to_update(
    model: CompactModel,
    pulse: Pulse,
    window: Limits | None = None,
    *,
    points: int = 65,
    rng: np.random.Generator | None = None,
    samples: int = 256,
    steps: int = 100,
) -> TabulatedUpdate:
    """The response of a compact model to single SET and RESET pulses, as a slot a network can be trained with.

    The response is computed at CANDIDATES conductances without noise, and those kept between which a straight line is
    worst, one after the other: the table is close in siemens, also where the response is abrupt.

    Args:
        model: the compact model.
        pulse: amplitudes, widths, read voltage.
        window: the conductance window to cover, siemens; all that the model reaches if left out.
        points: number of points of the table, at most.
        rng: generator of the model's own noise: mean and spread are then those of `samples` noisy pulses of `steps`
            fixed steps each. None gives the deterministic response, without spread.
        samples: noisy pulses per point.
        steps: fixed steps per noisy pulse.

    Raises:
        InputError: a window the model does not reach, or pulses that do not move the conductance their way.
    """
    if points < 2 or samples < 2 or steps < 1:
        got = f"{points}, {samples} and {steps}"
        raise InputError("to_update", "needs points >= 2, samples >= 2 and steps >= 1", got)
    x, g = _candidates(model, window or window_of(model, pulse.v_read), pulse.v_read)

    def change(after: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.asarray(model.conductance(after, pulse.v_read) - g)

    up = _one_way("SET", change(pulse_array(model, x, pulse.v_set, pulse.t_set), g), 1)
    down = _one_way("RESET", change(pulse_array(model, x, pulse.v_reset, pulse.t_reset), g), -1)
    kept = _straightest(g, (up, down), points)
    if rng is None:
        return _table(g[kept], up[kept], down[kept])
    x, g = np.tile(x[kept], (samples, 1)), g[kept]
    up = change(step_array(model, x, pulse.v_set, pulse.t_set / steps, steps, rng), g)
    down = change(step_array(model, x, pulse.v_reset, pulse.t_reset / steps, steps, rng), g)
    means = np.maximum(up.mean(axis=0), 0.0), np.minimum(down.mean(axis=0), 0.0)
    return _table(g, *means, up.std(axis=0), down.std(axis=0))


def _candidates(model: CompactModel, window: Limits, v_read: float) -> tuple[np.ndarray, np.ndarray]:
    """States across a window and their rising conductances: half evenly spaced in the one, half in the other."""
    ends = np.array([window.g_min, window.g_max])
    first, last = state_of(model, ends, v_read)
    even = np.linspace(ends[0], ends[1], CANDIDATES // 2)
    x = np.concatenate([np.linspace(first, last, CANDIDATES // 2), state_of(model, even, v_read)[1:-1]])
    g, order = np.unique(model.conductance(x, v_read), return_index=True)
    g[[0, -1]] = ends
    return x[order], g


def _one_way(what: str, change: np.ndarray, sign: int) -> np.ndarray:
    """Changes by a deterministic pulse, rounding in the wrong direction removed."""
    change = sign * np.maximum(sign * change, 0.0)
    if not change.any():
        rule = f"the pulse must {'raise' if sign > 0 else 'lower'} the conductance somewhere in the window"
        raise InputError(what, rule, "no change", "check its polarity, or raise its amplitude or width")
    return change


def _straightest(g: np.ndarray, columns: tuple[np.ndarray, ...], points: int) -> np.ndarray:
    """Indices of the points to keep: both ends, then each time the point that is farthest from the lines so far."""
    kept = [0, len(g) - 1]
    while len(kept) < points:
        off = np.max([np.abs(np.interp(g, g[kept], column[kept]) - column) for column in columns], axis=0)
        if off.max() <= 1e-9 * g[-1]:
            break
        kept = sorted([*kept, int(off.argmax())])
    return np.array(kept)


def _table(g: np.ndarray, *columns: np.ndarray) -> TabulatedUpdate:
    names = ("dG_up", "dG_down", "spread_up", "spread_down")
    values: dict[str, Any] = {name: tuple(column.tolist()) for name, column in zip(names, columns, strict=False)}
    return TabulatedUpdate(g=tuple(g.tolist()), **values)
