"""Effective conductance of arrays whose word lines or bit lines have no resistance along them.

Then one kind of line is a single node each. Each line of the other kind is a ladder of wire segments and cells to
those nodes, solved by ratios of voltages of neighbouring nodes; the ladders meet only in the nodes, through the
resistance at their ends. All is sums and products of positive numbers, so every element is accurate relative to
itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimsim.crossbar.wires.line_resistance import Wires
from cimsim.kernels.mesh import inverse_factor
from device_models.window import Array


def without_a_segment(g: Array, wires: Wires) -> Array:
    """Effective conductance, siemens, of arrays `g` `(arrays, rows, cols)` where `word` or `bit` is 0 ohm.

    With bit lines that resist, the array is turned: driven at the sensed ends it gives the transpose (reciprocity).
    """
    if wires.bit == 0:
        return _shared_bit_lines(g, wires)
    source = wires.source / 2 if wires.both else wires.source
    turned = Wires(word=wires.bit, source=wires.sense, sense=source)
    return _turned(_shared_bit_lines(_turned(g), turned))


def _turned(g: Array) -> Array:
    return np.swapaxes(g[:, ::-1, ::-1], 1, 2)


@dataclass(frozen=True)
class _Ladders:
    """Word lines with their bit lines grounded, `(arrays, rows, cols)`.

    Attributes:
        volts: voltage at each cell per volt of the driver.
        ohms: between each word-line node and ground, cells and wires in parallel.
        ratio: voltage at each cell over that at the cell before it, where all current comes from there.
    """

    volts: Array
    ohms: Array
    ratio: Array


def _shared_bit_lines(g: Array, wires: Wires) -> Array:
    """The effective conductance where each bit line is one node, behind the resistance of its sense amplifier."""
    if wires.word == 0:
        source = wires.source / 2 if wires.both else wires.source
        volts = 1 / (1 + source * g.sum(-1, keepdims=True))
        driven, across = g * volts, np.matmul(np.swapaxes(g * (source * volts), 1, 2), g)
    else:
        ladders = _ladders(g, wires)
        driven = g * ladders.volts
        across = _between_bit_lines(g, ladders) if wires.sense else None
    if wires.sense == 0:
        return driven
    x = inverse_factor(across, driven.sum(1) + 1 / wires.sense)
    return np.matmul(np.matmul(driven, np.swapaxes(x, 1, 2)), x) / wires.sense


def _ladders(g: Array, wires: Wires) -> _Ladders:
    """Sweep along the word lines from either end: the conductance that is seen in front, and the ratio of voltages."""
    end = wires.word + wires.source
    beyond = 1 / end if wires.both else 0.0
    rightward, ratio = _sweep(g[..., ::-1], beyond, wires.word, end)
    leftward, back = _sweep(g, 1 / end, wires.word, end)
    ratio, rightward = ratio[..., ::-1], rightward[..., ::-1]
    volts = np.cumprod(ratio, -1)
    if wires.both:
        volts = volts + np.cumprod(back[..., ::-1], -1)[..., ::-1]
    return _Ladders(volts, 1 / (rightward + leftward - g), ratio)


def _sweep(g: Array, beyond: float, segment: float, end: float) -> tuple[Array, Array]:
    """From the first cell on: conductance of each cell and all before it, `beyond` first; voltage over that after it.

    The voltage after the last cell is behind a wire of resistance `end`.
    """
    seen, ratio = np.empty_like(g), np.empty_like(g)
    before = beyond
    for k in range(g.shape[-1]):
        seen[..., k] = g[..., k] + before
        ratio[..., k] = 1 / (1 + (segment if k + 1 < g.shape[-1] else end) * seen[..., k])
        before = seen[..., k] * ratio[..., k]
    return seen, ratio


def _between_bit_lines(g: Array, ladders: _Ladders) -> Array:
    """Conductance between any two bit lines, `(arrays, cols, cols)`, siemens: the sum over all word lines."""
    arrays, _, cols = g.shape
    across, reaching = np.zeros((arrays, cols, cols), like=g), g * ladders.ohms
    for k in range(1, cols):
        reaching[..., :k] *= ladders.ratio[..., k : k + 1]
        across[:, k, :k] = across[:, :k, k] = np.matmul(g[:, None, :, k], reaching[..., :k])[:, 0]
    return across
