"""AnalogMatrix: tiling, calibration, ageing, pulses. What it computes is in `physics/test_ideal_chip.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimsim.crossbar.converters import ADC, DAC, choose_range
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design, cuts
from cimsim.crossbar.wires import Wires
from device_models import faults, read_noise, retention, update
from device_models.conduction import Ohmic, Sinh
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_normal

IDEAL = Device(name="ideal", window=Window(g_min=1e-6, g_max=1e-4))
LINEAR = IDEAL.replace(update=update.ExponentialUpdate(pulses_up=200, pulses_down=200))
WIRES = Wires(word=1.0, bit=1.0)
PULSED = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn()]


def design(device: Device = IDEAL, tile: tuple[int, int] = (16, 8), **changes: Any) -> Design:
    plain = Design(device, tile, DifferentialPair(), None, None, None, 0.2)
    return replace(plain, **changes)


def weights(rows: int = 20, columns: int = 11) -> np.ndarray:
    return Streams(1).rng("weights").uniform(-1, 1, (rows, columns))


def small_weights() -> np.ndarray:
    """Weights far below the one that spans the window, which is in the first row."""
    w = 0.4 * weights()
    w[0, 0] = 1.0
    return w


def inputs(rows: int = 20, batch: int = 30) -> np.ndarray:
    return Streams(2).rng("inputs").random((batch, rows), dtype=np.float32)


def made(w: np.ndarray | None = None, seed: int = 0, **changes: Any) -> AnalogMatrix:
    return AnalogMatrix.program(weights() if w is None else w, design(**changes), Streams(seed))


def draws(seed: int = 0) -> Draws:
    return Draws(Streams(seed), np.zeros(1, np.float32))


@given(st.integers(1, 300), st.integers(1, 150))
def test_cuts_cover_the_range_in_order_and_only_the_last_is_short(n: int, size: int) -> None:
    parts = cuts(n, size)
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(n))
    assert all(part.stop - part.start == size for part in parts[:-1])
    assert 1 <= parts[-1].stop - parts[-1].start <= size


def test_a_given_range_leaves_room_and_cuts_what_is_beyond() -> None:
    w = weights()
    np.testing.assert_allclose(made(w, weight_range=8.0).weights(), w, atol=1e-9)
    assert made(w, weight_range=8.0).tiles[0, 0].cells.g.max() < IDEAL.window.g_min + IDEAL.window.span / 7
    np.testing.assert_allclose(made(w, weight_range=0.5).weights(), np.clip(w, -0.5, 0.5), atol=1e-9)


@pytest.mark.parametrize(
    ("scheme", "columns_of_tiles"), [(DifferentialPair(), 2), (OffsetColumn(), 2), (BitSlices(slices=2), 2)]
)
def test_every_tile_has_the_cells_of_its_part(scheme: WeightScheme, columns_of_tiles: int) -> None:
    matrix = made(scheme=scheme)
    assert matrix.shape == (20, 11)
    assert matrix.places == tuple((r, c) for r in range(2) for c in range(columns_of_tiles))
    for r, c in matrix.places:
        rows = matrix.rows[r].stop - matrix.rows[r].start
        columns = matrix.columns[c].stop - matrix.columns[c].start
        physical = columns + isinstance(scheme, OffsetColumn)
        assert matrix.tiles[r, c].cells.shape == (scheme.analog().shape[1], rows, physical)
        assert physical <= 8
    assert matrix.write.cells == sum(t.cells.g.size for t in matrix.tiles.values())


def test_cells_are_written_to_the_targets_of_their_weights_each_by_itself() -> None:
    matrix = made()
    for place, target in matrix.targets(weights()).items():
        np.testing.assert_allclose(matrix.tiles[place].cells.g, target, rtol=1e-12)
        rows, columns = matrix.rows[place[0]], matrix.columns[place[1]]
        part = weights()[rows, columns] / np.abs(weights()).max()
        np.testing.assert_allclose(target[0] - target[1], part * IDEAL.window.span, rtol=1e-9, atol=1e-18)


@pytest.mark.parametrize("scheme", [*PULSED, BitSlices(slices=8, bits=4)], ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_held_weights_are_those_that_were_programmed(scheme: WeightScheme, scale: float) -> None:
    held = made(scale * weights(), scheme=scheme).weights()
    np.testing.assert_allclose(held, scale * weights(), atol=1e-6 * scale)
    assert held.dtype == np.float64


@pytest.mark.parametrize("scheme", [*PULSED, BitSlices()], ids=str)
def test_weights_of_0_give_0(scheme: WeightScheme) -> None:
    matrix = made(np.zeros((20, 11)), scheme=scheme)
    np.testing.assert_allclose(matrix.weights(), 0, atol=1e-12)
    np.testing.assert_allclose(matrix.matmul(inputs(), draws()), 0, atol=1e-6)


def test_the_products_of_a_linear_matrix_are_those_of_its_held_weights() -> None:
    """Whatever the cells came to: wires, levels, drift."""
    device = IDEAL.replace(window=IDEAL.window.replace(levels=8), retention=retention.PowerLawDrift(nu=0.1, spread=0.1))
    matrix = made(device=device, wires=WIRES).aged(1e4)
    expected = inputs() @ matrix.weights()
    np.testing.assert_allclose(matrix.matmul(inputs(), draws()), expected, atol=2e-6 * np.abs(expected).max())


def test_batches_are_rows_and_a_batch_of_one_keeps_its_axis() -> None:
    matrix = made()
    whole = matrix.matmul(inputs(), draws())
    assert whole.shape == (30, 11)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(matrix.matmul(inputs()[4:5], draws()), whole[4:5], atol=1e-6)


NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.05))


def test_a_batch_cut_into_parts_reads_the_same_numbers() -> None:
    matrix, source = made(device=NOISY), draws(3)
    parts = [matrix.matmul(part, source) for part in (inputs()[:1], inputs()[1:12], inputs()[12:])]
    whole = matrix.matmul(inputs(), draws(3))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-6 * np.abs(whole).max())


# Calibration


@pytest.mark.parametrize(
    ("dac", "adc", "device", "message"),
    [
        (
            None,
            ADC(bits=6),
            IDEAL,
            r"^ADC: has no range yet \(uncalibrated\) and does not convert; pass calibrate=x to",
        ),
        (
            DAC(bits=6),
            None,
            IDEAL,
            r"^DAC: has no range yet \(uncalibrated\) and does not convert; pass calibrate=x to",
        ),
        (DAC(bits=6), ADC(bits=6, range=(-1e-5, 1e-5)), IDEAL, r"^DAC: has no range yet"),
        (None, ADC(bits=6, range=(-1e-5, 1e-5)), IDEAL, r"^inputs: have no full scale yet \(uncalibrated\); pass"),
        (None, None, IDEAL.replace(conduction=Sinh(v0=0.2)), r"^inputs: have no full scale yet \(uncalibrated\); pass"),
    ],
)
def test_what_has_no_range_refuses_to_convert(dac: DAC | None, adc: ADC | None, device: Device, message: str) -> None:
    matrix = made(device=device, dac=dac, adc=adc)
    with pytest.raises(InputError, match=message):
        matrix.matmul(inputs(), draws())
    assert matrix.calibrated(inputs(), draws()).matmul(inputs(), draws()).shape == (30, 11)


def test_nothing_has_to_be_calibrated_where_ranges_are_given_or_nothing_converts() -> None:
    given_ranges = {"dac": DAC(bits=16, range=(0.0, 1.0)), "adc": ADC(bits=16, range=(-1e-3, 1e-3))}
    expected = inputs() @ weights()
    for changes in ({}, given_ranges, {"device": IDEAL.replace(conduction=Ohmic())}):
        y = made(**changes).matmul(inputs(), draws())
        np.testing.assert_allclose(y, expected, atol=2e-3 * np.abs(expected).max())


def test_a_given_dac_range_stays_in_calibration() -> None:
    matrix = made(dac=DAC(bits=8, range=(0.0, 0.5)), adc=ADC(bits=8)).calibrated(inputs(), draws())
    clipped = matrix.matmul(inputs(), draws())
    expected = np.minimum(inputs(), 0.5) @ weights()
    np.testing.assert_allclose(clipped, expected, atol=0.03 * np.abs(expected).max())


def test_calibration_does_not_touch_the_cells_nor_the_matrix_it_came_from() -> None:
    matrix = made(device=NOISY, adc=ADC(bits=6))
    calibrated = matrix.calibrated(inputs(), draws())
    assert matrix.banks is None
    assert calibrated.tiles == matrix.tiles


@pytest.mark.parametrize("how", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("per", ["layer", "tile", "column"])
def test_ranges_are_chosen_from_the_currents_of_the_layer_tile_or_column(per: Any, how: Any) -> None:
    adc = ADC(bits=5, per=per, calibration=how)
    matrix = made(adc=adc).calibrated(inputs(), draws())
    currents = dict(matrix.currents(inputs(), draws()))
    layer = np.concatenate([i.ravel() for i in currents.values()])
    for place, i in currents.items():
        seen = {"layer": [layer] * i.shape[1], "tile": [i] * i.shape[1], "column": list(i.T)}[per]
        low, high = np.array([choose_range(adc, one) for one in seen]).T
        bank = matrix.banks[place]
        ends = bank.first - bank.step / 2
        np.testing.assert_allclose(ends, low, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(ends + bank.step * 2**5, high, rtol=1e-5, atol=1e-12)


def test_finer_ranges_leave_less_error() -> None:
    w = weights() * np.geomspace(0.02, 1, 11)  # columns of very different size
    errors = []
    for per in ("layer", "tile", "column"):
        matrix = made(w, adc=ADC(bits=5, per=per)).calibrated(inputs(), draws())
        errors.append(np.abs(matrix.matmul(inputs(), draws()) - inputs() @ w).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.5 * errors[0]


def test_clipping_is_0_on_what_was_calibrated_and_1_far_beyond_it() -> None:
    w = np.abs(weights()) + 0.1
    matrix = made(w, adc=ADC(bits=8, calibration="minmax")).calibrated(inputs(), draws())
    assert matrix.clipping(inputs(), draws()) < 0.01
    assert matrix.clipping(inputs() + 50, draws()) == 1
    assert made().clipping(inputs(), draws()) == 0


def test_converters_of_many_bits_add_nothing() -> None:
    converting = made(dac=DAC(bits=16), adc=ADC(bits=16)).calibrated(inputs(), draws())
    expected = inputs() @ weights()
    np.testing.assert_allclose(converting.matmul(inputs(), draws()), expected, atol=1e-4 * np.abs(expected).max())


def test_another_adc_reads_the_same_cells() -> None:
    matrix = made(device=NOISY, adc=ADC(bits=8), wires=WIRES).calibrated(inputs(), draws())
    other = matrix.with_adc(ADC(bits=4))
    assert other.banks is None
    assert other.design.adc == ADC(bits=4)
    for place, tile in matrix.tiles.items():
        assert other.tiles[place].cells is tile.cells
        assert np.array_equal(other.tiles[place].g_eff, tile.g_eff)
    again = other.with_adc(ADC(bits=8)).calibrated(inputs(), draws())
    assert np.array_equal(again.matmul(inputs(), draws(1)), matrix.matmul(inputs(), draws(1)))


def test_column_errors_belong_to_the_chip_not_to_the_adc_that_shows_them() -> None:
    matrix = made(adc=ADC(bits=8, gain_spread=0.1)).calibrated(inputs(), draws())
    assert matrix.with_adc(ADC(bits=5, offset_spread=0.1)).column_errors is matrix.column_errors


def test_every_line_has_converter_errors_of_its_own() -> None:
    matrix = made(np.ones((60, 40)), adc=ADC(bits=8), dac=DAC(bits=8))
    lines = [matrix.row_errors, *matrix.column_errors.values()]
    drawn = np.concatenate([e for line in lines for e in (line.gain, line.offset)])
    assert drawn.size == np.unique(drawn).size == 2 * (60 + 4 * 40)
    assert_normal(drawn, 0.0, 1.0)


# Age


def test_ageing_by_a_and_then_b_is_ageing_by_their_sum() -> None:
    device = IDEAL.replace(retention=retention.PowerLawDrift(nu=0.05, spread=0.03))
    matrix = made(device=device)
    twice, once = matrix.aged(100.0).aged(900.0), matrix.aged(1000.0)
    assert np.array_equal(twice.weights(), once.weights())
    assert not np.allclose(once.weights(), matrix.weights(), rtol=0.01)


def test_ranges_stay_while_cells_drift() -> None:
    device = IDEAL.replace(retention=retention.PowerLawDrift(nu=0.05))
    matrix = made(device=device, adc=ADC(bits=6)).calibrated(inputs(), draws())
    aged = matrix.aged(1e6)
    assert aged.banks is matrix.banks
    assert aged.inputs == matrix.inputs


# Pulses


@pytest.mark.parametrize("scheme", PULSED, ids=str)
def test_pulses_move_weights_by_their_number_of_steps(scheme: WeightScheme) -> None:
    """A linear device without noise, away from the ends of the window."""
    matrix = made(small_weights(), device=LINEAR, scheme=scheme)
    n = Streams(3).rng("pulses").integers(-30, 31, (20, 11))
    n[0] = 0
    moved, (up, down) = matrix.pulsed(n, Streams(4))
    np.testing.assert_allclose(moved.weights() - matrix.weights(), n * matrix.weight_step, atol=1e-9)
    assert up + down == np.abs(n).sum()
    assert up - down == (n.sum() if isinstance(scheme, OffsetColumn) else up - down)


@pytest.mark.parametrize("scheme", PULSED, ids=str)
def test_one_step_is_the_window_over_the_pulses_that_cross_it(scheme: WeightScheme) -> None:
    matrix = made(3.0 * weights(), device=LINEAR, scheme=scheme)
    largest = 3.0 * np.abs(weights()).max()
    assert matrix.weight_step == pytest.approx(scheme.cell_worth() * largest / 200)


@pytest.mark.parametrize("scheme", PULSED, ids=str)
@pytest.mark.parametrize("nonlinear", [0.0, 4.0])
def test_pulses_never_move_a_weight_the_wrong_way(scheme: WeightScheme, nonlinear: float) -> None:
    rule = update.ExponentialUpdate(pulses_up=50, pulses_down=80, nl_up=nonlinear, nl_down=-nonlinear)
    matrix = made(device=IDEAL.replace(update=rule), scheme=scheme)
    for sign in (1, -1):
        moved, _ = matrix.pulsed(np.full((20, 11), 3 * sign), Streams(4))
        change = sign * (moved.weights() - matrix.weights())
        assert change.min() > -1e-12
        assert (change > 0).mean() > 0.95  # the rest are cells at the ends of the window


@pytest.mark.parametrize("scheme", PULSED, ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_weights_saturate_at_the_ends_of_the_range(scheme: WeightScheme, sign: int) -> None:
    """Of a pair, to within the part of a pulse that the opposite cell stays above its bottom."""
    moved, _ = made(device=LINEAR, scheme=scheme).pulsed(np.full((20, 11), 600 * sign), Streams(4))
    np.testing.assert_allclose(moved.weights(), sign * moved.weight_scale, atol=moved.weight_step)


def test_a_pair_that_went_up_and_came_down_has_both_cells_at_the_bottom_again() -> None:
    matrix = made(0.0 * weights() + np.eye(20, 11), device=LINEAR)
    up, _ = matrix.pulsed(np.full((20, 11), 40), Streams(4))
    back, _ = up.pulsed(np.full((20, 11), -40), Streams(5))
    np.testing.assert_allclose(back.tiles[1, 1].cells.g, matrix.tiles[1, 1].cells.g, rtol=1e-9)


def test_cells_whose_own_window_begins_higher_do_not_swallow_pulses() -> None:
    """The opposite cell is at its own bottom, above the nominal one: only raising the weight's own cell helps."""
    spread = LINEAR.replace(window=Window(g_min=1e-5, g_max=1e-4), faults=faults.CellFaults(spread_g_min=0.2))
    matrix = made(small_weights(), device=spread)
    for k in range(5):
        moved, _ = matrix.pulsed(np.ones((20, 11), np.int64), Streams(k))
        assert (moved.weights() > matrix.weights())[1:].all()
        matrix = moved


