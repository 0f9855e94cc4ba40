"""Distribution tests the device laws share: each asserts that draws follow a declared law.

Draws are at fixed seeds, so a test passes always or never; P_LIMIT is how unlikely a kept law may look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

P_LIMIT = 1e-3


def assert_distributed(draws: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> None:
    """Kolmogorov-Smirnov against a cumulative distribution function."""
    assert stats.kstest(np.ravel(draws), cdf).pvalue > P_LIMIT


def assert_normal(draws: np.ndarray, mean: Any, sigma: Any) -> None:
    """Normal with the given mean and standard deviation, single numbers or one per draw."""
    assert_distributed((draws - mean) / sigma, stats.norm.cdf)


def assert_same_law(a: np.ndarray, b: np.ndarray) -> None:
    """Kolmogorov-Smirnov between two samples."""
    assert stats.ks_2samp(np.ravel(a), np.ravel(b)).pvalue > P_LIMIT


def assert_rate(hits: np.ndarray, rate: float) -> None:
    """Binomial test of the share of true values."""
    assert stats.binomtest(int(np.sum(hits)), np.size(hits), rate).pvalue > P_LIMIT


def assert_counts(observed: np.ndarray, shares: np.ndarray) -> None:
    """Chi-square of counts in bins against their probabilities."""
    assert stats.chisquare(observed, shares * observed.sum()).pvalue > P_LIMIT


def assert_independent(a: np.ndarray, b: np.ndarray) -> None:
    """No correlation between two samples."""
    assert stats.pearsonr(np.ravel(a), np.ravel(b)).pvalue > P_LIMIT
