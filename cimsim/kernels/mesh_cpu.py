"""Meshes of conductances compiled for the CPU: soldering them together, and the factor of a diagonal block.

Joints `(sides, 3)` say for each side of a block: number of its first port, its number in the joined mesh, how many
ports it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from device_models.window import Array

Joints = tuple[np.ndarray, np.ndarray]
Listed = tuple[Array, np.ndarray]

LEAF = 32  # ports that `factor_leaf` takes at most; larger blocks are halved first

_MESHES, _JOINTS = "float64[:,:,::1]", "int64[:,::1]"


def shared(pair: tuple[Listed, Listed], joints: Joints, keep: int, which: slice) -> tuple[Array, Array]:
    """Of some joined meshes, the ports from number `keep` on: `(n, shared, keep)` to the others, and among them."""
    ports, n = _total(joints) - keep, which.stop - which.start
    mixed, inner = np.zeros((n, ports, keep)), np.zeros((n, ports, ports))
    for (meshes, numbers), part in zip(pair, joints, strict=True):
        _add_shared(meshes, numbers[which], part, mixed, inner)
    return mixed, inner


def add_kept(pair: tuple[Listed, Listed], joints: Joints, which: slice, out: Array) -> None:
    """Add the conductances between the kept ports of some joined meshes to `out` `(n, keep, keep)`."""
    for (meshes, numbers), part in zip(pair, joints, strict=True):
        _add_kept(meshes, numbers[which], part, out)


def factor_leaf(inner: Array, outward: Array) -> Array:
    """Lower triangular `x` with `x a x^T = 1` for `a` of `mesh.inverse_factor`, `(meshes, ports, ports)`."""
    x = np.zeros(inner.shape)
    _factor(inner.copy(), outward.copy(), x)
    return x


def _total(joints: Joints) -> int:
    return int(max((part[:, 1] + part[:, 2]).max() for part in joints))


_inner = njit(nogil=True, error_model="numpy", cache=True)


@_inner
def _add_block(mesh: Any, joints: Any, a: Any, b: Any, out: Any, row: Any, col: Any) -> None:
    """Add the conductances between sides `a` and `b` of a block to `out` from `row` and `col` on."""
    for i in range(joints[a, 2]):
        for j in range(joints[b, 2]):
            out[row + i, col + j] += mesh[joints[a, 0] + i, joints[b, 0] + j]


@njit(f"void({_MESHES}, int64[::1], {_JOINTS}, {_MESHES}, {_MESHES})", nogil=True, error_model="numpy", cache=True)
def _add_shared(meshes: Any, numbers: Any, joints: Any, mixed: Any, inner: Any) -> None:
    keep = mixed.shape[2]
    for n in range(len(mixed)):
        mesh = meshes[numbers[n]]
        for a in range(len(joints)):
            row = joints[a, 1] - keep
            for b in range(len(joints) if row >= 0 else 0):
                col = joints[b, 1]
                if col < keep:
                    _add_block(mesh, joints, a, b, mixed[n], row, col)
                else:
                    _add_block(mesh, joints, a, b, inner[n], row, col - keep)


@njit(f"void({_MESHES}, int64[::1], {_JOINTS}, {_MESHES})", nogil=True, error_model="numpy", cache=True)
def _add_kept(meshes: Any, numbers: Any, joints: Any, out: Any) -> None:
    keep = out.shape[2]
    for n in range(len(out)):
        mesh = meshes[numbers[n]]
        for a in range(len(joints)):
            for b in range(len(joints)):
                if joints[a, 1] < keep and joints[b, 1] < keep:
                    _add_block(mesh, joints, a, b, out[n], joints[a, 1], joints[b, 1])


@_inner
def _scale(row: Any, start: Any, stop: Any, by: Any) -> None:
    for k in range(start, stop):
        row[k] *= by


@_inner
def _add_multiple(row: Any, start: Any, stop: Any, by: Any, to: Any) -> None:
    for k in range(start, stop):
        to[k] += by * row[k]


@njit(f"void({_MESHES}, float64[:,::1], {_MESHES})", nogil=True, error_model="numpy", cache=True)
def _factor(inner: Any, outward: Any, x: Any) -> None:
    ports = inner.shape[1]
    for n in range(len(inner)):
        c, e, y = inner[n], outward[n], x[n]
        for p in range(ports):
            pivot = e[p]
            for j in range(p + 1, ports):
                pivot += c[p, j]
            scale = 1 / np.sqrt(pivot)
            y[p, p] = 1.0
            e[p] *= scale
            _scale(y[p], 0, p + 1, scale)
            _scale(c[p], p + 1, ports, scale)
            for i in range(p + 1, ports):
                e[i] += c[p, i] * e[p]
                _add_multiple(c[p], i + 1, ports, c[p, i], c[i])
                _add_multiple(y[p], 0, p + 1, c[p, i], y[i])
