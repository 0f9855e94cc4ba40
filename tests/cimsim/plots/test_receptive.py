"""Sheets of receptive fields: each where it belongs, labels with their fields."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.plots.receptive import receptive_fields
from device_models.errors import InputError


def test_fields_lie_side_by_side_in_the_order_of_their_labels() -> None:
    weights = np.arange(5)[:, None] * np.ones((5, 6))
    ax = receptive_fields(weights, image=(2, 3), labels=[2, 0, 1, -1, 0])
    sheet = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(sheet[0, [0, 4, 8]], [3, 1, 4])  # label -1 first, then 0, 0
    np.testing.assert_array_equal(sheet[3, [0, 4]], [2, 0])
    assert np.isnan(sheet[2]).all()
    assert [t.get_text() for t in ax.texts] == ["0", "0", "1", "2"]
    assert ax.texts[0].get_position() == (4, 0)


def test_no_more_are_drawn_than_asked_for() -> None:
    ax = receptive_fields(np.ones((50, 16)), labels=np.arange(50)[::-1], most=4)
    assert [t.get_text() for t in ax.texts] == ["46", "47", "48", "49"]
    assert ax.images[0].get_array().shape == (9, 9)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="image: must have as many pixels as there are inputs, 12, got 3 x 3"):
        receptive_fields(np.ones((2, 12)))
    with pytest.raises(InputError, match=r"weights: must have the axes \(neurons, inputs\)"):
        receptive_fields(np.ones(12))
    with pytest.raises(InputError, match="labels: must hold one per neuron, 2"):
        receptive_fields(np.ones((2, 9)), labels=[1])
