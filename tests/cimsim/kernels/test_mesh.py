"""Meshes of conductances: star-mesh transformations by hand and against Schur complements, on both kinds of array."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cimsim.kernels.mesh import inverse_factor, merged
from device_models.streams import Streams
from tests.foreign import ForeignArray, asnumpy

KINDS = [np.asarray, ForeignArray]


def mesh(*shape: int) -> np.ndarray:
    """Random conductances over six decades between every two of the last axis' ports."""
    c = 10 ** Streams(seed=2).rng("mesh").uniform(-9, -3, (*shape, shape[-1]))
    return np.tril(c, -1) + np.swapaxes(np.tril(c, -1), -1, -2)


def admittance(inner: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """The matrix with these conductances off the diagonal."""
    off = inner - inner * np.eye(inner.shape[-1])
    return np.eye(inner.shape[-1]) * (off.sum(-1) + outward)[..., None] - off


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ports", [1, 2, 7, 32, 33, 100])
def test_inverse_factor_inverts(ports: int, kind: Any) -> None:
    inner, outward = mesh(3, ports), Streams(seed=1).rng("out").uniform(1e-6, 1e-3, (3, ports))
    x = asnumpy(inverse_factor(kind(inner), kind(outward)))
    assert (x >= 0).all()
    assert np.array_equal(x, np.tril(x))
    whole = x @ admittance(inner, outward) @ np.swapaxes(x, -1, -2)
    np.testing.assert_allclose(whole, np.broadcast_to(np.eye(ports), whole.shape), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_pivots_are_sums_so_a_weak_way_out_is_not_lost_beside_strong_links(kind: Any) -> None:
    """Ports tied together by 1 S leak 1e-20 S to ground: formed as a matrix, its diagonal would hide the leak."""
    inner, outward = np.ones((1, 40, 40)), np.full((1, 40), 1e-20)
    x = asnumpy(inverse_factor(kind(inner), kind(outward)))[0]
    total = (x.T @ x @ outward[0]) - 1
    assert np.abs(total).max() < 1e-12
    assert (x.T @ x)[0, -1] == pytest.approx(1 / 40e-20, rel=1e-12)


def merge(kind: Any, a: np.ndarray, b: np.ndarray, joints: tuple[np.ndarray, np.ndarray], keep: int) -> np.ndarray:
    """Every mesh of `a` joined with the one of `b` in the reverse order."""
    numbers = np.arange(len(a))
    return asnumpy(merged((kind(a), numbers), (kind(b), numbers[::-1].copy()), joints, keep))


@pytest.mark.parametrize("kind", KINDS)
def test_two_resistors_in_series(kind: Any) -> None:
    """Ports 0-1 and 1-2 soldered at 1, which is eliminated."""
    a, b = (np.array([[[0, s], [s, 0]]]) for s in (2e-3, 3e-3))
    joints = np.array([[0, 0, 1], [1, 2, 1]]), np.array([[0, 2, 1], [1, 1, 1]])
    out = merge(kind, a, b, joints, 2)
    assert out.shape == (1, 2, 2)
    assert out[0, 0, 1] == pytest.approx(float(1 / (1 / Fraction(2, 1000) + 1 / Fraction(3, 1000))), rel=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [1, 5, 40])
def test_merging_is_the_schur_complement_of_both_together(shared: int, kind: Any) -> None:
    """Three kept and `shared` common ports each, in another order in the second mesh."""
    a, b = mesh(6, 3 + shared), mesh(6, shared + 3)[::-1] * 2
    joints = np.array([[0, 0, 3], [3, 6, shared]]), np.array([[0, 6, shared], [shared, 3, 3]])
    out = merge(kind, a, np.ascontiguousarray(b), joints, 6)
    both = np.zeros((6, 6 + shared, 6 + shared))
    for part, order in ((a, [*range(3), *range(6, 6 + shared)]), (b[::-1], [*range(6, 6 + shared), *range(3, 6)])):
        both[:, np.array(order)[:, None], order] += part
    y = admittance(both, np.zeros(both.shape[:-1]))
    schur = y[:, :6, :6] - y[:, :6, 6:] @ np.linalg.solve(y[:, 6:, 6:], y[:, 6:, :6])
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(out[:, off], -schur[:, off], rtol=1e-6)
    np.testing.assert_allclose(out[:, off], np.swapaxes(out, -1, -2)[:, off], rtol=1e-13)
