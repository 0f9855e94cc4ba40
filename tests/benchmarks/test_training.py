"""Training by pulses against plain float32 gradient descent of the same network on the same batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.crossbar.mapping import OffsetColumn
from cimsim.crossbar.pulsing import Pulser
from cimsim.crossbar.workbench import Lines
from cimsim.learning.rules import MixedPrecision, PulseRule, StochasticPulses, ThresholdSign, TikiTaka

UPDATE = dm.update.ExponentialUpdate(
    pulses_up=200,
    pulses_down=200,
    nl_up=1.0,
    nl_down=-1.0,
    c2c=0.01,
    spread_pulses_up=0.1,
    spread_pulses_down=0.1,
    spread_nl_up=0.3,
    spread_nl_down=0.3,
)
DEVICE = dm.Device(name="bench", window=dm.Window(g_min=5e-6, g_max=105e-6), update=UPDATE)
SIZES = [784, 128, 10]
BATCHED: list[PulseRule] = [ThresholdSign(threshold=1e-7), MixedPrecision(), TikiTaka(lines=4)]


def chip() -> cim.Chip:
    """784-128-10, a tile a layer, so that tiles do not add to the time of either."""
    return cim.program(cim.mlp(SIZES), cim.ChipSpec(device=DEVICE, tile=(1024, 256), weights=OffsetColumn()))


def descent(x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[], None]:
    """Plain stochastic gradient descent in float32, one pass."""
    net = cim.mlp(SIZES)
    (w, a), (u, b) = ((k.weight.copy(), k.bias.copy()) for k in net.weighted)

    def run() -> None:
        for start in range(0, len(x), batch):
            v, labels = x[start : start + batch], y[start : start + batch]
            hidden = np.maximum(v @ w + a, 0)
            logits = hidden @ u + b
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            d = odds / odds.sum(axis=1, keepdims=True)
            d[np.arange(len(d)), labels] -= 1
            d /= len(d)
            e = (d @ u.T) * (hidden > 0)
            for p, gradient in ((u, hidden.T @ d), (b, d.sum(axis=0)), (w, v.T @ e), (a, e.sum(axis=0))):
                p -= np.float32(0.05) * gradient

    return run


@pytest.mark.parametrize("rule", BATCHED, ids=lambda rule: type(rule).__name__)
def test_rules_that_pulse_once_per_batch_of_32(ratio: Any, real_data: Path, rule: PulseRule) -> None:
    (x, y), _ = cim.datasets.load("mnist")
    x, y = x[:10_000].astype(np.float32), y[:10_000]
    made = chip()
    run = lambda: cim.fine_tune(made, x, y, layers=[0, 1], rule=rule, epochs=1)  # noqa: E731
    ratio(run, descent(x, y, 32), rounds=3, of="plain SGD of 10,000 images")


@pytest.mark.parametrize(("batch", "images"), [(32, 10_000), (1, 2_000)])
def test_stochastic_pulses_on_mnist(ratio: Any, real_data: Path, batch: int, images: int) -> None:
    (x, y), _ = cim.datasets.load("mnist")
    x, y = x[:images].astype(np.float32), y[:images]
    made = chip()
    run = lambda: cim.fine_tune(made, x, y, layers=[0, 1], rule=StochasticPulses(), epochs=1, batch=batch)  # noqa: E731
    ratio(run, descent(x, y, batch), rounds=3, of=f"plain SGD of {images:,} images, batch {batch}")


@pytest.mark.parametrize("pulses", [0.02, 0.1])
def test_dense_trains_of_pulses_on_a_784x128_matrix(ratio: Any, pulses: float) -> None:
    """One train a sample and line, all inputs on; `pulses` in the mean for every crosspoint and sample."""
    matrix, rng = chip().matrices[0], np.random.default_rng(0)
    x, d = rng.random((320, 784)).astype(np.float32), rng.standard_normal((320, 128)).astype(np.float32)
    gains, lengths = np.full(320, np.sqrt(pulses / 10 / 0.4)), np.full(320, 10)
    pulser = Pulser(matrix, in_place=True)
    matrix, _ = pulser.coincide(matrix, Lines(x[:1], gains[:1]), Lines(d[:1], gains[:1]), lengths[:1], dm.Streams(0))
    w = np.zeros((784, 128), np.float32)

    def outer() -> None:
        for v, e in zip(x, d, strict=True):
            np.add(w, np.multiply.outer(v, e), out=w)

    run = lambda: pulser.coincide(matrix, Lines(x, gains), Lines(d, gains), lengths, dm.Streams(1))  # noqa: E731
    ratio(run, outer, rounds=5, of="rank-1 updates in numpy, 320 x 100,352 cells")
