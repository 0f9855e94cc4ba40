"""Branch currents and power, also where a wire has no resistance to show a voltage."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.currents import branch_currents, power
from device_models.streams import Streams

G = Streams(seed=3).rng("cells").uniform(1e-6, 1e-4, (2, 6, 4))
V = Streams(seed=5).rng("volts").random((3, 6))


@pytest.mark.parametrize("wires", [Wires(), Wires(word=3.0), Wires(bit=1e-6), Wires(word=2.0, bit=5.0, sense=9.0)])
def test_the_last_bit_segments_carry_the_sensed_currents(wires: Wires) -> None:
    currents = branch_currents(G, wires, V)
    assert currents.word.shape == currents.cell.shape == currents.bit.shape == (3, 2, 6, 4)
    sensed = np.einsum("br,src->bsc", V, effective_conductance(G, wires))
    np.testing.assert_allclose(currents.bit[..., -1, :], sensed, rtol=1e-11)


def test_without_wires_every_segment_carries_the_cells_beyond_it() -> None:
    currents = branch_currents(G[0], Wires(), V[0])
    np.testing.assert_allclose(currents.cell, V[0][:, None] * G[0], rtol=1e-14)
    np.testing.assert_allclose(currents.word[:, 1], (V[0][:, None] * G[0])[:, 1:].sum(1), rtol=1e-13)
    assert not currents.right.any()
    assert power(G[0], Wires(), V[0]).total == pytest.approx((V[0] ** 2 @ G[0]).sum(), rel=1e-13)


def test_from_both_ends_a_mirror_image_is_fed_from_both_alike() -> None:
    g = np.hstack([G[0], G[0, :, ::-1]])
    for wires in (Wires(word=4.0, source=2.0, drive="both"), Wires(source=7.0, drive="both"), Wires(drive="both")):
        currents = branch_currents(g, wires, V)
        np.testing.assert_allclose(currents.right, currents.word[..., 0], rtol=1e-9)


@pytest.mark.parametrize("ohms", [1e-5, 1e-6])
def test_currents_are_accurate_where_the_wires_hardly_resist(ohms: float) -> None:
    almost, exact = branch_currents(G, Wires(word=ohms, bit=ohms), V), branch_currents(G, Wires(), V)
    for ours, ideal in zip(almost, exact, strict=True):
        np.testing.assert_allclose(ours, ideal, rtol=1e-6)


def test_an_open_cell_has_no_power() -> None:
    heat = power([[0.0, 1e-3]], Wires(word=10.0, sense=100.0), [1.0])
    assert heat.cell[0, 0] == 0
    i = 1 / 1120
    np.testing.assert_allclose([heat.word.sum(), heat.cell.sum(), heat.bit.sum()], i**2 * np.array([20, 1000, 100]))
