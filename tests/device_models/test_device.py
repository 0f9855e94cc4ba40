from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from device_models.cards import load, parse
from device_models.checks import check_device
from device_models.conduction import Ohmic, PolynomialConduction, Sinh
from device_models.device import SLOTS, Cells, Device, Source, stack_cells
from device_models.endurance import Endurance
from device_models.errors import InputError, ParameterError
from device_models.faults import STUCK_HRS, STUCK_LRS, WORKING, CellFaults
from device_models.parameters import to_dict
from device_models.programming import PolynomialError, SpanError, WriteError, WriteVerify
from device_models.read_noise import PolynomialNoise, ProportionalNoise
from device_models.retention import LogTimeRelaxation, PowerLawDrift
from device_models.streams import Streams
from device_models.update import ExponentialUpdate
from device_models.window import Window
from tests.device_models.laws import assert_independent, assert_normal
from tests.foreign import ForeignArray

STREAMS = Streams(seed=4)
OUTSIDE = "must lie in the window 1e-05 to 0.00011 siemens"
SHAPE = (50, 60)
IDEAL = Device(name="ideal", window=Window(g_min=10e-6, g_max=110e-6))
FULL = IDEAL.replace(
    name="full",
    faults=CellFaults(stuck_lrs=0.05, stuck_hrs=0.1, spread_g_min=0.05, spread_g_max=0.1),
    programming=WriteVerify(error=SpanError(error=0.05), tolerance=2e-6),
    update=ExponentialUpdate(pulses_up=100, pulses_down=80, nl_up=1.0, nl_down=-1.0, c2c=0.01),
    retention=PowerLawDrift(nu=0.05, spread=0.02),
    read_noise=ProportionalNoise(relative=0.02),
    conduction=Sinh(v0=0.3),
)


