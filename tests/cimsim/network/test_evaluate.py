from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cimsim.network.evaluate import accuracy, confusion
from cimsim.network.layers import Dense
from cimsim.network.network import Network
from device_models.errors import InputError


@dataclass
class Fixed:
    """Predicts what it was told to, shifted by the seed."""

    labels: list[int]
    n_out: int = 3

    def predict(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        return (np.array(self.labels) + seed) % self.n_out


X = np.zeros((5, 2))
Y = np.array([0, 1, 1, 2, 2])


def test_accuracy_is_the_fraction_of_equal_labels() -> None:
    assert accuracy(Fixed([0, 1, 2, 2, 0]), X, Y) == 0.6


def test_confusion_has_true_rows_and_predicted_columns() -> None:
    table = confusion(Fixed([0, 1, 2, 2, 0]), X, Y)
    np.testing.assert_array_equal(table, [[1, 0, 0], [0, 1, 1], [1, 0, 1]])
    assert table.dtype == np.int64


def test_the_seed_reaches_the_model() -> None:
    assert accuracy(Fixed([2, 0, 0, 1, 1]), X, Y, seed=1) == 1.0
    np.testing.assert_array_equal(confusion(Fixed([2, 0, 0, 1, 1]), X, Y, seed=1), np.diag([1, 2, 2]))


def test_a_network_that_copies_its_input_is_always_right() -> None:
    net, y = Network((Dense(np.eye(4), np.zeros(4)),)), np.arange(4).repeat(3)
    assert accuracy(net, np.eye(4)[y], y) == 1.0
    np.testing.assert_array_equal(confusion(net, np.eye(4)[y], y), 3 * np.eye(4))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y[:4], "y: must hold one label per sample, shape (5,), got shape (4,); pass the labels that belong to x"),
        (np.eye(5), "y: must hold one label per sample, shape (5,), got shape (5, 5); pass y.argmax(axis=1)"),
        (Y * 1.0, "y: must hold integer labels, got type float64; convert it with y.astype(np.int64)"),
        (Y + 1, "y: must hold labels from 0 to 2, got 1 to 3; renumber them, or give the network more outputs"),
        (Y - 1, "y: must hold labels from 0 to 2, got -1 to 1; renumber them, or give the network more outputs"),
    ],
)
@pytest.mark.parametrize("measure", [accuracy, confusion])
def test_labels_that_cannot_be_right_are_refused(measure: object, y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as caught:
        measure(Fixed([0] * 5), X, y)  # type: ignore[operator]
    assert str(caught.value) == message
