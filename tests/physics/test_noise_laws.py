"""Rules 4.3 and 5.2 of the design: every noise has its declared law at the output of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.tile import Tile
from cimsim.crossbar.wires import Wires, effective_conductance, node_voltages
from device_models import faults, programming, read_noise, retention
from device_models.conduction import Sinh
from device_models.device import Device, stack_cells
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_independent, assert_normal, assert_rate

WINDOW = Window(g_min=5e-6, g_max=1e-4)
SPAN = WINDOW.span
QUIET = Device(name="quiet", window=WINDOW)
CONSTANT = read_noise.PolynomialNoise(coefficients=(1e-6,), g_ref=1e-4)  # 1 uS whatever the state
PROPORTIONAL = read_noise.ProportionalNoise(relative=0.03)
READS = 4000


def made(w: np.ndarray, device: Device, seed: int = 0, **changes: Any) -> AnalogMatrix:
    plain: dict[str, Any] = dict(tile=(16, 8), scheme=DifferentialPair(), dac=None, adc=None, wires=None, v_read=0.2)
    return AnalogMatrix.program(w, Design(device, **(plain | changes)), Streams(seed))


def draws(seed: int = 0) -> Draws:
    return Draws(Streams(seed), np.zeros(1, np.float32))


def weights(rows: int = 24, columns: int = 10) -> np.ndarray:
    return Streams(1).rng("weights").uniform(-1, 1, (rows, columns))


def inputs(rows: int = 24) -> np.ndarray:
    return Streams(2).rng("inputs").uniform(-1, 1, (1, rows)).astype(np.float32)


def repeated(matrix: AnalogMatrix, x: np.ndarray, seed: int = 3) -> np.ndarray:
    return matrix.matmul(np.repeat(x, READS, axis=0), draws(seed))


# Cells whose read noise adds to one output, and the weight of each in units of the whole window.
NOISY_CELLS = [
    (DifferentialPair(), 2.0),
    (DifferentialPair(subtract="digital"), 2.0),
    (OffsetColumn(), 2.0 * 4.0),
    (BitSlices(slices=2, bits=2), 2.0 * (1 + 4**2) * (3 / 15) ** 2),
    (BitSlices(slices=2, bits=2, add="analog"), 2.0 * (1 + 4**2) * (3 / 15) ** 2),
]


@pytest.mark.parametrize(("scheme", "cells"), NOISY_CELLS, ids=str)
def test_state_independent_read_noise_gives_every_output_its_closed_form(scheme: WeightScheme, cells: float) -> None:
    """sigma of an output: |x| times sigma of a cell over the window, times the root of the cells that add."""
    matrix, x = made(weights(), QUIET.replace(read_noise=CONSTANT), scheme=scheme), inputs()
    sigma = np.linalg.norm(x) * (1e-6 / SPAN) * matrix.weight_scale * np.sqrt(cells)
    y = repeated(matrix, x)
    for column in range(10):
        assert_normal(y[:, column], (x @ matrix.weights())[0, column], sigma)


@pytest.mark.parametrize("v0", [None, 0.15])
def test_state_dependent_read_noise_is_that_of_all_cells_together(v0: float | None) -> None:
    """Relative noise in conductance, whatever the I-V law of the cells."""
    device = QUIET.replace(read_noise=PROPORTIONAL, conduction=None if v0 is None else Sinh(v0=v0))
    matrix, x = made(weights(), device), inputs()
    matrix = matrix.calibrated(x, draws())
    full = np.abs(x).max()
    drive = x if v0 is None else full * np.sinh(0.2 * x / full / v0) / np.sinh(0.2 / v0)
    variance = np.zeros(10)
    for (r, c), tile in matrix.tiles.items():
        variance[matrix.columns[c]] += (drive[0, matrix.rows[r]] ** 2) @ ((0.03 * tile.cells.g) ** 2).sum(axis=0)
    y = repeated(matrix, x)
    for column in range(10):
        expected = (drive @ matrix.weights())[0, column]
        assert_normal(y[:, column], expected, matrix.weight_scale / SPAN * np.sqrt(variance[column]))


def test_samples_columns_tiles_and_calls_read_independently() -> None:
    matrix, x = made(weights(), QUIET.replace(read_noise=PROPORTIONAL)), inputs()
    y = repeated(matrix, x) - x @ matrix.weights()
    assert_independent(y[1:], y[:-1])
    assert_independent(y[:, 0], y[:, 1])  # of one tile
    assert_independent(y[:, 0], y[:, 8])  # of neighbouring tiles
    assert_independent(y, repeated(matrix, x, seed=4) - x @ matrix.weights())
    same = repeated(made(weights(), QUIET.replace(read_noise=PROPORTIONAL)), x)
    assert np.array_equal(same, repeated(matrix, x))


def test_the_reference_of_an_offset_column_is_one_read_shared_by_its_tile() -> None:
    matrix = made(weights(12, 7), QUIET.replace(read_noise=CONSTANT), scheme=OffsetColumn())
    y = repeated(matrix, inputs(12))
    np.testing.assert_allclose(np.corrcoef(y.T)[~np.eye(7, dtype=bool)], 0.5, atol=4 / np.sqrt(READS))


def test_read_noise_of_0_and_no_read_noise_give_the_same_reads_to_rounding() -> None:
    x = Streams(5).rng("x").random((30, 24), dtype=np.float32)
    quiet, silent = (
        made(weights(), QUIET),
        made(weights(), QUIET.replace(read_noise=PROPORTIONAL.replace(relative=0.0))),
    )
    np.testing.assert_allclose(silent.matmul(x, draws()), quiet.matmul(x, draws()), atol=1e-5)
    assert np.array_equal(quiet.matmul(x, draws(1)), quiet.matmul(x, draws(2)))


def test_noise_of_cells_dacs_and_adcs_adds_as_variances() -> None:
    """The DAC's is multiplied by the weights of its column, the ADC's is a share of its range."""
    w, x = weights(16, 8), np.full((1, 16), 1.0, np.float32)
    adc, dac = ADC(bits=16, noise=0.001, range=(-5e-4, 5e-4)), DAC(bits=16, noise=0.01, range=(0.0, 1.0))
    matrix = made(w, QUIET.replace(read_noise=CONSTANT), adc=adc, dac=dac)
    unit = 0.2 * SPAN / matrix.weight_scale  # amperes per output
    cells = 16 * 2 * (0.2 * 1e-6 / unit) ** 2
    converters = (0.001 * 1e-3 / unit) ** 2 + (0.01**2 * matrix.weights() ** 2).sum(axis=0)
    y = repeated(matrix, x)
    for column in range(8):
        assert_normal(y[:, column], y[:, column].mean(), np.sqrt(cells + converters[column]))


def test_read_noise_grows_with_the_time_since_the_write_as_declared() -> None:
    law = read_noise.OneOverFNoise(q=0.02, g_ref=1e-4)
    fresh = made(np.ones((16, 8)), QUIET.replace(window=WINDOW.replace(g_min=0.0), read_noise=law))
    x = np.ones((1, 16), np.float32)
    for seconds in (1.0, 1e6):
        growth = np.sqrt(np.log((seconds + 250e-9) / (2 * 250e-9)))
        sigma = np.sqrt(16) * 0.02 * growth
        assert_normal(repeated(fresh.aged(seconds), x), 16.0, sigma)


# Read noise behind wires: to first order in the noise, a cell's current i = g U makes T i at a sense amplifier, with
# U the voltage over the cell and, by reciprocity, T that voltage when the sense amplifier alone drives with 1 V.


def first_order_sigma(g: np.ndarray, sigma: np.ndarray, v: np.ndarray, wires: Wires) -> np.ndarray:
    """Standard deviation of every bit line's current for inputs `v` `(batch, rows)`, exact for small noise."""
    v_word, v_bit = node_voltages(g, wires, v)
    turned = Wires(word=wires.bit, bit=wires.word, source=wires.sense, sense=wires.source)
    back_word, back_bit = node_voltages(g[::-1, ::-1].T, turned, np.eye(g.shape[1]))
    transfer = (back_word - back_bit)[::-1].transpose(0, 2, 1)[:, ::-1, ::-1]
    return np.sqrt(np.einsum("brc,rc,krc->bk", (v_word - v_bit) ** 2, sigma**2, transfer**2))


