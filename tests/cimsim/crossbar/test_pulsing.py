"""The compiled loops against `Device.pulse`: the same law, whatever the scheme, the wires, the noise, the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from cimsim.crossbar.converters import ADC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.pulsing import Pulser, at_limit, pulse_energy
from cimsim.crossbar.reference import ReferenceCell
from cimsim.crossbar.rewriting import rewrite
from cimsim.crossbar.wires import Wires
from cimsim.crossbar.workbench import Lines
from cimsim.kernels import pulses_plain, pulses_steps, pulses_trains
from device_models import faults, read_noise, retention, update
from device_models.device import Device
from device_models.programming import VerifyLoop
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_same_law

WINDOW = Window(g_min=5e-6, g_max=1e-4)
SCHEMES: list[WeightScheme] = [
    DifferentialPair(),
    DifferentialPair(subtract="digital"),
    OffsetColumn(),
    ReferenceCell(),
]
LAWS: list[update.Update] = [
    update.ExponentialUpdate(pulses_up=100, pulses_down=60, nl_up=2.0, nl_down=-3.0),
    update.ExponentialUpdate(pulses_up=100, pulses_down=100, spread_nl_up=0.3, spread_pulses_up=0.2),
    update.LinearUpdate(step_size=1e-6, asymmetry=0.1, spread_step_size=0.3),
    update.LinearStepUpdate(step_size=1e-6, slope_up=0.5, slope_down=-0.5),
    update.SoftBoundsUpdate(rate=0.02, spread_rate=0.2),
]


def made(law: update.Update, scheme: WeightScheme, shape: tuple[int, int] = (20, 14), **parts: Any) -> AnalogMatrix:
    known = {
        "wires": None,
        "adc": None,
        "retention": None,
        "read_noise": None,
        "faults": None,
        "tile": (16, 10),
    } | parts
    slots = {name: known[name] for name in ("retention", "read_noise", "faults")}
    device = Device(name="pulsed", window=WINDOW, update=law, **slots)
    w = np.random.default_rng(3).uniform(-1, 1, shape)
    design = Design(device, known["tile"], scheme, None, known["adc"], known["wires"], 0.2)
    return AnalogMatrix.program(w, design, Streams(0))


def counts(shape: tuple[int, int] = (20, 14), most: int = 5) -> np.ndarray:
    return np.random.default_rng(4).integers(-most, most + 1, shape)


def assert_close(one: AnalogMatrix, other: AnalogMatrix) -> None:
    for place, tile in one.tiles.items():
        there = other.tiles[place]
        g, g_there = (t.device.conductance(t.cells) for t in (tile, there))
        np.testing.assert_allclose(g, g_there, atol=2e-6 * WINDOW.span)
        np.testing.assert_allclose(tile.g_eff, there.g_eff, atol=2e-6 * WINDOW.span)
        np.testing.assert_allclose(tile.signals, there.signals, atol=4e-6 * WINDOW.span)
        assert np.array_equal(tile.cells.pulses, there.cells.pulses)
        seconds = (np.broadcast_to(t.cells.seconds, g.shape) for t in (tile, there))
        assert np.array_equal(*seconds)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("most", [1, 5, 200])
def test_without_noise_the_loops_do_what_the_device_does(scheme: WeightScheme, law: update.Update, most: int) -> None:
    stuck = faults.CellFaults(stuck_lrs=0.05, stuck_hrs=0.05, spread_g_max=0.1, spread_g_min=0.1)
    matrix, n = made(law, scheme, faults=stuck), counts(most=most)
    pulser = Pulser(matrix)
    assert all(bench is not None for bench in pulser._benches.values())
    fast, sent = pulser.pulse(matrix, n, Streams(1))
    slow, (up, down) = matrix.pulsed(n, Streams(1))
    assert (sent.up, sent.down) == (up, down)
    assert_close(fast, slow)


@pytest.mark.parametrize("exact", [True, False])
def test_wires_are_solved_or_attenuate_as_before(exact: bool) -> None:
    matrix = made(LAWS[0], DifferentialPair(), wires=Wires(word=5.0, bit=5.0), adc=ADC(bits=8))
    fast, _ = Pulser(matrix).pulse(matrix, counts(), Streams(1), exact=exact)
    slow, _ = matrix.pulsed(counts(), Streams(1), exact=exact)
    assert_close(fast, slow)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_pulsed_cells_start_new_trajectories_and_the_others_drift_on(scheme: WeightScheme) -> None:
    drift = retention.PowerLawDrift(nu=0.05, spread=0.03)
    matrix, n = made(LAWS[0], scheme, retention=drift).aged(1e4), counts(most=1)
    fast, _ = Pulser(matrix).pulse(matrix, n, Streams(1))
    slow, _ = matrix.pulsed(n, Streams(1))
    assert_close(fast, slow)
    for place, tile in fast.tiles.items():
        before, pulsed = matrix.tiles[place].cells, tile.cells.pulses != matrix.tiles[place].cells.pulses
        assert np.array_equal(tile.cells.g[~pulsed], before.g[~pulsed])
        assert np.array_equal(tile.cells.trajectory[0] != before.trajectory[0], pulsed)
    assert_close(fast.aged(0.0), slow)


def test_variance_of_reads_follows_the_cells() -> None:
    noise = read_noise.ProportionalNoise(relative=0.05)
    matrix = made(LAWS[0], DifferentialPair(), read_noise=noise)
    fast, _ = Pulser(matrix).pulse(matrix, counts(), Streams(1))
    slow, _ = matrix.pulsed(counts(), Streams(1))
    for place, tile in fast.tiles.items():
        np.testing.assert_allclose(tile.variance, slow.tiles[place].variance, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 4, 60])
@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_noise_has_the_law_of_the_device(scheme: WeightScheme, n: int) -> None:
    law = update.ExponentialUpdate(pulses_up=200, pulses_down=150, nl_up=1.0, nl_down=-2.0, c2c=0.02)
    device = Device(name="noisy", window=WINDOW, update=law)
    w = np.full((60, 60), 0.01)
    w[0, 0] = 1.0
    design = Design(device, (64, 64), scheme, None, None, None, 0.2)
    matrix = AnalogMatrix.program(w, design, Streams(0))
    for sign in (1, -1):
        pulses = np.full(w.shape, sign * n)
        fast, _ = Pulser(matrix).pulse(matrix, pulses, Streams(5))
        slow, _ = matrix.pulsed(pulses, Streams(2))
        held = (np.round(m.weights().ravel()[1:], 5) for m in (fast, slow))  # ends of windows are rounded to float32
        assert_same_law(*held)


def test_matrices_are_values_unless_given_away() -> None:
    matrix = made(LAWS[0], DifferentialPair())
    before = matrix.weights()
    first, _ = Pulser(matrix).pulse(matrix, counts(), Streams(1))
    assert np.array_equal(matrix.weights(), before)
    pulser = Pulser(matrix, in_place=True)
    second, _ = pulser.pulse(matrix, counts(), Streams(1))
    assert np.array_equal(matrix.weights(), before)  # the first time it is copied
    third, _ = pulser.pulse(second, counts(), Streams(2))
    assert np.shares_memory(second.tiles[0, 0].cells.g, third.tiles[0, 0].cells.g)
    again, _ = Pulser(first).pulse(first, counts(), Streams(2))
    assert np.array_equal(third.weights(), again.weights())


def test_what_is_read_follows_cells_that_were_pulsed_in_place() -> None:
    """Reads of several tiles at once keep a copy of what tiles hold."""
    matrix = made(LAWS[0], DifferentialPair())
    pulser, x = Pulser(matrix, in_place=True), np.eye(20, dtype=np.float32)
    now, _ = pulser.pulse(matrix, counts(), Streams(1))
    now.matmul(x, Draws(Streams(5), x))
    after, _ = pulser.pulse(now, counts(), Streams(2))
    np.testing.assert_allclose(after.matmul(x, Draws(Streams(5), x)), after.weights(), atol=1e-5)


@pytest.mark.parametrize("tile", [(16, 10), (96, 16)])
@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_threads_change_nothing(scheme: WeightScheme, tile: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it that trains are drawn and sent in one call where one tile has little to do."""
    law = update.ExponentialUpdate(pulses_up=50, pulses_down=50, c2c=0.02)
    matrix = made(law, scheme, shape=(90, 14), tile=tile)
    rng = np.random.default_rng(0)
    x, d = rng.random((5, 90)), rng.normal(size=(5, 14))
    gains, lengths = np.full(5, 0.5), np.full(5, 10)
    results = []
    for threads, alone in ((1, 10**9), (3, 0), (7, 0)):
        monkeypatch.setattr("cimsim.crossbar.pulsing.available_cores", lambda threads=threads: threads)
        monkeypatch.setattr("cimsim.crossbar.pulsing.ALONE", alone)
        results.append(Pulser(matrix).coincide(matrix, Lines(x, gains), Lines(d, gains), lengths, Streams(1)))
    for other, sent in results[1:]:
        assert np.array_equal(other.weights(), results[0][0].weights())
        assert sent == results[0][1] or np.isnan(sent.energy)


