"""Drive: the volts on the lines of a row of tiles, and the products with their conductances."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from device_models.window import Array


def by_line(x: Array) -> Array:
    """A copy of a batch `(samples, lines)` with each line whole in memory: products of it are fastest so."""
    lines = np.empty_like(x, shape=x.shape[::-1])
    lines[...] = x.T
    return lines.T


class Products:
    """Products into arrays that are used again: new memory for each would cost as much as the product.

    Columns of a product lie whole in memory, as the kernels take them.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, tuple[int, ...]], Array] = {}

    def matrix(self, name: str, a: Array, b: Array) -> Array:
        """`a @ b`, which lasts until the next product of this name and shape."""
        key = (name, (a.shape[0], b.shape[1]))
        if key not in self._held:
            self._held[key] = b.T @ a.T
        else:
            np.matmul(b.T, a.T, out=self._held[key])
        return self._held[key].T

    def square(self, name: str, a: Array) -> Array:
        """`a * a`, which lasts until the next product of this name and shape."""
        key = (name, a.shape)
        if key not in self._held:
            self._held[key] = a * a
            return self._held[key]
        return np.multiply(a, a, out=self._held[key])


class Drive:
    """Volts on driven lines, `(batch, lines)`, and their squares, taken once for all the tiles they drive.

    `name` sets the squares apart from those of other drives of the same `products`.
    """

    def __init__(self, volts: Array, products: Products, name: str = "") -> None:
        self.volts, self._products, self._name = volts, products, f"squares {name}"

    @cached_property
    def squared(self) -> Array:
        """Volts squared."""
        return self._products.square(self._name, self.volts)

    def times(self, name: str, g: Array) -> Array:
        """The product with conductances `(lines, n)`, in an array that the next one of this name takes again."""
        return self._products.matrix(name, self.volts, g)

    def squares_times(self, name: str, g: Array) -> Array:
        """As `times`, of the squares."""
        return self._products.matrix(name, self.squared, g)
