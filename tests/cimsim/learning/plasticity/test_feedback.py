"""Feedback alignment: the way forward turns towards the fixed way back, and a chip learns by it."""

from __future__ import annotations

import numpy as np
import pytest

import cimsim as cim
from cimsim.learning.plasticity.feedback import FeedbackAlignment
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.update import LinearUpdate
from device_models.window import Window

DEVICE = Device(name="d", window=Window(g_min=1e-6, g_max=1e-4), update=LinearUpdate(step_size=0.2e-6))
NET = cim.mlp([64, 24, 10], seed=3)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_the_way_back_is_fixed_random_and_as_large_as_the_way_forward() -> None:
    ways, again = (FeedbackAlignment().weights(NET, Streams(s)) for s in (0, 0))
    for b, same, layer in zip(ways, again, NET.weighted, strict=True):
        np.testing.assert_array_equal(b, same)
        assert b.shape == layer.weight.T.shape
        assert b.std() == pytest.approx(layer.weight.std(), rel=4 / np.sqrt(2 * b.size))
        assert abs(cosine(b, layer.weight.T)) < 4 / np.sqrt(b.size)
    d = np.ones((2, 10), np.float32)
    np.testing.assert_allclose(FeedbackAlignment().products(NET, Streams(0))[1](d), d @ ways[1], rtol=1e-6)


def test_a_chip_learns_by_it_and_its_weights_turn_towards_it() -> None:
    (x, y), (x_test, y_test) = cim.datasets.load("digits")
    chip = cim.program(NET, cim.ChipSpec(device=DEVICE), seed=0)
    tuned, history = cim.fine_tune(chip, x, y, layers=[0, 1], backward="feedback", epochs=8, learning_rate=0.2, seed=5)
    assert cim.accuracy(tuned, x_test, y_test) > 0.85
    assert history["loss"].is_monotonic_decreasing
    b = FeedbackAlignment().weights(NET, Streams(5).at("fine tune", "feedback"))[1]
    assert cosine(tuned.held_network().weighted[1].weight, b.T) > 0.3


def test_an_unknown_way_back_is_refused() -> None:
    (x, y), _ = cim.datasets.load("digits", train=10)
    chip = cim.program(NET, cim.ChipSpec(device=DEVICE), seed=0)
    with pytest.raises(InputError, match=r"fine_tune\.backward: must be one of digital, chip, feedback, got"):
        cim.fine_tune(chip, x, y, backward="alignment")  # type: ignore[arg-type]