@pytest.mark.parametrize("length", [1, 10, 62])
def test_weights_move_by_the_slots_in_which_trains_meet(length: int) -> None:
    """Tiles of more than 64 columns, and more than one: a straight law without noise adds up what it is sent."""
    device = Device(name="straight", window=WINDOW, update=update.LinearUpdate(step_size=1e-10))
    design = Design(device, (24, 90), OffsetColumn(), None, None, None, 0.2)
    matrix = AnalogMatrix.program(np.random.default_rng(3).uniform(-0.9, 0.9, (40, 200)), design, Streams(0))
    rng = np.random.default_rng(1)
    x, d = rng.normal(size=(6, 40)) * (rng.random((6, 40)) < 0.7), rng.normal(size=(6, 200))
    gains, lengths = np.full(6, 0.4), np.array([length, 1, length, length, 2, length])
    key, sides = Streams(2).key("pulses"), []
    for k, values in enumerate((x, d)):
        trains = np.zeros((*values.shape, length), np.int64)
        made = pulses_trains.pulse_trains(
            values, gains, np.minimum(lengths, length), key ^ np.array([0, 0, k, k], "u4")
        )
        for train, lines, words, n in zip(trains, *made, strict=True):
            slots = (words[:n, None] >> np.arange(length, dtype=np.uint64)) & np.uint64(1)
            train[lines[:n]] = np.where(words[:n] >> np.uint64(63), -1, 1)[:, None] * slots.astype(np.int64)
        sides.append(trains)
    met = np.einsum("brs,bcs->brc", *sides)
    after, sent = Pulser(matrix).coincide(
        matrix, Lines(x, gains), Lines(d, gains), np.minimum(lengths, length), Streams(2)
    )
    np.testing.assert_allclose(after.weights() - matrix.weights(), -met.sum(axis=0) * matrix.weight_step, atol=1e-9)
    assert (sent.up, sent.down) == (np.maximum(-met, 0).sum(), np.maximum(met, 0).sum())
    assert sent.written == np.sum(met != 0)


