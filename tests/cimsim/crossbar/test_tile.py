"""A tile's currents against its cells one by one, with and without wires and read noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.tile import Tile
from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.kernels import noise
from device_models import read_noise, retention
from device_models.device import Cells, Device, stack_cells
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import P_LIMIT, assert_normal, assert_same_law
from tests.foreign import ForeignArray

WINDOW = Window(g_min=1e-6, g_max=1e-4)
QUIET = Device(name="quiet", window=WINDOW)
NOISY = QUIET.replace(read_noise=read_noise.PolynomialNoise(coefficients=(2e-7, 3e-6), g_ref=1e-4))
WIRES = Wires(word=3.0, bit=2.0, source=20.0, sense=10.0)
SCHEMES = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn(), BitSlices(slices=2, bits=2)]
ROWS, COLUMNS = 8, 5


def written(device: Device, scheme: WeightScheme) -> Cells:
    """The arrays of a tile, written to random weights."""
    w = Streams(1).rng("weights").uniform(-1, 1, (ROWS, COLUMNS))
    streams = Streams(2)
    arrays = [
        device.program(device.fabricate(g.shape, streams), g, streams)[0] for g in scheme.targets(w, device.window)
    ]
    return stack_cells(arrays)


def made(device: Device, scheme: WeightScheme, wires: Wires | None = None, *, folded: bool = False) -> Tile:
    return Tile.make(device, written(device, scheme), wires, scheme, folded=folded)


def volts(batch: int = 6) -> np.ndarray:
    return Streams(3).rng("volts").uniform(-0.2, 0.2, (batch, ROWS)).astype(np.float32)


def read(tile: Tile, v: np.ndarray, seed: int = 0) -> np.ndarray:
    return tile.current(v, noise(v, Streams(seed), "read"))


def by_cells(v: np.ndarray, g: np.ndarray, scheme: WeightScheme) -> np.ndarray:
    """Currents of the signals `(batch, signals * columns)` as sums over cells, in float64."""
    i = np.einsum("sa,br,arc->bsc", scheme.analog(), v.astype(np.float64), g)
    return i.reshape(len(v), -1)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_currents_are_the_sums_over_cells(scheme: WeightScheme) -> None:
    tile, v = made(QUIET, scheme), volts()
    expected = by_cells(v, tile.cells.g, scheme)
    np.testing.assert_allclose(read(tile, v), expected, atol=1e-6 * np.abs(expected).max())
    assert read(tile, v).dtype == np.float32


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_with_wires_every_array_is_solved_by_itself(scheme: WeightScheme) -> None:
    """Rule 4.7: the sums and differences are taken of currents that come out of the wires."""
    tile, v = made(QUIET, scheme, WIRES), volts()
    apart = np.stack([effective_conductance(g, WIRES) for g in tile.cells.g])
    np.testing.assert_array_equal(tile.g_eff, apart)
    expected = by_cells(v, apart, scheme)
    np.testing.assert_allclose(read(tile, v), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_a_folded_tile_gives_what_the_scheme_collects(scheme: WeightScheme, wires: Wires | None) -> None:
    v, plain, folded = volts(), made(QUIET, scheme, wires), made(QUIET, scheme, wires, folded=True)
    signals = read(plain, v).astype(np.float64).reshape(len(v), plain.signals_per_column, -1)
    expected = scheme.collect(signals)
    assert folded.folded
    np.testing.assert_allclose(read(folded, v), expected, atol=2e-6 * np.abs(signals).max() * scheme.cell_worth())
    np.testing.assert_allclose(read(folded, v), v @ folded.held(scheme), atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_what_word_lines_hold_is_the_weight(scheme: WeightScheme) -> None:
    w = Streams(1).rng("weights").uniform(-1, 1, (ROWS, COLUMNS))
    top = scheme.top if isinstance(scheme, BitSlices) else np.inf
    np.testing.assert_allclose(made(QUIET, scheme).held(scheme) / WINDOW.span, w, atol=0.5 / top + 1e-9)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_without_read_noise_reads_repeat_and_draw_nothing(scheme: WeightScheme) -> None:
    tile, v = made(QUIET, scheme), volts()
    assert tile.variance is None
    assert np.array_equal(read(tile, v, seed=1), read(tile, v, seed=2))
    silent = made(QUIET.replace(read_noise=read_noise.ProportionalNoise(relative=0.0)), scheme)
    assert np.array_equal(read(silent, v), read(tile, v))


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_the_variance_of_a_column_is_v_squared_times_that_of_its_cells(scheme: WeightScheme, wires: Any) -> None:
    """Both arrays of a pair add to it. With wires each cell's noise is attenuated as its current is."""
    tile, v = made(NOISY, scheme, wires), volts(1)
    sigma = NOISY.read_sigma(tile.cells) * tile.g_eff / tile.cells.g
    expected = by_cells(v**2, sigma**2, _Absolute(scheme))
    np.testing.assert_allclose((v**2) @ tile.variance, expected, rtol=1e-5)
    reads = read(tile, np.repeat(v, 500, axis=0))
    assert_normal(reads, by_cells(v, tile.g_eff, scheme), np.sqrt(expected))


