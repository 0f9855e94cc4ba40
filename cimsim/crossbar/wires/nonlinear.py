"""Currents of a crossbar with wires whose cells have a nonlinear current-voltage law.

The law of a cell is i = g f(u), `Conduction`. The voltages u across the cells solve Kirchhoff's equations by chord
iterations (Ortega and Rheinboldt, Iterative Solution of Nonlinear Equations in Several Variables, 1970, 7.1): cells
are replaced by conductances g s and sources g (f(u) - s u) at the last u. With one slope s per word line, one
factorisation serves all inputs; where f' stays between 0 and 2 s each iteration brings the solution nearer. Inputs
that this leaves are solved one by one with s = f'(u) at the last u, which is Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimsim.crossbar.wires.line_resistance import Wires, checked_conductance, checked_voltages
from cimsim.crossbar.wires.nodal import Network, admittance, network_of, solver
from device_models.conduction import Conduction
from device_models.errors import InputError

Floats = NDArray[np.float64]

CHORD_ITERATIONS, NEWTON_ITERATIONS = 30, 50
_STEP = 1e-5  # of the voltage, for slopes by central differences


def nonlinear_currents(
    g: ArrayLike, wires: Wires, v: ArrayLike, conduction: Conduction, tolerance: float = 1e-9
) -> Floats:
    """Sensed currents in amperes, `(*batch, *stack, cols)`, for word-line voltages `v` in volts, `(*batch, rows)`.

    `g` is the conductance at small voltage, siemens, `(*stack, rows, cols)`. Kirchhoff's current law holds at every
    node to `tolerance` times the largest cell current of that input. Time: one sparse factorisation for each array,
    and some ten sparse solves for each input.
    Raises `InputError` for bad `g` or `v`, and where the iterations do not reach the tolerance.
    """
    cells = checked_conductance(np.asarray(g))
    volts = checked_voltages(v, cells.shape[-2])
    inputs, arrays = volts.reshape(-1, volts.shape[-1]), cells.reshape(-1, *cells.shape[-2:])
    network = network_of(cells.shape[-2], cells.shape[-1], wires)
    found = np.empty((len(inputs), len(arrays), cells.shape[-1]))
    for k, one in enumerate(arrays):
        found[:, k] = _Problem(network, one, conduction, tolerance).currents(inputs)
    return found.reshape(*volts.shape[:-1], *cells.shape[:-2], cells.shape[-1])


@dataclass(frozen=True)
class _Problem:
    """One array of cells `g` `(rows, cols)`; voltages and currents of all cells are `(batch, rows, cols)`."""

    network: Network
    g: Floats
    conduction: Conduction
    tolerance: float

    def currents(self, v: Floats) -> Floats:
        """Sensed currents `(batch, cols)`."""
        u, unsolved = self._by_chord(v)
        for k in np.flatnonzero(unsolved):
            u[k] = self._by_newton(v[k : k + 1], int(k))
        return np.asarray((self.g * self.conduction.drive(u)).sum(1))

    def _middle_slope(self, v: Floats) -> Floats:
        """For each word line, the middle of the slopes its cells have over all inputs if wires cost no voltage."""
        slopes = np.concatenate([self._slope(v), np.ones((1, v.shape[1]))])
        return np.asarray((slopes.min(0) + slopes.max(0)) / 2)

    def _slope(self, u: Floats) -> Floats:
        """f'(u), by central differences."""
        h = _STEP * np.maximum(np.abs(u), 1e-3)
        return np.asarray((self.conduction.drive(u + h) - self.conduction.drive(u - h)) / (2 * h))

    def _by_chord(self, v: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """All inputs around one factorisation: the voltages, and which inputs are not solved."""
        siemens = self.g * self._middle_slope(v)[:, None]
        step, u, unsolved = _Chord(self.network, siemens), self._whole(v), np.ones(len(v), bool)
        for _ in range(CHORD_ITERATIONS):
            now = np.flatnonzero(unsolved)
            u[now], error = self._stepped(step, siemens, v[now], u[now])
            unsolved[now] = error > self.tolerance
            if not unsolved.any():
                break
        return u, unsolved

    def _by_newton(self, v: Floats, index: int) -> Floats:
        """One input: the slope is taken anew in every iteration, from the steepest on, so that steps stay short."""
        u, error = self._whole(v), np.inf
        for _ in range(NEWTON_ITERATIONS):
            siemens = self.g * self._slope(u[0])
            u, (error,) = self._stepped(_Chord(self.network, siemens), siemens, v, u)
            if error <= self.tolerance:
                return np.asarray(u[0])
        rule = f"must settle to {self.tolerance:g} of the largest current in {NEWTON_ITERATIONS} Newton iterations"
        raise InputError("nonlinear_currents", rule, f"{error:.2g} for input {index}", "lower the voltages")

    def _whole(self, v: Floats) -> Floats:
        """The voltages if wires cost none."""
        return np.asarray(np.repeat(v[:, :, None], self.g.shape[1], axis=2))

    def _stepped(self, step: _Chord, siemens: Floats, v: Floats, u: Floats) -> tuple[Floats, Floats]:
        """The next voltages, and how far from Kirchhoff's laws they are.

        No node lies beyond the drivers and ground: this holds long steps back.
        """
        source = self._current(u) - siemens * u
        reach = np.maximum(v.max(1), 0) - np.minimum(v.min(1), 0)
        ahead = step.solved(v, source)
        held = np.clip(ahead, -reach[:, None, None], reach[:, None, None])
        return held, self._error(held, source + siemens * ahead)

    def _current(self, u: Floats) -> Floats:
        return np.asarray(self.g * self.conduction.drive(u))

    def _error(self, u: Floats, linear: Floats) -> Floats:
        """How far the cell currents are from those that satisfy Kirchhoff's laws, over the largest of each input."""
        true = self._current(u)
        with np.errstate(invalid="ignore"):
            error = np.abs(true - linear).max((1, 2)) / np.maximum(np.abs(true).max((1, 2)), np.finfo(float).tiny)
        return np.where(np.isfinite(error), error, np.inf)


class _Chord:
    """The network with cells of given conductances and current sources across them, factored once."""

    def __init__(self, network: Network, siemens: Floats) -> None:
        rows, cols = siemens.shape
        self._inner = slice(rows + cols, None)
        y = admittance(network, siemens)
        self._between = _incidence(network)
        self._inflow, self._solve = y[self._inner, :rows], solver(y[self._inner, self._inner])

    def solved(self, v: Floats, source: Floats) -> Floats:
        """Voltages across the cells for sources from word to bit line, amperes."""
        injected = -(self._between.T @ source.reshape(len(v), -1).T)
        volts = np.zeros(injected.shape)
        volts[: v.shape[1]] = v.T
        volts[self._inner] = self._solve(injected[self._inner] - self._inflow @ v.T)
        return np.asarray((self._between @ volts).T.reshape(source.shape))


def _incidence(network: Network) -> Any:
    """The matrix `(cells, nodes)` that takes voltages of nodes to those across cells."""
    from scipy.sparse import csr_array

    cells = network.word.size
    ends = np.concatenate([network.word.ravel(), network.bit.ravel()])
    signs = np.repeat([1.0, -1.0], cells)
    return csr_array((signs, (np.tile(np.arange(cells), 2), ends)), shape=(cells, network.nodes))
