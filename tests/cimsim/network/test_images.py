from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cimsim.network.images import Windows, check_fit, check_image, check_sides
from device_models.errors import InputError

side, small = st.integers(1, 12), st.integers(1, 4)


@given(side, small, small, small)
def test_windows_are_all_that_fit(side: int, kernel: int, stride: int, dilation: int) -> None:
    assume(dilation * (kernel - 1) < side)
    windows = Windows.along(side, kernel, stride, dilation)
    starts = [start for start in range(0, side, stride) if start + dilation * (kernel - 1) < side]
    assert windows.count == len(starts)
    seen = [np.arange(side)[where] for where in windows.slices()]
    np.testing.assert_array_equal(np.transpose(seen), [[s + dilation * i for i in range(kernel)] for s in starts])


@given(side, small, small)
def test_windows_that_may_hang_over_cover_the_side_as_far_as_their_steps_reach(
    side: int, kernel: int, stride: int
) -> None:
    assume(kernel <= side)
    windows = Windows.along(side, kernel, stride, ceil=True)
    starts = [windows.stride * i for i in range(windows.count)]
    assert starts[-1] < side  # each sees something
    assert starts[-1] + max(kernel, stride) >= side  # and one more would add nothing
    np.testing.assert_array_equal(windows.seen(side), [min(kernel, side - start) for start in starts])
    assert [len(np.arange(side)[where]) for where in windows.slices()] == [
        sum(start + i < side for start in starts) for i in range(kernel)
    ]


def test_numbers_of_windows_from_the_literature() -> None:
    assert [Windows.along(n, k, s, ceil=c).count for n, k, s, c in [(26, 3, 3, True), (7, 2, 2, True)]] == [9, 4]
    assert Windows.along(224 + 6, 7, 2).count == 112  # first layer of ResNet
    assert Windows.along(224, 11, 4).count == 54


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: check_image("A.in_shape", (8, 8)),
            "A.in_shape: must be three integers above 0 (channels, height, width), got (8, 8); for MNIST, (1, 28, 28)",
        ),
        (lambda: check_image("A.in_shape", (0, 8, 8)), "A.in_shape: must be three integers above 0"),
        (lambda: check_image("A.in_shape", (1, 8.0, 8)), "A.in_shape: must be three integers above 0"),
        (lambda: check_image("A.in_shape", 8), "A.in_shape: must be three integers above 0"),
        (
            lambda: check_sides("A.padding", -1, 0),
            "A.padding: must be an integer of 0 or more, or two of them (height, width), got -1; write 0 for none",
        ),
        (lambda: check_sides("A.kernel", (3, 0)), "A.kernel: must be an integer of 1 or more, or two of them"),
        (lambda: check_sides("A.kernel", (3, 3, 3)), "A.kernel: must be an integer of 1 or more, or two of them"),
        (lambda: check_sides("A.kernel", True), "A.kernel: must be an integer of 1 or more, or two of them"),
        (
            lambda: check_fit("A.kernel", (3, 9), (8, 8)),
            "A.kernel: must fit into the image of 8 x 8, got 3 x 9; choose a smaller one, or start from larger images",
        ),
    ],
)
def test_sizes_that_are_none_are_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_sizes_may_be_numpys_and_lists() -> None:
    assert check_image("", [np.int64(1), 2, 3]) == (1, 2, 3)
    assert check_sides("", np.int32(3)) == (3, 3)
    assert check_sides("", [3, 4]) == (3, 4)