def test_trains_have_the_chance_asked_for_and_keep_the_sign() -> None:
    values = np.tile(np.array([0.0, 0.02, -0.3, 1.0, 2.0]), (2000, 200))
    made = pulses_trains.pulse_trains(values, np.full(2000, 1.0), np.full(2000, 7), Streams(0).key("trains"))
    trains = np.zeros(values.shape, np.uint64)
    for row, lines, words, n in zip(trains, *made, strict=True):
        assert (np.diff(lines[:n]) > 0).all()
        row[lines[:n]] = words[:n]
    sign, bits = trains >> np.uint64(63), trains & np.uint64(2**63 - 1)
    slots = (bits[..., None] >> np.arange(10, dtype=np.uint64)) & np.uint64(1)
    assert not slots[..., 7:].any()
    pulses = slots[..., :7].reshape(2000, 200, 5, 7).mean(axis=(0, 1, 3))
    for got, p in zip(pulses, (0.0, 0.02, 0.3, 1.0, 1.0), strict=True):
        assert abs(got - p) <= 5 * np.sqrt(p * (1 - p) / (2000 * 200 * 7)) + 1e-8
    assert np.array_equal(sign[bits > 0], (values < 0)[bits > 0])
    joint = slots[:, 2::5, 0].astype(float)
    assert abs(np.corrcoef(joint[:, 0], joint[:, 1])[0, 1]) < 5 / np.sqrt(2000)