def test_stuck_cells_neither_move_nor_swallow_pulses() -> None:
    device = LINEAR.replace(faults=faults.CellFaults(stuck_lrs=0.1, stuck_hrs=0.1))
    matrix = made(small_weights(), device=device)
    moved, _ = matrix.pulsed(np.where(np.arange(20)[:, None] > 0, 5, 0) * np.ones((1, 11), np.int64), Streams(4))
    change = (moved.weights() - matrix.weights()) / matrix.weight_step
    for place, tile in matrix.tiles.items():
        stuck = tile.cells.stuck != 0
        assert stuck.any()
        assert np.array_equal(moved.tiles[place].cells.g[stuck], tile.cells.g[stuck])
        plus, minus = stuck
        here = change[matrix.rows[place[0]], matrix.columns[place[1]]]
        pulsed = np.arange(20)[matrix.rows[place[0]], None] > 0
        np.testing.assert_allclose(here[~plus & pulsed], 5, rtol=1e-6)
        assert (here[plus & minus] == 0).all()


def test_no_pulses_change_nothing_to_the_bit() -> None:
    device = LINEAR.replace(retention=retention.PowerLawDrift(nu=0.1, spread=0.1))
    matrix = made(device=device).aged(50.0)
    moved, pulses = matrix.pulsed(np.zeros((20, 11), np.int64), Streams(4))
    assert pulses == (0, 0)
    assert np.array_equal(moved.weights(), matrix.weights())


