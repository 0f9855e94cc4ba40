"""Products of driven lines alone against the dense ones, and when they are taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.crossbar.drive import Drive, Products, by_line
from cimsim.kernels import events_cpu
from cimsim.kernels.events import LEAST_COLUMNS, LEAST_LINES, LEAST_SAMPLES, SHARE, Events, events
from tests.foreign import ForeignArray


def volts(samples: int, lines: int, share: float, *, seed: int = 0, one: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = np.float32(0.2) if one else rng.normal(size=(samples, lines)).astype(np.float32)
    return np.where(rng.random((samples, lines)) < share, size, np.float32(0))


def conductances(lines: int, columns: int) -> np.ndarray:
    return np.random.default_rng(9).random((lines, columns), dtype=np.float32)


@given(
    samples=st.integers(1, 70),
    lines=st.integers(1, 40),
    columns=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]),
    one=st.booleans(),
    turned=st.booleans(),
    seed=st.integers(0, 100),
)
def test_driven_lines_give_the_dense_product_at_every_share(
    samples: int, lines: int, columns: int, share: float, one: bool, turned: bool, seed: int
) -> None:
    v, g = volts(samples, lines, share, seed=seed, one=one), conductances(lines, columns)
    found = events_cpu.listed(by_line(v) if turned else v, 1.0)
    assert found is not None
    for drive, squares in ((Events(*found), v), (Events(*found).squared, v**2)):
        out = np.full((columns, samples), np.nan, np.float32)
        drive.product(g, out)
        np.testing.assert_allclose(out.T, squares.astype(float) @ g, rtol=1e-5, atol=1e-5)


def test_events_list_each_samples_lines_in_order() -> None:
    v = np.zeros((LEAST_SAMPLES, LEAST_LINES), np.float32)
    v[1, [3, 17]], v[4, 0] = [0.1, -0.2], 0.3
    found = events(v)
    assert found is not None
    assert found.lines[: found.ends[-1]].tolist() == [3, 17, 0]
    np.testing.assert_array_equal(found.volts, np.float32([0.1, -0.2, 0.3]))
    assert found.ends.tolist() == [0, 0, 2, 2, 2, *[3] * (LEAST_SAMPLES - 4)]


@pytest.mark.parametrize("columns", [LEAST_COLUMNS, 3])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_a_drive_gives_the_same_product_whichever_way_it_is_taken(share: float, columns: int) -> None:
    v, g = volts(300, 300, share), conductances(300, columns)
    for _ in range(2):  # the second time into an array that is used again
        drive = Drive(v, Products())
        np.testing.assert_allclose(drive.times("a", g), v @ g, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(drive.squares_times("b", g), (v * v) @ g, rtol=1e-5, atol=1e-6)
        assert drive.times("a", g).flags.f_contiguous


def test_events_are_for_few_driven_lines_of_many_samples_on_the_host() -> None:
    few = volts(100, LEAST_LINES, SHARE / 2)
    assert events(few) is not None
    assert events(volts(400, LEAST_LINES, 2 * SHARE)) is None
    assert events(few[: LEAST_SAMPLES - 1]) is None
    assert events(few[:, 1:]) is None
    assert events(few.astype(float)) is None
    assert events(ForeignArray(few)) is None


def test_foreign_arrays_are_multiplied_by_their_own_library() -> None:
    v, g = volts(100, 300, 0.05), conductances(300, 80)
    found = Drive(ForeignArray(v), Products()).times("a", ForeignArray(g))
    assert isinstance(found, ForeignArray)
    np.testing.assert_allclose(found.get(), v @ g, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.13, 0.3])
def test_a_samples_product_does_not_depend_on_the_others_but_for_rounding(share: float) -> None:
    v, g = volts(200, 300, share), conductances(300, 96)
    whole = Drive(v, Products()).times("a", g)
    for cut in (1, 17, 90):
        parts = [Drive(part, Products()).times("a", g) for part in np.split(v, [cut])]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=2e-6, atol=1e-6)