def noisy_tile(wires: Wires, rows: int = 16, columns: int = 16) -> tuple[Tile, np.ndarray]:
    device = QUIET.replace(read_noise=PROPORTIONAL)
    w = Streams(1).rng("weights").uniform(0, 1, (rows, columns))
    g = DifferentialPair().targets(w, WINDOW)
    cells = [device.program(device.fabricate(one.shape, Streams(0)), one, Streams(0))[0] for one in g]
    scheme = DifferentialPair(subtract="digital")
    return Tile.make(device, stack_cells(cells), wires, scheme, folded=False), g[0]


def test_first_order_noise_behind_wires_is_that_of_arrays_solved_read_by_read() -> None:
    """The oracle below, against 300 draws of every cell, each solved with its wires."""
    wires = Wires(word=5.0, bit=5.0)
    _, g = noisy_tile(wires, 8, 6)
    v = Streams(6).rng("v").uniform(0, 0.2, (1, 8))
    reads = g * (1 + 0.03 * Streams(7).rng("reads").standard_normal((300, 8, 6)))
    i = np.einsum("br,nrc->nbc", v, effective_conductance(reads, wires))
    expected = first_order_sigma(g, 0.03 * g, v, wires)
    np.testing.assert_allclose(i.std(axis=0), expected, rtol=4 / np.sqrt(2 * 300))


