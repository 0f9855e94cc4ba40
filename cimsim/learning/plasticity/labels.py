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


def evidence(wins: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """What a win of every neuron says for each class, (neurons, classes): the logarithm of its share of their wins.

    Counted on training samples, one win added to each. Wins times these, summed, are the log likelihoods of multinomial
    naive Bayes: Manning, Raghavan and Schuetze, Introduction to Information Retrieval (2008), Sec. 13.2.
    """
    of_class = np.ones((classes, wins.shape[1]))
    np.add.at(of_class, y, wins)
    shares: np.ndarray = np.log(of_class / of_class.sum(axis=1, keepdims=True))
    return shares.T


def votes(wins: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Wins (samples, classes) of the neurons of each class."""
    members = labels[:, None] == np.arange(classes)
    counted: np.ndarray = wins @ members.astype(np.int64)
    return counted
