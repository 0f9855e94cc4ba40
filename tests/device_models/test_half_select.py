from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import device_models as dm
from device_models.device import Cells, Device
from device_models.errors import InputError, ParameterError
from device_models.faults import FaultMap
from device_models.half_select import Disturb, ExponentialDisturb, HalfSelect, ThresholdDisturb
from device_models.parameters import to_dict
from device_models.streams import Streams
from device_models.update import ExponentialUpdate
from device_models.window import Window
from tests.device_models.laws import assert_counts
from tests.foreign import ForeignArray

DEVICE = Device(
    name="linear", window=Window(g_min=1e-6, g_max=1e-4), update=ExponentialUpdate(pulses_up=1000, pulses_down=1000)
)
STEP = 99e-6 / 1000
ROWS, COLUMNS = 6, 9
HALF = HalfSelect(scheme="V/2", v_write=2.0, disturb=ExponentialDisturb(v0=0.25))
THIRD = HALF.replace(scheme="V/3")
NONE = HALF.replace(scheme="1T1R")
ALWAYS = ThresholdDisturb(v_threshold=0.1)


def written(shape: tuple[int, ...] = (ROWS, COLUMNS), g: float = 50e-6, device: Device = DEVICE) -> Cells:
    streams = Streams(0)
    return device.program(device.fabricate(shape, streams), np.full(shape, g), streams)[0]


def one_cell(n: int = 1) -> np.ndarray:
    pulses = np.zeros((ROWS, COLUMNS), dtype=int)
    pulses[2, 3] = n
    return pulses


def counted(select: HalfSelect, pulses: np.ndarray, seed: int = 0) -> np.ndarray:
    """Net full pulses every cell has moved by."""
    cells = written(pulses.shape)
    after = select.apply(DEVICE, cells, pulses, Streams(seed).rng("disturb"))
    return np.asarray((after.g - cells.g) / STEP)


# --- who sees what ---


def test_half_of_the_voltage_is_on_the_other_cells_of_both_lines() -> None:
    up, down = HALF.exposures(one_cell())
    assert up.sum() == ROWS + COLUMNS - 2
    assert up[2].sum() == COLUMNS - 1
    assert up[:, 3].sum() == ROWS - 1
    assert up[2, 3] == 0
    assert (up <= 1).all()
    assert not down.any()


def test_a_third_is_on_all_others_with_the_opposite_sign_off_the_lines() -> None:
    up, down = THIRD.exposures(one_cell())
    np.testing.assert_array_equal(up, HALF.exposures(one_cell()).up)
    assert down.sum() == (ROWS - 1) * (COLUMNS - 1)
    assert not down[2].any()
    assert not down[:, 3].any()
    assert up.sum() + down.sum() == ROWS * COLUMNS - 1


def test_behind_transistors_nothing_is_seen_or_moved() -> None:
    assert not any(seen.any() for seen in NONE.exposures(one_cell(5)))
    assert NONE.v_others == 0
    cells = written()
    assert NONE.apply(DEVICE, cells, one_cell(5), Streams(0).rng("disturb")) is cells


@given(st.integers(0, 2**32 - 1), st.sampled_from([HALF, THIRD]))
def test_a_pattern_is_the_sum_of_its_cells_written_one_after_the_other(seed: int, select: HalfSelect) -> None:
    pulses = np.random.default_rng(seed).integers(-3, 4, (4, 5))
    expected = np.zeros((2, 4, 5), dtype=int)
    for r, c in np.ndindex(4, 5):
        for row, column in np.ndindex(4, 5):
            shared = (row == r) + (column == c)
            if shared == 2 or (shared == 0 and select.scheme == "V/2"):
                continue
            n = pulses[r, c] if shared else -pulses[r, c]
            expected[0 if n > 0 else 1, row, column] += abs(n)
    np.testing.assert_array_equal(select.exposures(pulses), expected)


def test_arrays_of_a_tile_do_not_see_each_other() -> None:
    pulses = np.stack([one_cell(), np.zeros((ROWS, COLUMNS), dtype=int)])
    up, _ = HALF.exposures(pulses)
    np.testing.assert_array_equal(up, [HALF.exposures(one_cell()).up, np.zeros((ROWS, COLUMNS))])


# --- what it does ---


@pytest.mark.parametrize("law", [ExponentialDisturb(v0=0.3), ThresholdDisturb(v_threshold=0.9)], ids=str)
def test_a_pulse_of_the_full_voltage_is_a_full_pulse_and_less_is_never_more(law: Disturb) -> None:
    chances = [law.chance(v, 2.0) for v in np.linspace(0, 2, 50)]
    assert chances[-1] == 1.0
    assert chances == sorted(chances)
    assert min(chances) >= 0.0


