"""What each rule sends for a given change, against its own law."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.pulsing import Pulses, siemens_per_weight
from cimsim.learning.rules import (
    GateVoltage,
    Manhattan,
    MixedPrecision,
    PulseCount,
    PulseRule,
    Step,
    StochasticPulses,
    ThresholdSign,
    ThresholdVerify,
    TikiTaka,
    check_rule,
)
from cimsim.learning.rules.symmetry import symmetry_points
from cimsim.learning.rules.tiki_taka import auxiliary
from device_models import faults, retention, update
from device_models.device import Device
from device_models.errors import InputError
from device_models.programming import WriteVerify
from device_models.programming.one_shot import SpanError
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=1e-6, g_max=101e-6)
LINEAR = Device(name="linear", window=WINDOW, update=update.LinearUpdate(step_size=0.1e-6))
RULES: list[PulseRule] = [
    Manhattan(),
    Manhattan(both=True),
    ThresholdSign(),
    ThresholdVerify(),
    GateVoltage(),
    MixedPrecision(),
    PulseCount(),
    PulseCount(rounding="stochastic"),
    StochasticPulses(),
    StochasticPulses(manage_length=False, manage_probabilities=False),
    TikiTaka(lines=3),
    TikiTaka(version=1, lines=3, fast=StochasticPulses()),
]


def programmed(w: np.ndarray, device: Device = LINEAR, scheme: WeightScheme | None = None) -> AnalogMatrix:
    design = Design(device, (64, 66), scheme or DifferentialPair(), None, None, None, 0.2)
    return AnalogMatrix.program(w, design, Streams(3))


def some_weights(shape: tuple[int, int] = (8, 6)) -> np.ndarray:
    """Weights within +-0.5, but for one that sets the scale to 1."""
    w = np.random.default_rng(1).uniform(-0.5, 0.5, shape)
    w[0, 0] = 1.0
    return w


def wanting(matrix: AnalogMatrix, change: np.ndarray, seed: int = 5, **more: Any) -> Step:
    """A batch whose wanted change of the weights is `change`."""
    return Step(matrix, np.eye(len(change)), -change, 1.0, Streams(seed), **more)


def changes(shape: tuple[int, int] = (8, 6), size: float = 0.02) -> np.ndarray:
    return np.random.default_rng(2).normal(0, size, shape)


def moved(before: AnalogMatrix, after: AnalogMatrix) -> np.ndarray:
    moved: np.ndarray = after.weights() - before.weights()
    return moved


# --- one batch ---


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_manhattan_sends_one_pulse_by_the_sign(scheme: WeightScheme) -> None:
    matrix, change = programmed(0.9 * some_weights(), scheme=scheme), changes()
    change[2, 3] = 0.0
    after, sent = Manhattan().update(wanting(matrix, change))
    inside = np.abs(matrix.weights()) < 0.8
    np.testing.assert_allclose(moved(matrix, after)[inside] / matrix.weight_step, np.sign(change)[inside], atol=1e-4)
    assert sent.up + sent.down == change.size - 1
    assert sent.written == change.size - 1


def test_manhattan_on_both_cells_moves_weights_twice_as_far() -> None:
    matrix, rng = programmed(some_weights()), np.random.default_rng(0)
    raised = {p: LINEAR.pulse(t.cells, np.full(t.cells.shape, 300), rng) for p, t in matrix.tiles.items()}
    middle = matrix.with_cells(raised)
    after, sent = Manhattan(both=True).update(wanting(middle, changes()))
    inside = np.abs(matrix.weights()) < 0.5
    got = moved(middle, after)[inside] / middle.weight_step
    np.testing.assert_allclose(got, 2 * np.sign(changes())[inside], atol=1e-3)
    assert (sent.up, sent.down) == (48, 48)


def test_sign_updates_go_to_changes_above_the_threshold_and_no_others() -> None:
    matrix, change = programmed(0.9 * some_weights()), changes()
    threshold = 1.5e-6
    after, sent = ThresholdSign(threshold=threshold).update(wanting(matrix, change))
    above = np.abs(change) * WINDOW.span / matrix.weight_scale > threshold
    assert 10 < above.sum() < 40
    assert sent.up + sent.down == above.sum()
    assert np.array_equal(np.sign(np.rint(moved(matrix, after) / matrix.weight_step)), np.sign(change) * above)


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn()], ids=str)
def test_verified_updates_reach_their_goal_within_tolerance_and_leave_the_rest(scheme: WeightScheme) -> None:
    verify = WriteVerify(error=SpanError(error=0.02), tolerance=0.2e-6, max_pulses=300)
    device = LINEAR.replace(programming=verify, retention=retention.PowerLawDrift(nu=0.05, spread=0.01))
    matrix = programmed(0.9 * some_weights(), device, scheme).aged(1e4)
    change, rule = changes(), ThresholdVerify(threshold=1.5e-6)
    step = wanting(matrix, change)
    after, sent = rule.update(step)
    above = np.abs(change) * step.siemens > rule.threshold
    worth = 2 * verify.tolerance / step.siemens  # a pair may have been written twice
    assert np.abs((moved(matrix, after) - change)[above]).max() < worth
    assert np.array_equal(moved(matrix, after)[~above], np.zeros((~above).sum()))
    assert above.sum() <= sent.written <= 2 * above.sum()
    for place, tile in after.tiles.items():
        fresh = tile.cells.g != matrix.tiles[place].cells.g
        assert (np.broadcast_to(tile.cells.seconds, fresh.shape)[fresh] == 0).all()
        assert (np.broadcast_to(tile.cells.seconds, fresh.shape)[~fresh] == 1e4).all()


def test_cells_set_by_gate_voltage_follow_their_goals_and_errors_do_not_add_up() -> None:
    sigma, rule, memory = 0.5e-6, GateVoltage(), dict[str, Any]()
    device = LINEAR.replace(programming=SpanError(error=sigma / WINDOW.span))
    matrix = programmed(0.4 * some_weights((32, 30)), device)
    start, change = matrix.weights(), 1e-4 * np.sign(changes((32, 30)))
    for batch in range(100):
        matrix, _ = rule.update(replace(wanting(matrix, change, batch), memory=memory))
    error = (matrix.weights() - start - 100 * change) * siemens_per_weight(matrix)
    assert 0.9 * sigma < error.std() < 1.5 * sigma  # one or both cells of a pair; 100 that add up would be 10 sigma


def test_a_goal_that_moved_less_than_the_threshold_waits_and_is_not_lost() -> None:
    rule, memory = GateVoltage(threshold=0.35e-6), dict[str, Any]()
    start = matrix = programmed(0.4 * some_weights())
    change, written = np.full(start.shape, 0.1e-6) / siemens_per_weight(start), []
    change[0, 0] *= -1  # its cell is at the top
    for batch in range(4):
        matrix, sent = rule.update(replace(wanting(matrix, change, batch), memory=memory))
        written.append(sent.written)
    assert written == [0, 0, 0, change.size]
    np.testing.assert_allclose(moved(start, matrix), 4 * change, rtol=1e-5)


def test_counts_round_halves_up_and_lose_what_is_less() -> None:
    matrix = programmed(np.array([[0.1, 0.1, 0.1, 0.1, 0.1, 1.0]]))
    worth = np.array([[0.49, 0.5, 1.49, 1.5, 7.2, 0.0]])
    after, sent = PulseCount().update(wanting(matrix, worth * matrix.weight_step))
    np.testing.assert_allclose(moved(matrix, after) / matrix.weight_step, [[0, 1, 1, 2, 7, 0]], atol=1e-4)
    assert sent.up == 11


def test_counts_by_states_are_those_of_the_range() -> None:
    """A change of 1 % of the range from -1 to 1, with 97 and 100 states: 0.97 and 1.00 pulses."""
    matrix = programmed(np.array([[0.1, -0.1, 1.0]]), scheme=OffsetColumn())
    change = np.array([[0.03, -0.03, 0.0]])
    after, _ = PulseCount(states=(97, 300)).update(wanting(matrix, change))
    np.testing.assert_allclose(moved(matrix, after) / matrix.weight_step, [[1, -5, 0]], atol=1e-3)


def test_stochastic_rounding_is_right_in_the_mean() -> None:
    matrix = programmed(np.concatenate([np.full((200, 40), 0.1), np.ones((1, 40))]))
    change = np.full((201, 40), 0.3 * matrix.weight_step)
    after, _ = PulseCount(rounding="stochastic").update(wanting(matrix, change))
    n = np.rint(moved(matrix, after)[:200] / matrix.weight_step)
    assert set(np.unique(n)) == {0.0, 1.0}
    assert abs(n.mean() - 0.3) < 5 * np.sqrt(0.21 / n.size)


def test_the_accumulator_owes_less_than_a_step_and_loses_nothing() -> None:
    matrix, memory, wanted = programmed(0.5 * some_weights()), dict[str, Any](), np.zeros((8, 6))
    start, inside = matrix.weights(), np.ones((8, 6), bool)
    for batch in range(40):
        change = np.random.default_rng(batch).normal(0, 0.003, (8, 6))
        matrix, _ = MixedPrecision(max_pulses=100).update(wanting(matrix, change, memory=memory))
        wanted += change
        inside &= np.abs(start + wanted) < 0.45
        assert np.abs(matrix.weights() - start - wanted)[inside].max() < 1.001 * matrix.weight_step
    assert np.abs(memory["owed"]).max() < matrix.weight_step


# --- stochastic pulses ---


@pytest.mark.parametrize("managed", [True, False])
def test_coincidences_have_the_binomial_mean_and_variance(managed: bool) -> None:
    """BL p q and BL p q (1 - p q), from cells that count pulses one by one, both signs."""
    shape, samples = (60, 50), 40
    matrix = programmed(np.full(shape, 1e-9) + np.eye(*shape), scheme=OffsetColumn())
    rule = StochasticPulses(length=20, manage_probabilities=managed, manage_length=False)
    x, d = np.full((1, 60), 0.8), np.where(np.arange(50) % 2, 0.4, -0.4)[None]
    rate = 5 * matrix.weight_step / 0.32
    received = []
    for k in range(samples):
        after, _ = rule.update(Step(matrix, x, d, rate, Streams(k)))
        n = moved(matrix, after) / matrix.weight_step
        received.append(np.where(np.arange(50) % 2, -n, n))
    n = np.rint(np.array(received)[:, ~np.eye(*shape, dtype=bool)])
    chances = rule.chances(Step(matrix, x, d, rate, Streams(0)))
    p, q = 0.8 * chances.x[0], 0.4 * chances.d[0]
    assert 20 * p * q == pytest.approx(5.0)
    # lines share their trains: the error of the mean is that of the lines' own pulse counts
    error = np.sqrt((p * (1 - p) / (20 * 60) / p**2 + q * (1 - q) / (20 * 50) / q**2) / samples) * 5
    assert abs(n.mean() - 5.0) < 5 * error
    assert n.var() == pytest.approx(20 * p * q * (1 - p * q), rel=0.1)


def test_managed_trains_are_as_long_as_the_largest_change_needs() -> None:
    matrix = programmed(some_weights())
    x = np.array([[1.0, 0.5], [1.0, 0.1], [0.0, 0.0]])
    d = np.array([[0.5, 0.1], [0.01, 0.001], [0.5, 0.1]])
    step = Step(matrix, x, d, 13 * matrix.weight_step, Streams(0))
    chances = StochasticPulses(length=10).chances(step)
    assert list(chances.lengths) == [7, 1, 1]  # 6.5, 0.13 and 0 steps
    largest = chances.x * x.max(axis=1), chances.d * d.max(axis=1)
    np.testing.assert_allclose(largest[0][:2], largest[1][:2])
    np.testing.assert_allclose((chances.lengths * largest[0] * largest[1])[:2], [6.5, 0.13])


def test_samples_without_input_or_error_send_nothing() -> None:
    matrix = programmed(some_weights())
    x, d = np.zeros((3, 8)), np.ones((3, 6))
    for given, error in ((x, d), (d[:, :1] * np.ones(8), np.zeros((3, 6)))):
        after, sent = StochasticPulses().update(Step(matrix, given, error, 1.0, Streams(0)))
        assert (sent.up, sent.down, sent.written) == (0, 0, 0)
        assert np.array_equal(moved(matrix, after), np.zeros((8, 6)))


def test_the_mean_of_many_trains_is_gradient_descent() -> None:
    matrix = programmed(0.3 * some_weights((40, 30)))
    rng = np.random.default_rng(0)
    x, d = rng.random((8, 40)), rng.normal(0, 1, (8, 30))
    step = Step(matrix, x, d, 2 * matrix.weight_step, Streams(0))
    total = np.zeros((40, 30))
    for k in range(60):
        after, _ = StochasticPulses(length=31).update(Step(matrix, x, d, step.rate, Streams(k)))
        total += moved(matrix, after)
    got, wanted = total / 60 / matrix.weight_step, step.change / matrix.weight_step
    inside = np.abs(matrix.weights()) < 0.25 * matrix.weight_scale
    assert np.corrcoef(got[inside], wanted[inside])[0, 1] > 0.99
    assert np.polyfit(wanted[inside], got[inside], 1)[0] == pytest.approx(1.0, abs=0.03)


# --- Tiki-Taka ---

SOFT = LINEAR.replace(update=update.SoftBoundsUpdate(rate=0.02, asymmetry=0.3, spread_asymmetry=0.1, spread_rate=0.1))


def test_symmetry_points_are_where_alternating_pulses_lead() -> None:
    cells = SOFT.fabricate((200,), Streams(0))
    points = symmetry_points(SOFT, cells, Streams(1))
    own = SOFT.update.own(cells.variation)["asymmetry"]
    np.testing.assert_allclose((points - WINDOW.g_min) / WINDOW.span, (1 + own) / 2, atol=1e-9)
    ones = np.ones(200, int)
    for _ in range(400):
        cells = SOFT.pulse(SOFT.pulse(cells, ones, Streams(2).rng("a")), -ones, Streams(2).rng("b"))
    assert np.abs(cells.g - points).max() < 0.011 * WINDOW.span  # half a step: cells end after a pulse down


def test_a_law_known_by_its_pulses_is_run_to_its_symmetry_point() -> None:
    grid = tuple(np.linspace(1e-6, 101e-6, 20))
    up, down = tuple(0.02 * (101e-6 - g) for g in grid), tuple(-0.04 * (g - 1e-6) for g in grid)
    device = LINEAR.replace(update=cim_tabulated(grid, up, down))
    points = symmetry_points(device, device.fabricate((3,), Streams(0)), Streams(0))
    expected = device.update.symmetry_point(WINDOW)
    assert np.abs(points - expected).max() < 0.02 * WINDOW.span


def cim_tabulated(g: Any, up: Any, down: Any) -> Any:
    from device_models.tabulated import TabulatedUpdate

    return TabulatedUpdate(g=g, dG_up=up, dG_down=down)


def test_the_auxiliary_array_reads_zero_and_forgets_towards_it() -> None:
    matrix = programmed(0.7 * some_weights((20, 15)), SOFT)
    aux = auxiliary(matrix, Streams(4))
    assert np.abs(aux.matrix.weights()).max() < 1e-9
    pushed, _ = aux.pulser.pulse(aux.matrix, np.full((20, 15), 20), Streams(1))
    far = pushed.weights().copy()
    read = pushed.matmul(np.eye(20, dtype=np.float32), Draws(Streams(0), pushed.tiles[0, 0].signals))
    np.testing.assert_allclose(read, far, rtol=1e-5)
    assert pushed.weight_scale == matrix.weight_scale
    assert far.min() > 0.07
    for k in range(200):
        pushed, _ = aux.pulser.pulse(pushed, np.full((20, 15), 1 - 2 * (k % 2)), Streams(2).at("k", k))
    assert np.abs(pushed.weights()).max() < 0.03
    assert np.abs(pushed.weights()).max() < 0.1 * far.min()


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_auxiliary_array_holds_goes_to_the_weights_line_by_line(version: Any) -> None:
    matrix = programmed(0.5 * some_weights())
    rule, memory = TikiTaka(version=version, lines=3, every=2, transfer=1.0), dict[str, Any]()
    change = np.full((8, 6), 4 * matrix.weight_step)
    first, _ = rule.update(wanting(matrix, change, memory=memory))
    assert first is matrix  # it is not time yet
    second, _ = rule.update(wanting(first, change, seed=6, memory=memory))
    gone = moved(matrix, second) / matrix.weight_step
    assert (gone[:3] > 0).sum() == 17  # the largest weight is at the end of its window
    assert (gone[3:] == 0).all()
    assert memory["auxiliary"].line == 3


def test_a_device_whose_pulses_never_cancel_is_refused() -> None:
    lopsided = LINEAR.replace(update=update.LinearUpdate(step_size=1e-7, asymmetry=0.5))
    with pytest.raises(InputError, match=r"TikiTaka: needs a symmetry point inside the window.*100% of the window"):
        TikiTaka().check(programmed(some_weights(), lopsided))


# --- promises ---


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_our_rules_keep_every_promise(rule: PulseRule) -> None:
    assert [f for f in check_rule(rule) if f.broken] == []


class TopTenth(PulseRule):
    """A rule of one's own: one pulse to the tenth of the weights with the largest gradients."""

    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        size = np.abs(step.change)
        return step.pulse((np.sign(step.change) * (size >= np.quantile(size, 0.9))).astype(int))


