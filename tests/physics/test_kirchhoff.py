"""Kirchhoff's laws in crossbars with wire resistance, and agreement with ngspice."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires, branch_currents, effective_conductance, node_voltages, power
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from device_models.conduction import Sinh
from device_models.errors import InputError
from device_models.streams import Streams
from tests.physics.ngspice import golden
from tests.physics.ngspice.golden import CASES, kept
from tests.physics.ngspice.netlist import Floats, currents, installed, netlist

WIRES = Wires(word=1.2, bit=0.8, source=60.0, sense=30.0)
SHAPES = [(1, 1), (1, 9), (9, 1), (6, 6), (100, 37)]
BOTH_ENDS = WIRES.replace(drive="both")
SOLVABLE = [name for name in CASES if name != "difference" and CASES[name].v0 is None]


def cells(rows: int, cols: int, on_off: float = 100.0) -> Floats:
    """Conductances spread log-uniformly over the on/off ratio below 100 uS, with 5 % of the cells stuck open."""
    rng = Streams(seed=7).rng("cells")
    g = 1e-4 * on_off ** -rng.random((rows, cols))
    return np.where(rng.random((rows, cols)) < 0.05, 0.0, g)


def by_ohms_law(g: Floats, v: Floats, wires: Wires) -> tuple[Floats, Floats, Floats]:
    """Currents as drops of voltage: into each cell's word node, from the right end, and out of its bit node."""
    v_word, v_bit = node_voltages(g, wires, v)
    along_word = -np.diff(v_word, prepend=v[:, None]) / wires.word
    along_word[:, 0] *= wires.word / (wires.word + wires.source)
    along_bit = -np.diff(v_bit, axis=0, append=0) / wires.bit
    along_bit[-1] *= wires.bit / (wires.bit + wires.sense)
    right = (v - v_word[:, -1]) / (wires.word + wires.source)
    return along_word, right if wires.both else np.zeros(len(v)), along_bit


