"""A tile's netlist gives the tile's currents in ngspice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.interchange.spice import netlist
from cimsim.network.layers import Dense
from device_models.conduction import Conduction, PolynomialConduction, Sinh
from device_models.errors import InputError
from tests.physics.ngspice.netlist import installed, subcircuit_currents

WINDOW = dm.Window(g_min=2e-6, g_max=120e-6)
NET = cim.mlp([9, 5], seed=3)
WIRES = [
    cim.Wires(word=2.5, bit=1.5, source=150.0, sense=80.0),
    cim.Wires(word=2.5),
    cim.Wires(bit=1.5, source=10.0),
    cim.Wires(sense=500.0),
    cim.Wires(word=30.0, bit=20.0, source=5.0, drive="both"),
    None,
]
needs_ngspice = pytest.mark.skipif(not installed(), reason="ngspice is not installed (Debian: apt-get install ngspice)")


def chip(wires: cim.Wires | None, **spec: Any) -> cim.Chip:
    device = dm.Device(name="cell", window=WINDOW, conduction=spec.pop("conduction", None))
    return cim.program(NET, cim.ChipSpec(device=device, tile=(6, 4), wires=wires, **spec), seed=1)


@pytest.mark.ngspice
@needs_ngspice
@pytest.mark.parametrize("wires", WIRES, ids=str)
def test_ngspice_gives_the_currents_of_every_array_of_a_tile(wires: cim.Wires | None) -> None:
    tile = chip(wires).matrices[0].tiles[0, 1]
    v = np.linspace(-0.2, 0.2, tile.g_eff.shape[1])
    text = netlist(tile, "t")
    for k, g_eff in enumerate(tile.g_eff):
        np.testing.assert_allclose(
            subcircuit_currents(text, f"t_array{k}", v, g_eff.shape[1]), v @ g_eff, rtol=1e-8, atol=1e-15
        )


@pytest.mark.ngspice
@needs_ngspice
@pytest.mark.parametrize("law", [Sinh(v0=0.15), PolynomialConduction(a2=0.5, a3=2.0)], ids=str)
def test_cells_with_a_nonlinear_law_follow_it(law: Conduction) -> None:
    tile = chip(None, conduction=law).matrices[0].tiles[0, 0]
    v = np.linspace(-0.2, 0.2, tile.g_eff.shape[1])
    found = subcircuit_currents(netlist(tile, "t"), "t_array0", v, tile.g_eff.shape[2])
    np.testing.assert_allclose(found, law.drive(v) @ tile.g_eff[0], rtol=1e-7, atol=1e-15)


def test_open_cells_are_left_out_and_ports_come_in_order() -> None:
    device = dm.Device(name="cell", window=dm.Window(g_min=0.0, g_max=1e-4))
    net = cim.Network((Dense(np.array([[1.0, 0.0], [-1.0, 0.5]], np.float32), np.zeros(2, np.float32)),))
    made = cim.program(net, cim.ChipSpec(device=device), seed=0)
    text = netlist(made.matrices[0].tiles[0, 0], "one")
    assert re.findall(r"^R(cell\S+)", text, re.MULTILINE) == ["cell_0_0", "cell_1_1", "cell_1_0"]
    assert text.count(".subckt one_array0\n+ w0 w1 b0 b1\n") == 1
    assert text.count(".ends one_array1") == 1


def test_a_law_of_ones_own_is_refused_by_name() -> None:
    class Cubic(Conduction):
        def drive(self, v: Any) -> Any:
            return v + v**3

    with pytest.raises(InputError, match="Cubic: has no form in SPICE"):
        netlist(chip(None, conduction=Cubic()).matrices[0].tiles[0, 0], "t")


def test_export_writes_a_netlist_for_each_tile(tmp_path: Path) -> None:
    made = chip(WIRES[0])
    files = [path.name for path in cim.export(made, tmp_path, spice=True) if path.suffix == ".cir"]
    assert files == [f"layer0-tile{r}-{c}.cir" for r, c in made.matrices[0].places]
    tile = made.matrices[0].tiles[1, 0]
    assert (tmp_path / "spice" / "layer0-tile1-0.cir").read_text() == netlist(tile, "layer0_tile1_0")
    assert not (tmp_path / "none").exists()
    assert not any(path.suffix == ".cir" for path in cim.export(made, tmp_path / "none"))