def test_the_voltage_accelerates_exponentially() -> None:
    assert HALF.chance == pytest.approx(math.exp(-4.0), rel=1e-12)
    assert THIRD.chance == pytest.approx(math.exp(-2 * 2.0 / 3 / 0.25), rel=1e-12)


@pytest.mark.parametrize(("scheme", "v_threshold", "chance"), [("V/2", 1.01, 0), ("V/2", 0.99, 1), ("V/3", 0.99, 0)])
def test_below_a_threshold_nothing_moves(scheme: Any, v_threshold: float, chance: float) -> None:
    select = HalfSelect(scheme=scheme, v_write=2.0, disturb=ThresholdDisturb(v_threshold=v_threshold))
    moved = counted(select, one_cell())
    np.testing.assert_allclose(moved, chance * HALF.exposures(one_cell()).up, atol=1e-9)


def test_a_full_disturb_moves_as_many_cells_as_share_a_line() -> None:
    for n in (3, -3):
        moved = counted(HALF.replace(disturb=ALWAYS), one_cell(n))
        np.testing.assert_allclose(np.sort(np.unique(np.rint(moved))), sorted({0, n}))
        assert np.rint(moved / n).sum() == ROWS + COLUMNS - 2


def test_disturbs_are_binomial() -> None:
    select = HALF.replace(disturb=ExponentialDisturb(v0=1.0))
    p, pulses = math.exp(-1.0), np.zeros((200, 400), dtype=int)
    pulses[:, 0] = 10  # every other cell of a row sees 10 exposures, none in its own column
    counts = np.rint(counted(select, pulses))[:, 1:].astype(int).ravel()
    observed = np.bincount(np.minimum(counts, 8), minlength=9)
    shares = stats.binom.pmf(np.arange(9), 10, p)
    shares[8] = stats.binom.sf(7, 10, p)
    assert_counts(observed, shares)


@pytest.mark.parametrize("select", [HALF, THIRD], ids=["V/2", "V/3"])
def test_the_mean_move_is_the_expected_number_of_pulses(select: HalfSelect) -> None:
    select = select.replace(disturb=ExponentialDisturb(v0=1.0))
    pulses = one_cell(40) - 10 * (np.arange(COLUMNS) == 7)
    up, down = select.expected(pulses)
    moved = np.mean([counted(select, pulses, seed) for seed in range(200)], axis=0)
    sigma = np.sqrt((up + down) * (1 - select.chance) / 200)
    assert np.abs(moved - (up - down)).max() < 5 * sigma.max()
    np.testing.assert_allclose(moved.sum(), (up - down).sum(), atol=5 * np.sqrt((sigma**2).sum()))


def test_a_third_disturbs_each_cell_less_than_a_half() -> None:
    ratio = THIRD.expected(one_cell())[0][2, 4] / HALF.expected(one_cell())[0][2, 4]
    assert ratio == pytest.approx(math.exp(-(1 / 2 - 1 / 3) * 2.0 / 0.25), rel=1e-12)


def test_stuck_cells_are_not_disturbed_and_what_was_not_reached_keeps_its_clock() -> None:
    device = DEVICE.replace(faults=FaultMap(cells=((0,) * COLUMNS, (0,) * COLUMNS, (1,) + (0,) * 8)))
    cells = device.age(written(device=device), 100.0)
    after = HALF.replace(disturb=ALWAYS).apply(device, cells, one_cell(), Streams(0).rng("disturb"))
    reached = HALF.exposures(one_cell()).up > 0
    assert after.g[2, 0] == cells.g[2, 0] == 1e-4
    np.testing.assert_array_equal(after.g[~reached], cells.g[~reached])
    np.testing.assert_array_equal(after.seconds == 100.0, ~reached | (cells.stuck != 0))


def test_it_runs_in_another_library() -> None:
    cells, pulses = written(), one_cell(500)
    foreign = cells.each(ForeignArray)
    select = HALF.replace(disturb=ALWAYS)
    after = select.apply(DEVICE, foreign, ForeignArray(pulses), ForeignArray.__generator__([1]))
    np.testing.assert_allclose(after.g.get(), select.apply(DEVICE, cells, pulses, Streams(0).rng("disturb")).g)


# --- what is refused ---


