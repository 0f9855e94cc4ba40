"""Labels of neurons and votes by hand."""

from __future__ import annotations

import numpy as np
from scipy.stats import multinomial

from cimsim.learning.plasticity.labels import UNUSED, assigned, evidence, votes


def test_a_neuron_stands_for_the_class_it_wins_most_often_per_sample() -> None:
    y = np.array([0, 0, 0, 1])
    wins = np.array([[1, 0, 2, 0], [1, 0, 0, 0], [1, 0, 0, 0], [2, 3, 1, 0]])
    # neuron 0: 1 per sample of class 0, 2 of class 1; neuron 2: 2/3 and 1; neuron 3 never wins
    np.testing.assert_array_equal(assigned(wins, y, 2), [1, 1, 1, UNUSED])
    np.testing.assert_array_equal(assigned(wins[:3], y[:3], 3), [0, UNUSED, 0, UNUSED])


def test_votes_are_summed_by_class_and_unused_neurons_have_none() -> None:
    wins = np.array([[3, 1, 4, 9], [0, 0, 0, 9]])
    np.testing.assert_array_equal(votes(wins, np.array([0, 2, 2, UNUSED]), 3), [[3, 0, 5], [0, 0, 0]])


def test_evidence_is_the_log_likelihood_of_the_wins() -> None:
    """Against the multinomial distribution of each class, its shares those of the wins with one added to each."""
    y = np.array([0, 0, 1])
    wins = np.array([[3, 0, 1], [2, 1, 0], [0, 4, 0]])
    shares = np.array([[6, 2, 2], [1, 5, 1]]) / np.array([[10], [7]])
    seen = np.array([[2, 1, 0], [0, 0, 3]])
    found = seen @ evidence(wins, y, 2)
    expected = [[multinomial.logpmf(one, one.sum(), p) for p in shares] for one in seen]
    np.testing.assert_allclose(found[:, 0] - found[:, 1], [a - b for a, b in expected], rtol=1e-9)