def test_plain_trains_and_coincidences_have_the_same_law() -> None:
    rng = np.random.default_rng(0)
    values, gains, lengths = np.tile([0.3, -0.6], (4000, 1)), np.full(4000, 1.0), np.full(4000, 8)
    trains = pulses_plain.pulse_trains(values, gains, lengths, rng)
    assert trains.shape == (4000, 2, 8)
    assert abs(trains[:, 0].mean() - 0.3) < 5 * np.sqrt(0.21 / 32000)
    assert abs(trains[:, 1].mean() + 0.6) < 5 * np.sqrt(0.24 / 32000)
    n = np.array([pulses_plain.coincidences(t[:1], t[1:])[0, 0] for t in trains])
    counts = np.bincount(n, minlength=9)
    assert stats.chisquare(counts[:6], 4000 * stats.binom.pmf(range(6), 8, 0.18), sum_check=False).pvalue > 1e-6


def test_a_law_that_is_not_affine_takes_the_general_way_with_the_same_mean() -> None:
    slow_law = update.PowerStepUpdate(step_size=2e-6, gamma_up=1.0, gamma_down=1.0)
    fast_law = update.LinearStepUpdate(step_size=2e-6, slope_up=1.0, slope_down=1.0)
    rng = np.random.default_rng(0)
    x, d = rng.random((6, 20)), rng.normal(size=(6, 14))
    gains, lengths = np.full(6, 0.6), np.full(6, 10)
    totals = []
    for law in (slow_law, fast_law):
        matrix, total = made(law, OffsetColumn()), np.zeros((20, 14))
        pulser = Pulser(matrix)
        assert (pulser._benches[0, 0] is None) == (law is slow_law)
        for k in range(60):
            after, _ = pulser.coincide(matrix, Lines(x, gains), Lines(d, gains), lengths, Streams(k))
            total += (after.weights() - matrix.weights()) / 60
        totals.append(total)
    assert np.corrcoef(totals[0].ravel(), totals[1].ravel())[0, 1] > 0.97
    assert np.polyfit(totals[1].ravel(), totals[0].ravel(), 1)[0] == pytest.approx(1.0, abs=0.05)


def test_whole_steps_are_the_same_in_both_forms() -> None:
    rng = np.random.default_rng(0)
    owed, gradient = rng.normal(size=(40, 30)), rng.normal(size=(40, 30))
    mine, theirs = owed.copy(), owed.copy()
    n = pulses_steps.whole_steps(mine, gradient, 0.5, 0.3, 4)
    m = pulses_plain.whole_steps(theirs, gradient, 0.5, 0.3, 4)
    assert np.array_equal(n, m)
    np.testing.assert_allclose(mine, theirs, atol=1e-15)
    np.testing.assert_allclose(mine + 0.3 * n, owed - 0.5 * gradient, atol=1e-14)
    assert np.abs(n).max() == 4


def test_signs_are_the_same_in_both_forms() -> None:
    gradient = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    signs = pulses_steps.signs_above(gradient, 0.5)
    assert np.array_equal(signs, pulses_plain.signs_above(gradient, 0.5))
    assert np.array_equal(signs, np.where(np.abs(gradient) > 0.5, -np.sign(gradient), 0))


@pytest.mark.parametrize("form", [pulses_steps, pulses_plain])
def test_roundings_are_right_in_the_mean_and_never_off_by_one(form: Any) -> None:
    gradient = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    gradient[3] = 0.0
    drawn = np.array([form.rounded(gradient, -1.7, 100, Streams(k)) for k in range(400)])
    wanted = -1.7 * gradient
    assert np.abs(drawn - wanted).max() < 1
    assert not drawn[:, 3].any()
    share = np.abs(wanted) % 1
    z = (drawn.mean(axis=0) - wanted) / np.sqrt(np.maximum(share * (1 - share), 1e-3) / 400)
    assert np.abs(z).max() < 5
    assert z[gradient != 0].std() == pytest.approx(1.0, abs=0.1)
    assert np.abs(form.rounded(gradient, -170.0, 3, Streams(0))).max() == 3


@pytest.mark.parametrize("law", [LAWS[0], update.PowerStepUpdate(step_size=2e-6, gamma_up=1.0, c2c=0.01)], ids=str)
def test_pulses_to_some_rows_are_those_of_counts_that_are_0_elsewhere(law: update.Update) -> None:
    matrix, rows = made(law.replace(c2c=0.01), DifferentialPair()), np.array([1, 5, 15, 16, 19], np.int32)
    n = np.zeros((20, 14), np.int64)
    n[rows] = counts()[rows]
    one, sent = Pulser(matrix).pulse(matrix, n, Streams(1))
    other, again = Pulser(matrix).pulse(matrix, n[rows], Streams(1), rows=rows)
    assert np.array_equal(one.weights(), other.weights())
    assert (sent.up, sent.down) == (again.up, again.down)