@pytest.mark.parametrize(("wires", "on_off"), [(WIRES, 1e2), (WIRES, 1e6), (BOTH_ENDS, 1e2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_currents_at_every_node_add_to_zero(shape: tuple[int, int], on_off: float, wires: Wires) -> None:
    g, v = cells(*shape, on_off), Streams(seed=1).rng("volts").uniform(-0.2, 0.2, shape[0])
    along_word, right, along_bit = by_ohms_law(g, v, wires)
    v_word, v_bit = node_voltages(g, wires, v)
    through = g * (v_word - v_bit)
    word_residual = along_word - np.hstack([along_word[:, 1:], -right[:, None]]) - through
    bit_residual = np.pad(along_bit, ((1, 0), (0, 0)))[:-1] + through - along_bit
    largest = max(np.abs(i).max() for i in (along_word, through, along_bit))
    assert np.abs(word_residual).max() < 1e-10 * largest
    assert np.abs(bit_residual).max() < 1e-10 * largest
    assert np.abs(along_bit[-1] - v @ effective_conductance(g, wires)).max() < 1e-10 * largest


@pytest.mark.parametrize(("wires", "on_off"), [(WIRES, 1e2), (WIRES, 1e6), (BOTH_ENDS, 1e2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_branch_currents_obey_ohms_law(shape: tuple[int, int], on_off: float, wires: Wires) -> None:
    g, v = cells(*shape, on_off), Streams(seed=1).rng("volts").uniform(-0.2, 0.2, shape[0])
    currents = branch_currents(g, wires, v)
    largest = max(np.abs(part).max() for part in currents)
    for ours, theirs in zip((currents.word, currents.right, currents.bit), by_ohms_law(g, v, wires), strict=True):
        assert np.abs(ours - theirs).max() < 1e-10 * largest


@pytest.mark.parametrize("wires", [WIRES, BOTH_ENDS], ids=["left", "both"])
@pytest.mark.parametrize("shape", SHAPES)
def test_power_from_the_drivers_is_the_power_dissipated(shape: tuple[int, int], wires: Wires) -> None:
    g, v = cells(*shape), Streams(seed=2).rng("volts").uniform(-0.2, 0.2, shape[0])
    currents = branch_currents(g, wires, v)
    delivered = v @ (currents.word[:, 0] + currents.right)
    assert power(g, wires, v).total == pytest.approx(delivered, rel=1e-10)


@pytest.mark.parametrize("name", SOLVABLE)
def test_agrees_with_the_currents_that_ngspice_gave(name: str) -> None:
    g, wires, v, _ = CASES[name]
    np.testing.assert_allclose(v @ effective_conductance(g, wires), kept(name), rtol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_kept_netlist_is_the_circuit_that_is_compared(name: str) -> None:
    assert (golden.FOLDER / f"{name}.cir").read_text() == golden.text(name)


@pytest.mark.ngspice
@pytest.mark.skipif(not installed(), reason="ngspice is not installed (Debian: apt-get install ngspice)")
@pytest.mark.parametrize(
    "wires",
    [WIRES, BOTH_ENDS, Wires(word=3.0), Wires(bit=3.0), Wires(source=500.0), Wires(sense=500.0), Wires()],
    ids=["all", "both-ends", "word", "bit", "source", "sense", "ideal"],
)
@pytest.mark.parametrize("on_off", [1e2, 1e6])
def test_agrees_with_ngspice(wires: Wires, on_off: float) -> None:
    g, v = cells(20, 14, on_off), Streams(seed=3).rng("volts").uniform(0, 0.2, 20)
    expected = currents(netlist("crossbar", g, wires, v))
    np.testing.assert_allclose(v @ effective_conductance(g, wires), expected, rtol=1e-9)


@pytest.mark.ngspice
@pytest.mark.skipif(not installed(), reason="ngspice is not installed (Debian: apt-get install ngspice)")
def test_kept_currents_are_what_ngspice_gives() -> None:
    np.testing.assert_allclose(currents(golden.text("plus")), kept("plus"), rtol=1e-9)


def test_sinh_cells_agree_with_the_currents_that_ngspice_gave() -> None:
    case = CASES["sinh"]
    assert case.v0 is not None
    ours = nonlinear_currents(case.g, case.wires, case.v, Sinh(v0=case.v0), tolerance=1e-12)
    np.testing.assert_allclose(ours, kept("sinh"), rtol=1e-10)


@pytest.mark.ngspice
@pytest.mark.skipif(not installed(), reason="ngspice is not installed (Debian: apt-get install ngspice)")
@pytest.mark.parametrize("v0", [0.5, 0.05, 0.02])
def test_sinh_cells_agree_with_ngspice(v0: float) -> None:
    g, v = cells(12, 9), Streams(seed=3).rng("volts").uniform(0, 0.2, 12)
    wires = BOTH_ENDS.replace(word=30.0, bit=20.0)
    expected = currents(netlist("crossbar", g, wires, v, v0))
    np.testing.assert_allclose(nonlinear_currents(g, wires, v, Sinh(v0=v0)), expected, rtol=1e-7)


def test_a_differential_pair_is_not_the_network_of_its_difference() -> None:
    """The wires carry the sum of both arrays' currents, not the difference: here it is wrong by 12.5 % of the range."""
    plus, minus = CASES["plus"], CASES["minus"]
    ours = plus.v @ (effective_conductance(plus.g, plus.wires) - effective_conductance(minus.g, minus.wires))
    true, of_difference = kept("plus") - kept("minus"), kept("difference")
    np.testing.assert_allclose(ours, true, rtol=1e-9)
    error = np.abs(of_difference - true).max() / np.abs(true).max()
    assert error == pytest.approx(0.125, abs=0.001)


def test_the_network_of_a_difference_is_refused() -> None:
    with pytest.raises(InputError, match="solve each array of a differential pair by itself"):
        effective_conductance(CASES["difference"].g, CASES["difference"].wires)
