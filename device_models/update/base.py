"""The slot of pulse response, and what all laws given by the mean of one pulse share."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np

from device_models.parameters import Variant
from device_models.window import Array, Limits, clip_to

CLOSED = 1e-18  # siemens: a span below any real one, so that closed windows divide


class Update(Variant):
    """Slot of pulse response. Positive counts potentiate, negative depress, 0 leaves a cell untouched."""

    @abc.abstractmethod
    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """Conductance (siemens) after `n` pulses (integers) on cells at `g`, held within each cell's `window`.

        `variation` is the cells' own sample of `draw`; None where `draw` gave none.
        """

    @abc.abstractmethod
    def step(self, window: Limits) -> Array:
        """Nominal mean change of one pulse, siemens: what a learning rule reckons with."""

    def draw(self, shape: tuple[int, ...], rng: Any) -> Array | None:
        """Device-to-device spread of the law, drawn once per chip: `(k, *shape)`, or None where all cells are alike."""
        return None

    def symmetry_point(self, window: Limits) -> Array | None:
        """Conductance (siemens) where one pulse up and one down cancel in the mean; None where no such point is."""
        return None


class StepUpdate(Update):
    """A law given by the mean change of one pulse, and cycle-to-cycle (C2C) noise on every pulse.

    Laws are written in `y`, the share of the window that a cell has gone from the end where its pulses start: from
    g_min upwards, from g_max downwards, so that one formula serves both directions. `c2c`, a parameter of every law, is
    the standard deviation of one pulse as a fraction of the window's span, whatever the state.

    Every parameter p of a law has a device-to-device spread `spread_p`. Where p is positive by nature, cells have
    p exp(s z - s^2/2) with s = spread_p and z normal: mean p, relative standard deviation s for small s. Those in
    `SIGNED` have p + s z: s is an absolute standard deviation. Values beyond a parameter's range are set to its end.
    """

    SIGNED: ClassVar[frozenset[str]] = frozenset({"asymmetry"})

    @abc.abstractmethod
    def course(self, own: dict[str, Any], span: Array, *, up: bool) -> tuple[Array, ...]:
        """Dimensionless numbers of the law in one direction, for parameters `own` and a window's span in siemens."""

    @abc.abstractmethod
    def gain(self, y: Array, *course: Array) -> Array:
        """Mean change of a pulse as a share of the span, 0 or more, for `y` from 0 to 1."""

    def draw(self, shape: tuple[int, ...], rng: Any) -> Array | None:
        """Each cell's own values of the parameters that spread; all are drawn, so none moves another's draw."""
        names = [name for name in type(self).model_fields if name.startswith("spread_")]
        z = rng.standard_normal((len(names), *shape)) if self._spreading() else []
        rows = [self._vary(name[7:], z[k]) for k, name in enumerate(names) if getattr(self, name) > 0]
        return np.stack(rows) if rows else None

    def own(self, variation: Array | None) -> dict[str, Any]:
        """Parameters by name: each cell's own where they spread, else the nominal number."""
        values = {name: getattr(self, name) for name in type(self).model_fields if not name.startswith("spread_")}
        if variation is None:
            return values
        return values | dict(zip(self._spreading(), variation, strict=True))

    def step(self, window: Limits) -> Array:
        """Change by one pulse, siemens: the mean over the window and over both directions."""
        span = window.g_max - window.g_min
        y = ((np.arange(64) + 0.5) / 64).reshape(-1, *[1] * np.ndim(span))
        return span * np.mean(self._both(y, span), axis=(0, 1))

    def symmetry_point(self, window: Limits) -> Array | None:
        """Conductance where one pulse up and one down cancel in the mean, siemens; None where no such point is."""
        from scipy.optimize import brentq

        span = window.g_max - window.g_min
        widest = float(np.max(span))

        def excess(x: float) -> float:
            up, down = self._both(np.array(x), widest)
            return float(up - down)

        ends = excess(0.0), excess(1.0)
        if ends == (0.0, 0.0) or ends[0] * ends[1] > 0:
            return None
        return window.g_min + brentq(excess, 0.0, 1.0, xtol=1e-15) * span

    def _both(self, x: Array, span: Array) -> tuple[Array, Array]:
        """Gains up and down at a share `x` of the window, counted from g_min, of the nominal law."""
        own = self.own(None)
        return self.gain(x, *self.course(own, span, up=True)), self.gain(1 - x, *self.course(own, span, up=False))

    def _spreading(self) -> list[str]:
        """Names of the parameters that spread: what the rows of a variation hold."""
        names = [name for name in type(self).model_fields if name.startswith("spread_")]
        return [name[7:] for name in names if getattr(self, name) > 0]

    def _vary(self, name: str, z: Array) -> Array:
        """One parameter of cells with normal deviates `z`."""
        value, spread = getattr(self, name), getattr(self, f"spread_{name}")
        drawn = value + spread * z if name in self.SIGNED else value * np.exp(spread * z - spread**2 / 2)
        for rule in type(self).model_fields[name].metadata:
            low, high = getattr(rule, "ge", None), getattr(rule, "le", None)
            drawn = drawn if low is None and high is None else np.clip(drawn, low, high)
        return drawn


class IteratedUpdate(StepUpdate):
    """A law without a closed form for trains: n pulses are n single ones, each held within the window."""

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """Conductance after n pulses one by one, siemens; one normal draw per cell and pulse of the longest train."""
        own, span, count, up = self.own(variation), spans(window), np.abs(n), n > 0
        course = directed(up, self.course(own, span, up=True), self.course(own, span, up=False))
        x = np.clip((g - window.g_min) / span, 0.0, 1.0)
        y = np.where(up, x, 1 - x)
        for done in range(int(np.max(count)) if n.size else 0):
            moved = y + self.gain(y, *course) + own["c2c"] * rng.standard_normal(g.shape)
            y = np.where(count > done, np.clip(moved, 0.0, 1.0), y)
        return np.where(n == 0, g, clip_to(window.g_min + span * np.where(up, y, 1 - y), window))


def spans(window: Limits) -> Array:
    """Spans of windows, siemens, above 0 for closed ones as well."""
    return np.maximum(window.g_max - window.g_min, CLOSED)


def directed(up: Array, rising: tuple[Array, ...], falling: tuple[Array, ...]) -> tuple[Array, ...]:
    """Each cell's numbers in the direction it is pulsed; single numbers where both directions have the same."""
    pairs = zip(rising, falling, strict=True)
    return tuple(a if np.ndim(a) == np.ndim(b) == 0 and a == b else np.where(up, a, b) for a, b in pairs)