class Uphill(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        return step.pulse(np.sign(step.gradient).astype(int))


class Restless(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        return step.pulse(np.where(step.change < 0, -1, 1))


class Unseeded(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        n = np.sign(step.change) * (np.random.default_rng().random(step.change.shape) < 0.5)
        return step.pulse(n.astype(int))


class Overwriting(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        step.d[:] = 0
        return step.pulse(np.sign(step.change).astype(int))


class Understating(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        return step.pulse(np.sign(step.change).astype(int))[0], Pulses()


SHARED: dict[str, int] = {"batches": 0}


class Gossip(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        SHARED["batches"] += 1
        return step.pulse(np.sign(step.change).astype(int) * (SHARED["batches"] % 5))


class Raising(PulseRule):
    def update(self, step: Step) -> tuple[AnalogMatrix, Pulses]:
        raise RuntimeError("not today")


def test_a_rule_of_ones_own_keeps_the_promises_and_trains() -> None:
    assert [f for f in check_rule(TopTenth()) if f.broken] == []


@pytest.mark.parametrize(
    ("rule", "promise"),
    [
        (Uphill(), "Weights move down the gradient, not up."),
        (Restless(), "Without a gradient nothing is sent and nothing changes."),
        (Unseeded(), "The same streams make the same pulses"),
        (Overwriting(), "The matrix that is given stays as it is"),
        (Understating(), "What is reported was sent"),
        (Gossip(), "What is remembered of one layer stays with it"),
        (Raising(), "RuntimeError was raised: not today."),
    ],
)
def test_a_broken_promise_is_named(rule: PulseRule, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_rule(rule)
    assert any(f.broken for f in check_rule(rule, strict=False))


# --- training ---


@pytest.fixture(scope="module")
def digits() -> Any:
    return cim.datasets.load("digits")


@pytest.fixture(scope="module")
def drifted(digits: Any) -> cim.Chip:
    """A chip that has lost a good part of its accuracy to age."""
    (x, y), _ = digits
    net = cim.train(cim.mlp([64, 24, 10]), x, y, epochs=2, seed=0)
    device = Device(
        name="made",
        window=WINDOW,
        update=update.ExponentialUpdate(
            pulses_up=200, pulses_down=200, nl_up=0.5, nl_down=-0.5, c2c=0.003, spread_nl_up=0.2, spread_nl_down=0.2
        ),
        programming=WriteVerify(error=SpanError(error=0.02), tolerance=1e-6),
        retention=retention.PowerLawDrift(nu=0.06, spread=0.06),
        faults=faults.CellFaults(stuck_hrs=0.01),
    )
    return cim.program(net, cim.ChipSpec(device=device, tile=(64, 64)), calibrate=x[:256], seed=1).age(1e6)


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (Manhattan(), {"batch": 1437, "epochs": 12}),
        (ThresholdSign(threshold=0.3e-6), {}),
        (ThresholdVerify(threshold=0.5e-6), {}),
        (MixedPrecision(), {}),
        (PulseCount(), {"learning_rate": 0.3}),
        (PulseCount(rounding="stochastic"), {}),
        (StochasticPulses(), {}),
        (TikiTaka(lines=8, transfer=0.3), {"epochs": 5}),
        (TikiTaka(version=1, lines=8, transfer=0.05), {"epochs": 5}),
        (TopTenth(), {}),
    ],
    ids=str,
)
def test_every_rule_heals_what_age_did(drifted: cim.Chip, digits: Any, rule: PulseRule, settings: Any) -> None:
    (x, y), (x_test, y_test) = digits
    choice: dict[str, Any] = {"epochs": 3, "learning_rate": 0.1} | settings
    tuned, history = cim.fine_tune(drifted, x, y, layers=[0, 1], rule=rule, seed=2, **choice)
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]
    assert cim.accuracy(tuned, x_test, y_test) > cim.accuracy(drifted, x_test, y_test) + 0.03


SET_ONLY = LINEAR.replace(update=update.LinearUpdate(step_size=1e-7, asymmetry=1.0))


@pytest.mark.parametrize(
    ("device", "rule", "message"),
    [
        (SET_ONLY, Manhattan(), r"Manhattan: needs depression \(RESET\), which no pulse to 'linear' does"),
        (
            LINEAR.replace(update=update.LinearUpdate(step_size=1e-7, asymmetry=-1.0)),
            MixedPrecision(),
            r"MixedPrecision: needs potentiation \(SET\)",
        ),
        (LINEAR.replace(update=None), StochasticPulses(), "has no pulse response"),
    ],
    ids=str,
)
def test_a_rule_that_asks_for_more_than_the_device_can_do_says_so(
    device: Device, rule: PulseRule, message: str
) -> None:
    chip = cim.program(cim.mlp([6, 3]), cim.ChipSpec(device=device))
    with pytest.raises(InputError, match=message):
        cim.fine_tune(chip, np.ones((4, 6)), np.arange(4) % 3, rule=rule)


def test_a_rule_by_writes_alone_needs_no_pulse_response() -> None:
    chip = cim.program(cim.mlp([6, 3]), cim.ChipSpec(device=LINEAR.replace(update=None)))
    x, y = np.random.default_rng(0).random((30, 6)), np.arange(30) % 3
    tuned, history = cim.fine_tune(chip, x, y, rule=ThresholdVerify(threshold=1e-7), learning_rate=0.5)
    assert history["loss"].is_monotonic_decreasing
    assert tuned.matrices[0] is not chip.matrices[0]