class _Absolute:
    """The signals of a scheme with differences turned into sums: how variances add."""

    def __init__(self, scheme: WeightScheme) -> None:
        self._scheme = scheme

    def analog(self) -> np.ndarray:
        return np.abs(self._scheme.analog())


@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
@pytest.mark.parametrize("aged", [0.0, 1e5])
def test_fast_reads_have_the_law_of_reads_drawn_cell_by_cell(wires: Wires | None, aged: float) -> None:
    device = NOISY.replace(
        read_noise=read_noise.OneOverFNoise(q=0.02, g_ref=1e-4), retention=retention.PowerLawDrift(nu=0.05, spread=0.02)
    )
    cells = device.age(written(device, DifferentialPair()), 1.0 + aged)
    tile = Tile.make(device, cells, wires, DifferentialPair(), folded=False)
    v = np.repeat(volts(1), 3000, axis=0)
    fast = read(tile, v)
    slow = tile.current_read_by_read(v, Streams(5).rng("read"), DifferentialPair())
    for column in range(COLUMNS):
        assert_same_law(fast[:, column], slow[:, column])
    np.testing.assert_allclose(fast.mean(0), slow.mean(0), atol=4 * slow.std(0).max() / np.sqrt(3000))
    ratio = fast.var(0, ddof=1) / slow.var(0, ddof=1)
    assert (stats.f.sf(np.maximum(ratio, 1 / ratio), 2999, 2999) > P_LIMIT).all()


def test_reads_of_a_pair_vary_as_much_as_both_its_arrays_together() -> None:
    analog, digital = made(NOISY, DifferentialPair()), made(NOISY, DifferentialPair(subtract="digital"))
    both = digital.variance.reshape(ROWS, 2, COLUMNS)
    np.testing.assert_allclose(analog.variance.reshape(ROWS, COLUMNS), both.sum(axis=1), rtol=1e-6)


TELEGRAPH = QUIET.replace(read_noise=read_noise.TelegraphNoise(amplitude=0.3, tau_high=1.0, tau_low=3.0))


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_telegraph_reads_have_the_variance_of_their_cells(scheme: WeightScheme, wires: Wires | None) -> None:
    tile, v = made(TELEGRAPH, scheme, wires, folded=True), volts(1)
    assert tile.variance is None
    assert not tile.folded
    share = 1.0 if wires is None else np.minimum(tile.g_eff / tile.cells.g, 1.0)
    variance = by_cells(v**2, (TELEGRAPH.read_sigma(tile.cells) * share) ** 2, _Absolute(scheme))
    reads = read(tile, np.repeat(v, 4000, axis=0)).astype(np.float64)
    error = (reads.mean(0) - by_cells(v, tile.g_eff, scheme)) / np.sqrt(variance / 4000)
    assert np.abs(error).max() < 5
    np.testing.assert_allclose(reads.var(0) / variance[0], 1.0, atol=0.12)


def test_telegraph_reads_of_a_tile_are_those_drawn_cell_by_cell() -> None:
    scheme = DifferentialPair()
    tile, v = made(TELEGRAPH, scheme, WIRES), np.repeat(volts(1), 3000, axis=0)
    fast, slow = read(tile, v), tile.current_read_by_read(v, Streams(5).rng("read"), scheme)
    for column in range(COLUMNS):
        assert_same_law(fast[:, column], slow[:, column])


