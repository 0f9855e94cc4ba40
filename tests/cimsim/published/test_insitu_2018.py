from __future__ import annotations

import pytest

from cimsim import published
from cimsim.published import Result, insitu_2018


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("insitu-2018", quick=True)


def test_the_array_learns_from_random_weights_in_spite_of_stuck_devices(result: Result):
    low, ideal = (result.row(f"test accuracy, {name}").here for name in ("11 % stuck", "ideal devices"))
    assert low > 50
    assert ideal > low - 3
    for accuracies in (y for x, y in result.curves[0].series.values()):
        assert len(accuracies) == insitu_2018.PASSES


def test_devices_stuck_at_the_high_end_cost_more(result: Result):
    assert result.row("the same, stuck at the high end").here < result.row("test accuracy, 11 % stuck").here


def test_the_array_holds_as_many_memristors_as_the_papers(result: Result):
    assert result.row("memristors").difference == 0


def test_first_weights_take_little_of_the_window():
    spec = insitu_2018.spec(insitu_2018.ideal())
    assert spec.weight_range == pytest.approx(8.0)
    assert spec.tile == (128, 32)


def test_images_of_both_sizes_hold_the_digit(mnist_here: None):
    small, _, _, _ = insitu_2018.images(8, 20, 5)
    large, _, _, _ = insitu_2018.images(22, 20, 5)
    assert small.shape == (20, 64)
    assert large.shape == (20, 484)
    seen, whole = small.sum(axis=1) * (20 / 8) ** 2, large.sum(axis=1)  # of the middle 20 x 20, and 22 x 22
    assert (seen < whole * (1 + 1e-5)).all()
    assert seen.sum() > 0.9 * whole.sum()
