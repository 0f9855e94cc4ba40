"""Inference through tiles against the bare float32 matrix products of the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.crossbar.matrix import cuts

Products = Callable[[], Any]


def noisy(relative: float | None) -> dm.Device:
    noise = None if relative is None else dm.read_noise.ProportionalNoise(relative=relative)
    window = dm.Window(g_min=5e-6, g_max=100e-6)
    return dm.Device(name="bench", window=window, programming=dm.programming.SpanError(error=0.02), read_noise=noise)


def layer_products(net: cim.Network, x: np.ndarray) -> Products:
    """x @ weight of every layer, whole: what the float network computes."""
    given, _ = net.activations(x)
    return lambda: [v @ w for v, w in zip(given, net.weights, strict=True)]


def array_products(net: cim.Network, x: np.ndarray, tile: int = 128) -> Products:
    """One product per physical array, both sides of every pair: what the chip computes."""
    given, _ = net.activations(x)
    both = [np.hstack([w, w]) for w in net.weights]
    parts = [(v, w, rows) for v, w in zip(given, both, strict=True) for rows in cuts(w.shape[0], tile)]
    return lambda: [v[:, rows] @ w[rows] for v, w, rows in parts]


@pytest.mark.parametrize("read_noise", [None, 0.02], ids=["exact-reads", "read-noise"])
@pytest.mark.parametrize("subtract", ["analog", "digital"])
def test_mnist_test_set_through_128x128_tiles(
    ratio: Any, real_data: Path, subtract: Any, read_noise: float | None
) -> None:
    (x, _), (x_test, _) = cim.datasets.load("mnist")
    net = cim.mlp([784, 128, 10])
    scheme = cim.DifferentialPair(subtract=subtract)
    spec = cim.ChipSpec(device=noisy(read_noise), weights=scheme, dac=cim.DAC(bits=8), adc=cim.ADC(bits=8))
    chip = cim.program(net, spec, calibrate=x[:256])
    ratio(lambda: chip.predict(x_test), layer_products(net, x_test), of="products of the layers")
    ratio(lambda: chip.predict(x_test), array_products(net, x_test), of="products of the arrays")


def test_programming_a_128x128_pair_with_verify(ratio: Any) -> None:
    device = dm.load("generic-rram")
    net = cim.mlp([128, 128])
    rng = np.random.default_rng(0)
    ratio(
        lambda: cim.program(net, cim.ChipSpec(device=device)),
        lambda: rng.standard_normal((2, 128, 128)),
        of="its normals",
    )
