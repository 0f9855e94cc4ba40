"""The noise of one call: Gaussian, named by role and place, the same however a batch is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.crossbar.draws import Draws
from device_models.streams import Streams
from tests.device_models.laws import assert_independent, assert_normal
from tests.foreign import ForeignArray

HERE = np.zeros(1, np.float32)


def drawn(draws: Draws, rows: int, columns: int, role: str = "read", *place: int, sigma: float = 1.0) -> np.ndarray:
    """Noise of the given standard deviation, `(rows, columns)`."""
    x = np.zeros((rows, columns), np.float32)
    draws.rows(rows).noise(role, *place).add(x, np.full(columns, sigma**2, np.float32))
    return x


@pytest.mark.parametrize(("rows", "columns"), [(1, 4000), (4000, 1), (61, 67)])
@pytest.mark.parametrize("sigma", [1.0, 3e-8])
def test_noise_is_normal_with_the_given_variance(rows: int, columns: int, sigma: float) -> None:
    assert_normal(drawn(Draws(Streams(1), HERE), rows, columns, sigma=sigma), 0.0, sigma)


def test_noise_adds_to_what_is_there_each_number_with_its_own_variance() -> None:
    mean = np.linspace(-1, 1, 4000, dtype=np.float32).reshape(40, 100)
    sigma = np.geomspace(1e-3, 1e3, 4000, dtype=np.float32).reshape(40, 100)
    x = mean.copy()
    Draws(Streams(2), HERE).rows(len(x)).noise("read").add(x, sigma**2)
    assert x.dtype == np.float32
    assert_normal(x, mean, sigma)


def test_without_variance_nothing_changes() -> None:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    kept = x.copy()
    Draws(Streams(2), HERE).rows(len(x)).noise("read").add(x, np.zeros(4, np.float32))
    assert np.array_equal(x, kept)


@pytest.mark.parametrize("columns", [2, 3, 8, 65])
def test_rows_and_columns_are_independent(columns: int) -> None:
    x = drawn(Draws(Streams(3), HERE), 4000, columns)
    for other in range(1, columns):
        assert_independent(x[:, 0], x[:, other])
        assert_independent(x[:, 0] ** 2, x[:, other] ** 2)
    assert_independent(x[1:], x[:-1])


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(1, 9))
def test_a_batch_cut_into_parts_gets_the_same_numbers(parts: list[int], columns: int) -> None:
    whole = drawn(Draws(Streams(4), HERE), sum(parts), columns)
    draws = Draws(Streams(4), HERE)
    assert np.array_equal(whole, np.concatenate([drawn(draws, n, columns) for n in parts]))


@pytest.mark.parametrize(
    "other",
    [
        lambda: drawn(Draws(Streams(5), HERE), 200, 20, "read", 1),
        lambda: drawn(Draws(Streams(5), HERE), 200, 20, "adc", 0),
        lambda: drawn(Draws(Streams(6), HERE), 200, 20, "read", 0),
        lambda: drawn(Draws(Streams(5).at("layer", 1), HERE), 200, 20, "read", 0),
    ],
    ids=["place", "role", "seed", "streams"],
)
def test_every_name_has_independent_noise(other: Any) -> None:
    ours = drawn(Draws(Streams(5), HERE), 200, 20, "read", 0)
    assert_independent(ours, other())


def test_samples_that_come_later_draw_other_numbers() -> None:
    draws = Draws(Streams(7), HERE)
    first, again = drawn(draws, 100, 20), drawn(draws, 100, 20)
    assert_independent(first, again)
    assert np.array_equal(first, drawn(Draws(Streams(7), HERE), 100, 20))
    assert np.array_equal(again, drawn(Draws(Streams(7), HERE, row=100), 100, 20))


def test_what_one_source_gives_does_not_depend_on_the_others() -> None:
    rows, x, alone = Draws(Streams(8), HERE).rows(9), np.zeros((2, 9, 3), np.float32), np.zeros((9, 3), np.float32)
    for k, role in enumerate(["adc", "read"]):
        rows.noise(role).add(x[k], np.ones(3, np.float32))
    Draws(Streams(8), HERE).rows(9).noise("read").add(alone, np.ones(3, np.float32))
    assert np.array_equal(x[1], alone)


def test_turns_of_one_sample_draw_apart_and_in_any_order() -> None:
    rows, x = Draws(Streams(9), HERE).rows(200), np.zeros((3, 200, 20), np.float32)
    for turn in (2, 0, 1):
        rows.noise("read").add(x[turn], np.ones(20, np.float32), turn)
    assert_independent(x[0], x[1])
    assert_independent(x[1], x[2])
    assert np.array_equal(x[0], drawn(Draws(Streams(9), HERE), 200, 20))


def test_part_of_the_samples_have_the_numbers_they_have_in_the_whole() -> None:
    part = np.zeros((4, 5), np.float32)
    Draws(Streams(4), HERE).rows(10).after(3).noise("read", 1).add(part, np.ones(5, np.float32))
    assert np.array_equal(part, drawn(Draws(Streams(4), HERE), 10, 5, "read", 1)[3:7])


def test_arrays_of_another_library_get_noise_of_the_same_law_in_that_library() -> None:
    x = ForeignArray(np.zeros((60, 70), np.float32))
    Draws(Streams(9), x).rows(60).noise("read").add(x, ForeignArray(np.full(70, 4.0, np.float32)))
    assert x.dtype == np.float32
    assert_normal(x.get(), 0.0, 2.0)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(2, 5))
def test_samples_that_come_in_several_calls_get_the_same_numbers_however_a_batch_is_cut(
    parts: list[int], calls: int
) -> None:
    def steps(draws: Draws, n: int) -> np.ndarray:
        return np.stack([drawn(draws, n, 3) for _ in range(calls)], axis=1)

    whole, draws = steps(Draws(Streams(4), HERE, calls=calls), sum(parts)), Draws(Streams(4), HERE, calls=calls)
    assert np.array_equal(whole, np.concatenate([steps(draws, n) for n in parts]))


def test_the_calls_of_a_sample_draw_apart() -> None:
    draws = Draws(Streams(4), HERE, calls=3)
    first, second, third, again = (drawn(draws, 200, 20) for _ in range(4))
    for one, other in [
        (first, second),
        (second, third),
        (first, again),
        (first, drawn(Draws(Streams(4), HERE), 200, 20)),
    ]:
        assert_independent(one, other)
