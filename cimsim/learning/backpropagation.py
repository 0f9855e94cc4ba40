"""What a batch says of every matrix on the chip: its inputs and the loss gradient at its outputs.

`Network.gradients` multiplies the two at once. Pulse rules want them apart: some never form the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cimsim.backend import to_library_of
from cimsim.network.layers import Layer, Product, Weighted
from cimsim.network.network import softmax_cross_entropy
from device_models.window import Array


@dataclass(frozen=True)
class Signals:
    """A batch's mean loss, its logits, and by weighted layer what its matrix was given (`x`) and the gradient (`d`)."""

    loss: Array
    logits: Array
    x: dict[int, Array]
    d: dict[int, Array]


def backpropagate(
    layers: Sequence[Layer],
    x: Array,
    y: np.ndarray,
    products: Sequence[Product],
    transposed: Sequence[Product],
    lowest: int,
) -> Signals:
    """Run a batch forward and its error backward, down to the weighted layer numbered `lowest`.

    `products` and `transposed` hold one callable per weighted layer, `v @ weight` and `d @ weight.T`; the transposed
    product of the lowest layer is not formed.
    """
    given, errors = [_Recorder() for _ in products], [_Recorder() for _ in products]
    values, forward = [x], map(_Recorder.before, given, products)
    for layer in layers:
        product = next(forward) if isinstance(layer, Weighted) else None
        values.append(layer.forward(values[-1], product))
    loss, dy = softmax_cross_entropy(values[-1], to_library_of(y, values[-1]))
    k = len(products)
    for i in reversed(range(len(layers))):
        back = None
        if isinstance(layers[i], Weighted):
            k -= 1
            back = errors[k].before(transposed[k] if k > lowest else _nothing(given[k]))
        dy = _backward(layers[i], dy, values[i], values[i + 1], back)
        if back is not None and k == lowest:
            break
    tuned = range(lowest, len(products))
    return Signals(loss, values[-1], {j: given[j].all() for j in tuned}, {j: errors[j].all() for j in tuned})


def _backward(layer: Layer, dy: Array, x: Array, y: Array, transposed: Product | None) -> Array:
    """The error before a layer with input `x` and output `y`."""
    return layer.backward(dy, x, y, transposed)


class _Recorder:
    """Keeps what a product is given; a layer may call its product for one part of a batch after the other."""

    def __init__(self) -> None:
        self.parts: list[Array] = []

    def before(self, product: Product) -> Product:
        """The product, recorded."""

        def run(v: Array) -> Array:
            self.parts.append(v)
            return product(v)

        return run

    def all(self) -> Array:
        """Everything that was given."""
        return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)


def _nothing(given: _Recorder) -> Callable[[Array], Array]:
    """In place of a transposed product that nobody needs: zeros, which take no memory."""
    return lambda d: np.broadcast_to(np.zeros_like(d, shape=(1, 1)), (len(d), given.parts[0].shape[1]))
