from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.published import Result, letters_2015


@pytest.fixture(scope="module")
def result() -> Result:
    return published.run("letters-2015", quick=True)


def test_the_patterns_are_three_letters_and_all_their_one_pixel_errors():
    x, labels = letters_2015.patterns()
    assert x.shape == (30, 10)
    assert len(np.unique(x, axis=0)) == 30
    np.testing.assert_array_equal(np.bincount(labels), [10, 10, 10])
    ideal = x[labels.searchsorted(labels)]
    np.testing.assert_array_equal((x != ideal).sum(axis=1), ([0] + [1] * 9) * 3)
    np.testing.assert_array_equal(x[:, 9], -1)


def test_a_die_starts_where_it_is_written():
    chip = letters_2015.fabricated(0.0, 35e-6, seed=0)
    g = chip.matrices[0].copies[0].tiles[0, 0].cells.g
    assert g.shape == (2, 10, 3)
    assert abs(g.mean() - 35e-6) < 5 * letters_2015.START_ERROR * 90e-6 / np.sqrt(g.size)


def test_alike_devices_learn_at_once_and_unlike_ones_in_tens_of_epochs(result: Result):
    """With one pulse a third of the window, the sign of the first gradient is nearly the answer."""
    assert result.row("the same, all devices as the mean one").here < 6
    assert 5 < result.row("epochs to perfect classification").here < 45
    assert result.row("dies that come to classify all 30 patterns").here > 90
    assert result.row("memristors").difference == 0


def test_training_ends_at_the_first_epoch_without_a_wrong_pattern(result: Result):
    for _, wrong in result.curves[0].series.values():
        assert all(n > 0 for n in wrong[:-1])
        assert wrong[-1] == 0
