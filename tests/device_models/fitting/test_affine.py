from __future__ import annotations

import numpy as np
import pytest

from device_models.fitting import affine

ONE = np.ones((1, 1))


def kalman(y: np.ndarray, r: float, b: float, process: float, read: float) -> float:
    """-2 ln likelihood of a train by the textbook's filter, the state before it unknown."""
    x, p, total = 0.0, 1e6, 0.0
    for k, value in enumerate(y):
        s = p + read
        if k:
            total += np.log(s) + (value - x) ** 2 / s
        gain = p / s
        x, p = x + gain * (value - x), p * (1 - gain)
        x, p = r * x + b, r**2 * p + process
    return total


def test_exact_trains_give_their_own_law_back() -> None:
    train = affine.curve(np.array([0.05]), 0.97, 0.035, np.arange(40))[0]
    one = affine.fit(affine.sums([train, train[:20]]), np.ones((1, 2)), "exponential", noisy_reads=False)
    assert one.r[0] == pytest.approx(0.97, abs=1e-9)
    assert one.b[0] == pytest.approx(0.035, abs=1e-9)


@pytest.mark.parametrize(("process", "read"), [(1e-5, 1e-4), (1e-4, 1e-4), (1e-6, 1e-3)])
def test_no_other_law_is_more_likely_to_the_filter(process: float, read: float) -> None:
    """An independent oracle: the Kalman filter's likelihood is highest (within 1) where the fit says."""
    y = affine.simulated(0.0, 400, (0.99, 0.01, process, read), np.random.default_rng(3), 1)
    one = affine.fit(affine.sums(list(y)), ONE, "exponential", noisy_reads=True)
    best = np.array([one.r[0], one.b[0], one.process[0], one.read[0]])
    found = kalman(y[0], *best)
    rng = np.random.default_rng(4)
    for _ in range(200):
        other = best * np.exp(rng.normal(0, [0.002, 0.1, 0.3, 0.1]))
        assert kalman(y[0], *other) > found - 1.0


def test_noise_of_both_kinds_is_told_apart() -> None:
    trains = list(affine.simulated(0.1, 80, (0.97, 0.03, 5e-5, 1e-4), np.random.default_rng(0), 400))
    one = affine.fit(affine.sums(trains), np.ones((1, 400)), "exponential", noisy_reads=True)
    assert one.process[0] == pytest.approx(5e-5, rel=0.04)
    assert one.read[0] == pytest.approx(1e-4, rel=0.03)


def test_weights_count_trains() -> None:
    trains = list(affine.simulated(0.1, 50, (0.97, 0.03, 5e-5, 0.0), np.random.default_rng(1), 3))
    weighted = affine.fit(affine.sums(trains), np.array([[2.0, 0.0, 1.0]]), "exponential", noisy_reads=False)
    repeated = affine.fit(
        affine.sums([trains[0], trains[0], trains[2]]), np.ones((1, 3)), "exponential", noisy_reads=False
    )
    assert weighted.r[0] == pytest.approx(repeated.r[0], rel=1e-12)
    assert weighted.variance[0] == pytest.approx(repeated.variance[0], rel=1e-12)


def test_a_record_of_every_third_pulse_gives_the_law_of_one() -> None:
    trains = list(affine.simulated(0.0, 91, (0.98, 0.02, 2e-5, 0.0), np.random.default_rng(2), 300))
    weights = np.ones((1, 300))
    every = affine.fit(affine.sums(trains), weights, "exponential", noisy_reads=False)
    third = affine.fit(affine.sums([x[::3] for x in trains]), weights, "exponential", noisy_reads=False).at(3)
    assert third.r[0] == pytest.approx(every.r[0], rel=1e-3)
    assert third.b[0] == pytest.approx(every.b[0], rel=0.02)
    assert third.process[0] == pytest.approx(every.process[0], rel=0.05)


def test_a_curve_that_would_stop_inside_the_window_stops_at_its_end() -> None:
    train = affine.curve(np.array([0.0]), 0.9, 0.08, np.arange(60))[0]
    one = affine.fit(affine.sums([train]), ONE, "exponential", noisy_reads=False)
    assert one.b[0] / (1 - one.r[0]) == pytest.approx(1 + affine.EDGE)
    soft = affine.fit(affine.sums([train]), ONE, "soft bounds", noisy_reads=False)
    assert soft.b[0] / (1 - soft.r[0]) == pytest.approx(1.0)