def test_pulses_spread_by_cycle_to_cycle_noise_as_declared() -> None:
    rule = update.ExponentialUpdate(pulses_up=100, pulses_down=100, c2c=0.01)
    matrix = made(np.full((60, 60), 0.5) + np.eye(60) / 2, device=IDEAL.replace(update=rule), tile=(64, 64))
    moved, _ = matrix.pulsed(np.full((60, 60), 4), Streams(4))
    off = ~np.eye(60, dtype=bool)
    change = (moved.weights() - matrix.weights())[off]
    assert_normal(change, 4 * matrix.weight_step, 0.01 * 2)  # sqrt(4) pulses of 1 % of the window each


def test_wires_attenuate_pulses_as_they_did_cells_until_they_are_solved_again() -> None:
    matrix = made(device=LINEAR, wires=WIRES)
    n = Streams(3).rng("pulses").integers(-5, 6, (20, 11))
    near, exact = (matrix.pulsed(n, Streams(4), exact=exact)[0] for exact in (False, True))
    change = exact.weights() - matrix.weights()
    np.testing.assert_allclose(near.weights() - matrix.weights(), change, atol=0.02 * np.abs(change).max())
    solved = near.with_cells({place: tile.cells for place, tile in near.tiles.items()})
    assert np.array_equal(solved.weights(), exact.weights())


def test_a_device_without_pulse_response_and_a_scheme_without_rule_say_so() -> None:
    n = np.ones((20, 11), np.int64)
    with pytest.raises(InputError, match=r"device 'ideal': has no pulse response \(its update slot is empty\); give"):
        made().pulsed(n, Streams(0))
    with pytest.raises(InputError, match=r"BitSlices: has no rule for pulsing its cells; train on the chip with"):
        made(device=LINEAR, scheme=BitSlices()).pulsed(n, Streams(0))
