"""A strict stand-in for CuPy, for tests on machines without a GPU.

`ForeignArray` keeps its numbers in an array that NumPy must not reach. It refuses what CuPy refuses: turning into a
NumPy array unasked, meeting one in an operation, operands that are lists, ufunc methods such as `np.add.at`, the
arguments CuPy lacks, and every function not on the lists below. What passes here is written so that CuPy can run it;
numbers and rounding are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


UFUNCS = _names(
    """
    abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or bitwise_xor cbrt ceil
    copysign cos cosh deg2rad divide divmod equal exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod
    greater greater_equal hypot invert isfinite isinf isnan ldexp left_shift less less_equal log log10 log1p log2
    logaddexp logical_and logical_not logical_or logical_xor matmul maximum minimum multiply negative nextafter
    not_equal positive power rad2deg reciprocal remainder right_shift rint sign signbit sin sinh sqrt square subtract
    tan tanh true_divide trunc
    """
)
FUNCTIONS = _names(
    """
    all allclose amax amin any argmax argmin argsort argwhere around array_equal array_split atleast_1d atleast_2d
    average bincount broadcast_arrays broadcast_to clip column_stack concatenate copy copyto count_nonzero cumprod
    cumsum diag diagonal diff digitize dot einsum empty_like expand_dims flatnonzero flip full_like histogram hstack
    inner interp isclose isin kron linalg.inv linalg.norm linalg.solve matrix_transpose max mean median min moveaxis
    nan_to_num nanmax nanmean nanmin nansum ndim nonzero ones_like outer pad partition percentile prod ptp quantile
    ravel repeat reshape result_type roll rot90 round searchsorted select shape size sort split squeeze stack std sum
    swapaxes take take_along_axis tensordot tile trace transpose tril triu unique var vdot vstack where zeros_like
    """
)
# With `like=`, or from the namespace below: these bring host data over, as `cupy.asarray` does.
CREATORS = _names("arange array asanyarray asarray ascontiguousarray empty eye full identity ones zeros")
METHODS = _names(
    """
    all any argmax argmin argsort astype clip copy cumprod cumsum diagonal dot fill flatten max mean min nonzero prod
    ravel repeat reshape round sort squeeze std sum swapaxes take trace transpose var view
    """
)

_REFUSED = frozenset(["where", "initial", "subok"])
_REFUSED_BY = {"take": frozenset(["mode"]), "clip": frozenset(["min", "max"])}
_HOST_RESULTS = frozenset(["ndim", "shape", "size", "result_type"])
_ARRAYS_FIRST = {"einsum": 0, "result_type": 0, "select": 0, "searchsorted": 2, "digitize": 2, "interp": 3}


class ForeignArray(NDArrayOperatorsMixin):
    """An array of another library, made from a copy of a NumPy array; `get()` is the only way to its numbers."""

    __slots__ = ("_host",)

    def __init__(self, host: Any) -> None:
        self._host = np.array(host)

    @classmethod
    def _of(cls, host: Any) -> ForeignArray:
        """Wraps without a copy."""
        array = cls.__new__(cls)
        array._host = np.asarray(host)
        return array

    @classmethod
    def __generator__(cls, words: Any) -> ForeignGenerator:
        """A generator seeded with the 32-bit words, drawing foreign arrays."""
        return ForeignGenerator(words)

    def get(self) -> np.ndarray:
        """A NumPy copy."""
        return self._host.copy()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use `.get()`")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc.__name__ not in UFUNCS:
            raise TypeError(f"np.{ufunc.__name__} ({method}) is not supported")
        for operand in (*inputs, *kwargs.get("out", ())):
            if not isinstance(operand, ForeignArray | bool | int | float | complex | np.generic):
                raise TypeError(f"np.{ufunc.__name__}: unsupported type {type(operand)}")
        if "out" in kwargs and not isinstance(kwargs["out"][0], ForeignArray):
            raise TypeError(f"np.{ufunc.__name__}: out must be a foreign array")
        result = _called(ufunc, inputs, kwargs)
        return kwargs["out"][0] if "out" in kwargs else _wrapped(result)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
        if name in CREATORS:
            return _created(func, args, kwargs)
        if name not in FUNCTIONS:
            raise TypeError(f"np.{name} is not supported")
        needed = args[: _ARRAYS_FIRST.get(name, 1)]
        if not all(isinstance(arg, ForeignArray | list | tuple) for arg in needed):
            raise TypeError(f"np.{name}: unsupported type among {[type(arg) for arg in needed]}")
        result = _called(func, args, kwargs)
        return result if name in _HOST_RESULTS else _wrapped(result)

    def __getitem__(self, key: Any) -> ForeignArray:
        _refuse_host([key])
        return ForeignArray._of(self._host[_bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse_host([key, value])
        self._host[_bare(key)] = _bare(value)

    def __iter__(self) -> Iterator[ForeignArray]:
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __float__(self) -> float:
        return float(self._host.item())

    def __int__(self) -> int:
        return int(self._host.item())

    def __repr__(self) -> str:
        return f"foreign {self._host!r}"

    def item(self, *args: int) -> Any:
        """One element as a Python number."""
        return self._host.item(*args)

    @property
    def T(self) -> ForeignArray:
        """The transpose."""
        return ForeignArray._of(self._host.T)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._host.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._host.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._host.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._host.size

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._host.nbytes


def _method(name: str) -> Callable[..., Any]:
    def method(self: ForeignArray, *args: Any, **kwargs: Any) -> Any:
        return _wrapped(_called(getattr(np.ndarray, name), (self, *args), kwargs))

    method.__name__ = name
    return method


for _name in METHODS:
    setattr(ForeignArray, _name, _method(_name))


class ForeignGenerator:
    """Draws foreign arrays; stands in for `cupy.random.Generator`, of whose methods it has these."""

    def __init__(self, seed: Any = None) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> ForeignArray:
        """Normal deviates of mean 0 and standard deviation 1."""
        return ForeignArray(self._rng.standard_normal(size, dtype=dtype))

    def random(self, size: Any = None, dtype: Any = np.float64) -> ForeignArray:
        """Uniform deviates in [0, 1)."""
        return ForeignArray(self._rng.random(size, dtype=dtype))

    def binomial(self, n: Any, p: Any, size: Any = None) -> ForeignArray:
        """Successes among `n` trials, each of chance `p`."""
        return ForeignArray(self._rng.binomial(_bare(n), _bare(p), size))


def asnumpy(x: Any) -> np.ndarray:
    """The numbers of a foreign array, or of anything NumPy takes, as a NumPy array."""
    return x.get() if isinstance(x, ForeignArray) else np.asarray(x)


def _creator(name: str) -> Callable[..., ForeignArray]:
    return lambda *args, **kwargs: _created(getattr(np, name), args, kwargs)


# The module that stands in for `cupy`.
foreign = SimpleNamespace(
    ndarray=ForeignArray,
    asnumpy=asnumpy,
    random=SimpleNamespace(Generator=ForeignGenerator, default_rng=ForeignGenerator),
    **{name: _creator(name) for name in CREATORS},
)


def _created(func: Callable[..., Any], args: Any, kwargs: Any) -> ForeignArray:
    """The new array, which shares memory with a foreign one at most."""
    array = func(*_bare(args), **_bare(kwargs))
    return ForeignArray._of(array if args and isinstance(args[0], ForeignArray) else array.copy())


def _called(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The function's result on the NumPy arrays inside."""
    refused = (_REFUSED | _REFUSED_BY.get(func.__name__, frozenset())).intersection(kwargs)
    if refused:
        raise TypeError(f"{func.__name__}: argument not supported: {', '.join(sorted(refused))}")
    _refuse_host([*args, *kwargs.values()])
    return func(*_bare(args), **_bare(kwargs))


def _bare(x: Any) -> Any:
    """The same with the NumPy arrays inside, through lists, tuples and keyword arguments."""
    if isinstance(x, ForeignArray):
        return x._host
    if isinstance(x, dict):
        return {name: _bare(value) for name, value in x.items()}
    return type(x)(map(_bare, x)) if type(x) in (list, tuple) else x


def _wrapped(x: Any) -> Any:
    """Results as CuPy gives them: arrays, and also single numbers as arrays without axes."""
    if isinstance(x, np.ndarray | np.generic | bool | int):
        return ForeignArray._of(x)
    return type(x)(map(_wrapped, x)) if type(x) in (list, tuple) else x


def _refuse_host(values: list[Any]) -> None:
    """Raise `TypeError` if a NumPy array is among the values, or in lists among them."""
    for value in values:
        if isinstance(value, np.ndarray):
            raise TypeError(f"unsupported type {type(value)}: bring it over first")
        if isinstance(value, list | tuple):
            _refuse_host(list(value))
