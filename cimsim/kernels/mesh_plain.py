"""The loops of `mesh_cpu` in array functions: for CuPy arrays and any other library that answers NumPy's functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from device_models.window import Array

Joints = tuple[np.ndarray, np.ndarray]
Listed = tuple[Array, np.ndarray]

LEAF = 8  # ports that `factor_leaf` takes at most; larger blocks are halved first


def shared(pair: tuple[Listed, Listed], joints: Joints, keep: int, which: slice) -> tuple[Array, Array]:
    """Of some joined meshes, the ports from number `keep` on: `(n, shared, keep)` to the others, and among them."""
    total = max(there + count for part in joints for _, there, count in part.tolist())
    rows = np.zeros((which.stop - which.start, total - keep, total), like=pair[0][0])
    for listed, part in zip(pair, joints, strict=True):
        meshes = _chosen(listed, which)
        for here, there, other, to in _pairs(part):
            if there.start >= keep:
                rows[:, slice(there.start - keep, there.stop - keep), to] += meshes[:, here, other]
    return rows[..., :keep], rows[..., keep:]


def add_kept(pair: tuple[Listed, Listed], joints: Joints, which: slice, out: Array) -> None:
    """Add the conductances between the kept ports of some joined meshes to `out` `(n, keep, keep)`."""
    for listed, part in zip(pair, joints, strict=True):
        meshes = _chosen(listed, which)
        for here, there, other, to in _pairs(part):
            if there.stop <= out.shape[1] and to.stop <= out.shape[1]:
                out[:, there, to] += meshes[:, here, other]


def factor_leaf(inner: Array, outward: Array) -> Array:
    """Lower triangular `x` with `x a x^T = 1` for `a` of `mesh.inverse_factor`, `(meshes, ports, ports)`."""
    c, e, x = inner.copy(), outward.copy(), np.zeros_like(inner)
    for p in range(inner.shape[-1]):
        rest = slice(p + 1, None)
        scale = 1 / np.sqrt(e[:, p] + c[:, p, rest].sum(-1))
        x[:, p, p] = 1.0
        x[:, p] *= scale[:, None]
        row = c[:, p, rest] * scale[:, None]
        e[:, rest] += row * (e[:, p] * scale)[:, None]
        c[:, rest, rest] += row[:, :, None] * row[:, None, :]
        x[:, rest] += row[:, :, None] * x[:, p, None]
    return x


def _chosen(listed: Listed, which: slice) -> Array:
    meshes, numbers = listed
    return meshes[np.asarray(numbers[which], like=meshes)]


def _pairs(joints: np.ndarray) -> Iterator[tuple[slice, slice, slice, slice]]:
    """Any two sides of a block: ports here and there of the one, ports here and there of the other."""
    sides = [(slice(here, here + n), slice(there, there + n)) for here, there, n in joints.tolist()]
    return (a + b for a in sides for b in sides)
