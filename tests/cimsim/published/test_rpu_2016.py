from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.chip import program
from cimsim.network.network import mlp
from cimsim.published import Effort, Result, rpu_2016
from cimsim.published.rpu_2016 import BOUND, SPECIFIED, STEP, Flaws, Schedule, device, spec, trained_error
from device_models import cards


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("rpu-2016", quick=True)


def test_a_whole_run_has_the_papers_schedule(monkeypatch: pytest.MonkeyPatch):
    taken = []

    def errors(flaws: dict[str, Flaws], schedule: Schedule, effort: Effort) -> list[float]:
        taken.append(schedule)
        return [2.0] * len(flaws)

    monkeypatch.setattr(rpu_2016, "_errors", errors)
    row = published.run("rpu-2016", whole=True).row("test error without flaws")
    assert taken == [Schedule(samples=60_000, epochs=(10, 10, 10), tested=10_000)]
    assert row.note == "after 60,000 images 30 times"


def test_the_specified_flaws_are_those_of_the_card():
    made, card = device(SPECIFIED), cards.load("rpu-gokmen-2016")
    for slot in ("update", "faults"):
        for name, value in getattr(card, slot):
            got = getattr(getattr(made, slot), name)
            assert got == (pytest.approx(value, rel=2e-3) if isinstance(value, float) else value)


def test_a_pulse_moves_a_weight_by_a_step_and_no_weight_leaves_its_bounds():
    chip = program(mlp([6, 3, 2], activation="sigmoid"), spec(Flaws()))
    (matrix,) = chip.matrices[0].copies
    assert matrix.weight_scale == BOUND
    assert matrix.weight_step == pytest.approx(STEP)
    np.testing.assert_allclose(matrix.weights(), np.clip(chip.network.weights[0], -BOUND, BOUND), atol=1e-6)


def test_converters_span_the_specified_outputs_and_noise():
    chip = program(mlp([40, 3, 2], activation="sigmoid"), spec(Flaws(converters=True)))
    x = np.full((4000, 40), 0.5, np.float32)
    y, exact = chip.matmul(0, x), 0.5 * 40 * chip.network.weights[0].mean(axis=0)
    step = 24 / 2**9
    np.testing.assert_allclose(y.std(axis=0), np.sqrt(0.06**2 + step**2 / 12), rtol=0.05)
    np.testing.assert_allclose(y.mean(axis=0), exact, atol=0.02 + 0.01 * np.abs(exact).max())


def test_bounds_and_asymmetry_are_the_cells():
    bound, uneven = device(Flaws(bound=0.15)), device(Flaws(uneven=0.05))
    assert float(bound.pulse_step()) / bound.window.span == pytest.approx(STEP / 0.3)
    assert uneven.update.asymmetry == 0.05
    chip = program(mlp([40, 3, 2], activation="sigmoid"), spec(Flaws(bound=0.15)))
    assert abs(chip.matrices[0].copies[0].weights()).max() <= 0.15 + 1e-6


@pytest.mark.slow
def test_asymmetry_of_all_devices_costs_more_the_larger_it_is(mnist_here: None):
    schedule = Schedule(5_000, (8, 4, 3), 10_000)
    errors = [trained_error(Flaws(uneven=size), schedule, seed=0) for size in (0.0, 0.05, 0.2)]
    assert errors[1] > errors[0] + 0.3
    assert errors[2] > errors[1] + 20


def test_pulses_learn_and_the_steps_are_the_papers(result: Result):
    assert result.row("test error without flaws").here < 75
    assert result.row("test error as specified").here < 75
    assert result.row("penalty of asymmetry of all devices, 30 %").here > 10
    assert abs(result.row("steps between the bounds").difference) < 1
