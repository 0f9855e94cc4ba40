"""A chip of nonlinear cells behind wires: cells and wires are solved together for every input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.crossbar.wires.nonlinear import nonlinear_currents
from cimsim.interchange.spice import netlist
from device_models.conduction import Conduction, PolynomialConduction, Sinh
from device_models.errors import InputError, ParameterError
from device_models.read_noise import AbsoluteNoise
from tests.physics.ngspice.netlist import installed, subcircuit_currents

WINDOW = dm.Window(g_min=2e-6, g_max=120e-6)
WIRES = cim.Wires(word=8.0, bit=6.0, source=50.0, sense=30.0)
NET = cim.mlp([11, 6], seed=2)
X = np.random.default_rng(0).random((7, 11), dtype=np.float32)
LAWS = [Sinh(v0=0.12), PolynomialConduction(a2=0.5, a3=4.0)]


def made(law: Conduction, wires: cim.Wires | None = WIRES, **spec: Any) -> cim.Chip:
    device = dm.Device(name="cell", window=WINDOW, conduction=law, read_noise=spec.pop("read_noise", None))
    return cim.program(NET, cim.ChipSpec(device=device, tile=(8, 4), wires=wires, **spec), calibrate=X, seed=1)


@pytest.mark.parametrize(
    "scheme", [cim.DifferentialPair(), cim.OffsetColumn(), cim.BitSlices(slices=2, bits=2)], ids=str
)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_outputs_are_the_solved_currents_in_units_of_weights(law: Conduction, scheme: Any) -> None:
    chip = made(law, weights=scheme)
    (matrix,) = chip.matrices
    expected, volts = np.zeros((7, 6)), X / X.max() * 0.2
    for (r, c), tile in matrix.tiles.items():
        i = nonlinear_currents(tile.cells.g, WIRES, volts[:, matrix.rows[r]], law)
        signals = np.einsum("sa,bac->bsc", scheme.analog(), i)
        expected[:, matrix.columns[c]] += scheme.collect(signals)
    expected *= X.max() * matrix.weight_scale / (law.drive(np.float64(0.2)) * WINDOW.span)
    np.testing.assert_allclose(chip.matmul(0, X), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.ngspice
@pytest.mark.skipif(not installed(), reason="ngspice is not installed (Debian: apt-get install ngspice)")
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_a_tile_gives_the_currents_that_ngspice_finds_for_its_netlist(law: Conduction) -> None:
    tile = made(law, weights=cim.DifferentialPair(subtract="digital")).matrices[0].tiles[0, 0]
    v = np.linspace(-0.2, 0.2, 8)
    ours = tile.current(v[None].astype(np.float32), None).reshape(2, 4)
    for k in range(2):
        expected = subcircuit_currents(netlist(tile, "t"), f"t_array{k}", v, 4)
        np.testing.assert_allclose(ours[k], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_without_resistance_the_law_alone_is_left(law: Conduction) -> None:
    tiny = cim.Wires(word=1e-6, bit=1e-6)
    np.testing.assert_allclose(made(law, tiny).matmul(0, X), made(law, None).matmul(0, X), rtol=1e-4, atol=1e-4)


def test_a_law_that_is_nearly_ohmic_gives_what_ohmic_cells_give() -> None:
    ohmic = dm.Device(name="cell", window=WINDOW)
    spec = cim.ChipSpec(device=ohmic, tile=(8, 4), wires=WIRES)
    expected = cim.program(NET, spec, calibrate=X, seed=1).matmul(0, X)
    np.testing.assert_allclose(made(Sinh(v0=20.0)).matmul(0, X), expected, rtol=1e-4, atol=1e-4)


def test_converters_and_read_noise_go_with_it() -> None:
    quiet = made(LAWS[0], dac=cim.DAC(bits=8), adc=cim.ADC(bits=10))
    exact = made(LAWS[0]).matmul(0, X)
    assert np.abs(quiet.matmul(0, X) - exact).max() < 0.02 * np.abs(exact).max()
    noisy, many = made(LAWS[0], read_noise=AbsoluteNoise(std=1e-6)), np.repeat(X[:1], 600, axis=0)
    found = noisy.matmul(0, many)
    tile = noisy.matrices[0].tiles[0, 0]
    assert tile.variance is not None
    variance = sum(
        (LAWS[0].drive(many[:1, noisy.matrices[0].rows[r]] / X.max() * 0.2) ** 2 @ t.variance)[0]
        for (r, c), t in noisy.matrices[0].tiles.items()
        if c == 0
    )
    unit = X.max() * noisy.matrices[0].weight_scale / (LAWS[0].drive(np.float64(0.2)) * WINDOW.span)
    np.testing.assert_allclose(found[:, :4].std(axis=0), np.sqrt(variance) * unit, rtol=0.15)
    np.testing.assert_allclose(found.mean(axis=0), exact[0], atol=5 * found.std() / np.sqrt(600) + 1e-4)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"dac": cim.DAC(bits=4, encoding="pulse-width")}, "ChipSpec: pulse widths cannot be combined with both"),
        ({"back_adc": cim.ADC(bits=4)}, "ChipSpec: a transposed read cannot be combined with both"),
    ],
)
def test_what_does_not_go_with_it_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as error:
        made(LAWS[0], **spec)
    assert said in str(error.value)


def test_a_transposed_read_is_refused() -> None:
    with pytest.raises(InputError, match="tile: cannot be read backwards with nonlinear cells and wires"):
        made(LAWS[0]).rmatmul(0, np.ones((2, 6), np.float32))
