"""What neurons that learned without labels stand for, and how their wins classify a sample."""

from __future__ import annotations

import numpy as np

UNUSED = -1


def assigned(wins: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """The class of every neuron, (neurons,) int64, from its wins (samples, neurons) on training samples labelled `y`.

    That whose samples it wins most often, per sample of the class; UNUSED for a neuron without a win.
    """
    of_class = np.zeros((classes, wins.shape[1]))
    np.add.at(of_class, y, wins)
    per_sample = of_class / np.maximum(np.bincount(y, minlength=classes), 1)[:, None]
    return np.where(wins.any(axis=0), per_sample.argmax(axis=0), UNUSED)


def votes(wins: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Wins (samples, classes) of the neurons of each class."""
    members = labels[:, None] == np.arange(classes)
    counted: np.ndarray = wins @ members.astype(np.int64)
    return counted
