from __future__ import annotations

import numpy as np
import pytest

from cimsim.datasets.events import Events
from cimsim.network.coding import to_raster
from device_models.errors import InputError

MS = 1e-3


def events(*rows: tuple[int, int, int, float]) -> Events:
    x, y, polarity, time = (np.array(column) for column in zip(*rows, strict=True))
    return Events(x, y, polarity.astype(bool), time.astype(float))


def test_each_event_lies_in_its_step_and_channel() -> None:
    sample = events((2, 0, 1, 0.0), (0, 1, 0, 2.5 * MS), (0, 1, 0, 2.9 * MS), (1, 1, 1, 4.999 * MS), (1, 1, 1, 5 * MS))
    raster = to_raster([sample], (2, 3), steps=5, dt=MS)
    assert (raster.shape, raster.dtype) == ((1, 5, 12), np.bool_)
    found = raster.reshape(5, 2, 2, 3)  # step, OFF or ON, row, column
    assert [tuple(map(int, e)) for e in np.argwhere(found)] == [(0, 0, 0, 2), (2, 1, 1, 0), (4, 0, 1, 1)]


def test_an_event_at_the_start_of_a_step_belongs_to_it() -> None:
    for step in range(100):
        for dt in (1e-3, 1e-2, 3e-4):
            raster = to_raster([events((0, 0, 1, step * dt))], (1, 1), steps=100, dt=dt)
            assert np.argmax(raster[0, :, 0]) == step


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ((3, 0, 1, 0.0), "events: must lie on the sensor, columns 0 to 2, got column 3"),
        ((0, 2, 1, 0.0), "rows 0 to 1, got row 2"),
        ((-1, 0, 1, 0.0), "got column -1"),
        ((0, 0, 1, -1e-6), "events: must have times from 0 on"),
        ((0, 0, 1, np.nan), "must have times from 0 on"),
    ],
)
def test_events_that_cannot_be(row: tuple[int, int, int, float], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        to_raster([events((0, 0, 1, 0.0), row)], (2, 3), steps=5, dt=MS)


def test_windows_that_cannot_be() -> None:
    good = [events((0, 0, 1, 0.0))]
    with pytest.raises(InputError, match="dt: must be a positive time"):
        to_raster(good, (1, 1), steps=5, dt=0.0)
    with pytest.raises(InputError, match="one sample and one step or more"):
        to_raster(good, (1, 1), steps=0, dt=MS)
    with pytest.raises(InputError, match="one sample and one step or more"):
        to_raster([], (1, 1), steps=5, dt=MS)
    ragged = good[0]._replace(time=np.zeros(2))
    with pytest.raises(InputError, match="as many x, y, polarities and times"):
        to_raster([ragged], (1, 1), steps=5, dt=MS)


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("x", np.array([0.5]), r"events\.x: must be an array on one axis of integers, got float64 of shape \(1,\)"),
        ("y", [0], r"events\.y: must be an array .*, got list"),
        ("polarity", np.array([-1]), r"events\.polarity: must be an array on one axis of bool, True for ON, got int64"),
        ("time", np.array([[0.0]]), r"events\.time: must be .* seconds, got float64 of shape \(1, 1\)"),
    ],
)
def test_arrays_of_another_form_are_refused(part: str, values: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        to_raster([events((0, 0, 1, 0.0))._replace(**{part: values})], (1, 1), steps=5, dt=MS)


def test_sensor_and_steps_are_whole() -> None:
    good = [events((0, 0, 1, 0.0))]
    with pytest.raises(InputError, match=r"steps: must be a whole number, got 4\.5"):
        to_raster(good, (1, 1), steps=4.5, dt=MS)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"sensor: must be a whole number, got 1\.5"):
        to_raster(good, (1, 1.5), steps=4, dt=MS)  # type: ignore[arg-type]