def targets(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return STREAMS.rng("targets").uniform(10e-6, 110e-6, shape)


def made(device: Device, shape: tuple[int, ...] = SHAPE, streams: Streams = STREAMS) -> Cells:
    return device.program(device.fabricate(shape, streams), targets(shape), streams)[0]


def arrays(cells: Cells) -> list[Any]:
    kept = (cells.g, cells.seconds, cells.trajectory, *cells.limits, cells.stuck, cells.variation, cells.pulses)
    return [array for array in kept if array is not None]


# --- fabrication ---


def test_fresh_cells_stand_at_the_low_end_and_stuck_ones_where_they_stick() -> None:
    cells = FULL.fabricate(SHAPE, STREAMS)
    assert cells.shape == SHAPE
    stuck_high = cells.stuck == STUCK_LRS
    np.testing.assert_array_equal(cells.g, np.where(stuck_high, cells.limits.g_max, cells.limits.g_min))
    assert (cells.limits.g_min <= cells.limits.g_max).all()
    assert {STUCK_HRS, WORKING, STUCK_LRS} == set(np.unique(cells.stuck))


def test_an_ideal_device_does_what_it_is_told() -> None:
    cells, report = IDEAL.program(IDEAL.fabricate(SHAPE, STREAMS), targets(), STREAMS)
    aged = IDEAL.age(cells, 3.15e8)
    np.testing.assert_array_equal(IDEAL.read(aged, STREAMS.rng("read")), targets())
    assert report == (3000, 3000, 0, 0, 0.0, 0.0)
    assert IDEAL.read_sigma(cells) is None
    np.testing.assert_array_equal(IDEAL.drive(np.array([-0.2, 0.3])), [-0.2, 0.3])


def test_windows_that_would_cross_close() -> None:
    wide = IDEAL.replace(window=Window(g_min=90e-6, g_max=110e-6), faults=CellFaults(spread_g_min=0.5))
    cells = wide.fabricate(SHAPE, STREAMS)
    assert (cells.limits.g_min <= cells.limits.g_max).all()
    assert (cells.limits.g_min == cells.limits.g_max).any()


# --- programming ---


def test_stuck_cells_do_not_move_whatever_is_done() -> None:
    cells = FULL.fabricate(SHAPE, STREAMS)
    stuck = cells.stuck != WORKING
    fresh = cells.g[stuck]
    written = FULL.program(cells, targets(), STREAMS)[0]
    aged = FULL.age(written, 1e6)
    pulsed = FULL.pulse(aged, np.full(SHAPE, 7), STREAMS.rng("pulse"))
    for after in (written, aged, pulsed):
        np.testing.assert_array_equal(FULL.conductance(after)[stuck], fresh)
        assert (FULL.conductance(after)[~stuck] != cells.g[~stuck]).mean() > 0.95


def test_the_report_counts_working_cells_only() -> None:
    cells, report = FULL.program(FULL.fabricate(SHAPE, STREAMS), targets(), STREAMS)
    working = cells.stuck == WORKING
    missed = np.abs(cells.g - targets()) > 2e-6
    assert report.cells == 3000
    assert report.stuck == (~working).sum()
    assert report.failed == (missed & working).sum() > 0
    assert report.pulses > working.sum()


def own_share(cells: Cells) -> np.ndarray:
    """Where cells stand in their own windows, 0 to 1."""
    return np.asarray((cells.g - cells.limits.g_min) / (cells.limits.g_max - cells.limits.g_min))


@pytest.mark.parametrize(
    ("law", "sigma"),
    [
        (SpanError(error=0.0), 0.0),
        (SpanError(error=0.02), 0.02),
        (PolynomialError(coefficients=(1e-6, 1e-6), g_ref=110e-6, valid=(10e-6, 110e-6)), None),
    ],
)
def test_open_loop_lands_at_the_same_share_of_each_cells_own_window(law: WriteError, sigma: float | None) -> None:
    cells = made(IDEAL.replace(faults=CellFaults(spread_g_min=0.1, spread_g_max=0.1), programming=law))
    share = (targets() - 10e-6) / 100e-6
    if sigma is None:
        sigma = law.sigma(targets(), IDEAL.window) / 100e-6
    if np.any(sigma):
        assert_normal(own_share(cells), share, sigma)
    else:
        np.testing.assert_allclose(own_share(cells), share, rtol=0, atol=1e-12)


def test_closed_loop_reaches_the_target_itself_within_the_cells_own_window() -> None:
    verify = WriteVerify(error=SpanError(error=0.01), tolerance=2e-6)
    cells = made(IDEAL.replace(faults=CellFaults(spread_g_max=0.1), programming=verify))
    reachable = (targets() < cells.limits.g_max) & (targets() > cells.limits.g_min)
    assert (np.abs(cells.g - targets())[reachable] <= 2e-6).all()
    beyond = targets() > cells.limits.g_max
    landing = (cells.g - cells.limits.g_max)[beyond]
    assert np.abs(landing).max() < 6 * 0.01 * IDEAL.window.span


def test_without_a_programming_slot_cells_go_as_far_as_their_window_lets_them() -> None:
    cells = made(IDEAL.replace(faults=CellFaults(spread_g_min=0.3, spread_g_max=0.3)))
    np.testing.assert_array_equal(cells.g, np.clip(targets(), *cells.limits))


def test_a_new_write_starts_the_clock_anew() -> None:
    again = FULL.program(FULL.age(made(FULL), 1e5), targets(), STREAMS.at("again"))[0]
    np.testing.assert_array_equal(again.seconds, 0.0)
    np.testing.assert_array_equal(FULL.conductance(again), again.g)
    assert not np.array_equal(again.trajectory, made(FULL).trajectory)


def test_float32_targets_at_the_ends_of_the_window_are_taken() -> None:
    for end in (10e-6, 110e-6):
        for g in (np.nextafter(np.float32(end), np.float32(0)), np.nextafter(np.float32(end), np.float32(1))):
            IDEAL.program(IDEAL.fabricate((1,), STREAMS), np.array([g]), STREAMS)


@pytest.mark.parametrize(
    ("g_target", "text"),
    [
        (np.full((2, 3), 50e-6), "must have the shape of the cells (2, 2), got (2, 3)"),
        (np.array([[50e-6, np.nan], [np.inf, 50e-6]]), "must be finite (siemens), got 2 not finite"),
        (np.array([[50e-6, 120e-6], [20e-6, 50e-6]]), f"{OUTSIDE}, got 2e-05 to 0.00012; map the weights"),
        (np.full((2, 2), 0.0), f"{OUTSIDE}, got 0 to 0; map the weights"),
    ],
)
def test_impossible_targets_are_refused(g_target: np.ndarray, text: str) -> None:
    with pytest.raises(InputError) as caught:
        IDEAL.program(IDEAL.fabricate((2, 2), STREAMS), g_target, STREAMS)
    assert str(caught.value) == f"g_target: {text}"


# --- time ---


@pytest.mark.parametrize("name", ["generic-rram", "hfox-wan-2022", "pcm-joshi-2020"])
def test_ageing_adds_up(name: str) -> None:
    device = load(name)
    cells = device.fabricate(SHAPE, STREAMS)
    cells = device.program(cells, np.full(SHAPE, device.window.g_min + 0.6 * device.window.span), STREAMS)[0]
    at_once = device.conductance(device.age(cells, 1e5))
    np.testing.assert_allclose(device.conductance(device.age(device.age(cells, 3e4), 7e4)), at_once, rtol=1e-12)
    np.testing.assert_array_equal(device.conductance(device.age(cells, 0)), device.conductance(cells))
    assert (at_once != cells.g).mean() > 0.99


@pytest.mark.parametrize("seconds", [-1.0, np.float64(-1.0), float("nan"), float("inf"), "1", None])
def test_time_does_not_run_backwards(seconds: Any) -> None:
    with pytest.raises(InputError, match=r"^age: must be a time in seconds, 0 or more, got .*; time does not run back"):
        FULL.age(made(FULL), seconds)


# --- reads ---


def test_a_read_scatters_around_the_conductance_now() -> None:
    cells = FULL.age(made(FULL), 1e4)
    sigma = FULL.read_sigma(cells)
    assert sigma is not None
    np.testing.assert_allclose(sigma, 0.02 * FULL.conductance(cells), rtol=1e-15)
    rng = STREAMS.rng("read")
    first, second = FULL.read(cells, rng), FULL.read(cells, rng)
    assert_normal(first, FULL.conductance(cells), sigma)
    assert_independent(first - FULL.conductance(cells), second - FULL.conductance(cells))


def test_a_device_without_a_bent_curve_is_ohmic() -> None:
    assert [device.ohmic for device in (IDEAL, IDEAL.replace(conduction=Ohmic()), FULL)] == [True, True, False]


def test_the_drive_is_that_of_the_conduction_slot() -> None:
    np.testing.assert_array_equal(FULL.drive(np.array([0.2])), Sinh(v0=0.3).drive(np.array([0.2])))


# --- pulses ---


def test_pulses_restart_the_trajectory_of_pulsed_cells_only() -> None:
    cells = FULL.age(made(FULL), 1e4)
    n = np.where(np.arange(SHAPE[0])[:, None] % 2, 3, 0) * np.ones(SHAPE, dtype=int)
    after = FULL.pulse(cells, n, STREAMS.rng("pulse"))
    pulsed = (n != 0) & (cells.stuck == WORKING)
    assert pulsed.any()
    assert cells.trajectory is not None
    assert after.trajectory is not None
    np.testing.assert_array_equal(after.seconds, np.where(pulsed, 0.0, 1e4))
    np.testing.assert_array_equal(after.g[~pulsed], cells.g[~pulsed])
    np.testing.assert_array_equal(FULL.conductance(after)[~pulsed], FULL.conductance(cells)[~pulsed])
    np.testing.assert_array_equal(after.trajectory[:, ~pulsed], cells.trajectory[:, ~pulsed])
    assert (after.trajectory[:, pulsed] != cells.trajectory[:, pulsed]).all()


def test_pulses_start_from_the_drifted_conductance() -> None:
    device = FULL.replace(faults=None, update=ExponentialUpdate(pulses_up=100, pulses_down=100))
    cells = device.age(made(device), 1e4)
    after = device.pulse(cells, np.ones(SHAPE, dtype=int), STREAMS.rng("pulse"))
    assert (device.conductance(cells) < cells.g).mean() > 0.95
    moved = np.clip(device.conductance(cells) + 1e-6, 10e-6, 110e-6)
    np.testing.assert_allclose(device.conductance(after), moved, rtol=1e-12)


def test_pulsed_cells_age_from_their_own_last_write() -> None:
    device = FULL.replace(faults=None)
    cells = device.age(made(device), 1e4)
    n = np.zeros(SHAPE, dtype=int)
    n[0] = 1
    later = device.age(device.pulse(cells, n, STREAMS.rng("pulse")), 500.0)
    np.testing.assert_array_equal(later.seconds[0], 500.0)
    np.testing.assert_array_equal(later.seconds[1:], 1e4 + 500.0)


@pytest.mark.parametrize(
    ("n", "got"),
    [
        (np.ones((2, 2)), "float64 of shape (2, 2)"),
        (np.full((2, 2), np.nan), "float64 of shape (2, 2)"),
        (np.ones((3, 2, 2), dtype=int), "int64 of shape (3, 2, 2)"),
    ],
)
def test_pulses_are_counted_in_whole_numbers_one_per_cell(n: np.ndarray, got: str) -> None:
    with pytest.raises(InputError) as caught:
        FULL.pulse(made(FULL, (2, 2)), n, STREAMS.rng("pulse"))
    text = f"pulse: needs integer counts for cells of shape (2, 2), got {got}; round them first"
    assert str(caught.value) == text


def test_the_nominal_step_is_that_of_the_update_law_on_the_nominal_window() -> None:
    assert FULL.pulse_step() == pytest.approx(100e-6 * (1 / 100 + 1 / 80) / 2, rel=1e-12)


def test_pulses_down_are_the_whole_steps_above_each_cells_own_window() -> None:
    device = FULL.replace(retention=None, programming=None, update=ExponentialUpdate(pulses_up=100, pulses_down=100))
    cells = made(device)
    steps = device.pulses_down(cells)
    left = cells.g - cells.limits.g_min - steps * 1e-6
    working = cells.stuck == WORKING
    assert ((left > -1e-11) & (left < 1.001e-6))[working].all()
    assert (steps[~working] == 0).all()
    alike = device.replace(faults=CellFaults(stuck_hrs=0.1))
    full = made(alike)
    emptied = alike.pulse(full, -alike.pulses_down(full).astype(int), STREAMS.rng("pulse"))
    np.testing.assert_array_equal(alike.pulses_down(emptied), 0)
    below = device.replace(retention=PowerLawDrift(nu=0.9))
    assert (below.pulses_down(below.age(made(below), 1e6)) == 0).all()


def test_a_device_without_an_update_slot_takes_no_pulses() -> None:
    text = r"^device 'ideal': has no pulse response \(its update slot is empty\); give the device an update slot, Expon"
    with pytest.raises(InputError, match=text):
        IDEAL.pulse(made(IDEAL), np.ones(SHAPE, dtype=int), STREAMS.rng("pulse"))
    with pytest.raises(InputError, match=text):
        IDEAL.pulse_step()


# --- what cells remember of their pulses ---


def test_cells_count_the_pulses_of_writes_and_trains() -> None:
    cells = FULL.fabricate(SHAPE, STREAMS)
    assert cells.pulses.dtype == np.int64
    assert not cells.pulses.any()
    written, report = FULL.program(cells, targets(), STREAMS)
    assert written.pulses.sum() == report.pulses
    n = np.arange(3000).reshape(SHAPE) % 7 - 3
    again, more = FULL.program(FULL.pulse(written, n, STREAMS.rng("pulse")), targets(), STREAMS.at("again"))
    working = cells.stuck == WORKING
    assert (again.pulses[~working] == 0).all()
    assert again.pulses.sum() == report.pulses + np.abs(n)[working].sum() + more.pulses


SPREADING = FULL.replace(update=FULL.update.replace(spread_pulses_up=0.3, spread_nl_up=0.5))  # type: ignore[union-attr]


def test_cells_keep_the_pulse_parameters_drawn_at_fabrication() -> None:
    cells = SPREADING.fabricate(SHAPE, STREAMS)
    assert SPREADING.update is not None
    np.testing.assert_array_equal(cells.variation, SPREADING.update.draw(SHAPE, STREAMS.rng("update")))
    later = SPREADING.pulse(made(SPREADING), np.ones(SHAPE, dtype=int), STREAMS.rng("pulse"))
    np.testing.assert_array_equal(later.variation, cells.variation)
    assert FULL.fabricate(SHAPE, STREAMS).variation is None


def test_cells_of_equal_history_differ_by_their_own_parameters_only() -> None:
    quiet = SPREADING.replace(faults=None, retention=None, programming=None)
    quiet = quiet.replace(update=quiet.update.replace(c2c=0.0))  # type: ignore[union-attr]
    cells = quiet.program(quiet.fabricate((4000,), STREAMS), np.full(4000, 60e-6), STREAMS)[0]
    n, rng = np.full(4000, 2), STREAMS.rng("pulse")
    first = quiet.pulse(cells, n, rng).g - cells.g
    second = quiet.pulse(cells, n, rng).g - cells.g
    np.testing.assert_array_equal(first, second)
    assert first.std() > 0.2 * first.mean()


WORN = Endurance(onset=1000.0, high_per_decade=0.2, low_per_decade=0.1)
TIRED = IDEAL.replace(faults=CellFaults(endurance=WORN), update=ExponentialUpdate(pulses_up=100, pulses_down=100))


def test_windows_close_with_the_pulses_received() -> None:
    cells = TIRED.fabricate((5,), STREAMS)
    cells = replace(cells, pulses=np.array([0, 1000, 10_000, 100_000, 10**9]))
    low, high = TIRED.limits(cells)
    np.testing.assert_allclose(low, [10e-6, 10e-6, 20e-6, 30e-6, 10e-6 + 100e-6 / 3], rtol=1e-12)
    np.testing.assert_allclose(high, [110e-6, 110e-6, 90e-6, 70e-6, 110e-6 - 200e-6 / 3], rtol=1e-12)
    full = TIRED.pulse(replace(cells, g=low), np.full(5, 200), STREAMS.rng("pulse"))
    np.testing.assert_allclose(full.g, high, rtol=1e-12)
    np.testing.assert_allclose(TIRED.program(cells, np.full(5, 10e-6), STREAMS)[0].g, low, rtol=1e-12)
    np.testing.assert_array_equal(full.pulses, cells.pulses + 200)
    np.testing.assert_array_equal(TIRED.pulses_down(replace(cells, g=low)), 0)


def test_pulses_wear_cells_out_as_they_come() -> None:
    cells = TIRED.fabricate((1,), STREAMS)
    for _ in range(20):  # 4000 pulses in all
        cells = TIRED.pulse(
            TIRED.pulse(cells, np.array([100]), STREAMS.rng("up")), np.array([-100]), STREAMS.rng("down")
        )
    top = TIRED.pulse(cells, np.array([100]), STREAMS.rng("up")).g[0]
    assert top == pytest.approx(110e-6 - 100e-6 * 0.2 * np.log10(4.0), rel=1e-9)


def test_endurance_survives_its_card() -> None:
    assert parse(to_dict(TIRED), "tired") == TIRED
    assert check_device(TIRED)


@pytest.mark.parametrize("device", [SPREADING, TIRED], ids=["spreading", "tired"])
def test_stacked_cells_keep_their_parameters_and_counts(device: Device) -> None:
    parts = [made(device, (3, 4), STREAMS.at(k)) for k in range(2)]
    whole = stack_cells(parts)
    n = np.ones((2, 3, 4), dtype=int)
    quiet = device.replace(update=device.update.replace(c2c=0.0), retention=None)  # type: ignore[union-attr]
    pulsed = quiet.pulse(whole, n, STREAMS.rng("pulse"))
    for k, part in enumerate(parts):
        alone = quiet.pulse(part, n[k], STREAMS.rng("pulse"))
        np.testing.assert_allclose(pulsed.g[k], alone.g, rtol=1e-12)
        np.testing.assert_array_equal(pulsed.pulses[k], alone.pulses)


# --- slots do not touch one another ---


@pytest.mark.parametrize("slot", SLOTS)
def test_switching_a_slot_off_leaves_every_other_draw_as_it_was(slot: str) -> None:
    off = FULL.replace(**{slot: None})
    full, without = made(FULL), made(off)
    moved = {"faults": {"g", "limits", "stuck"}, "programming": {"g"}, "retention": {"trajectory"}}.get(slot, set())
    for name in {"g", "seconds", "trajectory", "limits", "stuck"} - moved:
        np.testing.assert_array_equal(getattr(full, name), getattr(without, name), err_msg=name)
    if slot != "read_noise":
        noise = [FULL.read(full, STREAMS.rng("read")) / full.g, off.read(without, STREAMS.rng("read")) / without.g]
        np.testing.assert_allclose(*noise, rtol=1e-12)


def test_places_differ_and_repeat() -> None:
    one, same, other = (made(FULL, streams=STREAMS.at("tile", k)) for k in (0, 0, 1))
    for a, b in zip(arrays(one), arrays(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_independent(one.trajectory, other.trajectory)  # type: ignore[arg-type]


# --- cells are values ---


def test_cells_never_change() -> None:
    cells = made(FULL)
    before = [array.copy() for array in arrays(cells)]
    with pytest.raises(FrozenInstanceError):
        cells.g = cells.g * 2  # type: ignore[misc]
    aged = FULL.age(cells, 1e4)
    FULL.read(aged, STREAMS.rng("read"))
    FULL.program(aged, targets(), STREAMS)
    FULL.pulse(aged, np.ones(SHAPE, dtype=int), STREAMS.rng("pulse"))
    for array, copy in zip(arrays(cells), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("device", [IDEAL, FULL], ids=lambda device: device.name)
def test_stacked_cells_are_the_cells_side_by_side(device: Device) -> None:
    parts = [made(device, (3, 4), STREAMS.at(k)) for k in range(2)]
    whole = stack_cells(parts)
    assert whole.shape == (2, 3, 4)
    aged = device.conductance(device.age(whole, 1e5))
    for k, part in enumerate(parts):
        np.testing.assert_array_equal(aged[k], device.conductance(device.age(part, 1e5)))
        np.testing.assert_array_equal(whole.limits.g_max[k], part.limits.g_max)
        np.testing.assert_array_equal(whole.stuck[k], part.stuck)


def test_stacked_cells_keep_clocks_of_their_own() -> None:
    young, old = made(FULL, (3, 4), STREAMS.at(0)), FULL.age(made(FULL, (3, 4), STREAMS.at(1)), 1e5)
    pulsed = FULL.pulse(old, np.eye(3, 4, dtype=int), STREAMS.rng("pulse"))
    whole = stack_cells([young, old, pulsed])
    for k, part in enumerate((young, old, pulsed)):
        np.testing.assert_array_equal(FULL.conductance(whole)[k], FULL.conductance(part))
    assert stack_cells([young, young]).seconds.shape == ()


# --- arrays of another library ---

RELAXING = FULL.replace(
    name="relaxing", retention=LogTimeRelaxation(times=(1.0, 1e5), sigma=((1e-6, 1e-6), (2e-6, 2e-6)), g_ref=100e-6)
)
FOREIGN = [FULL, RELAXING, *(load(name) for name in ("generic-rram", "hfox-wan-2022", "pcm-joshi-2020"))]


def foreign(cells: Cells) -> Cells:
    """The same cells in arrays that NumPy must not reach."""
    return cells.each(ForeignArray)


class Replayed:
    """A generator that hands out foreign arrays of the same draws as a NumPy one."""

    def __init__(self, role: str) -> None:
        self._rng = STREAMS.rng(role)

    def standard_normal(self, size: Any) -> ForeignArray:
        return ForeignArray(self._rng.standard_normal(size))


@pytest.mark.parametrize("device", FOREIGN, ids=lambda device: device.name)
def test_cells_in_foreign_arrays_live_the_same_life(device: Device) -> None:
    wanted = device.window.quantise(device.window.g_min + STREAMS.rng("share").random(SHAPE) * device.window.span)
    host = device.program(device.fabricate(SHAPE, STREAMS), wanted, STREAMS)[0]
    there = foreign(host)
    for seconds in (0.0, 1e4):
        host, there = device.age(host, seconds), device.age(there, seconds)
        for method in (device.conductance, device.read_sigma):
            np.testing.assert_array_equal(method(there).get(), method(host))
        read = device.read(there, Replayed("read"))
        np.testing.assert_array_equal(read.get(), device.read(host, STREAMS.rng("read")))


@pytest.mark.parametrize(
    "device", [FULL, SPREADING, RELAXING, TIRED, load("generic-rram")], ids=lambda device: device.name
)
def test_cells_in_foreign_arrays_take_the_same_pulses(device: Device) -> None:
    n = np.arange(3000).reshape(SHAPE) % 7 - 3
    host = device.age(made(device.replace(window=FULL.window)), 1e4)
    there = device.pulse(foreign(host), ForeignArray(n), Replayed("pulse"))
    host = device.pulse(host, n, STREAMS.rng("pulse"))
    for a, b in zip(arrays(there), arrays(host), strict=True):
        np.testing.assert_array_equal(a.get(), b)


def test_foreign_voltages_are_driven_alike() -> None:
    v = np.linspace(-0.3, 0.3, 7)
    np.testing.assert_array_equal(FULL.drive(ForeignArray(v)).get(), FULL.drive(v))


# --- numbers used where they do not hold ---


@pytest.mark.parametrize(
    ("slot", "law"),
    [
        ("retention", LogTimeRelaxation(times=(1.0,), sigma=((1e-6,),), g_ref=40e-6, valid=(0.0, 40e-6))),
        ("read_noise", PolynomialNoise(coefficients=(1e-6,), g_ref=40e-6, valid=(0.0, 40e-6))),
    ],
)
def test_a_law_must_hold_in_all_of_the_window(slot: str, law: Any) -> None:
    Device(name="inside", window=Window(g_min=0.0, g_max=40e-6), **{slot: law})
    with pytest.raises(ParameterError) as caught:
        Device(name="outside", window=Window(g_min=1e-6, g_max=50e-6), **{slot: law})
    rule = f"Device: {slot} holds from 0 to 4e-05 siemens, and must hold in all of the window"
    remedy = "narrow the window, or measure further and widen 'valid'"
    assert str(caught.value) == f"{rule}, got a window of 1e-06 to 5e-05; {remedy}"


def test_a_published_polynomial_is_not_stretched_to_another_window() -> None:
    """At 100 uS the relaxation of Wan 2022 would be negative, and was taken as none."""
    with pytest.raises(ParameterError, match=r"^Device: retention holds from 0 to 4e-05 siemens"):
        load("hfox-wan-2022").replace(window=Window(g_min=1e-6, g_max=100e-6))


@pytest.mark.parametrize(
    ("device", "known"),
    [
        (IDEAL.replace(source=Source(v_read_max=0.3)), 0.3),
        (IDEAL.replace(conduction=PolynomialConduction(a3=1.0, v_max=0.4)), 0.4),
        (IDEAL.replace(conduction=Sinh(v0=0.3, v_max=0.2), source=Source(v_read_max=0.3)), 0.2),
        (load("generic-rram"), 0.3),
    ],
)
def test_a_read_beyond_what_is_known_is_refused(device: Device, known: float) -> None:
    device.check_read(known)
    with pytest.raises(InputError) as caught:
        device.check_read(0.5)
    rule = f"must be at most the {known:g} V that '{device.name}' is known for, got 0.5"
    assert str(caught.value).startswith(f"v_read: {rule}; read at {known:g} V or less, or measure further")


def test_where_no_end_is_known_any_read_is_taken() -> None:
    IDEAL.check_read(5.0)
    IDEAL.replace(conduction=Sinh(v0=0.3)).check_read(5.0)
