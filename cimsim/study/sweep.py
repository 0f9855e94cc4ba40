"""`sweep`: any function of plain values, called at every combination of its axes, as one tidy table."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from device_models.errors import InputError, shown

if TYPE_CHECKING:
    import pandas as pd

Point = dict[str, Any]


def sweep(
    run: Callable[..., Any], /, *, workers: int = 1, progress: bool = False, **axes: Iterable[Any]
) -> pd.DataFrame:
    """Call `run(**point)` at every combination of the axes, the last axis fastest, and gather a tidy table.

    Args:
        run: takes one value of every axis by name; returns a dict of columns, or one number (column "value").
        workers: threads that call `run`; the table is the same for any number of them.
        progress: show a bar of points.
        axes: the values of each axis, a list or any other iterable.

    Returns:
        One row per point, in order: a column per axis, then what `run` returned.

    Raises:
        InputError: no axes, an axis without values, or a `run` that returns something else. What `run` itself raises
            passes through, with the point noted on it.
    """
    if not callable(run):
        raise InputError("sweep.run", "must be a function", run, "pass the function itself, without calling it")
    check_workers(workers)
    points = _points(axes)
    results = _results(lambda point: _columns(run, point), points, workers, progress)
    for point, result in zip(points, results, strict=True):
        if result.keys() != results[0].keys():
            got = f"{sorted(result)} at {point}"
            raise InputError("sweep.run", f"must return the same columns everywhere, {sorted(results[0])}", got)
    import pandas as pd

    return pd.DataFrame([point | result for point, result in zip(points, results, strict=True)])


def axis_values(where: str, values: Any) -> list[Any]:
    """The values of one axis as a list of plain Python values. Raises `InputError` for a single value or none."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InputError(where, "must be a list of values", values, f"write [{shown(repr(values))}]")
    found = [v.item() if isinstance(v, np.generic) else v for v in values]
    if not found:
        raise InputError(where, "must have a value or more", "none", "give it values, or leave the axis out")
    return found


def check_workers(workers: object) -> None:
    """Raises `InputError` for a number of workers that is none."""
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError("workers", "must be an integer, 1 or more", workers, "give 1 to run one after the other")


def _points(axes: Mapping[str, Any]) -> list[Point]:
    if not axes:
        raise InputError("sweep", "must have an axis or more", "none", "give one by name, adc_bits=range(3, 9) say")
    values = [axis_values(f"sweep.{name}", given) for name, given in axes.items()]
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*values)]


def _results(call: Callable[[Point], Point], points: list[Point], workers: int, progress: bool) -> list[Point]:
    with ExitStack() as stack:
        done: Iterable[Point]
        if workers == 1:
            done = map(call, points)
        else:
            done = stack.enter_context(ThreadPoolExecutor(min(workers, len(points)))).map(call, points)
        if progress:
            from tqdm import tqdm

            done = tqdm(done, total=len(points), desc="sweep", unit="point")
        return list(done)


def _columns(run: Callable[..., Any], point: Point) -> Point:
    """What `run` returns at a point, as columns."""
    try:
        result = run(**point)
    except Exception as error:
        error.add_note(f"at the sweep point {point}")
        raise
    if isinstance(result, numbers.Number | np.generic):
        result = {"value": result}
    if not isinstance(result, Mapping) or not all(isinstance(key, str) for key in result):
        raise InputError("sweep.run", "must return a dict of columns or a number", result, "name what you return")
    clash = sorted(result.keys() & point.keys())
    if clash:
        raise InputError("sweep.run", "must not return a column that is an axis", clash[0], "give it another name")
    return {name: v.item() if isinstance(v, np.generic) else v for name, v in result.items()}
