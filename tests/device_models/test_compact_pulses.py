"""From a compact model and a pulse to a slot: the table against the model itself, and against scipy's solver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import device_models as dm
from device_models.compact import Biolek, CompactModel, Pulse, hp, pulse_array, simulate, stanford, vteam, yakopcic
from device_models.compact.pulses import state_of, to_update, window_of
from device_models.errors import InputError, ParameterError
from device_models.window import CellLimits, Window

CASES: dict[str, tuple[CompactModel, Pulse]] = {
    "hp": (hp.FIG_2B.replace(window=Biolek(p=2)), Pulse(v_set=1.0, t_set=1e-4, v_reset=-1.0, t_reset=1e-4)),
    "vteam": (vteam.MEMTORCH_DEFAULT, Pulse(v_set=-0.25, t_set=1e-9, v_reset=0.3, t_reset=1e-8)),
    "oblea": (yakopcic.OBLEA_SINE, Pulse(v_set=0.3, t_set=1e-5, v_reset=-0.3, t_reset=1e-5)),
    "jo": (yakopcic.JO, Pulse(v_set=3.0, t_set=0.03, v_reset=-2.0, t_reset=0.03)),
    "stanford": (stanford.DEFAULT, Pulse(v_set=1.45, t_set=1e-10, v_reset=-1.45, t_reset=1e-9)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[CompactModel, Pulse]:
    return CASES[request.param]


def nominal(model: CompactModel, v_read: float = 0.1) -> Window:
    low, high = window_of(model, v_read)
    return Window(g_min=low, g_max=high)


def alone(model: CompactModel, pulse: Pulse, g: float, sign: int) -> float:
    """Conductance after one pulse by scipy's solver."""
    v, seconds = (pulse.v_set, pulse.t_set) if sign > 0 else (pulse.v_reset, pulse.t_reset)
    x0 = float(state_of(model, np.array(g), pulse.v_read))
    x = simulate(model, [0.0, seconds / 2, seconds], [v] * 3, x0, method="RK45").x[-1]
    return float(model.conductance(np.array(x), pulse.v_read))


def test_the_window_is_the_conductance_at_both_bounds() -> None:
    assert window_of(hp.FIG_2B, 0.1) == pytest.approx((1 / 16e3, 1 / 100))
    assert window_of(vteam.MEMTORCH_DEFAULT, 0.1) == pytest.approx((1 / 1000, 1 / 50))
    assert window_of(stanford.DEFAULT, 0.1) == pytest.approx((1 / 218.6e3, 1 / 542), rel=1e-3)


def test_states_are_found_from_conductances(case: tuple[CompactModel, Pulse]) -> None:
    model = case[0]
    x = np.linspace(*model.bounds, 12).reshape(3, 4)
    np.testing.assert_allclose(state_of(model, model.conductance(x, 0.1), 0.1), x, atol=1e-12 * np.ptp(model.bounds))


@pytest.mark.parametrize("sign", [1, -1])
def test_one_pulse_by_the_table_is_the_simulated_pulse(case: tuple[CompactModel, Pulse], sign: int) -> None:
    model, pulse = case
    update, window = to_update(model, pulse, points=129), nominal(model)
    g = window.g_min + window.span * np.array([0.0, 0.03, 0.31, 0.5, 0.77, 1.0])
    got = update.pulse(g, np.full(g.shape, sign), window, None)
    np.testing.assert_allclose(got, [alone(model, pulse, a, sign) for a in g], atol=2e-4 * window.span)
    assert np.abs(got - g).max() > 2e-3 * window.span


def test_at_the_tables_points_it_is_the_simulated_pulse_itself(case: tuple[CompactModel, Pulse]) -> None:
    model, pulse = case
    update, span = to_update(model, pulse, points=5), nominal(model).span
    for g, up, down in zip(update.g, update.dG_up, update.dG_down, strict=True):
        assert g + up == pytest.approx(alone(model, pulse, g, 1), abs=1e-5 * span)
        assert g + down == pytest.approx(alone(model, pulse, g, -1), abs=1e-5 * span)


def test_more_points_come_closer() -> None:
    model, pulse = CASES["hp"]
    g = np.linspace(*window_of(model, 0.1), 333)
    exact = model.conductance(pulse_array(model, state_of(model, g, 0.1), pulse.v_set, pulse.t_set), 0.1)
    off = [
        np.abs(to_update(model, pulse, points=n).pulse(g, np.ones(333, dtype=int), nominal(model), None) - exact).max()
        for n in (5, 17, 65)
    ]
    assert off[0] > 5 * off[1] > 25 * off[2]


