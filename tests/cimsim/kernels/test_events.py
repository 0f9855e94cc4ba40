"""Products of driven lines alone against the dense ones, and when they are taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.kernels import events_cpu
from cimsim.kernels.events_cpu import AHEAD, LEAST_LINES, SHARE


def volts(samples: int, lines: int, share: float, *, seed: int = 0, one: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = np.float32(0.2) if one else rng.normal(size=(samples, lines)).astype(np.float32)
    return np.where(rng.random((samples, lines)) < share, size, np.float32(0))


def listed(v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    _, lines, ends = events_cpu.room(1, *v.shape)
    of_lines = np.full(v.size, np.nan, np.float32)
    return (lines[0], of_lines, ends[0]) if events_cpu.listed(v, lines[0], ends[0], of_lines) else None


@given(
    samples=st.integers(1, 30),  # as many may be driven as there are lines: see AHEAD
    lines=st.integers(LEAST_LINES, LEAST_LINES + 40),
    columns=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.02, 0.1]),
    one=st.booleans(),
    by_line=st.booleans(),
    seed=st.integers(0, 100),
)
def test_driven_lines_give_the_dense_product(
    samples: int, lines: int, columns: int, share: float, one: bool, by_line: bool, seed: int
) -> None:
    v = volts(samples, lines, share, seed=seed, one=one)
    found = listed(np.asfortranarray(v) if by_line else v)
    if found is None:
        assert (v != 0).sum() > SHARE * v.size
        return
    numbers, of_lines, ends = found
    g = np.random.default_rng(9).random((lines, columns), dtype=np.float32)
    out = np.full((columns, samples), np.nan, np.float32)
    events_cpu.product(numbers, of_lines, ends, g, out)
    np.testing.assert_allclose(out.T, v.astype(float) @ g, rtol=1e-5, atol=1e-5)


def test_events_list_each_samples_lines_in_order() -> None:
    v = np.zeros((6, 300), np.float32)
    v[1, [3, 17]], v[4, 0] = [0.1, -0.2], 0.3
    found = listed(v)
    assert found is not None
    numbers, of_lines, ends = found
    assert numbers[: ends[-1]].tolist() == [3, 17, 0]
    np.testing.assert_array_equal(of_lines[:3], np.float32([0.1, -0.2, 0.3]))
    assert ends.tolist() == [0, 0, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(("share", "few"), [(0.0, True), (SHARE / 2, True), (2 * SHARE, False), (1.0, False)])
def test_a_list_is_made_where_few_lines_are_driven(share: float, few: bool) -> None:
    assert (listed(volts(10 * AHEAD, LEAST_LINES, share)) is not None) == few
    assert listed(volts(10 * AHEAD, LEAST_LINES - 1, share)) is None
