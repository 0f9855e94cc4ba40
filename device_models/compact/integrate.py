"""One compact model driven by a waveform, integrated by scipy's solvers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from device_models.compact.model import CompactModel, check_state, check_volts
from device_models.errors import InputError

# Not LSODA: where a rate falls to 0 at once its steps can shrink without end.
Method = Literal["BDF", "Radau", "RK23", "RK45", "DOP853"]
Waveform = Callable[[float], float]
BRAKING = 10.0  # tolerances before a bound over which the solver's state is brought to a stop
EVALUATIONS = 2000  # of the rate per sample before a solver is given up


@dataclass(frozen=True)
class Trace:
    """What a waveform did to a device, one value per time: seconds, volts, amperes and the model's state."""

    t: np.ndarray
    v: np.ndarray
    i: np.ndarray
    x: np.ndarray

    def charge(self) -> np.ndarray:
        """Integral of the current, coulombs, by the trapezoidal rule."""
        return _integral(self.t, self.i)

    def flux(self) -> np.ndarray:
        """Integral of the voltage, volt seconds, by the trapezoidal rule."""
        return _integral(self.t, self.v)


def simulate(
    model: CompactModel, t: Any, v: Any, x0: float | None = None, *, method: Method = "BDF", rtol: float = 1e-8
) -> Trace:
    """Drive one device with a waveform, deterministically.

    Args:
        model: the compact model.
        t: rising times of the result, seconds; close enough to show every feature of the waveform, for the solver makes
            at least one step between neighbours.
        v: the voltage, as samples at `t` (linear between them) or as a function of the time in seconds.
        x0: initial state; the model's own if left out.
        method: a method of `scipy.integrate.solve_ivp`; BDF and Radau suit stiff models, Radau is closer and slower.
        rtol: error of one step, relative to the state and to the state's range.

    Raises:
        InputError: times that do not rise, voltages that do not fit or exceed 20 V, a state out of its bounds, an
            unknown method, or a solver that does not reach the end.
    """
    _check_method(method, rtol)
    times, (low, high) = _rising_times(t), model.bounds
    start, volts = _start(model, x0), _waveform(times, v)
    shares = _solve(_ShareRate(model, times, volts, rtol), len(times), (start - low) / (high - low), method, rtol)
    x, drive = low + (high - low) * shares, np.array([volts(time) for time in times])
    return Trace(times, drive, np.asarray(model.current(x, drive)), x)


class _ShareRate:
    """The rate of the solver's state, a share of the range, in the solver's time, which counts samples.

    Both are of order 1 then, and steps of at most 1 see every sample however uneven the times are. An implicit step
    has no solution where the rate jumps to 0, so it falls to 0 linearly, over the last BRAKING tolerances before a
    bound. A rate whose end the solver's clock cannot resolve is a jump to the samples and is slowed down.
    """

    def __init__(self, model: CompactModel, times: np.ndarray, volts: Waveform, rtol: float) -> None:
        self.model, self.times, self.volts, self.braking = model, times, volts, BRAKING * rtol
        self.steps = np.diff(times)
        self.fastest = max(10.0, rtol / (100 * float(np.spacing(float(len(times))))))
        self.evaluations = 0

    def __call__(self, s: float, share: np.ndarray) -> np.ndarray:
        self._count()
        k, (low, high) = min(int(s), len(self.steps) - 1), self.model.bounds
        inside = np.clip(share, 0.0, 1.0)
        volts = self.volts(self.times[k] + (s - k) * self.steps[k])
        velocity = self.model.velocity(low + (high - low) * inside, volts) * (self.steps[k] / (high - low))
        ahead = np.where(velocity < 0, inside, 1 - inside)
        return np.asarray(np.clip(velocity, -self.fastest, self.fastest) * np.minimum(ahead / self.braking, 1.0))

    def _count(self) -> None:
        self.evaluations += 1
        if self.evaluations > EVALUATIONS * (len(self.times) + 10):
            raise _unfinished(f"{self.evaluations} evaluations")


def _solve(rate: _ShareRate, count: int, start: float, method: Method, rtol: float) -> np.ndarray:
    """Shares of the range at each sample."""
    from scipy.integrate import solve_ivp

    samples = np.arange(count, dtype=float)
    options: dict[str, Any] = {"vectorized": True, "max_step": 1.0, "rtol": rtol, "atol": rtol}
    with np.errstate(divide="ignore"):  # Radau divides by its estimate of the error, which is 0 where nothing moves
        solved: Any = solve_ivp(rate, (0.0, count - 1.0), [start], method, samples, **options)
    if not solved.success:
        raise _unfinished(solved.message)
    return np.asarray(np.clip(solved.y[0], 0.0, 1.0))


def _unfinished(got: str) -> InputError:
    return InputError("simulate", "the solver must reach the end", got, "give closer times, a larger rtol, or 'RK45'")


def _integral(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.diff(t) * (y[1:] + y[:-1]) / 2)])


def _rising_times(t: Any) -> np.ndarray:
    times = np.asarray(t, dtype=float)
    if times.ndim != 1 or len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError("t", "must be two or more rising times (seconds)", repr(times), "sort them, drop repeats")
    return times


def _waveform(times: np.ndarray, v: Any) -> Waveform:
    if callable(v):
        check_volts(np.array([v(time) for time in times], dtype=float))
        return lambda time: float(v(time))
    samples = np.asarray(v, dtype=float)
    if samples.shape != times.shape:
        raise InputError("v", f"needs one voltage per time, shape {times.shape}", samples.shape, "or give a function")
    check_volts(samples)
    return lambda time: float(np.interp(time, times, samples))


def _start(model: CompactModel, x0: float | None) -> float:
    start = np.asarray(model.initial if x0 is None else x0, dtype=float)
    if start.ndim:
        raise InputError("x0", "must be one state", f"shape {start.shape}", "use step_array for many devices")
    check_state(model, start)
    return float(start)


def _check_method(method: str, rtol: float) -> None:
    if method not in get_args(Method):
        raise InputError("method", f"must be one of {', '.join(get_args(Method))}", method)
    if not 1e-12 <= rtol <= 1e-3:
        raise InputError("rtol", "must lie between 1e-12 and 1e-3", rtol)
