"""The compiled loops against the same loops in array functions, and the promises of noise and of parts."""

from __future__ import annotations

import threading
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from cimsim.kernels import Gaussian, Sums, Table, Uniform, cpu, kernels_for, noise, plain
from cimsim.kernels.parts import _LIMIT, available_cores, each_part, in_parts
from device_models.streams import Streams
from tests.foreign import ForeignArray

SHAPE = (37, 13)


def currents(seed: int = 0) -> np.ndarray:
    return (1e-5 * np.random.default_rng(seed).standard_normal(SHAPE)).astype(np.float32)


@given(bits=st.integers(1, 16), seed=st.integers(0, 100))
def test_compiled_conversion_equals_the_plain_one_to_the_bit(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    step = (3e-5 / 2**bits * rng.uniform(0.9, 1.1, SHAPE[1])).astype(np.float32)
    scale, shift, first = 1 / step, (2.0 ** (bits - 1) + rng.random(SHAPE[1])).astype(np.float32), -step
    mine, theirs = currents(seed), currents(seed)
    law = Uniform(scale, shift, step, first, 2**bits - 1)
    cpu.convert(mine, law)
    plain.convert(theirs, law)
    np.testing.assert_array_equal(mine, theirs)


@given(top=st.integers(1, 65535), signed=st.booleans(), seed=st.integers(0, 100))
def test_compiled_quantisation_equals_the_plain_one_to_the_bit(top: int, signed: bool, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1.5, 1.5, SHAPE).astype(np.float32)
    low = -top if signed else 0
    mine = cpu.quantise(x, top / 1.1, low, top, 0.2 / top)
    np.testing.assert_array_equal(mine, plain.quantise(x, top / 1.1, low, top, 0.2 / top))
    assert mine.dtype == np.float32


@given(
    bits=st.integers(1, 8),
    lines=st.lists(st.integers(0, 3), min_size=13, max_size=13),
    rising=st.booleans(),
    seed=st.integers(0, 100),
)
def test_compiled_search_equals_the_plain_one_and_counts_edges_where_they_rise(
    bits: int, lines: list[int], rising: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = (1e-5 * rng.standard_normal((4, 2**bits - 1))).astype(np.float32)
    edges = np.sort(edges, axis=1) if rising else edges
    values = np.arange(2**bits, dtype=np.float32) + 1000 * np.arange(4, dtype=np.float32)[:, None]
    law, mine, theirs = Table(edges, values, np.array(lines)), currents(seed), currents(seed)
    cpu.convert(mine, law)
    plain.convert(theirs, law)
    np.testing.assert_array_equal(mine, theirs)
    if rising:
        counted = (currents(seed)[:, :, None] >= edges[lines]).sum(axis=2)
        np.testing.assert_array_equal(mine, counted + 1000 * np.array(lines))


@given(st.lists(st.integers(-(2**16), 2**16), min_size=1, max_size=20), st.integers(0, 16), st.integers(1, 16))
def test_digits_are_those_of_the_binary_number_with_its_sign(whole: list[int], shift: int, width: int) -> None:
    x = np.array([whole], np.float32)
    expected = [[np.sign(n) * (abs(n) >> shift & (2**width - 1)) for n in whole]]
    np.testing.assert_array_equal(cpu.digits(x, shift, width, 1.0), expected)
    np.testing.assert_array_equal(plain.digits(x, shift, width, 0.3), cpu.digits(x, shift, width, 0.3))


LAWS = {
    "none": lambda rng, n: None,
    "even": lambda rng, n: Uniform(*(rng.uniform(1, 2, (4, n)).astype(np.float32) * [[1e6], [7], [1e-6], [-7e-6]]), 15),
    "table": lambda rng, n: Table(
        np.sort(2e-5 * rng.standard_normal((n, 15)), axis=1).astype(np.float32),
        rng.standard_normal((n, 16)).astype(np.float32),
        np.arange(n),
    ),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("signals", [1, 4])
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_compiled_read_out_equals_the_plain_one_to_the_bit_without_noise(
    law: str, signals: int, reference: bool, order: Literal["C", "F"]
) -> None:
    rng = np.random.default_rng(0)
    columns, made = 9, LAWS[law](rng, 9 * signals)
    if isinstance(made, Uniform):
        made = Uniform(*(x.astype(np.float32) for x in made[:4]), made.top)
    i = (2e-5 * rng.standard_normal((40, columns * signals))).astype(np.float32)
    sums = Sums(rng.standard_normal(signals).astype(np.float32), reference, 0.7)
    mine, theirs = np.ones((20, 50), np.float32).T, np.ones((50, 20), np.float32)
    cpu.read_out(mine, (7, 3), i.copy(order), sums, made)
    plain.read_out(theirs, (7, 3), i.copy(), sums, made)
    np.testing.assert_array_equal(mine, theirs)
    here = (slice(7, 47), slice(3, 3 + columns - reference))
    mine[here] = 1
    assert (mine == 1).all()


def test_read_out_adds_noise_of_cells_before_and_of_converters_at_conversion() -> None:
    """Both are drawn by name, row and turn: the same sums, taken one after the other."""
    i, source = currents(), noise(currents(), Streams(0), "read")
    other, variance = noise(currents(), Streams(0), "adc"), np.full(SHAPE, 1e-12, np.float32)
    sums, seen, expected = Sums(np.ones(1, np.float32), False, 1.0), np.zeros(SHAPE[::-1], np.float32).T, currents()
    noises = (Gaussian(source, variance, 2), Gaussian(other, np.full(13, 4e-12, np.float32), 1))
    cpu.read_out(seen, (0, 0), i, sums, None, noises)
    source.add(expected, variance, 2)
    other.add(expected, np.float32(4e-12), 1)
    np.testing.assert_array_equal(seen, expected)


@given(st.integers(1, 12), st.integers(0, 50))
def test_squared_error_is_that_of_even_codes(bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    i, low, step = rng.standard_normal((3, 200)), rng.uniform(-2, 0, 3), rng.uniform(0.1, 3, 3) / 2**bits
    codes = np.clip(np.floor((i - low[:, None]) / step[:, None]), 0, 2**bits - 1)
    expected = np.mean((low[:, None] + (codes + 0.5) * step[:, None] - i) ** 2, axis=1)
    np.testing.assert_allclose(cpu.squared_error(i, low, step, 2**bits - 1), expected, rtol=1e-9)


def test_quantisation_rounds_to_the_nearest_and_holds_the_ends() -> None:
    x = np.array([[-2.0, -0.4, 0.0, 0.24, 0.26, 0.99, 7.0]], np.float32)
    np.testing.assert_allclose(cpu.quantise(x, 2.0, 0, 2, 0.5), [[0, 0, 0, 0, 0.5, 1, 1]])
    np.testing.assert_allclose(cpu.quantise(x, 2.0, -2, 2, 0.5), [[-1, -0.5, 0, 0, 0.5, 1, 1]])


@pytest.mark.parametrize("shape", [(7, 3), (600, 9), (1, 5), (5, 1)])
def test_loops_give_the_same_in_either_order_of_memory(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).uniform(-200, 200, (2 * shape[0], shape[1])).astype(np.float32)
    for part in (x[: shape[0]], x[::2], np.asfortranarray(x)[::2], np.asfortranarray(x)[: shape[0]]):
        whole = cpu.quantise(part, 1.0, -127, 127, 1.0)
        np.testing.assert_array_equal(whole, plain.quantise(part.copy(), 1.0, -127, 127, 1.0))
        np.testing.assert_array_equal(cpu.digits(whole, 1, 3, 0.5), plain.digits(whole.copy(), 1, 3, 0.5))
        one, other = part.copy("C"), part.copy("F")
        for copy in (one, other):
            noise(copy, Streams(0), "read").add(copy, np.full(shape[1], 2.0, np.float32), 1)
            cpu.convert(copy, Uniform(*(np.full(shape[1], k, np.float32) for k in (0.5, 3.0, 2.0, -3.0)), 15))
        np.testing.assert_array_equal(one, other)


def test_noise_has_the_variance_asked_for() -> None:
    variance = np.geomspace(1e-20, 1e-2, SHAPE[1]).astype(np.float32)
    x = np.zeros((20_000, SHAPE[1]), np.float32)
    noise(x, Streams(0), "read").add(x, variance)
    np.testing.assert_allclose(x.std(axis=0), np.sqrt(variance), rtol=0.03)
    np.testing.assert_allclose(x.mean(axis=0) / np.sqrt(variance), 0, atol=0.03)


@given(cut=st.integers(1, 36))
def test_noise_of_a_row_is_the_same_however_the_batch_is_cut(cut: int) -> None:
    whole, parts = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    noise(whole, Streams(3), "read").add(whole, np.float32(1))
    noise(parts, Streams(3), "read").add(parts[:cut], np.float32(1))
    noise(parts, Streams(3), "read", row=cut).add(parts[cut:], np.float32(1))
    np.testing.assert_array_equal(parts, whole)
    later = np.zeros_like(whole[cut:])
    noise(later, Streams(3), "read", row=cut).add(later, np.float32(1))
    np.testing.assert_array_equal(later, whole[cut:])


@pytest.mark.parametrize("cut", [1, 5, 36])
def test_generators_of_a_row_are_the_same_however_the_batch_is_cut(cut: int) -> None:
    like = currents()
    whole = [rng.random() for rng in noise(like, Streams(1), "read").generators(37)]
    first = [rng.random() for rng in noise(like, Streams(1), "read").generators(cut)]
    later = [rng.random() for rng in noise(like, Streams(1), "read", row=cut).generators(37 - cut)]
    assert first + later == whole
    assert len({*whole, *(rng.random() for rng in noise(like, Streams(1), "adc").generators(37))}) == 74


def test_roles_places_and_seeds_draw_apart() -> None:
    def drawn(streams: Streams, role: str) -> np.ndarray:
        x = np.zeros((2000, 10), np.float32)
        noise(x, streams, role).add(x, np.float32(1))
        return x.ravel()

    first = drawn(Streams(1).at("tile", 0), "read")
    for other in [
        (Streams(2).at("tile", 0), "read"),
        (Streams(1).at("tile", 1), "read"),
        (Streams(1).at("tile", 0), "adc"),
    ]:
        assert abs(np.corrcoef(first, drawn(*other))[0, 1]) < 4.5 / np.sqrt(first.size)


def test_other_libraries_get_the_plain_loops() -> None:
    assert kernels_for(np.zeros(2)) is cpu
    assert kernels_for(ForeignArray(np.zeros(2))) is plain


def test_plain_noise_has_the_variance_asked_for() -> None:
    x = ForeignArray(np.zeros((20_000, 3), np.float32))
    noise(x, Streams(0), "read").add(x, ForeignArray(np.array([1.0, 4.0, 9.0], np.float32)))
    np.testing.assert_allclose(x.get().std(axis=0), [1, 2, 3], rtol=0.03)


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_parts_join_in_order(size: int) -> None:
    x = np.arange(100.0)[:, None]
    np.testing.assert_array_equal(in_parts(lambda start, stop: 2 * x[start:stop], x, size), 2 * x)


def test_parts_within_a_part_run_in_its_thread() -> None:
    x = np.zeros((2 * available_cores(), 1))

    def inner(start: int, stop: int) -> int:
        return threading.get_ident()

    def outer(start: int, stop: int) -> bool:
        return set(each_part(inner, x, 1)) == {threading.get_ident()}

    assert all(each_part(outer, x, 1))
    assert threading.get_ident() not in each_part(inner, x, 1)


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_gets_its_threads_back_when_holders_overlap() -> None:
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with _LIMIT.held():
            entered.set()
            leave.wait()

    other = threading.Thread(target=hold)
    with _LIMIT.held():
        other.start()
        entered.wait()
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {1}
    leave.set()
    other.join()
    assert blas_threads() == before


def test_an_error_in_a_part_comes_out_and_lifts_the_limit() -> None:
    before = blas_threads()

    def fails(start: int, stop: int) -> np.ndarray:
        raise ValueError(f"part {start}")

    with pytest.raises(ValueError, match="part"):
        in_parts(fails, np.zeros((10, 1)), 3)
    assert blas_threads() == before
