"""The laws of pulse response beside the exponential one: closed forms, trains, spreads, symmetry points, ramps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from device_models.cards import load, save
from device_models.device import Device
from device_models.errors import ParameterError
from device_models.streams import Streams
from device_models.update import (
    DecayingStepUpdate,
    ExponentialStepUpdate,
    ExponentialUpdate,
    LinearStepUpdate,
    LinearUpdate,
    PowerStepUpdate,
    PulseScheme,
    RampedUpdate,
    SoftBoundsUpdate,
    StepUpdate,
    bends,
    curve_constant,
)
from device_models.window import CellLimits, Window
from tests.device_models.laws import assert_distributed, assert_independent, assert_normal, assert_same_law
from tests.foreign import ForeignArray

WINDOW = Window(g_min=10e-6, g_max=60e-6)
LOW, SPAN = 10e-6, 50e-6
N = 20_000

EXPONENTIAL = ExponentialUpdate(pulses_up=100, pulses_down=50, nl_up=2.0, nl_down=-1.0)
LINEAR = LinearUpdate(step_size=0.5e-6, asymmetry=0.2)
SLOPED = LinearStepUpdate(step_size=0.5e-6, asymmetry=0.1, slope_up=0.8, slope_down=-0.5)
SOFT = SoftBoundsUpdate(rate=0.02, asymmetry=-0.3)
DYING = ExponentialStepUpdate(step_size=0.5e-6, a_up=0.1, a_down=0.2, gamma_up=2.0, gamma_down=1.0)
POWER = PowerStepUpdate(step_size=0.5e-6, gamma_up=2.0, gamma_down=0.5, asymmetry=0.1)
DECAYING = DecayingStepUpdate(step_up=0.01, step_down=0.005, beta_up=3.0, beta_down=2.0)
RAMPED = RampedUpdate(
    law=POWER, up=PulseScheme(volts=(1.0, 1.3), volts_per_e=0.2), down=PulseScheme(seconds=(1e-7, 3e-7))
)
LAWS: list[StepUpdate] = [EXPONENTIAL, LINEAR, SLOPED, SOFT, DYING, POWER, DECAYING, RAMPED]
AFFINE = [EXPONENTIAL, LINEAR, SLOPED, SOFT]
SPREADING: list[StepUpdate] = [
    EXPONENTIAL.replace(spread_pulses_up=0.2, spread_nl_up=0.5, spread_nl_down=0.4, spread_c2c=0.1, c2c=0.01),
    LINEAR.replace(spread_step_size=0.3, spread_asymmetry=0.02, c2c=0.01),
    SLOPED.replace(spread_slope_up=0.1, spread_slope_down=0.1, spread_step_size=0.2),
    SOFT.replace(spread_rate=0.3, spread_asymmetry=0.1),
    DYING.replace(spread_a_up=0.05, spread_gamma_down=0.2),
    POWER.replace(spread_gamma_up=0.3, spread_step_size=0.1),
    DECAYING.replace(spread_step_up=0.5, spread_step_down=0.1, spread_beta_up=0.2, spread_beta_down=0.2, c2c=0.001),
    RAMPED.replace(law=POWER.replace(spread_gamma_up=0.3)),
]

by_name: Any = {"ids": lambda law: type(law).__name__}
laws = pytest.mark.parametrize("law", LAWS, **by_name)


def pulse(law: StepUpdate, g: Any, n: Any, window: Any = WINDOW, variation: Any = None) -> np.ndarray:
    g = np.asarray(g, dtype=float)
    return np.asarray(law.pulse(g, np.broadcast_to(n, g.shape), window, Streams(0).rng("pulse"), variation))


def singly(law: StepUpdate, g: np.ndarray, n: int, role: str = "one by one", variation: Any = None) -> np.ndarray:
    rng = Streams(0).rng(role)
    for _ in range(abs(n)):
        g = law.pulse(g, np.full(g.shape, np.sign(n)), WINDOW, rng, variation)
    return g


def drawn(law: StepUpdate, shape: tuple[int, ...]) -> Any:
    return law.draw(shape, Streams(0).rng("update"))


def noisy(law: StepUpdate, c2c: float) -> StepUpdate:
    return law.replace(law=noisy(law.law, c2c)) if isinstance(law, RampedUpdate) else law.replace(c2c=c2c)


def at(share: Any) -> Any:
    return LOW + SPAN * np.asarray(share)


# --- one pulse ---

X = np.array([0.2, 0.5, 0.8])


@pytest.mark.parametrize(
    ("law", "up", "down"),
    [
        (LINEAR, 0.012 + 0 * X, 0.008 + 0 * X),
        (SLOPED, 0.011 * (1 - 0.8 * X), 0.009 * (1 + 0.5 * (1 - X))),
        (SOFT, 0.014 * (1 - X), 0.026 * X),
        (DYING, 0.01 * (1 - 0.1 * np.exp(2 * (2 * X - 1))), 0.01 * (1 - 0.2 * np.exp(1 - 2 * X))),
        (POWER, 0.011 * (1 - X) ** 2, 0.009 * X**0.5),
        (DECAYING, 0.01 * np.exp(-3 * X), 0.005 * np.exp(-2 * (1 - X))),
        (RAMPED, 0.011 * (1 - X) ** 2 * np.exp(1.5 * X), 0.009 * X**0.5 * (1 + 2 * (1 - X))),
    ],
)
def test_one_pulse_moves_a_cell_by_the_published_formula(law: StepUpdate, up: np.ndarray, down: np.ndarray) -> None:
    np.testing.assert_allclose((pulse(law, at(X), 1) - at(X)) / SPAN, up, rtol=1e-10)
    np.testing.assert_allclose((at(X) - pulse(law, at(X), -1)) / SPAN, down, rtol=1e-10)


@laws
def test_the_gain_is_what_one_pulse_does(law: StepUpdate) -> None:
    own = law.own(None)
    up, down = (law.gain(y, *law.course(own, SPAN, up=way)) for y, way in ((X, True), (1 - X, False)))
    np.testing.assert_allclose((pulse(law, at(X), 1) - at(X)) / SPAN, up, rtol=1e-10)
    np.testing.assert_allclose((at(X) - pulse(law, at(X), -1)) / SPAN, down, rtol=1e-10)


@pytest.mark.parametrize(
    ("law", "same"),
    [
        (SLOPED.replace(slope_up=0.0, slope_down=0.0, asymmetry=0.2), LINEAR),
        (LinearStepUpdate(step_size=1e-6, slope_up=1.0, slope_down=1.0), SoftBoundsUpdate(rate=0.02)),
        (PowerStepUpdate(step_size=1e-6), SoftBoundsUpdate(rate=0.02)),
        (PowerStepUpdate(step_size=0.5e-6, gamma_up=0.0, gamma_down=0.0, asymmetry=0.2), LINEAR),
        (DYING.replace(a_up=0.0, a_down=0.0, asymmetry=0.2), LINEAR),
        (RampedUpdate(law=SOFT), SOFT),
        (ExponentialUpdate(pulses_up=100, pulses_down=100), LinearUpdate(step_size=0.5e-6)),
    ],
)
@pytest.mark.parametrize("n", [1, -7, 30])
def test_laws_meet_in_their_limits(law: StepUpdate, same: StepUpdate, n: int) -> None:
    np.testing.assert_allclose(pulse(law, at(X), n), pulse(same, at(X), n), rtol=1e-10)


def test_a_ramp_straightens_an_exponential_law() -> None:
    bent = ExponentialUpdate(pulses_up=100, pulses_down=100, nl_up=2.0)
    a = curve_constant(2.0)
    y = (1 - np.exp(-0.5 / a)) / (1 - np.exp(-1 / a))  # where half the pulses lead; the step there is exp(-0.5 / a)
    ramp = PulseScheme(volts=(1.0, 1.0 + 0.5 / a / y * 0.4), volts_per_e=0.4)
    straight = RampedUpdate(law=bent, up=ramp)
    steps = pulse(straight, at([0.0, y]), 1) - at([0.0, y])
    assert steps[0] == pytest.approx(pulse(bent, [at(0.0)], 1)[0] - at(0.0), rel=1e-9)
    assert steps[1] == pytest.approx(steps[0], rel=1e-6)


# --- trains ---


@laws
@given(share=st.floats(0, 1), n=st.integers(-40, 40))
@settings(max_examples=30)
def test_the_mean_of_n_pulses_is_n_single_pulses(law: StepUpdate, share: float, n: int) -> None:
    g = np.array([at(share)])
    np.testing.assert_allclose(pulse(law, g, n), singly(law, g, n), rtol=0, atol=1e-9 * SPAN)


@laws
@given(share=st.floats(0, 1), n=st.integers(-300, 300), c2c=st.sampled_from([0.0, 0.1]))
@settings(max_examples=20)
def test_the_window_holds_and_no_mean_pulse_goes_backwards(law: StepUpdate, share: float, n: int, c2c: float) -> None:
    g = np.clip(np.array([at(share)]), WINDOW.g_min, WINDOW.g_max)
    after = pulse(noisy(law, c2c), g, n)
    assert WINDOW.g_min <= after[0] <= WINDOW.g_max
    if not c2c:
        assert np.sign(n) * (after - g)[0] >= -1e-12 * WINDOW.g_max


@laws
def test_counts_of_every_size_and_sign_are_answered_cell_by_cell(law: StepUpdate) -> None:
    n, g = np.arange(-30, 31), at(np.linspace(0.1, 0.9, 61))
    each = [pulse(law, g[[i]], n[[i]])[0] for i in range(61)]
    np.testing.assert_allclose(pulse(law, g, n), each, rtol=1e-12)
    assert pulse(law, g, 0).tolist() == g.tolist()
    assert pulse(law, np.array([0.0, 1e-3]), 0).tolist() == [0.0, 1e-3]


@pytest.mark.parametrize("law", AFFINE, **by_name)
@pytest.mark.parametrize("n", [12, -12])
def test_noise_of_a_train_is_autoregressive_along_an_affine_law(law: StepUpdate, n: int) -> None:
    bend, _ = law.course(law.own(None), SPAN, up=n > 0)
    sigma = 0.005 * SPAN * np.sqrt(np.sum((1 + float(bend)) ** (2 * np.arange(12))))
    mean = pulse(law, [at(0.5)], n)[0]
    assert_normal(pulse(noisy(law, 0.005), np.full(N, at(0.5)), n), mean, sigma)


@laws
@pytest.mark.parametrize("n", [9, -9])
def test_n_pulses_have_the_law_of_n_single_ones(law: StepUpdate, n: int) -> None:
    g = np.full(N, at(0.5))
    assert_same_law(pulse(noisy(law, 0.01), g, n), singly(noisy(law, 0.01), g, n))


@pytest.mark.parametrize("law", [DYING, POWER, RAMPED], **by_name)
def test_iterated_laws_hold_the_window_at_every_pulse(law: StepUpdate) -> None:
    g = np.full(N, at(0.97))
    assert_same_law(pulse(noisy(law, 0.05), g, 12), singly(noisy(law, 0.05), g, 12))


@laws
def test_each_cell_moves_in_its_own_window(law: StepUpdate) -> None:
    limits = CellLimits(np.array([0.0, 10e-6, 5e-6]), np.array([50e-6, 80e-6, 25e-6]))
    g, n = np.full(3, 20e-6), np.array([3, -3, 30])
    windows = [Window(g_min=float(low), g_max=float(high)) for low, high in zip(*limits, strict=True)]
    each = [pulse(law, g[[i]], n[[i]], window)[0] for i, window in enumerate(windows)]
    np.testing.assert_allclose(pulse(law, g, n, limits), each, rtol=1e-12)


@laws
def test_a_closed_window_holds_its_cell(law: StepUpdate) -> None:
    limits = CellLimits(np.full(2, 20e-6), np.full(2, 20e-6))
    assert pulse(noisy(law, 0.1), np.array([20e-6, 30e-6]), np.array([3, -3]), limits).tolist() == [20e-6, 20e-6]


# --- what a learning rule reckons with ---


@laws
def test_the_step_is_the_mean_over_the_window_and_both_directions(law: StepUpdate) -> None:
    x = (np.arange(2000) + 0.5) / 2000
    mean = float(np.mean(np.abs([pulse(law, at(x), n) - at(x) for n in (1, -1)])))
    if law is EXPONENTIAL:
        mean = SPAN * (1 / 100 + 1 / 50) / 2  # as published: the mean along the curve
    assert law.step(WINDOW) == pytest.approx(mean, rel=1e-2)  # but for the pulses that the window cuts short
    limits = CellLimits(np.zeros(2), np.array([10e-6, 20e-6]))
    each = [law.step(Window(g_min=0.0, g_max=top)) for top in (10e-6, 20e-6)]
    np.testing.assert_allclose(law.step(limits), each, rtol=1e-12)


@pytest.mark.parametrize(
    ("law", "share"),
    [
        (SOFT, 0.35),
        (SoftBoundsUpdate(rate=0.1), 0.5),
        (PowerStepUpdate(step_size=1e-6, gamma_up=2.0, gamma_down=2.0), 0.5),
        (ExponentialUpdate(pulses_up=64, pulses_down=64, nl_up=2.4, nl_down=-2.4), 0.5),
        (LinearStepUpdate(step_size=1e-6, slope_up=0.5, asymmetry=0.2), 2 / 3),
    ],
)
def test_pulses_up_and_down_cancel_at_the_symmetry_point(law: StepUpdate, share: float) -> None:
    point = law.symmetry_point(WINDOW)
    assert point == pytest.approx(at(share), rel=1e-9)
    step = pulse(law, [point], 1)[0] - point
    assert point - pulse(law, [point], -1)[0] == pytest.approx(step, rel=1e-6)
    limits = CellLimits(np.zeros(2), np.array([10e-6, 20e-6]))
    np.testing.assert_allclose(np.asarray(law.symmetry_point(limits)), share * limits.g_max, rtol=1e-9)


@pytest.mark.parametrize(("rate", "asymmetry"), [(0.2, 0.5), (0.05, -0.8), (0.05, 0.0)])
def test_alternating_pulses_drive_soft_bounds_to_the_symmetry_point(rate: float, asymmetry: float) -> None:
    law = SoftBoundsUpdate(rate=rate, asymmetry=asymmetry)
    g = np.array([at(0.1), at(0.9)])
    for _ in range(int(10 / rate)):
        g = pulse(law, pulse(law, g, 1), -1)
    np.testing.assert_allclose(g, np.asarray(law.symmetry_point(WINDOW)), atol=0.5 * rate * SPAN)


@pytest.mark.parametrize("law", [LinearUpdate(step_size=1e-6), LINEAR, EXPONENTIAL.replace(nl_up=0.0, nl_down=0.0)])
def test_a_law_without_a_symmetry_point_says_so(law: StepUpdate) -> None:
    assert law.symmetry_point(WINDOW) is None


# --- device-to-device spread ---


def test_positive_parameters_spread_lognormally_around_their_mean() -> None:
    law = SoftBoundsUpdate(rate=0.02, spread_rate=0.3)
    (rate,) = drawn(law, (N,))
    assert_distributed(np.log(rate / 0.02) / 0.3 + 0.15, stats.norm.cdf)
    assert rate.mean() == pytest.approx(0.02, rel=5 * 0.31 / np.sqrt(N))


def test_signed_parameters_spread_normally_by_absolute_amounts() -> None:
    law = LINEAR.replace(spread_step_size=0.3, spread_asymmetry=0.02)
    step, asymmetry = drawn(law, (N,))
    assert_normal(asymmetry, 0.2, 0.02)
    assert_normal(np.log(step / 0.5e-6), -0.045, 0.3)
    assert_independent(step, asymmetry)


def test_labels_spread_as_labels() -> None:
    law = EXPONENTIAL.replace(spread_nl_up=0.3)
    (bent,) = drawn(law, (N,))
    labels = np.sort(np.clip(2.0 + 0.3 * Streams(0).rng("update").standard_normal((5, N))[2], -9, 9))
    np.testing.assert_allclose(np.sort(bent)[::500], [1 / curve_constant(float(nl)) for nl in labels[::500]], rtol=1e-5)


@pytest.mark.parametrize("label", [-9.0, -4.88, -0.3, -1e-5, 0.0, 1e-3, 0.01, 0.5, 2.4, 9.0])
def test_the_table_of_bends_is_that_of_the_constants(label: float) -> None:
    exact = 1 / curve_constant(label) if label else 0.0
    assert bends(np.array([label]))[0] == pytest.approx(exact, rel=1e-5, abs=0)


@pytest.mark.parametrize("law", SPREADING, **by_name)
@pytest.mark.parametrize("n", [1, -1, 25])
def test_every_cell_follows_the_law_of_its_own_parameters(law: StepUpdate, n: int) -> None:
    variation = drawn(law, (6,))
    g = at(np.linspace(0.2, 0.8, 6))
    base = law.law if isinstance(law, RampedUpdate) else law
    names = [f[7:] for f in type(base).model_fields if f.startswith("spread_") and getattr(base, f) > 0]
    for i in range(6):
        own = {name: float(row[i]) for name, row in zip(names, variation, strict=True)}
        if isinstance(base, ExponentialUpdate):
            np.testing.assert_allclose(pulse(law, g, n, variation=variation)[i], exponential(base, own, g[i], n, i))
            continue
        cell = base.replace(**own, **{f: 0.0 for f in type(base).model_fields if f.startswith("spread_")}, c2c=0.0)
        whole = law.replace(law=cell) if isinstance(law, RampedUpdate) else cell
        quiet = pulse(noisy(law, 0.0), g, n, variation=variation)
        np.testing.assert_allclose(quiet[i], pulse(whole, g, n)[i], rtol=1e-9)


def exponential(law: ExponentialUpdate, own: dict[str, float], g: float, n: int, i: int) -> float:
    """n pulses by the published formula, with the noise of cell i."""
    pulses = own["pulses_up"] if n > 0 else law.pulses_down
    a = pulses / (own["nl_up"] if n > 0 else own["nl_down"])
    b = SPAN / (1 - np.exp(-pulses / a))
    place = -a * np.log(1 - (g - LOW) / b)
    sigma = own["c2c"] * SPAN * np.sqrt(np.sum(np.exp(-2 * np.sign(n) / a * np.arange(abs(n)))))
    z = Streams(0).rng("pulse").standard_normal(6)[i]
    return float(np.clip(LOW + b * (1 - np.exp(-(place + n) / a)) + sigma * z, WINDOW.g_min, WINDOW.g_max))


@pytest.mark.parametrize("law", SPREADING, **by_name)
def test_what_spreads_is_drawn_apart_and_what_does_not_is_not_kept(law: StepUpdate) -> None:
    base = law.law if isinstance(law, RampedUpdate) else law
    names = [f for f in type(base).model_fields if f.startswith("spread_") and getattr(base, f) > 0]
    whole = drawn(base, (3, 4))
    assert whole.shape == (len(names), 3, 4)
    for k, name in enumerate(names):
        others = {f: 0.0 for f in names if f != name}
        np.testing.assert_array_equal(drawn(base.replace(**others), (3, 4)), whole[[k]])
    assert drawn(base.replace(**dict.fromkeys(names, 0.0)), (3, 4)) is None


@pytest.mark.parametrize("law", SPREADING, **by_name)
def test_trains_of_spread_cells_are_single_pulses(law: StepUpdate) -> None:
    quiet = noisy(law, 0.0)
    variation, g = drawn(quiet, (5,)), at(np.linspace(0.3, 0.7, 5))
    for n in (9, -9):
        train = pulse(quiet, g, n, variation=variation)
        np.testing.assert_allclose(train, singly(quiet, g, n, variation=variation), rtol=1e-9)


def test_values_beyond_a_range_are_set_to_its_end() -> None:
    rate, _ = drawn(SoftBoundsUpdate(rate=0.9, spread_rate=1.0, spread_asymmetry=1.0), (N,))
    law = LINEAR.replace(spread_asymmetry=2.0)
    (asymmetry,) = drawn(law, (N,))
    assert rate.max() == 1.0
    assert (asymmetry.min(), asymmetry.max()) == (-1.0, 1.0)


# --- places to go ---


class Replayed:
    """A generator that hands out foreign arrays of the same draws as a NumPy one."""

    def __init__(self) -> None:
        self._rng = Streams(0).rng("pulse")

    def standard_normal(self, size: Any) -> ForeignArray:
        return ForeignArray(self._rng.standard_normal(size))


@pytest.mark.parametrize("law", [*(noisy(law, 0.01) for law in LAWS), *SPREADING], **by_name)
@pytest.mark.parametrize("n", [[3, -2, 0, 7, -7, 1], [4] * 6, [-1, 1, 0, 1, -1, 0]])
def test_foreign_cells_take_the_same_pulses(law: StepUpdate, n: list[int]) -> None:
    variation = drawn(law, (6,))
    limits, g = CellLimits(np.full(6, LOW), np.linspace(50e-6, 70e-6, 6)), at(np.linspace(0.1, 0.7, 6))
    there = CellLimits(*map(ForeignArray, limits))
    foreign = None if variation is None else ForeignArray(variation)
    for here, over in ((limits, there), (WINDOW, WINDOW)):
        moved = law.pulse(ForeignArray(g), ForeignArray(np.array(n)), over, Replayed(), foreign)
        np.testing.assert_array_equal(moved.get(), pulse(law, g, np.array(n), here, variation))


@pytest.mark.parametrize("law", [*LAWS, *SPREADING], **by_name)
def test_laws_survive_their_card(law: StepUpdate, tmp_path: Any) -> None:
    device = Device(name="law", window=WINDOW, update=law)
    assert load(save(device, tmp_path / "law.toml")) == device


def test_the_family_has_a_schema() -> None:
    schema = str(Device.model_json_schema())
    for law in LAWS:
        assert type(law).__name__ in schema


@pytest.mark.parametrize(
    ("law", "values", "text"),
    [
        (LinearUpdate, {"step_size": 1.0}, "LinearUpdate.step_size: must be in siemens, 0 or between 1e-12 and 0.1"),
        (LinearUpdate, {"step_size": 0.0}, "LinearUpdate.step_size: must be greater than 0"),
        (SoftBoundsUpdate, {"rate": 1.5}, "SoftBoundsUpdate.rate: must be less than"),
        (
            LinearStepUpdate,
            {"step_size": 1e-6, "slope_up": 1.5},
            "LinearStepUpdate.slope_up: must be less",
        ),
        (PowerStepUpdate, {"step_size": 1e-6, "gamma_up": -1.0}, "PowerStepUpdate.gamma_up: must be greater than or"),
        (PulseScheme, {"volts": (1.0, 1000.0)}, "PulseScheme: volts must be magnitudes between 1e-4 and 20 volts, got"),
        (PulseScheme, {"seconds": (0.0, 1.0)}, "PulseScheme: seconds must be widths between 1e-12 and 1000 seconds"),
        (RampedUpdate, {"law": RAMPED}, "RampedUpdate: law must be one of identical pulses, got a RampedUpdate; give"),
    ],
)
def test_values_out_of_range_are_refused(law: Any, values: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        law(**values)
    assert str(caught.value).startswith(text)
