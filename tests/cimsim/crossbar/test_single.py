"""Single cells: what is written is read back, less the current of g_min, which stays in."""

from __future__ import annotations

import numpy as np
import pytest

import cimsim as cim
from cimsim.crossbar.single import SingleCell
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=2e-6, g_max=1e-4)


def test_a_product_is_that_of_the_weights_plus_what_cells_at_g_min_carry() -> None:
    w = Streams(0).rng("w").random((300, 40), dtype=np.float32)
    net = cim.mlp([300, 40]).with_weights([(w, np.zeros(40, np.float32))])
    spec = cim.ChipSpec(device=Device(name="d", window=WINDOW), weights=SingleCell())
    x = Streams(0).rng("x").random((5, 300), dtype=np.float32)
    offset = w.max() * WINDOW.g_min / WINDOW.span
    np.testing.assert_allclose(cim.program(net, spec).matmul(0, x), x @ (w + offset), rtol=1e-5)


def test_every_pulse_goes_to_the_one_cell() -> None:
    n = np.array([[1, -2], [0, 3]])
    np.testing.assert_array_equal(SingleCell().pulses(n, np.zeros((1, 2, 2))), n[None])


def test_weights_below_zero_are_refused() -> None:
    with pytest.raises(InputError, match=r"weights must be 0 or more, got -0\.5; use DifferentialPair"):
        SingleCell().targets(np.array([[0.5, -0.5]]), WINDOW)
