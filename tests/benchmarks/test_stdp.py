"""An epoch of memristive STDP on MNIST: 60,000 images, 100 outputs, 100 steps each, to take at most 3 minutes."""

from __future__ import annotations

from typing import Any

import pytest

import cimsim as cim
from cimsim.published.stdp_2013 import device

SECONDS = 180.0
IMAGES, PART = 60_000, 5_000


@pytest.mark.parametrize("card", ["memristor of 2013", "generic-rram"])
def test_an_epoch_of_mnist(card: str, benchmark: Any, real_data: Any) -> None:
    """A twelfth of the epoch is timed; what comes before the first image is counted twelve times."""
    (x, _), _ = cim.datasets.load("mnist", train=PART)
    chosen = device() if card.startswith("memristor") else card
    spec = cim.ChipSpec(device=chosen, weights=cim.SingleCell())
    cim.stdp(spec, x[:20], outputs=100)
    _, history = benchmark.pedantic(lambda: cim.stdp(spec, x, outputs=100, seed=1), rounds=1)
    assert 4 < history["wins"][0] < 6
    if benchmark.stats:
        assert benchmark.stats["mean"] * IMAGES / PART < SECONDS
