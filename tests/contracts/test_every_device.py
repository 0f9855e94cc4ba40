"""What every shipped device card must be: sound, lossless to write and read, and from somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import device_models as dm


@pytest.fixture(params=dm.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_keeps_every_promise(name: str) -> None:
    assert [finding.broken for finding in dm.check_device(dm.load(name), seed=1) if finding.broken] == []


def test_it_is_written_and_read_without_loss(name: str, tmp_path: Path) -> None:
    device = dm.load(name)
    assert dm.load(dm.save(device, tmp_path / "again.toml")) == device


def test_it_says_where_its_numbers_come_from(name: str) -> None:
    device = dm.load(name)
    assert device.title
    assert device.source.paper
    assert device.source.validity
    filled = {slot for slot in (*dm.device.SLOTS, "window") if getattr(device, slot) is not None}
    assert filled == set(device.source.figures)
