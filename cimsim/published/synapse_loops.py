"""The loops over samples of `synapse_table_2018` compiled: on cells to where one asks for pulses, and in software."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled = njit(nogil=True, error_model="numpy", cache=True)


@_compiled
def read_until_due(x: Any, y: Any, layers: Any, gain: Any, shares: Any, units: Any, fired: Any, found: Any) -> Any:
    """Read samples up to the first that asks a cell for half a pulse or more; most ask for less.

    The conventions are those of `Perceptron.forward`, the conductances those that tiles deliver.

    Args:
        x: bits `(samples, inputs)`.
        y: labels.
        layers: of both, conductances `(inputs, outputs + 1)`, the last a reference, and codes per siemens.
        gain: how often the code of a column counts.
        shares: weights of the second layer `(hidden, outputs)` as errors go back by them.
        units: of both layers, pulses that an input of 1 and a gradient of 1 ask for.
        fired: hidden value above which the second layer is given 1.
        found: hidden values, errors before their sigmoids and output errors of the last sample read, overwritten.

    Returns:
        How many were read, and what the last one asks of either layer at most, in pulses.
    """
    (first, fine), (second, fine_second) = layers
    hidden, before, error = found
    lines = np.empty(max(first.shape[0], second.shape[0]), np.int64)
    for k in range(len(x)):
        given = _above(x[k], np.float32(0), lines)
        _values(first, lines[:given], gain, fine, hidden)
        _values(second, lines[: _above(hidden, fired, lines)], gain, fine_second, error)
        for j in range(len(error)):
            error[j] *= 2 * (1 - error[j]) * (error[j] - (y[k] == j))
        for i in range(len(hidden)):
            back = 0.0
            for j in range(len(error)):
                back += shares[i, j] * error[j]
            before[i] = hidden[i] * (1 - hidden[i]) * back
        asked = units[0] * _largest(before) * (given > 0), units[1] * _largest(error) * _largest(hidden)
        if max(asked[0], asked[1]) >= 0.5:
            return k + 1, asked
    return len(x), asked


@_compiled
def learn_in_software(x: Any, y: Any, order: Any, first: Any, last: Any, rates: Any) -> None:
    """The published rule with real hidden values and weights held from -1 to 1, which are changed in place.

    `order`: the numbers of the samples, of bits `x` and labels `y`, one after the other.
    """
    lines, hidden = np.empty(x.shape[1], np.int64), np.empty(first.shape[1])
    for k in order:
        driven = lines[: _above(x[k], np.float32(0), lines)]
        hidden[:] = 0
        for line in driven:
            for i in range(len(hidden)):
                hidden[i] += first[line, i]
        hidden[:] = 1 / (1 + np.exp(-hidden))
        error = 1 / (1 + np.exp(-(hidden @ last)))
        for j in range(len(error)):
            error[j] *= 2 * (1 - error[j]) * (error[j] - (y[k] == j))
        before = hidden * (1 - hidden) * (last @ error)
        for line in driven:
            for i in range(len(hidden)):
                first[line, i] = min(max(first[line, i] - rates[0] * before[i], -1.0), 1.0)
        for i in range(len(hidden)):
            for j in range(len(error)):
                last[i, j] = min(max(last[i, j] - rates[1] * hidden[i] * error[j], -1.0), 1.0)


@_compiled
def _above(values: Any, least: Any, lines: Any) -> Any:
    """Gather the numbers of the lines with a value above the least; returns how many they are."""
    n = 0
    for k in range(len(values)):
        lines[n] = k
        n += values[k] > least
    return n


@_compiled
def _values(g: Any, lines: Any, gain: Any, fine: Any, out: Any) -> None:
    """Sigmoids of the codes' sums, for 1 on the given lines."""
    total, rows = np.zeros(g.shape[1]), len(g)
    for line in lines:
        for j in range(g.shape[1]):
            total[j] += g[line, j]
    base = np.floor(total[-1] * fine * gain)
    for j in range(len(out)):
        out[j] = 1 / (1 + np.exp((base - gain * np.floor(total[j] * fine)) / 255 * rows))


@_compiled
def _largest(values: Any) -> Any:
    """The largest size of a value."""
    most = 0.0
    for value in values:
        most = max(most, abs(value))
    return most
