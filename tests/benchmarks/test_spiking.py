"""Spiking networks through 128 x 128 tiles against the dense matrix products of all their steps.

The goal: 10,000 images of 32 steps in at most twice these products, less the fewer spikes there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.network.coding import Direct, Given, RegularRate

IMAGES, STEPS = 2000, 32  # the ratio is that of 10,000 images, which run in parts of 1024
IDEAL = dm.Device(name="ideal", window=dm.Window(g_min=1e-6, g_max=1e-4))
CHIPS: dict[str, dict[str, Any]] = {
    "exact": {"device": IDEAL},
    "neurons": {"device": IDEAL, "neurons": cim.Integrate(gain_spread=0.1)},
    "adc": {"device": IDEAL, "adc": cim.ADC(bits=8)},
    "read noise": {"device": dm.load("generic-rram")},
}


def products(net: cim.Network, steps: int = STEPS) -> Any:
    """The products of all steps, dense."""
    rng = np.random.default_rng(1)
    given = [rng.random((1024, w.shape[0]), dtype=np.float32) for w in net.weights]
    times = IMAGES * steps // 1024
    return lambda: [v @ w for _ in range(times) for v, w in zip(given, net.weights, strict=True)]


def programmed(net: cim.Network, x: np.ndarray, kind: str) -> cim.Chip:
    return cim.program(net, cim.ChipSpec(**CHIPS[kind]), calibrate=x[:64], seed=0)


@pytest.mark.parametrize("density", [0.3, 0.1, 0.02])
@pytest.mark.parametrize("kind", CHIPS)
def test_inference_by_share_of_inputs_that_fire(ratio: Any, kind: str, density: float) -> None:
    net = cim.snn([784, 128, 10], code=Given(steps=STEPS), seed=0)
    x = np.random.default_rng(0).random((IMAGES, STEPS, 784), dtype=np.float32) < density
    chip = programmed(net, x, kind)
    ratio(lambda: chip.predict(x), products(net), rounds=3, of="its dense products")


@pytest.mark.parametrize("code", [RegularRate(steps=STEPS), Direct(steps=STEPS)], ids=["rate", "direct"])
def test_inference_of_images_with_their_code(ratio: Any, code: RegularRate | Direct) -> None:
    net = cim.snn([784, 128, 10], code=code, seed=0)
    pixels = np.random.default_rng(0).random((IMAGES, 784), dtype=np.float32)
    x = np.where(pixels > 0.8, 5 * (pixels - 0.8), 0).astype(np.float32)  # a fifth of them is not 0, as in MNIST
    chip = programmed(net, x, "exact")
    ratio(lambda: chip.predict(x), products(net), rounds=3, of="its dense products")


@pytest.mark.parametrize("code", [RegularRate(steps=8), Direct(steps=8)], ids=["rate", "direct"])
def test_an_epoch_by_surrogate_gradients(ratio: Any, code: RegularRate | Direct) -> None:
    net = cim.snn([784, 128, 10], code=code, readout="membrane", seed=0)
    rng = np.random.default_rng(0)
    x, y = rng.random((IMAGES, 784), dtype=np.float32), rng.integers(0, 10, IMAGES)
    ratio(lambda: cim.train(net, x, y, epochs=1, batch=100), products(net, 2 * 8), rounds=3, of="its dense products")
