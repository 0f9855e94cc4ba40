from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cimsim.backend import backend_name, generator, to_device, to_host, to_library_of
from device_models.errors import InputError
from device_models.streams import Streams


class Elsewhere:
    """The least an array of another library has: data that only `get` brings to the host."""

    def __init__(self, data: np.ndarray) -> None:
        self._data = data

    def get(self) -> np.ndarray:
        return self._data

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("no implicit copy to the host")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Elsewhere:
        assert function is np.asarray
        return Elsewhere(np.asarray(*args, **kwargs))


class Drawing(Elsewhere):
    @classmethod
    def __generator__(cls, words: list[int]) -> list[int]:
        return words


def message(call: Any, *args: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


def test_the_library_of_an_array_is_the_package_of_its_class() -> None:
    assert backend_name(np.ones(2)) == "numpy"
    assert backend_name(np.float32(1)) == "numpy"
    assert backend_name(Elsewhere(np.ones(2))) == Elsewhere.__module__.partition(".")[0]


def test_what_is_no_array_has_no_library() -> None:
    assert message(backend_name, [1.0]) == ("backend: must be asked of an array, got list; pass a NumPy or CuPy array")


def test_numpy_arrays_stay_themselves_and_others_come_by_get() -> None:
    x = np.arange(3.0)
    assert to_host(x) is x
    assert to_device(x, "numpy") is x
    assert to_host(Elsewhere(x)) is x
    assert to_device(Elsewhere(x), "numpy") is x
    np.testing.assert_array_equal(to_host([1, 2]), [1, 2])


def test_an_array_moves_to_the_library_of_another() -> None:
    x, far = np.arange(3.0), Elsewhere(np.zeros(1))
    assert to_library_of(x, x) is x
    assert to_library_of(far, far) is far
    assert to_library_of(Elsewhere(x), x) is x
    moved = to_library_of(x, far)
    assert type(moved) is Elsewhere
    np.testing.assert_array_equal(moved.get(), x)


def test_an_unknown_back_end_is_refused() -> None:
    expected = "backend: unknown back end, got cuppy; did you mean 'cupy'? Known: numpy, cupy"
    assert message(to_device, np.ones(1), "cuppy") == expected


def test_a_missing_cupy_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    expected = "backend: needs cupy, which is not installed, got cupy; pip install 'cimsim[gpu]'"
    assert message(to_device, np.ones(1), "cupy") == expected


def test_a_missing_gpu_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class CUDARuntimeError(RuntimeError):
        pass

    def count() -> int:
        raise CUDARuntimeError("no CUDA-capable device is detected")

    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    expected = "backend: needs a CUDA GPU, got no CUDA-capable device is detected; run with the numpy back end"
    assert message(to_device, np.ones(1), "cupy") == expected


def test_beside_a_numpy_array_the_generator_is_the_streams_own() -> None:
    streams = Streams(7).at("layer", 0)
    drawn = generator(np.ones(1), streams, "read").random(4)
    np.testing.assert_array_equal(drawn, streams.rng("read").random(4))


def test_a_foreign_array_supplies_its_generator_from_seed_and_name() -> None:
    streams = Streams(7).at("layer", 0)
    words = generator(Drawing(np.ones(1)), streams, "read")
    assert words == [7, *streams.words("read")]
    others = [(Streams(8).at("layer", 0), "read"), (Streams(7).at("layer", 1), "read"), (streams, "pulse")]
    assert all(generator(Drawing(np.ones(1)), s, role) != words for s, role in others)


def test_an_array_whose_library_cannot_draw_is_refused() -> None:
    expected = (
        "generator: needs an array whose library can draw, got Elsewhere; "
        "give its class a class method __generator__(words)"
    )
    assert message(generator, Elsewhere(np.ones(1)), Streams(0), "read") == expected


@pytest.mark.gpu
def test_cupy_round_trip_and_standard_normal() -> None:
    cupy = pytest.importorskip("cupy")
    x = np.arange(6.0, dtype=np.float32)
    far = to_device(x, "cupy")
    assert backend_name(far) == "cupy"
    np.testing.assert_array_equal(to_host(far), x)
    assert isinstance(to_library_of(x, far), cupy.ndarray)
    draws = to_host(generator(far, Streams(1), "read").standard_normal(100_000, dtype=np.float32))
    again = to_host(generator(far, Streams(1), "read").standard_normal(100_000, dtype=np.float32))
    np.testing.assert_array_equal(draws, again)
    assert abs(draws.mean()) < 5 / np.sqrt(100_000)
    assert abs(draws.var() - 1) < 5 * np.sqrt(2 / 100_000)