def test_energy_is_that_of_the_programming_slot_or_unknown() -> None:
    matrix = made(LAWS[0], DifferentialPair())
    loop = VerifyLoop(tolerance_share=0.02, pulse_energy=2e-12)
    priced = matrix.design.device.replace(programming=loop)
    assert np.isnan(pulse_energy(matrix.design.device))
    design = Design(priced, (16, 10), DifferentialPair(), None, None, None, 0.2)
    matrix = AnalogMatrix.program(np.random.default_rng(3).uniform(-1, 1, (20, 14)), design, Streams(0))
    _, sent = Pulser(matrix).pulse(matrix, counts(), Streams(1))
    assert sent.energy == pytest.approx(2e-12 * (sent.up + sent.down))
    _, written = rewrite(matrix, 0.1 * counts().astype(float), Streams(1))
    assert written.energy == pytest.approx(2e-12 * (written.up + written.down))


def test_cells_at_their_limits_are_counted_but_not_those_at_rest() -> None:
    for scheme in (DifferentialPair(), OffsetColumn()):
        device = Device(name="ends", window=WINDOW, update=LAWS[0])
        w = np.array([[1.0, -1.0, 0.0, 0.5]])
        matrix = AnalogMatrix.program(w, Design(device, (8, 8), scheme, None, None, None, 0.2), Streams(0))
        assert at_limit(matrix) == 2  # of the pair the plus cell of one and the minus cell of the other
        pushed, _ = Pulser(matrix).pulse(matrix, np.array([[0, 0, 300, 0]]), Streams(1))
        assert at_limit(pushed) == 3


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_signals_are_those_of_a_tile_made_anew(scheme: WeightScheme) -> None:
    for adc in (None, ADC(bits=8, range=(-1e-3, 1e-3))):
        matrix = made(LAWS[0], scheme, adc=adc)
        fast, _ = Pulser(matrix).pulse(matrix, counts(), Streams(1))
        anew = fast.with_cells({p: t.cells for p, t in fast.tiles.items()})
        x = np.random.default_rng(0).random((3, 20)).astype(np.float32)
        outputs = []
        for m in (fast, anew):
            if adc is not None:
                m = m.calibrated(x, Draws(Streams(0), m.tiles[0, 0].signals))
            outputs.append(m.matmul(x, Draws(Streams(0), m.tiles[0, 0].signals)))
        np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


# --- rewriting ---


def test_rewriting_nothing_writes_nothing() -> None:
    matrix = made(LAWS[0], DifferentialPair())
    after, sent = rewrite(matrix, np.zeros((20, 14)), Streams(0))
    assert after.tiles == matrix.tiles
    assert (sent.up, sent.down, sent.written) == (0, 0, 0)


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn(), ReferenceCell()], ids=str)
def test_an_ideal_write_moves_weights_by_what_was_asked_within_the_window(scheme: WeightScheme) -> None:
    matrix, change = made(LAWS[0], scheme), np.random.default_rng(0).normal(0, 0.3, (20, 14))
    after, sent = rewrite(matrix, change, Streams(0))
    wanted = np.clip(matrix.weights() + change, -matrix.weight_scale, matrix.weight_scale)
    np.testing.assert_allclose(after.weights(), wanted, atol=1e-9)
    assert sent.written >= change.size * 0.9


def test_a_write_corrects_what_a_noisy_read_saw() -> None:
    matrix = made(LAWS[0], OffsetColumn(), read_noise=read_noise.ProportionalNoise(relative=0.02))
    change = np.full((20, 14), 0.01)
    after, _ = rewrite(matrix, change, Streams(0))
    errors = []
    for (_, c), (before, tile) in zip(
        matrix.places, zip(matrix.tiles.values(), after.tiles.values(), strict=True), strict=True
    ):
        columns = matrix.columns[c].stop - matrix.columns[c].start
        old, new = (t.cells.g[0, :, :columns] for t in (before, tile))
        inside = (old > 2e-5) & (old < 9e-5)
        errors.append(((new - old - 0.005 * WINDOW.span / matrix.weight_scale) / old)[inside])
    z = np.concatenate(errors)
    assert z.std() == pytest.approx(0.02, rel=0.2)
    assert abs(z.mean()) < 5 * 0.02 / np.sqrt(len(z))
