"""Which library holds an array, moving arrays between host and GPU, and random generators that live beside an array.

The only room that imports cupy, and only when a GPU is asked for. Nothing here is switched globally: the array says
where the work is done. An array of another library takes part if it answers NumPy's ufuncs and functions (NEP 13 and
NEP 18), has `get()` returning its NumPy copy, and, where something is drawn beside it, a class method
`__generator__(words)` that turns a seed (a list of 32-bit words) into a generator with the methods of
`numpy.random.Generator`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from device_models.errors import InputError, suggestion
from device_models.streams import Streams
from device_models.window import Array

Backend = Literal["numpy", "cupy"]
BACKENDS = ("numpy", "cupy")


def backend_name(x: Array) -> str:
    """The package that holds the array: "numpy", "cupy", or the root module of a foreign array's class.

    Raises `InputError` if `x` is no array.
    """
    if isinstance(x, np.ndarray | np.generic):
        return "numpy"
    if not is_array(x):
        raise InputError("backend", "must be asked of an array", type(x).__name__, "pass a NumPy or CuPy array")
    return type(x).__module__.partition(".")[0]


def is_array(x: object) -> bool:
    """Whether `x` is an array that answers NumPy's functions (lists, numbers and data frames are not)."""
    return hasattr(type(x), "__array_function__")


def to_device(x: Array, backend: Backend) -> Array:
    """The array on the named back end; itself if it is there already.

    Raises `InputError` for an unknown back end, a missing cupy or a missing GPU.
    """
    if backend not in BACKENDS:
        raise InputError("backend", "unknown back end", backend, suggestion(str(backend), list(BACKENDS)))
    return to_host(x) if backend == "numpy" else _cupy().asarray(x)


def to_host(x: Array) -> np.ndarray:
    """The array as a NumPy array in host memory; itself if it is one."""
    return x.get() if is_array(x) and hasattr(x, "get") else np.asarray(x)


def to_library_of(x: Array, like: Array) -> Array:
    """The array `x` moved, if need be, to the library that holds `like`."""
    if backend_name(like) == "numpy":
        return to_host(x)
    return x if type(x) is type(like) else np.asarray(x, like=like)


def generator(like: Array, streams: Streams, role: str) -> Any:
    """The random generator of a role, drawing in the library that holds `like`.

    NumPy arrays get `streams.rng(role)`; CuPy arrays a Philox generator; foreign arrays what their class method
    `__generator__(words)` returns. The draws of two libraries differ, their distributions do not.
    Raises `InputError` for an array whose library offers no generator.
    """
    library = backend_name(like)
    if library == "numpy":
        return streams.rng(role)
    words = [int(streams.seed), *streams.words(role)]
    if library == "cupy":
        random = _cupy().random
        return random.Generator(random.Philox4x3210(seed=words))
    if not hasattr(type(like), "__generator__"):
        remedy = "give its class a class method __generator__(words)"
        raise InputError("generator", "needs an array whose library can draw", type(like).__name__, remedy)
    return type(like).__generator__(words)


def compiled(source: str, name: str, options: tuple[str, ...]) -> Any:
    """The CUDA kernel of that name, to be called as `kernel(grid, block, arguments)`; compiled at its first call.

    Raises `InputError` for a missing cupy or a missing GPU.
    """
    return _cupy().RawKernel(source, name, options)


def _cupy() -> Any:
    """The cupy module, checked to be installed and to see a GPU."""
    try:
        import cupy
    except ImportError:
        raise InputError("backend", "needs cupy, which is not installed", "cupy", "pip install 'cimsim[gpu]'") from None
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise InputError("backend", "needs a CUDA GPU", str(error), "run with the numpy back end") from None
    return cupy
