"""Products with the weights that cells hold, where nothing stands between them and the outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.replicas import Replicas
from device_models.window import Array


def holds_outputs(matrix: AnalogMatrix | Replicas) -> bool:
    """Whether a read is the product with the weights held: exact, of ohmic cells, without converters."""
    if not isinstance(matrix, AnalogMatrix) or matrix.forward.dac is not None or matrix.forward.adc is not None:
        return False
    return matrix.design.device.ohmic and all(tile.folded for tile in matrix.tiles.values())


def held_product(matrix: AnalogMatrix | Replicas, x: Array, *, back: bool = False) -> Array:
    """The product of `x` with the weights that the cells hold, `back` with their transpose; read noise aside.

    `x` `(batch, n_in)`, or `(batch, n_out)` backwards. Where tiles keep outputs' worth of conductances these are used
    as they are, in float32.
    """
    if not isinstance(matrix, AnalogMatrix) or not all(tile.folded for tile in matrix.tiles.values()):
        held = matrix.weights().astype(x.dtype)
        return x @ (held.T if back else held)
    scale = np.float32(matrix.weight_scale / matrix.design.device.window.span)
    if len(matrix.tiles) == 1:
        signals = matrix.tiles[0, 0].signals
        y = x @ (signals.T if back else signals)
        y *= scale
        return y
    y = np.zeros_like(x, shape=(len(x), matrix.shape[not back]))
    for (r, c), tile in matrix.tiles.items():
        rows, columns = matrix.rows[r], matrix.columns[c]
        if back:
            y[:, rows] += x[:, columns] @ tile.signals.T
        else:
            y[:, columns] += x[:, rows] @ tile.signals
    y *= scale
    return y


def held_lines(matrix: AnalogMatrix, lines: Sequence[int]) -> Array:
    """The weights that the cells of some word lines hold, `(lines, n_out)`: the product with inputs of 1 to one each.

    For matrices whose outputs are held (`holds_outputs`); lines by number, in rising order.
    """
    scale = np.float32(matrix.weight_scale / matrix.design.device.window.span)
    if len(matrix.tiles) == 1:
        return matrix.tiles[0, 0].signals[lines] * scale
    height, across = matrix.rows[0].stop, range(len(matrix.columns))
    rows = []
    for r in sorted({line // height for line in lines}):
        within = [line % height for line in lines if line // height == r]
        rows.append(np.concatenate([matrix.tiles[r, c].signals[within] for c in across], axis=1))
    return np.concatenate(rows) * scale
