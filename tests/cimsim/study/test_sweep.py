from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.study.sweep import sweep
from device_models.errors import InputError


def area(width: int, height: int) -> dict[str, Any]:
    return {"area": width * height, "square": width == height}


def test_every_combination_in_order_with_the_axes_first() -> None:
    table = sweep(area, width=range(1, 3), height=[1, 2, 3])
    expected = pd.DataFrame(
        [[1, 1, 1, True], [1, 2, 2, False], [1, 3, 3, False], [2, 1, 2, False], [2, 2, 4, True], [2, 3, 6, False]],
        columns=["width", "height", "area", "square"],
    )
    pd.testing.assert_frame_equal(table, expected)


def test_a_number_becomes_the_column_value() -> None:
    table = sweep(lambda x: np.float32(x) / 2, x=(1, 2))
    pd.testing.assert_frame_equal(table, pd.DataFrame({"x": [1, 2], "value": [0.5, 1.0]}))


@given(st.lists(st.integers(), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_as_many_rows_as_combinations(a: list[int], b: list[float]) -> None:
    assert len(sweep(lambda a, b: a + b, a=a, b=b)) == len(a) * len(b)


def test_numpy_axes_arrive_as_plain_numbers() -> None:
    types: list[type] = []
    sweep(lambda bits, g: types.extend([type(bits), type(g)]) or 0, bits=np.arange(2), g=np.linspace(0, 1, 2))
    assert set(types) == {int, float}


def test_threads_give_the_same_table_whichever_is_done_first() -> None:
    def slow_first(k: int) -> int:
        time.sleep(0.02 * (3 - k))
        return k * k

    one, three = (sweep(slow_first, workers=n, k=range(4)) for n in (1, 3))
    pd.testing.assert_frame_equal(one, three)


def test_workers_run_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=10)  # breaks unless two calls wait at it together
    assert sweep(lambda k: barrier.wait() >= 0, workers=2, k=range(2))["value"].all()


def test_axes_may_be_called_like_the_arguments_of_sweep_but_workers_and_progress() -> None:
    assert sweep(lambda run: run, run=[7])["value"].tolist() == [7]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_run_raises_passes_through(error: type[BaseException], workers: int) -> None:
    def fail(k: int) -> None:
        raise error

    with pytest.raises(error):
        sweep(fail, workers=workers, k=range(3))


def test_an_error_of_run_says_at_which_point() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        sweep(lambda k: 1 / k, k=[1, 0])
    assert caught.value.__notes__ == ["at the sweep point {'k': 0}"]


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    sweep(lambda k: k, k=range(3), progress=True)
    out, err = capsys.readouterr()
    assert "3/3" in err
    assert not out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sweep(3, k=[1]), "sweep.run: must be a function, got 3"),
        (lambda: sweep(area), "sweep: must have an axis or more, got none"),
        (lambda: sweep(area, width=[]), "sweep.width: must have a value or more, got none"),
        (lambda: sweep(area, width="abc"), "sweep.width: must be a list of values, got abc; write ['abc']"),
        (lambda: sweep(area, width=4), "sweep.width: must be a list of values, got 4; write [4]"),
        (lambda: sweep(area, width={"a": 1}), "sweep.width: must be a list of values"),
        (lambda: sweep(area, workers=0, width=[1]), "workers: must be an integer, 1 or more, got 0"),
        (lambda: sweep(lambda k: {"k": k}, k=[1]), "must not return a column that is an axis, got k"),
        (lambda: sweep(lambda k: [k], k=[1]), "must return a dict of columns or a number, got [1]"),
        (lambda: sweep(lambda k: {k: 1}, k=[1]), "must return a dict of columns or a number, got {1: 1}"),
        (
            lambda: sweep(lambda k: {"ab"[k]: 1}, k=[0, 1]),
            "same columns everywhere, ['a'], got ['b'] at",
        ),
    ],
)
def test_bad_input_is_one_line(call: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