@pytest.mark.parametrize("device", [QUIET, NOISY], ids=["quiet", "noisy"])
def test_resistance_of_0_is_no_wires(device: Device) -> None:
    v, scheme = volts(), DifferentialPair()
    np.testing.assert_allclose(read(made(device, scheme, Wires()), v), read(made(device, scheme), v), rtol=1e-6)


@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_an_open_cell_keeps_the_noise_its_device_declares(wires: Wires | None) -> None:
    device = NOISY.replace(window=WINDOW.replace(g_min=0.0))
    tile = made(device, DifferentialPair(subtract="digital"), wires)
    closed = np.moveaxis(tile.cells.g, 0, 1).reshape(ROWS, -1) > 0
    assert (~closed).any()
    np.testing.assert_allclose(tile.variance[~closed], device.read_noise.sigma(0.0, 0.0) ** 2, rtol=1e-6)


def test_noise_is_never_amplified_where_others_conduct_past_a_nearly_open_cell() -> None:
    device = NOISY.replace(window=WINDOW.replace(g_min=1e-12))
    tile = made(device, DifferentialPair(subtract="digital"), WIRES)
    assert (tile.g_eff / tile.cells.g).max() > 100
    sigma = np.moveaxis(device.read_sigma(tile.cells), 0, 1).reshape(ROWS, -1)
    assert (tile.variance <= sigma**2 * (1 + 1e-6)).all()


def test_after_a_change_of_cells_wires_are_solved_again_or_attenuate_the_change_as_the_cell() -> None:
    tile, scheme = made(QUIET, DifferentialPair(), WIRES), DifferentialPair()
    cells = replace(tile.cells, g=tile.cells.g * 0.9)
    exact = tile.with_cells(cells, scheme, folded=False)
    near = tile.with_cells(cells, scheme, folded=False, exact=False)
    np.testing.assert_array_equal(exact.g_eff, effective_conductance(cells.g, WIRES))
    np.testing.assert_allclose(near.g_eff, tile.g_eff * 0.9, rtol=0.02)


def test_a_cell_that_was_open_conducts_after_a_pulse_also_before_wires_are_solved_again() -> None:
    scheme = DifferentialPair()
    tile = made(QUIET.replace(window=WINDOW.replace(g_min=0.0)), scheme, WIRES)
    cells = replace(tile.cells, g=np.where(tile.cells.g == 0, 1e-5, tile.cells.g))
    near = tile.with_cells(cells, scheme, folded=False, exact=False)
    np.testing.assert_allclose(near.g_eff, effective_conductance(cells.g, WIRES), rtol=0.1)


def test_unchanged_cells_keep_their_effective_conductance_to_the_bit() -> None:
    tile, scheme = made(NOISY, DifferentialPair(), WIRES), DifferentialPair()
    assert np.array_equal(tile.with_cells(tile.cells, scheme, folded=False, exact=False).g_eff, tile.g_eff)


def test_attenuation_as_before_is_right_to_second_order_in_change_and_resistance() -> None:
    """Cells change by a tenth on average and wires take 1 % or 10 % of the current: the error is their product."""
    scheme = DifferentialPair()
    for scale in (0.1, 1.0):
        wires = Wires(**{name: ohms * scale for name, ohms in WIRES if isinstance(ohms, float)})
        tile = made(QUIET, scheme, wires)
        change = Streams(4).rng("change").uniform(0.8, 1.2, tile.cells.shape)
        cells = replace(tile.cells, g=tile.cells.g * change)
        exact = tile.with_cells(cells, scheme, folded=False).g_eff
        near = tile.with_cells(cells, scheme, folded=False, exact=False).g_eff
        lost = 1 - tile.g_eff.sum() / tile.cells.g.sum()
        assert np.abs(near - exact).max() < 0.3 * lost * exact.max()


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_in_another_library_the_currents_are_the_same(scheme: WeightScheme, wires: Wires | None) -> None:
    tile, v = made(QUIET, scheme, wires, folded=True), volts()
    moved = tile.moved(ForeignArray)
    i = moved.current(ForeignArray(v), noise(ForeignArray(v), Streams(0), "read"))
    np.testing.assert_array_equal(i.get(), read(tile, v))