def test_a_train_by_the_table_is_one_long_pulse() -> None:
    model, pulse = CASES["oblea"]
    window, g = nominal(model), np.array([1e-3, 3e-3, 6e-3])
    long = pulse_array(model, state_of(model, g, 0.1), pulse.v_set, 40 * pulse.t_set)
    train = to_update(model, pulse, points=257).pulse(g, np.full(3, 40), window, None)
    np.testing.assert_allclose(train, model.conductance(long, 0.1), atol=1e-4 * window.span)


def test_a_device_with_the_table_keeps_every_promise(case: tuple[CompactModel, Pulse]) -> None:
    model, pulse = case
    dm.check_device(dm.Device(name="physical", window=nominal(model), update=to_update(model, pulse)))


def test_a_part_of_the_window_will_do() -> None:
    model, pulse = CASES["stanford"]
    part = CellLimits(0.2e-3, 1.5e-3)
    update = to_update(model, pulse, part, points=9)
    assert (update.g[0], update.g[-1], len(update.g)) == (0.2e-3, 1.5e-3, 9)
    assert update.spread_up == update.spread_down == ()


# --- noise of the model ---


def test_noise_of_the_model_becomes_the_tables_spread() -> None:
    model, pulse = CASES["stanford"]
    update = to_update(model, pulse, points=9, rng=np.random.default_rng(0), samples=4000, steps=40)
    plain = to_update(model, pulse, points=9)
    assert update.g == plain.g
    k = 4
    gap = float(state_of(model, np.array(update.g[k]), 0.1))
    walk = model.diffusion(np.array(gap), pulse.v_set) * pulse.t_set**0.5
    still = update.g[k] * walk / model.gap0  # a short pulse: G changes by exp(-gap / gap0)
    assert update.spread_up[k] == pytest.approx(still, rel=0.3)
    dm.check_device(dm.Device(name="noisy", window=nominal(model), update=update))


def test_without_noise_in_the_model_a_generator_adds_none() -> None:
    model, pulse = CASES["oblea"]
    plain = to_update(model, pulse, points=9)
    update = to_update(model, pulse, points=9, rng=np.random.default_rng(0), samples=2)
    assert max(update.spread_up + update.spread_down) <= 1e-12 * plain.g[-1]
    np.testing.assert_allclose(update.dG_up, plain.dG_up, atol=1e-5 * plain.g[-1])


# --- bad input ---

HP, PULSE = CASES["hp"]


@pytest.mark.parametrize(
    ("pulse", "rule"),
    [
        (PULSE.replace(v_set=-1.0), "^SET: the pulse must raise the conductance somewhere.*check its polarity"),
        (PULSE.replace(v_reset=1.0), "^RESET: the pulse must lower the conductance"),
        (PULSE.replace(v_read=0.0), "^v_read: must differ from 0 volts"),
    ],
)
def test_pulses_that_do_nothing_are_refused(pulse: Pulse, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        to_update(HP, pulse)


def test_a_pulse_below_threshold_is_refused() -> None:
    with pytest.raises(InputError, match=r"^SET: .*raise its amplitude or width"):
        to_update(vteam.MEMTORCH_DEFAULT, CASES["vteam"][1].replace(v_set=-0.1))


@pytest.mark.parametrize(
    ("arguments", "options", "rule"),
    [
        ((CellLimits(1e-6, 5e-3),), {}, "^g: must be a conductance of the model, 6.25e-05 to 0.01 siemens, got 1e-06"),
        ((CellLimits(1e-4, 1.0),), {}, "^g: must be a conductance of the model"),
        ((), {"points": 1}, "^to_update: needs points >= 2"),
        ((), {"steps": 0}, "^to_update: needs points >= 2, samples >= 2 and steps >= 1"),
    ],
)
def test_bad_input_is_refused(arguments: Any, options: Any, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        to_update(HP, PULSE, *arguments, **options)


def test_implausible_pulses_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"v_set: .*volts"):
        PULSE.replace(v_set=1500.0)
    with pytest.raises(ParameterError, match=r"t_set: .*seconds"):
        PULSE.replace(t_set=-1.0)
    with pytest.raises(ParameterError, match="unknown name, got 'width'"):
        PULSE.replace(width=1.0)
