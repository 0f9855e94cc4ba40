"""Crossbars of nonlinear cells: limits, Kirchhoff's laws and a cell solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from device_models.conduction import Ohmic, PolynomialConduction, Sinh
from device_models.errors import InputError
from device_models.streams import Streams

G = Streams(seed=3).rng("cells").uniform(1e-6, 1e-4, (2, 12, 9))
V = Streams(seed=5).rng("volts").uniform(-0.2, 0.2, (5, 12))
WIRES = Wires(word=20.0, bit=30.0, source=100.0, sense=50.0)


@pytest.mark.parametrize("v0", [1.0, 0.1, 0.02])
def test_one_cell_behind_a_resistance(v0: float) -> None:
    g, v, ohms = 1e-3, 0.3, 250.0
    u = brentq(lambda u: v - ohms * g * v0 * np.sinh(u / v0) - u, 0, v, xtol=1e-16)
    i = nonlinear_currents([[g]], Wires(word=200.0, sense=50.0), [v], Sinh(v0=v0))
    assert i == pytest.approx(np.array([(v - u) / ohms]), rel=1e-8)


@pytest.mark.parametrize("wires", [WIRES, WIRES.replace(drive="both"), Wires(bit=30.0), Wires()])
def test_ohmic_cells_give_the_effective_conductance(wires: Wires) -> None:
    i = nonlinear_currents(G, wires, V, Ohmic())
    assert i.shape == (5, 2, 9)
    expected = np.einsum("br,src->bsc", V, effective_conductance(G, wires))
    np.testing.assert_allclose(i, expected, rtol=1e-8, atol=1e-15)


def test_at_small_voltages_cells_are_ohmic() -> None:
    """The error is (v / v0)^2 / 6 at most."""
    v = 1e-3 * np.abs(V)
    expected = v @ effective_conductance(G[0], WIRES)
    np.testing.assert_allclose(nonlinear_currents(G[0], WIRES, v, Sinh(v0=0.2)), expected, rtol=1e-6)


def test_without_wires_the_law_of_the_cells_is_summed() -> None:
    law = PolynomialConduction(a2=2.0, a3=5.0)
    expected = np.einsum("br,rc->bc", law.drive(V), G[0])
    np.testing.assert_allclose(nonlinear_currents(G[0], Wires(), V, law), expected, rtol=1e-13)


@pytest.mark.parametrize("law", [Sinh(v0=0.3), Sinh(v0=0.02), PolynomialConduction(a2=-1.0, a3=1.0, v_max=0.4)])
def test_batches_give_what_single_inputs_give(law: Sinh) -> None:
    together = nonlinear_currents(G[0], WIRES, V, law)
    for k, v in enumerate(V):
        single = nonlinear_currents(G[0], WIRES, v, law)
        np.testing.assert_allclose(together[k], single, rtol=1e-7, atol=1e-9 * np.abs(single).max())


def test_odd_laws_give_odd_currents() -> None:
    law = Sinh(v0=0.05)
    i, back = nonlinear_currents(G[0], WIRES, V, law), nonlinear_currents(G[0], WIRES, -V, law)
    np.testing.assert_allclose(back, -i, rtol=1e-12)


def test_it_says_that_it_did_not_settle() -> None:
    with pytest.raises(
        InputError, match=r"nonlinear_currents: must settle to 1e-30 of the largest current in 50 Newton"
    ):
        nonlinear_currents(G[0], WIRES, V[:1], Sinh(v0=0.05), tolerance=1e-30)


def test_no_input_gives_no_current() -> None:
    assert not nonlinear_currents(G[0], WIRES, np.zeros(12), Sinh(v0=0.1)).any()
