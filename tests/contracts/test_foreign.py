"""The stand-in for CuPy keeps its promises: it answers what CuPy answers and refuses what CuPy refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cimsim.backend import generator, is_array, to_host, to_library_of
from device_models.streams import Streams
from tests.foreign import CREATORS, FUNCTIONS, METHODS, UFUNCS, ForeignArray, ForeignGenerator, foreign

HOST = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.fixture
def x() -> ForeignArray:
    return ForeignArray(HOST)


def same(result: Any, expected: Any) -> bool:
    """Whether the result is foreign and has the expected numbers, shape and type."""
    expected = np.asarray(expected)
    return (
        isinstance(result, ForeignArray)
        and result.dtype == expected.dtype
        and result.shape == expected.shape
        and np.array_equal(result.get(), expected)
    )


@pytest.mark.parametrize(
    "convert", [np.asarray, np.array, np.float64, np.ascontiguousarray, lambda a: np.array([a, a])]
)
def test_never_turns_into_a_numpy_array_unasked(convert: Callable[[Any], Any], x: ForeignArray) -> None:
    with pytest.raises(TypeError):
        convert(x)


def test_get_gives_a_copy_and_the_constructor_takes_one() -> None:
    host = HOST.copy()
    a = ForeignArray(host)
    host[0, 0] = 9
    assert a.get()[0, 0] == 1
    a.get()[0, 0] = 9
    assert a.get()[0, 0] == 1


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + 1,
        lambda a: 2.0 / a,
        lambda a: np.float64(3) * a,
        lambda a: a * np.float32(3),
        lambda a: -(a**2),
        lambda a: a @ a.T,
        lambda a: (a > 2) & (a < 5),
        lambda a: abs(a - 3) % 2,
        np.exp,
        np.isfinite,
        lambda a: np.maximum(a, 3.0),
        lambda a: np.matmul(a, a.T),
        lambda a: np.add(a, a, dtype=np.float32),
        lambda a: np.where(a > 2, a, 0.0),
        lambda a: np.clip(a, 2, a + 1),
        lambda a: np.concatenate([a, a], axis=1),
        lambda a: np.stack((a, a)),
        lambda a: np.einsum("ij,kj->ik", a, a),
        lambda a: np.sum(a, axis=0),
        lambda a: np.mean(a),
        lambda a: np.zeros_like(a),
        lambda a: np.full_like(a, 7.0, dtype=np.float32),
        lambda a: np.broadcast_to(a[0], (4, 3)),
        lambda a: np.moveaxis(a, 0, 1),
        lambda a: np.take(a, [2, 0], axis=1),
        lambda a: np.percentile(a, 50),
        lambda a: np.linalg.norm(a),
        lambda a: np.count_nonzero(a > 2),
        lambda a: np.allclose(a, a),
        lambda a: np.bincount(a.astype(np.int64).ravel(), minlength=9),
        lambda a: np.argmax(a, axis=1),
        lambda a: np.any(a > 5),
        lambda a: a.sum(),
        lambda a: a.reshape(3, -1).T,
        lambda a: a.max(axis=1, keepdims=True),
        lambda a: a.astype(np.float32),
        lambda a: a[0],
        lambda a: a[1, 2],
        lambda a: a[..., None, ::2],
        lambda a: a[a > 2],
        lambda a: a[:, [2, 0]],
        lambda a: a[:, np.argsort(a[0])],
        lambda a: next(iter(a)),
    ],
)
def test_gives_numpys_numbers_as_foreign_arrays(operation: Callable[[Any], Any], x: ForeignArray) -> None:
    assert same(operation(x), operation(HOST))


def test_several_results_are_each_foreign(x: ForeignArray) -> None:
    for ours, theirs in zip(np.nonzero(x > 2), np.nonzero(HOST > 2), strict=True):
        assert same(ours, theirs)
    quotient, remainder = divmod(x, 2)
    assert same(quotient, HOST // 2)
    assert same(remainder, HOST % 2)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + HOST,
        lambda a: HOST * a,
        lambda a: HOST.T @ a,
        lambda a: a * np.array(2.0),
        lambda a: a * [1, 2, 3],
        lambda a: np.maximum(a, HOST),
        lambda a: np.add(a, a, out=HOST.copy()),
        lambda a: np.where(a > 2, a, HOST),
        lambda a: np.where(HOST > 2, a, a),
        lambda a: np.where(True, a, a),
        lambda a: np.clip(3.0, a, a),
        lambda a: np.concatenate([a, HOST]),
        lambda a: np.einsum("ij,kj->ik", a, HOST),
        lambda a: np.searchsorted(a[0], 2.0),
        lambda a: a[np.array([0])],
        lambda a: a[:, np.array([True, False, True])],
        lambda a: a.dot(HOST.T),
        lambda a: a.__setitem__(0, HOST[0]),
        lambda a: a.__iadd__(HOST),
    ],
)
def test_refuses_to_meet_numpy_arrays_and_lists(operation: Callable[[Any], Any], x: ForeignArray) -> None:
    with pytest.raises(TypeError):
        operation(x)
    assert same(x, HOST)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (lambda a: np.trapezoid(a), "trapezoid"),
        (lambda a: np.apply_along_axis(np.sum, 0, a), "apply_along_axis"),
        (lambda a: np.spacing(a), "spacing"),
        (lambda a: np.add.at(a, 0, 1.0), r"add \(at\)"),
        (lambda a: np.add.reduce(a), r"add \(reduce\)"),
        (lambda a: np.sum(a, where=a > 2), "sum: argument not supported: where"),
        (lambda a: np.exp(a, where=a > 2), "exp: argument not supported: where"),
        (lambda a: a.max(initial=0.0), "max: argument not supported: initial"),
        (lambda a: np.clip(a, min=0, max=1), "clip: argument not supported: max, min"),
        (lambda a: np.take(a, [0], mode="clip"), "take: argument not supported: mode"),
    ],
)
def test_refuses_by_name_what_cupy_lacks(operation: Callable[[Any], Any], name: str, x: ForeignArray) -> None:
    with pytest.raises(TypeError, match=name):
        operation(x)


def test_every_name_on_the_lists_is_numpys() -> None:
    for name in UFUNCS | FUNCTIONS | CREATORS:
        where = np.linalg if name.startswith("linalg.") else np
        assert hasattr(where, name.removeprefix("linalg.")), name
    assert all(isinstance(getattr(np, name), np.ufunc) for name in UFUNCS)
    assert all(hasattr(np.ndarray, name) for name in METHODS)


def test_attributes_are_plain(x: ForeignArray) -> None:
    assert (x.shape, x.ndim, x.size, x.dtype, len(x), x.nbytes) == ((2, 3), 2, 6, np.float64, 2, 48)
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
    assert np.result_type(x, np.float32) == np.float64


def test_single_elements_become_python_numbers(x: ForeignArray) -> None:
    assert (x[0, 1].item(), float(x[:1, 1]), int(x[1, 2]), x.item(5)) == (2.0, 2.0, 6, 6.0)
    assert bool((x > 0).all())
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x > 2)
    with pytest.raises(ValueError, match="size 1"):
        float(x)


def test_assignment_takes_foreign_arrays_and_scalars(x: ForeignArray) -> None:
    x[0] = x[1]
    x[:, 0] = 7.0
    x[x == 6] = np.float64(0)
    assert same(x, [[7.0, 5.0, 0.0], [7.0, 5.0, 0.0]])


def test_in_place_work_and_views_change_the_array_itself(x: ForeignArray) -> None:
    before, row = x, x[0]
    x += 1
    row *= 2
    np.negative(x, out=x)
    assert x is before
    assert same(x, [[-4.0, -6.0, -8.0], [-5.0, -6.0, -7.0]])


def test_the_namespace_brings_arrays_over_and_back() -> None:
    host = HOST.copy()
    a = foreign.asarray(host)
    host[0, 0] = 9
    assert same(a, HOST)
    assert np.array_equal(foreign.asnumpy(a), HOST)
    assert same(foreign.zeros((2, 2), dtype=np.float32), np.zeros((2, 2), dtype=np.float32))
    assert same(np.asarray([1, 2], like=a), [1, 2])
    assert same(np.arange(3, like=a), np.arange(3))
    assert isinstance(a, foreign.ndarray)


def test_draws_are_foreign_seeded_and_of_the_right_law() -> None:
    draws = [ForeignGenerator(3).standard_normal((1000,), dtype=np.float32) for _ in range(2)]
    assert np.array_equal(draws[0].get(), draws[1].get())
    assert draws[0].dtype == np.float32
    assert abs(float(draws[0].mean())) < 0.1
    assert abs(float(draws[0].std()) - 1) < 0.1
    uniform = ForeignGenerator(4).random((500, 2))
    assert isinstance(uniform, ForeignArray)
    assert 0 <= float(uniform.min()) < 0.01
    assert 0.99 < float(uniform.max()) < 1
    assert ForeignGenerator(5).random().shape == ()


def test_the_back_end_takes_it_for_an_array_of_another_library(x: ForeignArray) -> None:
    assert is_array(x)
    assert np.array_equal(to_host(x), HOST)
    assert same(to_library_of(HOST, like=x), HOST)
    drawn = generator(x, Streams(seed=1), "read").standard_normal((3,))
    assert isinstance(drawn, ForeignArray)
    assert same(generator(x, Streams(seed=1), "read").standard_normal((3,)), drawn.get())