@pytest.mark.parametrize("ohms", [0.5, 2.0, 10.0])
def test_behind_wires_the_fast_law_overestimates_noise_by_less_than_the_current_they_cost(ohms: float) -> None:
    wires = Wires(word=ohms, bit=ohms)
    tile, g = noisy_tile(wires)
    v = Streams(6).rng("v").uniform(0, 0.2, (5, 16)).astype(np.float32)
    ours = np.sqrt((v**2) @ tile.variance[:, :16])
    excess = ours / first_order_sigma(g, 0.03 * g, v.astype(float), wires) - 1
    lost = 1 - tile.g_eff[0].sum() / g.sum()
    assert excess.min() > 0
    assert excess.max() < lost
    assert excess.mean() == pytest.approx(0.5 * lost, rel=0.3)


# What is drawn once


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_programming_error_makes_weight_errors_of_its_closed_form(scheme: WeightScheme) -> None:
    """Away from the bottom of the window, where a conductance cannot go below 0."""
    device = QUIET.replace(window=Window(g_min=5e-5, g_max=1e-4), programming=programming.SpanError(error=0.02))
    w = weights(100, 60)
    error = (made(w, device, scheme=scheme, tile=(128, 64)).weights() - w) / np.abs(w).max()
    if isinstance(scheme, DifferentialPair):
        assert_normal(error, 0.0, 0.02 * np.sqrt(2))
    else:  # each row's reference is common to its row
        assert_normal(error - error.mean(axis=1, keepdims=True), 0.0, 2 * 0.02 * np.sqrt(1 - 1 / 60))
        assert np.var(error) == pytest.approx(4 * 2 * 0.02**2, rel=0.1)


def test_stuck_cells_come_at_their_declared_rates_in_both_arrays_of_every_tile() -> None:
    device = QUIET.replace(faults=faults.CellFaults(stuck_lrs=0.03, stuck_hrs=0.05))
    tiles = made(weights(100, 60), device, tile=(40, 30)).tiles.values()
    stuck = np.concatenate([t.cells.stuck.reshape(2, -1) for t in tiles], axis=1)
    for one in stuck:
        assert_rate(one == 1, 0.03)
        assert_rate(one == -1, 0.05)
    assert_independent(stuck[0] == 1, stuck[1] == 1)


def test_drift_with_one_exponent_scales_every_output_by_its_power_of_time() -> None:
    """Also where the bottom of the window is above 0: both cells of a pair drift alike."""
    matrix = made(weights(), QUIET.replace(retention=retention.PowerLawDrift(nu=0.06, t0=2.0)))
    x = inputs()
    for seconds in (0.0, 2.0, 60.0, 1e7):
        shrink = max(seconds / 2.0, 1.0) ** -0.06
        expected = shrink * matrix.matmul(x, draws())
        np.testing.assert_allclose(matrix.aged(seconds).matmul(x, draws()), expected, rtol=1e-5, atol=1e-6)


def test_drift_exponents_are_one_per_cell_kept_through_life() -> None:
    device = QUIET.replace(window=WINDOW.replace(g_min=0.0), retention=retention.PowerLawDrift(nu=0.05, spread=0.01))
    matrix = made(np.full((60, 60), 1.0), device, tile=(64, 64))
    exponents = [-np.log(matrix.aged(t).weights()) / np.log(t) for t in (10.0, 1e6)]
    np.testing.assert_allclose(exponents[0], exponents[1], atol=1e-9)
    assert_normal(exponents[0], 0.05, 0.01)