@pytest.mark.parametrize(
    ("pulses", "text"),
    [
        (np.zeros((2, 2), dtype=int), "pulses: must have the shape of the cells (6, 9), got (2, 2)"),
        (
            np.zeros((ROWS, COLUMNS)),
            "pulses: must be integers (..., rows, columns), got float64 of shape (6, 9); round",
        ),
    ],
)
def test_pulses_that_do_not_fit_are_refused(pulses: np.ndarray, text: str) -> None:
    with pytest.raises(InputError) as caught:
        HALF.apply(DEVICE, written(), pulses, Streams(0).rng("disturb"))
    assert str(caught.value).startswith(text)
    with pytest.raises(InputError, match="pulses: must be integers"):
        HALF.exposures(np.zeros(4, dtype=int))


def test_a_device_without_pulses_is_refused() -> None:
    device = DEVICE.replace(update=None)
    with pytest.raises(InputError, match="has no pulse response"):
        HALF.apply(device, written(device=device), one_cell(), Streams(0).rng("disturb"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"scheme": "V/4"}, "HalfSelect.scheme: must be 'V/2', 'V/3' or '1T1R', got 'V/4'"),
        ({"v_write": 2000.0}, "HalfSelect.v_write: must be in volts, between 0.0001 and 20, got 2000.0; did you mean"),
        ({"disturb": {"kind": "Exponential", "v0": 0.2}}, "HalfSelect.disturb: unknown 'kind', got Exponential; did y"),
    ],
)
def test_an_impossible_scheme_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        HALF.replace(**values)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("select", [HALF, THIRD, NONE, HALF.replace(disturb=ALWAYS)], ids=str)
def test_it_survives_the_way_through_plain_values(select: HalfSelect) -> None:
    assert HalfSelect(**to_dict(select)) == select


# --- in a device ---

ARRAYS = DEVICE.replace(half_select=HALF)


def test_a_device_that_half_selects_disturbs_at_every_pulse_train() -> None:
    cells, pulses = written(), one_cell(400)
    after = ARRAYS.pulse(cells, pulses, Streams(3).rng("pulse"))
    rng = Streams(3).rng("pulse")
    own = DEVICE.pulse(cells, pulses, rng)
    np.testing.assert_array_equal(after.g, HALF.apply(DEVICE, own, pulses, rng).g)
    moved = (after.g - cells.g) / STEP
    assert moved[2, 3] == pytest.approx(400)
    others = np.delete(moved[2], 3)
    assert others.mean() == pytest.approx(400 * HALF.chance, abs=5 * math.sqrt(400 * HALF.chance / others.size))
    assert not np.delete(np.delete(moved, 2, axis=0), 3, axis=1).any()


def test_a_device_that_half_selects_disturbs_at_every_write_towards_the_targets() -> None:
    """Each cell is written by one pulse: its line mates go up where it went up, and down where it went down."""
    device = ARRAYS.replace(half_select=HALF.replace(disturb=ALWAYS))
    streams, shape = Streams(0), (ROWS, COLUMNS)
    up, _ = device.program(device.fabricate(shape, streams), np.full(shape, 50e-6), streams)
    np.testing.assert_allclose(up.g, 50e-6 + (ROWS + COLUMNS - 2) * STEP, rtol=1e-9)
    target = up.g.copy()
    target[2, 3] -= 10e-6
    down, _ = device.program(up, target, streams)
    expected = np.full(shape, 0.0)
    expected[2], expected[:, 3] = -STEP, -STEP
    expected[2, 3] = -10e-6
    np.testing.assert_allclose(down.g - up.g, expected, atol=1e-15)


@pytest.mark.parametrize(
    "device",
    [ARRAYS.replace(half_select=NONE), ARRAYS.replace(update=None), DEVICE],
    ids=["1T1R", "no pulse response", "no half select"],
)
def test_transistors_and_ideal_cells_are_written_as_they_were(device: Device) -> None:
    np.testing.assert_array_equal(written(device=device).g, np.full((ROWS, COLUMNS), 50e-6))


def test_cells_that_are_no_array_have_no_lines() -> None:
    assert written((50,), device=ARRAYS).g.tolist() == [50e-6] * 50


def test_half_select_is_a_section_of_a_card(tmp_path: Path) -> None:
    device = dm.load(dm.save(ARRAYS, tmp_path / "passive.toml"))
    assert device == ARRAYS
    assert all(not finding.broken for finding in dm.check_device(device))
    text = (tmp_path / "passive.toml").read_text()
    assert '[half_select.disturb]\nkind = "ExponentialDisturb"' in text
