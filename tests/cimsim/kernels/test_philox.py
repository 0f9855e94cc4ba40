"""The counter-based generator against its published test vectors, and its normal numbers against their law."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from scipy import stats

from cimsim.kernels.philox import _log, normal_pair, philox

U = np.uint32


@njit
def words(counter: np.ndarray, key: np.ndarray) -> tuple[int, int, int, int]:
    return philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@njit
def logarithms(x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    for k in range(len(x)):
        out[k] = _log(x[k])
    return out


@njit
def pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((len(a), 2), np.float32)
    for k in range(len(a)):
        out[k, 0], out[k, 1] = normal_pair(a[k], b[k])
    return out


# Known answers of philox4x32-10, Random123 (Salmon et al., SC 2011).
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_words_are_those_published(counter: list[int], key: list[int], expected: list[int]) -> None:
    assert list(words(np.array(counter, U), np.array(key, U))) == expected


def test_logarithm_is_right_to_float32() -> None:
    x = np.concatenate([np.geomspace(2**-25, 1, 20_001), np.linspace(0.5, 1, 20_001)]).astype(np.float32)
    exact = np.log(x.astype(np.float64))
    np.testing.assert_allclose(logarithms(x), exact, rtol=1e-6, atol=1.5e-7)


def test_pairs_are_box_and_mullers() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**32, (2, 10_000), dtype=np.uint32)
    u = ((a >> 8).astype(np.float64) + 0.5) / 2**24
    angle = b.view(np.int32).astype(np.float64) * 2 * np.pi / 2**32
    exact = np.sqrt(-2 * np.log(u))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(pairs(a, b), exact, atol=4e-6)


def test_extreme_words_give_finite_numbers() -> None:
    ends = np.array([0, 1, 255, 2**31 - 1, 2**31, 2**32 - 1], dtype=np.uint32)
    a, b = (grid.ravel() for grid in np.meshgrid(ends, ends))
    z = pairs(a, b)
    assert np.isfinite(z).all()
    assert np.abs(z).max() == pytest.approx(np.sqrt(-2 * np.log(0.5 / 2**24)), rel=1e-5)


def test_normal_law() -> None:
    from cimsim.kernels.cpu import CounterNoise

    z = np.zeros((20_000, 101), np.float32)
    CounterNoise(np.array([1, 2, 3, 4], U), 0).add(z, np.float32(1.0))
    flat = z.ravel().astype(np.float64)
    n = flat.size
    assert abs(flat.mean()) < 4 / np.sqrt(n)
    assert abs(flat.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.kurtosis(flat)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(flat, "norm").pvalue > 0.01
    tail = (np.abs(flat) > 4).sum()
    assert stats.binomtest(int(tail), n, 2 * stats.norm.sf(4)).pvalue > 0.01


def test_neighbours_are_independent() -> None:
    from cimsim.kernels.cpu import CounterNoise

    z = np.zeros((4000, 64), np.float32)
    CounterNoise(np.array([5, 6, 7, 8], U), 0).add(z, np.float32(1.0))
    other = np.zeros_like(z)
    CounterNoise(np.array([5, 6, 7, 9], U), 0).add(other, np.float32(1.0))
    limit = 4.5 / np.sqrt(z.size)
    for a, b in [(z[:-1], z[1:]), (z[:, :-1], z[:, 1:]), (z[:, :32], z[:, 32:]), (z[:, ::2], z[:, 1::2]), (z, other)]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < limit
        assert abs(np.corrcoef(a.ravel() ** 2, b.ravel() ** 2)[0, 1]) < limit
