from __future__ import annotations

import numpy as np
import pytest

from cimsim.network.coding.delays import delayed
from device_models.errors import InputError
from tests.foreign import ForeignArray

SPIKES = np.random.default_rng(0).random((2, 7, 3)) < 0.4


def test_each_copy_comes_so_many_steps_later() -> None:
    found = delayed(SPIKES, [0, 2, 7]).reshape(2, 7, 3, 3)
    np.testing.assert_array_equal(found[:, :, 0], SPIKES)
    np.testing.assert_array_equal(found[:, 2:, 1], SPIKES[:, :-2])
    assert not found[:, :2, 1].any()
    assert not found[:, :, 2].any()
    there = delayed(ForeignArray(SPIKES), [0, 2, 7])
    assert isinstance(there, ForeignArray)
    np.testing.assert_array_equal(there.get(), found.reshape(2, 7, 9))


@pytest.mark.parametrize("by", [[], [-1], [8], [0.5]])
def test_delays_that_cannot_be(by: list[int]) -> None:
    with pytest.raises(InputError, match=r"delayed\.by: must be whole numbers from 0 to 7 \(steps\)"):
        delayed(SPIKES, by)
