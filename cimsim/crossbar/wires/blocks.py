"""Blocks of neighbouring cells of a crossbar, each reduced to the conductances between the ends of its wires."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from cimsim.kernels.mesh import merged
from device_models.window import Array


class Ports(NamedTuple):
    """How many ports a block has on each side: word lines left and right, bit lines up and down.

    Ports are numbered in this order, from top to bottom and from left to right.
    """

    left: int
    right: int
    up: int
    down: int

    def starts(self) -> list[int]:
        """The number of the first port of each side."""
        return list(accumulate(self, initial=0))[:4]


class Blocks(NamedTuple):
    """A grid of equal blocks.

    Attributes:
        ports: of each block.
        meshes: their conductances, siemens, `(blocks, ports, ports)`.
        number: which of the meshes a block has, `(p, q, arrays)`.
    """

    ports: Ports
    meshes: Array
    number: np.ndarray

    @classmethod
    def listed(cls, ports: Ports, meshes: Array, shape: tuple[int, ...]) -> Blocks:
        """A grid of this shape `(p, q, arrays)` that has all meshes in order."""
        return cls(ports, meshes, np.arange(len(meshes)).reshape(shape))

    def rows(self, which: slice) -> Blocks:
        """Some rows of the grid."""
        return self._replace(number=self.number[which])

    def cols(self, which: slice) -> Blocks:
        """Some columns of the grid."""
        return self._replace(number=self.number[:, which])


def beside(a: Blocks, b: Blocks) -> Blocks:
    """Blocks `a` with blocks `b` at their right, the ports between them eliminated."""
    ports = Ports(a.ports.left, b.ports.right, a.ports.up + b.ports.up, a.ports.down + b.ports.down)
    (left, right, up, down), keep = ports.starts(), sum(ports)
    return _joined(a, b, ports, [left, keep, up, down], [keep, right, up + a.ports.up, down + a.ports.down])


def above(a: Blocks, b: Blocks) -> Blocks:
    """Blocks `a` with blocks `b` below them, the ports between them eliminated."""
    ports = Ports(a.ports.left + b.ports.left, a.ports.right + b.ports.right, a.ports.up, b.ports.down)
    (left, right, up, down), keep = ports.starts(), sum(ports)
    return _joined(a, b, ports, [left, right, up, keep], [left + a.ports.left, right + a.ports.right, keep, down])


def _joined(a: Blocks, b: Blocks, ports: Ports, first: list[int], second: list[int]) -> Blocks:
    """Join blocks: `first` and `second` are the numbers that the first port of each of their sides gets."""
    joints = (_joint(a.ports, first), _joint(b.ports, second))
    meshes = merged((a.meshes, a.number.ravel()), (b.meshes, b.number.ravel()), joints, sum(ports))
    return Blocks.listed(ports, meshes, a.number.shape)


def _joint(ports: Ports, there: list[int]) -> np.ndarray:
    return np.ascontiguousarray(np.array([ports.starts(), there, ports]).T)
