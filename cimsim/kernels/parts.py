"""A long batch in parts on all cores: one thread a part, and matrix products on that thread alone.

Threads of the BLAS inside threads of ours would wait for each other; so while parts run, the BLAS uses one thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import numpy as np

from cimsim.backend import backend_name
from device_models.window import Array

Result = TypeVar("Result")


def in_parts(run: Callable[[int, int], Array], x: Array, size: int) -> Array:
    """`run(start, stop)` for parts of `size` rows of `x`, its results joined; on all cores if `x` is on the host."""
    return np.concatenate(each_part(run, x, size))


def each_part(run: Callable[[int, int], Result], x: Array, size: int) -> list[Result]:
    """`run(start, stop)` for parts of `size` rows of `x`; on all cores if `x` is on the host.

    Parts within a part are run one after the other.
    """
    parts = [(start, min(start + size, len(x))) for start in range(0, len(x), size)]
    if len(parts) == 1 or backend_name(x) != "numpy" or getattr(_WITHIN, "part", False):
        return [run(*part) for part in parts]
    helpers, results, left = min(available_cores(), len(parts)) - 1, dict[int, Result](), iter(enumerate(parts))

    def work() -> None:
        with _within_part():
            for number, part in left:
                results[number] = run(*part)

    with _LIMIT.held(), ThreadPoolExecutor(max_workers=max(helpers, 1)) as pool:
        others = [pool.submit(work) for _ in range(helpers)]
        work()  # this thread has nothing else to do, and to start one more would cost time
        for other in others:
            other.result()
    return [results[number] for number in range(len(parts))]


_WITHIN = threading.local()


@contextmanager
def _within_part() -> Iterator[None]:
    _WITHIN.part = True
    try:
        yield
    finally:
        _WITHIN.part = False


def available_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _BlasLimit:
    """The BLAS on one thread while anyone holds this; holders may overlap."""

    def __init__(self) -> None:
        self._lock, self._holders = threading.Lock(), 0
        self._limit: Any = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the limit: set by the first holder, lifted by the last."""
        with self._lock:
            if self._holders == 0:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._limit.restore_original_limits()


_LIMIT = _BlasLimit()


def limit_blas(threads: int) -> None:
    """No more threads of any BLAS than these from now on, in this process."""
    _controller().limit(limits=threads, user_api="blas")


@cache
def _controller() -> Any:
    """Of every BLAS there is: that of SciPy too, which compiled loops call, is found only once it is loaded."""
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
