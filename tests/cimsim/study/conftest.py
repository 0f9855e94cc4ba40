from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The values of a study that takes milliseconds a chip: two axes, four points, two dies."""
    return {
        "name": "tiny",
        "seed": 5,
        "dies": 2,
        "data": {"name": "digits", "train": 120, "test": 40},
        "network": {"hidden": [6]},
        "training": {"epochs": 2, "learning_rate": 0.02},
        "chip": {
            "device": {"card": "generic-rram", "programming": {"kind": "SpanError", "error": 0.05}},
            "dac": {"bits": 6},
            "adc": {"bits": 6},
        },
        "inference": {"calibrate": 32},
        "sweep": {"chip.adc.bits": [2, 6], "inference.age": [0.0, 1e6]},
    }
