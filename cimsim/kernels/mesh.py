"""Resistive networks between ports as meshes of conductances, joined and reduced without a single subtraction.

A mesh `(ports, ports)` holds the conductance between every two ports, siemens, 0 or more; its diagonal has no
meaning. Eliminating a port is the star-mesh transformation (Rosen, J. IEE 62, 916 (1924)), which is the Schur
complement of the admittance matrix (Kron reduction; Dorfler and Bullo, IEEE Trans. Circuits Syst. I 60, 150 (2013)).
Its pivots are sums of conductances, never differences (Grassmann, Taksar and Heyman, Oper. Res. 33, 1107 (1985)): so
every conductance of the result is accurate relative to itself, however small.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType

import numpy as np

from cimsim.backend import backend_name
from cimsim.kernels import parts
from cimsim.kernels.parts import each_part
from device_models.window import Array

Joints = tuple[np.ndarray, np.ndarray]
Listed = tuple[Array, np.ndarray]

_PART = 2**25  # multiplications that make a part for one thread
_PANEL = 512  # rows of a large mesh that one thread takes at a time


def merged(first: Listed, second: Listed, joints: Joints, keep: int) -> Array:
    """Join meshes two by two and eliminate all ports from number `keep` on: `(n, keep, keep)`.

    `first` and `second` are each a list of meshes `(..., ports, ports)` and the numbers `(n,)` of those to join.
    `joints`, for either list `(sides, 3)`: of each side of a block the number of its first port, its number in the
    joined mesh, and how many ports it has; ports with the same number are soldered together.
    On the host, large work is shared by all cores.
    """
    meshes, numbers = first
    loops, pair = _loops_for(meshes), (first, second)
    out = np.empty((len(numbers), keep, keep), like=meshes)
    if out.size == 0:
        return out
    total = int(max((part[:, 1] + part[:, 2]).max() for part in joints))

    def merge(start: int, stop: int) -> None:
        which = slice(start, stop)
        mixed, inner = loops.shared(pair, joints, keep, which)
        w = np.matmul(inverse_factor(inner, mixed.sum(-1)), mixed)
        _square(w, out[which])
        loops.add_kept(pair, joints, which, out[which])

    size = max(1, _PART // ((total - keep) * total**2)) if backend_name(meshes) == "numpy" else len(out)
    each_part(merge, out, size)
    return out


def _square(w: Array, out: Array) -> None:
    """`out` becomes `w^T w`: of large ones the upper triangle, in panels on all cores, and its mirror image.

    The copy keeps NumPy from its own routine for such products, which is slower.
    """
    back = np.swapaxes(w.copy(), -1, -2)

    def panel(start: int, stop: int) -> None:
        np.matmul(back[:, start:stop], w[..., start:], out=out[:, start:stop, start:])
        out[:, stop:, start:stop] = np.swapaxes(out[:, start:stop, stop:], -1, -2)

    each_part(panel, back[0], _PANEL)


def inverse_factor(inner: Array, outward: Array) -> Array:
    """Lower triangular `x >= 0` with `x a x^T = 1`, where `a` is the admittance matrix of the ports of `inner`.

    `outward` `(..., ports)` is the sum of the conductances of each port to all that is not in `inner`: `a` is
    `diag(inner.sum(-1) + outward) - inner`, but is never formed. Blocks are halved: the first half is eliminated into
    the second.
    """
    loops, ports = _loops_for(inner), inner.shape[-1]
    if ports <= loops.LEAF:
        return loops.factor_leaf(inner, outward)
    one, two = slice(ports // 2), slice(ports // 2, None)
    across = inner[..., one, two]
    x1 = inverse_factor(inner[..., one, one], outward[..., one] + across.sum(-1))
    w = np.matmul(x1, across)
    back = np.swapaxes(w, -1, -2)
    grown = np.matmul(back, np.matmul(x1, outward[..., one, None]))[..., 0]
    x2 = inverse_factor(inner[..., two, two] + np.matmul(back, w), outward[..., two] + grown)
    x = np.zeros(inner.shape, like=inner)
    x[..., one, one], x[..., two, two] = x1, x2
    x[..., two, one] = np.matmul(x2, np.matmul(back, x1))
    return x


def blas_on_one_thread() -> AbstractContextManager[None]:
    """While this is held the BLAS uses one thread: so results do not depend on the number of cores, to the bit."""
    return parts._LIMIT.held()


def _loops_for(x: Array) -> ModuleType:
    if backend_name(x) == "numpy":
        from cimsim.kernels import mesh_cpu

        return mesh_cpu
    from cimsim.kernels import mesh_plain

    return mesh_plain
