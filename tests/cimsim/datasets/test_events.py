from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.datasets import Events, read_bs2
from cimsim.datasets.events import decode_bs2
from device_models.errors import InputError

EVENT = st.tuples(st.integers(0, 255), st.integers(0, 255), st.booleans(), st.integers(0, 2**23 - 1))


def bs2(rows: list[tuple[int, int, bool, int]]) -> bytes:
    """The file by its definition: one 40-bit number an event, big-endian."""
    return b"".join((x << 32 | y << 24 | on << 23 | us).to_bytes(5, "big") for x, y, on, us in rows)


@given(st.lists(EVENT, max_size=20))
def test_round_trip(rows: list[tuple[int, int, bool, int]]) -> None:
    events = decode_bs2(bs2(rows), "file")
    assert [part.dtype.kind for part in events] == ["i", "i", "b", "f"]
    back = [(int(x), int(y), bool(on), round(t * 1e6)) for x, y, on, t in zip(*events, strict=True)]
    assert back == rows


def test_a_file_is_read_and_a_broken_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.bs2"
    path.write_bytes(bs2([(33, 2, True, 1_500_000)]))
    assert [part[0] for part in read_bs2(path)] == [33, 2, True, 1.5]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"1\.bs2: must hold 5 bytes an event, got 4 bytes"):
        read_bs2(path)
    with pytest.raises(InputError, match=r"2\.bs2: must be readable"):
        read_bs2(tmp_path / "2.bs2")


def test_the_sensor_holds_its_corners() -> None:
    events = Events(np.array([0, 2]), np.array([0, 1]), np.array([True, False]), np.array([0.0, 1.0]))
    events.check((2, 3))
    for sensor, rule in (((1, 3), "rows 0 to 0, got row 1"), ((2, 2), "columns 0 to 1, got column 2")):
        with pytest.raises(InputError, match=rule):
            events.check(sensor)
