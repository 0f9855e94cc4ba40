"""Convolutional networks in floating point against their bare matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import cimsim as cim

BATCH = 32


def five_layers() -> cim.Network:
    """The CNN of Yao et al., Nature 577, 641 (2020)."""
    pools = [cim.MaxPool(3, ceil=True), cim.MaxPool(2, ceil=True)]
    return cim.cnn(
        (1, 28, 28), [cim.Conv(8, kernel=3), "relu", pools[0], cim.Conv(12, kernel=3), "relu", pools[1], cim.Linear(10)]
    )


def images(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((n, 784), dtype=np.float32), rng.integers(0, 10, n)


def products(net: cim.Network, x: np.ndarray, *, training: bool) -> Callable[[], Any]:
    """The products of the forward pass, and for training those of the backward pass."""
    given, _ = net.activations(x)
    errors = [np.ones((len(v), w.shape[1]), np.float32) for v, w in zip(given, net.weights, strict=True)]
    forward = [lambda v=v, w=w: v @ w for v, w in zip(given, net.weights, strict=True)]
    gradients = [lambda v=v, d=d: v.T @ d for v, d in zip(given, errors, strict=True)]
    back = [lambda d=d, w=w: d @ w.T for d, w in list(zip(errors, net.weights, strict=True))[1:]]
    chosen = [*forward, *gradients, *back] if training else forward
    return lambda: [product() for product in chosen]


def test_a_training_step_of_the_five_layer_cnn(ratio: Any) -> None:
    net, (x, y) = five_layers(), images(BATCH)
    ratio(lambda: net.gradients(x, y), products(net, x, training=True), rounds=50, of="its products")


def test_an_epoch_of_the_five_layer_cnn(ratio: Any) -> None:
    net, (x, y) = five_layers(), images(20 * BATCH)
    once = products(net, x[:BATCH], training=True)
    ratio(lambda: cim.train(net, x, y, epochs=1), lambda: [once() for _ in range(20)], rounds=5, of="its products")


def test_predicting_with_the_five_layer_cnn(ratio: Any) -> None:
    net, (x, _) = five_layers(), images(2000)
    ratio(lambda: net.predict(x), products(net, x, training=False), rounds=5, of="its products")
