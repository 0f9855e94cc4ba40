from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cimsim import datasets
from cimsim.learning.offchip import Adam, Training, train
from cimsim.network.evaluate import accuracy
from cimsim.network.layers import Dense, Tanh
from cimsim.network.network import Network, mlp
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams
from tests.foreign import ForeignArray


def blobs(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Three well separated Gaussian clouds in the plane."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    centres = np.array([[0.0, 4.0], [4.0, -4.0], [-4.0, -4.0]])
    return (centres[y] + 0.5 * rng.normal(size=(n, 2))).astype(np.float32), y


def double(sizes: tuple[int, int, int] = (2, 5, 3)) -> Network:
    """A float64 network, in which tiny differences stay visible."""
    rng, (a, b, c) = np.random.default_rng(1), sizes
    return Network(
        (Dense(rng.normal(size=(a, b)), rng.normal(size=b)), Tanh(), Dense(rng.normal(size=(b, c)), np.zeros(c)))
    )


def difference(a: Network, b: Network) -> float:
    return max(float(np.max(np.abs(v - w))) for v, w in zip(a.weights, b.weights, strict=True))


def test_adam_follows_algorithm_1_on_a_quadratic() -> None:
    curvature, start, rate = np.array([1.0, 100.0, 1e-3]), np.array([1.0, -2.0, 3.0]), 0.1
    w, adam = start.copy(), Adam(start)
    expected, m, v = start.copy(), np.zeros(3), np.zeros(3)
    for t in (1, 2, 3):
        adam.step(w, curvature * w, rate)
        g = curvature * expected
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected = expected - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(w, expected, rtol=1e-12)


def test_adams_first_step_is_the_rate_against_the_gradients_sign() -> None:
    w = np.zeros(3)
    Adam(w).step(w, np.array([5.0, -0.01, 0.0]), 0.1)
    np.testing.assert_allclose(w, [-0.1, 0.1, 0.0], rtol=1e-5, atol=1e-20)


def test_adams_averages_stay_out_of_the_slow_subnormal_range() -> None:
    w, gradient = np.zeros(1, np.float32), np.full(1, 1e-3, np.float32)
    adam = Adam(w)
    for _ in range(1500):
        adam.step(w, gradient, 1e-3)
        gradient[:] = 0
    assert np.finfo(np.float32).tiny < adam.mean[0] < 1e-28


def test_separable_data_are_learnt_completely() -> None:
    x, y = blobs()
    net = train(mlp([2, 16, 3]), x, y, epochs=20, learning_rate=0.01)
    assert accuracy(net, x, y) == 1.0
    assert all(w.dtype == np.float32 for w in net.weights)


def test_a_seed_fixes_the_result_and_another_changes_it() -> None:
    x, y = blobs()
    nets = [train(mlp([2, 8, 3]), x, y, epochs=2, weight_noise=0.1, seed=seed) for seed in (1, 1, 2)]
    assert difference(nets[0], nets[1]) == 0.0
    assert difference(nets[0], nets[2]) > 1e-4


def test_the_network_given_stays_as_it_was() -> None:
    x, y = blobs()
    net, before = mlp([2, 8, 3]), mlp([2, 8, 3])
    assert difference(train(net, x, y, epochs=1), net) > 1e-4
    assert difference(net, before) == 0.0


def test_weight_noise_draws_from_its_own_stream() -> None:
    """Vanishing noise gives the run without noise, which another shuffling would not."""
    x, y = blobs()
    quiet, faint = (train(double(), x, y, epochs=3, weight_noise=s) for s in (0.0, 1e-12))
    reshuffled = train(double(), x, y, epochs=3, seed=1)
    assert 0 < difference(quiet, faint) < 1e-8
    assert difference(quiet, reshuffled) > 1e-4


def test_the_gradient_at_the_noisy_weights_moves_the_clean_ones() -> None:
    """One step of a linear network: Adam's first step is rate g / (|g| + 1e-8), g by hand at W + sigma max|W| n."""
    x, y = blobs(30)
    x = x.astype(np.float64)
    net = Network((Dense(np.random.default_rng(2).normal(size=(2, 3)), np.array([0.1, 0.2, 0.3])),))
    clean, bias = net.weights[0], net.weighted[0].bias
    noise = Streams(5).at("train").rng("weight noise").standard_normal((2, 3))
    noisy = clean + 0.3 * np.max(np.abs(clean)) * noise
    odds = np.exp(x @ noisy + bias)
    error = (odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[y]) / len(x)
    gradient, bias_gradient = x.T @ error, error.sum(axis=0)
    trained = train(net, x, y, epochs=1, batch=30, learning_rate=0.01, weight_noise=0.3, seed=5)
    np.testing.assert_allclose(trained.weights[0], clean - 0.01 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-9)
    expected = bias - 0.01 * bias_gradient / (np.abs(bias_gradient) + 1e-8)
    np.testing.assert_allclose(trained.weighted[0].bias, expected, rtol=1e-9)


def test_each_epoch_uses_every_sample_once_in_a_new_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    gradients = Network.gradients

    def recorded(self: Network, x: np.ndarray, y: np.ndarray, **draws: int) -> Any:
        seen.append(x[:, 0].astype(int))
        return gradients(self, x, y, **draws)

    monkeypatch.setattr(Network, "gradients", recorded)
    x = np.stack([np.arange(10.0), np.zeros(10)], axis=1)
    train(double(), x, np.zeros(10, int), epochs=2, batch=4)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_the_rate_falls_along_a_half_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    monkeypatch.setattr(Adam, "step", lambda self, w, g, rate: rates.append(rate) or setattr(self, "steps", len(rates)))
    x, y = blobs(10)
    train(double(), x, y, epochs=2, batch=4, learning_rate=0.5)
    np.testing.assert_allclose(rates, [0.25 * (1 + math.cos(math.pi * t / 6)) for t in range(6)])


def test_without_gradient_weights_decay_and_biases_do_not() -> None:
    """Inputs of zero give the weights no gradient; classes equally frequent and equally likely give the biases none."""
    net = Network((Dense(np.random.default_rng(3).normal(size=(2, 3)), np.full(3, 0.5)),))
    x, y = np.zeros((3, 2)), np.arange(3)
    trained = train(net, x, y, epochs=4, batch=3, learning_rate=0.1, weight_decay=0.5)
    rates = [0.05 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    np.testing.assert_allclose(trained.weights[0], net.weights[0] * math.prod(1 - 0.5 * r for r in rates), rtol=1e-12)
    np.testing.assert_allclose(trained.weighted[0].bias, 0.5, atol=1e-6)


def test_clip_bounds_weights_by_their_layers_standard_deviation() -> None:
    net = Network((Dense(np.random.default_rng(4).normal(size=(20, 3)), np.zeros(3)),))
    x, y = np.zeros((3, 20)), np.arange(3)
    trained = train(net, x, y, epochs=1, batch=3, clip=1.5)
    limit = 1.5 * np.std(net.weights[0])
    np.testing.assert_allclose(trained.weights[0], np.clip(net.weights[0], -limit, limit), rtol=1e-12)


def test_arrays_of_another_library_train_there_to_the_same_weights() -> None:
    x, y = blobs(100)
    net, settings = mlp([2, 5, 3]), {"epochs": 2, "weight_decay": 0.1, "clip": 2.0}
    far = net.with_weights([(ForeignArray(a.weight), ForeignArray(a.bias)) for a in net.weighted])
    trained = train(far, ForeignArray(x), ForeignArray(y), **settings)
    assert type(trained.weights[0]) is ForeignArray
    assert difference(trained.to("numpy"), train(net, x, y, **settings)) < 1e-6
    noisy = train(far, x, y, epochs=20, batch=10, learning_rate=0.02, weight_noise=0.02)
    assert accuracy(noisy, x, y) == 1.0


def test_progress_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = blobs(10)
    train(mlp([2, 3]), x, y, epochs=2)
    assert capsys.readouterr().err == ""
    train(mlp([2, 3]), x, y, epochs=2, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_divergence_is_an_error_in_words() -> None:
    x, y = blobs(20)
    with pytest.raises(InputError) as caught:
        train(mlp([2, 8, 3]), x * np.float32(3e37), y, epochs=3)
    assert str(caught.value) == (
        "train: must keep the loss finite, got divergence in epoch 1 of 3; lower learning_rate, or scale x to [0, 1]"
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"epoch": 3},
            "Training: unknown name, got 'epoch'; did you mean 'epochs'? "
            "Known: epochs, batch, learning_rate, weight_noise, weight_decay, clip, rates",
        ),
        ({"epochs": 0}, "Training.epochs: must be greater than or equal to 1 (passes over the data), got 0"),
        ({"batch": 2.5}, "Training.batch: must be a valid integer (samples per step), got 2.5"),
        ({"learning_rate": 0.0}, "Training.learning_rate: must be greater than 0 (largest step of a weight), got 0.0"),
        (
            {"weight_noise": -0.1},
            "Training.weight_noise: must be greater than or equal to 0 (relative standard deviation, 0 or more), "
            "got -0.1",
        ),
        ({"clip": 0.0}, "Training.clip: must be greater than 0 (standard deviations), got 0.0"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        train(mlp([2, 3]), *blobs(10), **setting)
    assert str(caught.value) == message


def test_bad_data_are_refused_before_training() -> None:
    x, y = blobs(10)
    with pytest.raises(InputError, match=r"^x: must have 2 features per sample \(batch, 2\), got shape \(10, 1\)"):
        train(mlp([2, 3]), x[:, :1], y)
    with pytest.raises(InputError, match=r"^y: must hold labels from 0 to 1, got 0 to 2"):
        train(mlp([2, 2]), x, y)


@pytest.mark.slow
def test_mnist_is_learnt_to_97_5_percent(real_data: Path) -> None:
    (x, y), (x_test, y_test) = datasets.load("mnist")
    net = train(mlp([784, 128, 10]), x, y, epochs=5)
    assert accuracy(net, x_test, y_test) >= 0.975


def test_the_defaults_are_those_documented() -> None:
    assert Training() == Training(
        epochs=15, batch=32, learning_rate=5e-3, weight_noise=0.0, weight_decay=0.0, clip=None
    )
