"""Learning from right or wrong alone: in the mean the delta rule, and a chip that learns by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.learning.plasticity.pair import PairSTDP, RewardSTDP
from cimsim.learning.plasticity.trials import DECAY, DT, PAIRS, RULE, Trials, guesser, rewarded
from device_models.device import Device
from device_models.errors import InputError, ParameterError
from device_models.streams import Streams
from device_models.update import LinearUpdate
from device_models.window import Window

DEVICE = Device(name="d", window=Window(g_min=1e-6, g_max=1e-4), update=LinearUpdate(step_size=0.2e-6))
SPEC = cim.ChipSpec(device=DEVICE, weight_range=1.0)


def patterns(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of four classes that light a quarter of 40 pixels each, a tenth of all pixels flipped."""
    rng = Streams(seed).rng("patterns")
    y = rng.integers(4, size=n)
    lit = np.arange(40) // 10 == y[:, None]
    return (lit ^ (rng.random(lit.shape) < 0.1)).astype(np.float32), y


@pytest.mark.parametrize(("delay", "rate"), [(0.0, 1.0), (50e-3, 0.3)])
def test_the_mean_over_guesses_is_the_delta_rule(delay: float, rate: float) -> None:
    """The sum over guesses of chance times change, against the gradient of the cross-entropy, which knows the label."""
    x, y = patterns(6, seed=1)
    rng, how = Streams(0).rng("weights"), Trials(delay=delay, most=1e6)
    net = guesser(40, 4).with_weights([(rng.normal(0, 0.1, (40, 4)), np.zeros(4))])
    passes = net.trace(x)
    spikes, logits = passes[0].x.reshape(6, -1, 40), passes[-1].y
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rule = RULE.replace(rate=rate)
    mean = np.zeros((40, 4))
    for k in range(4):  # a trial's weight goes with its reward, in which its change is linear
        guess = np.tile(np.arange(4) == k, (6, 1))
        mean += how.change(rule, spikes, guess, p[:, k] * how.reward(p[:, k], y == k))
    (gradient, _), *_ = net.gradients(x, y)[1]
    np.testing.assert_allclose(mean, -6 * rate * np.exp(-delay / rule.tau) * gradient, rtol=1e-9, atol=1e-12)


def test_traces_of_inputs_fall_as_the_membrane_does() -> None:
    assert np.exp(-DT / PAIRS.tau_plus) == pytest.approx(DECAY)


def test_surprise_is_the_reward_and_has_a_limit() -> None:
    p, right = np.array([0.5, 0.2, 0.01, 0.2]), np.array([True, True, True, False])
    np.testing.assert_allclose(Trials(most=30.0).reward(p, right), [1, 4, 30, -1])


def test_only_the_neuron_that_guessed_changes() -> None:
    x, _ = patterns(3, seed=2)
    spikes = guesser(40, 4).trace(x)[0].x.reshape(3, -1, 40)
    guess = np.zeros((3, 4), bool)
    guess[:, 2] = True
    change = Trials().change(RULE, spikes, guess, np.array([1.0, 0.5, 2.0]))
    assert not change[:, [0, 1, 3]].any()
    assert (change[:, 2] > 0).sum() == spikes.any(axis=(0, 1)).sum()


def test_a_chip_learns_patterns_from_right_or_wrong() -> None:
    (x, y), (x_test, y_test) = patterns(400, seed=1), patterns(200, seed=2)
    chip = cim.program(guesser(40, 4), SPEC, calibrate=x, seed=0)
    taught, history = rewarded(chip, x, y, epochs=3, seed=1)
    assert cim.accuracy(chip, x_test, y_test) < 0.4
    assert cim.accuracy(taught, x_test, y_test) > 0.97
    assert history["right"].iloc[-1] > 0.9
    again, _ = rewarded(chip, x, y, epochs=3, seed=1)
    np.testing.assert_array_equal(again.forward(x_test), taught.forward(x_test))


def test_random_rewards_teach_nothing() -> None:
    (x, y), (x_test, y_test) = patterns(400, seed=1), patterns(400, seed=2)
    chip = cim.program(guesser(40, 4), SPEC, calibrate=x, seed=0)
    taught, _ = rewarded(chip, x, Streams(5).rng("labels").permutation(y), epochs=2)
    assert cim.accuracy(taught, x_test, y_test) < 0.45


@pytest.mark.slow
def test_digits_are_learned_from_right_or_wrong_nearly_as_well_as_from_labels() -> None:
    """`generic-rram`: 92 % from right or wrong, 95 % from labels (`fine_tune`), 96 % in floating point; chance 10 %."""
    (x, y), (x_test, y_test) = cim.datasets.load("digits")
    spec = cim.ChipSpec(device=dm.load("generic-rram"), weight_range=1.0)
    chip = cim.program(guesser(64, 10), spec, calibrate=x[:256], seed=0)
    told = rewarded(chip, x, y, epochs=15)[0]
    labelled = cim.fine_tune(chip, x, y, epochs=10, batch=16, learning_rate=0.05)[0]
    by_reward, by_label = (cim.accuracy(c, x_test, y_test) for c in (told, labelled))
    print(f"right or wrong {by_reward:.1%}, labels {by_label:.1%}")
    assert by_reward > 0.9
    assert by_label - 0.06 < by_reward < by_label + 0.02


def chip(**spec: Any) -> cim.Chip:
    return cim.program(guesser(40, 4), cim.ChipSpec(device=DEVICE, weight_range=1.0, **spec))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda x, y: rewarded(cim.program(cim.mlp([40, 4]), SPEC), x, y),
            r"rewarded\.chip: must be a chip of one full",
        ),
        (
            lambda x, y: rewarded(cim.program(guesser(40, 4), SPEC, replicas=2), x, y),
            r"rewarded\.chip: .*without copies",
        ),
        (
            lambda x, y: rewarded(cim.program(guesser(40, 4), cim.ChipSpec(device=DEVICE.replace(update=None))), x, y),
            "update",
        ),
        (lambda x, y: rewarded(chip(), x, y + 1), "y: must hold labels from 0 to 3"),
        (lambda x, y: rewarded(chip(), 2 * x, y), "x: must lie between 0 and 1"),
        (
            lambda x, y: rewarded(chip(), x, y, rule=RewardSTDP(pairs=PairSTDP(tau_plus=5e-3))),
            "RewardSTDP: the time step must be at most the shortest time constant",
        ),
    ],
)
def test_bad_input_is_named(make: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make(*patterns(10, seed=0))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"delays": 0.1}, "Trials: unknown name, got 'delays'"), ({"epochs": 0}, r"Trials\.epochs"), ({"dt": 0.0}, "dt")],
)
def test_settings_that_mean_nothing_are_named(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        rewarded(chip(), *patterns(10, seed=0), **settings)
