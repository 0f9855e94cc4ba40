"""A broken promise is caught, and the sentence names it: one wrong slot class for each promise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from device_models.cards import load, names
from device_models.checks import CHECKS, check_device
from device_models.conduction import Conduction
from device_models.device import Device
from device_models.faults import CellFaults, Fabricated, Faults
from device_models.parameters import Spread, Variant
from device_models.programming import SpanError, VerifyLoop, WriteError, WriteVerify, Written, shortcut
from device_models.read_noise import AbsoluteNoise, OneOverFNoise, ReadNoise, SumOfNoise, TelegraphNoise
from device_models.retention import Retention
from device_models.update import (
    ExponentialStepUpdate,
    ExponentialUpdate,
    LinearStepUpdate,
    LinearUpdate,
    PowerStepUpdate,
    PulseScheme,
    RampedUpdate,
    SoftBoundsUpdate,
    StepUpdate,
    Update,
)
from device_models.window import Window, clip_to

PLAIN = Device(name="plain", window=Window(g_min=10e-6, g_max=110e-6))
EXPONENTIAL = ExponentialUpdate(pulses_up=100, pulses_down=100, c2c=0.01)
PULSED = PLAIN.replace(update=EXPONENTIAL)

LAWS: list[StepUpdate] = [
    EXPONENTIAL.replace(nl_up=2.0, spread_pulses_up=0.2, spread_nl_up=0.5, spread_nl_down=0.3, spread_c2c=0.1),
    LinearUpdate(step_size=1e-6, asymmetry=0.05, c2c=0.003, spread_step_size=0.3, spread_asymmetry=0.02),
    LinearStepUpdate(
        step_size=1e-6, slope_up=0.5, slope_down=-0.5, c2c=0.003, spread_slope_up=0.2, spread_step_size=0.2
    ),
    SoftBoundsUpdate(rate=0.02, asymmetry=-0.2, c2c=0.003, spread_rate=0.3, spread_asymmetry=0.1),
    ExponentialStepUpdate(
        step_size=1e-6, a_up=0.1, a_down=0.2, gamma_up=2.0, gamma_down=1.0, c2c=0.003, spread_a_up=0.05
    ),
    PowerStepUpdate(step_size=1e-6, gamma_up=2.0, gamma_down=0.5, c2c=0.003, spread_gamma_up=0.2, spread_c2c=0.3),
]
LAWS.append(RampedUpdate(law=LAWS[3], up=PulseScheme(volts=(1.0, 1.5), volts_per_e=0.3), down=PulseScheme(power=0.5)))
LOOP = VerifyLoop(tolerance_share=0.02, max_pulses=200, pulse_energy=1e-12, pulse_seconds=1e-7)
SOUND = [PLAIN.replace(name=type(law).__name__, update=law) for law in LAWS]
RARE = TelegraphNoise(amplitude=0.3, exponent=0.5, tau_high=1e-4, tau_low=3e-2)
EVEN = TelegraphNoise(amplitude=0.2, tau_high=1e-3, tau_low=1e-3)
SUM = SumOfNoise(parts=(OneOverFNoise(q=0.01, g_ref=1e-5), RARE, EVEN))
SOUND += [PLAIN.replace(name=f"read noise {k}", read_noise=law) for k, law in enumerate((RARE, EVEN, SUM))]
SOUND.append(PULSED.replace(name="loop", programming=LOOP))
SOUND.append(PLAIN.replace(name="noisy loop", update=LAWS[1], programming=LOOP.replace(read_sigma=1e-6)))
SOUND.append(PLAIN.replace(name="shortcut", programming=shortcut(LOOP, LAWS[0], PLAIN.window, targets=9, cells=400)))


class ForgetsItsValue(Faults):
    spread: Spread = 0.1

    def __init__(self, **values: Any) -> None:
        super().__init__(**{**values, "spread": 0.2 if values else 0.1})

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Fabricated:
        return CellFaults(spread_g_max=self.spread).draw(shape, rng)


class NoiseForAFlatArray(ReadNoise):
    def sigma(self, g: Any, seconds: Any) -> Any:
        return np.full(g.size, 1e-6)


class DriftBelowZero(Retention):
    def draw(self, g: Any, rng: Any) -> Any:
        return np.zeros((1, *g.shape))

    def apply(self, g: Any, sample: Any, seconds: Any) -> Any:
        return g - 1e-9 * seconds


class UnseededNoise(ReadNoise):
    def sigma(self, g: Any, seconds: Any) -> Any:
        return 1e-6 * np.ones_like(g)

    def read(self, g: Any, rng: Any, seconds: Any = 0.0) -> Any:
        return g + 1e-6 * np.random.default_rng().standard_normal(g.shape)


class GlobalNoise(UnseededNoise):
    def read(self, g: Any, rng: Any, seconds: Any = 0.0) -> Any:
        np.random.seed(0)  # noqa: NPY002
        return g + 1e-6 * np.random.standard_normal(g.shape)  # noqa: NPY002


class NoiseThatStays(UnseededNoise):
    def read(self, g: Any, rng: Any, seconds: Any = 0.0) -> Any:
        g += 1e-6 * rng.standard_normal(g.shape)
        return g


class RedrawnDrift(Retention):
    calls: ClassVar[list[int]] = [0]

    def draw(self, g: Any, rng: Any) -> Any:
        return np.zeros((1, *g.shape))

    def apply(self, g: Any, sample: Any, seconds: Any) -> Any:
        self.calls[0] += 1
        nu = np.random.default_rng(self.calls[0]).normal(0.05, 0.01, g.shape)
        return g * np.maximum(seconds, 1.0) ** -nu


class DriftFromTheStart(DriftBelowZero):
    def apply(self, g: Any, sample: Any, seconds: Any) -> Any:
        return g * 0.9


class ErrorTwiceAsWide(WriteError):
    def sigma(self, g_target: Any, window: Any) -> Any:
        return 1e-6 * np.ones_like(g_target)

    def write(self, g_target: Any, window: Any, rng: Any) -> Written:
        return SpanError(error=0.02).write(g_target, window, rng)


class NoiseTwiceAsWide(UnseededNoise):
    def read(self, g: Any, rng: Any, seconds: Any = 0.0) -> Any:
        return g + 2e-6 * rng.standard_normal(g.shape)


class TelegraphOfHalfTheSigma(TelegraphNoise):
    def sigma(self, g: Any, seconds: Any) -> Any:
        return 0.5 * super().sigma(g, seconds)


class TelegraphAboveTheMean(TelegraphNoise):
    def sampler(self, g: Any, seconds: Any = 0.0) -> Any:
        return lambda rng: self.gap(g) * (rng.random(g.shape) < self.share_high)


class NoiseInsideTheWindow(UnseededNoise):
    def read(self, g: Any, rng: Any, seconds: Any = 0.0) -> Any:
        return np.clip(super().read(g, rng), PLAIN.window.g_min, PLAIN.window.g_max)


class Backwards(Update):
    def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
        return clip_to(g - 1e-6 * n, window)

    def step(self, window: Any) -> Any:
        return 1e-6


class OutOfTheWindow(Backwards):
    def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
        return g + 30e-6 * n


class OneForAll(Backwards):
    def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
        return clip_to(g + 1e-6 * np.sign(n), window)


class NoiseOncePerTrain(Backwards):
    def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
        return clip_to(g + 1e-6 * n + 1e-6 * rng.standard_normal(g.shape), window)


class RedrawnSteps(Backwards):
    calls: ClassVar[list[int]] = [0]

    def pulse(self, g: Any, n: Any, window: Any, rng: Any, variation: Any = None) -> Any:
        self.calls[0] += 1
        factor = np.random.default_rng(self.calls[0]).uniform(0.5, 1.5)
        return clip_to(g + 1e-6 * factor * n + 1e-9 * rng.standard_normal(g.shape), window)


class OneSpreadForAll(LinearUpdate):
    def draw(self, shape: tuple[int, ...], rng: Any) -> Any:
        return rng.standard_normal((1, 1))


class VerifyThatSaysNothing(WriteVerify):
    def write(self, g_target: Any, window: Any, rng: Any) -> Written:
        written = super().write(g_target, window, rng)
        return written._replace(failed=np.zeros_like(written.failed))


class Rectifier(Conduction):
    def drive(self, v: Any) -> Any:
        return np.maximum(v, 0.0)


class TwiceTheVoltage(Conduction):
    def drive(self, v: Any) -> Any:
        return 2 * v


class RaisesOnNothing(ReadNoise):
    def sigma(self, g: Any, seconds: Any) -> Any:
        return 0.01 * g.max() * np.ones_like(g)


CARD = "A device survives the way to TOML values and back."
SHAPES = "Every method works element by element, on any shape."
FINITE = "Conductances stay finite and at or above 0, from the write to ten years later."
SEEDED = "The same streams make the same cells, and no draw uses NumPy's global generator."
VALUES = "Cells are values: no method changes those it is given."
AGEING = "Cells show what was written, and ageing by a and then by b is ageing by a + b."
WRITES = "A one-shot write lands around its target with the declared standard deviation."
READS = "Reads scatter around the conductance with the declared standard deviation, and are not clipped."
PULSES = "Potentiation never lowers the mean, depression never raises it, and the window holds."
TRAINS = "A train of n pulses equals n single ones in mean and standard deviation."
KEPT = "Cells keep the pulse parameters drawn for them: one train and the next move a cell alike in the mean."
VERIFIED = "A verified write ends within its tolerance or is reported as failed."
CURVE = "The I-V curve is odd, rises, and is ohmic at small voltage."

WIDE = SpanError(error=0.05)
TELEGRAPH = {"amplitude": 0.2, "tau_high": 1e-3, "tau_low": 1e-3}
GAUSSIAN = AbsoluteNoise(std=2e-7)

BROKEN = [
    ("faults", ForgetsItsValue(), CARD, "It came back different."),
    ("read_noise", NoiseForAFlatArray(), SHAPES, "ValueError was raised: operands could not be broadcast"),
    ("read_noise", RaisesOnNothing(), SHAPES, "ValueError was raised: zero-size array"),
    ("retention", DriftBelowZero(), FINITE, "After 3.15e+08 s the lowest is "),
    ("read_noise", UnseededNoise(), SEEDED, "From one seed the reads differ."),
    ("read_noise", GlobalNoise(), SEEDED, "The global generator was moved."),
    ("read_noise", NoiseThatStays(), VALUES, "A read or a pulse wrote into their arrays."),
    ("retention", RedrawnDrift(), AGEING, "1000 s and 4000 s are not 5000 s: "),
    ("retention", DriftFromTheStart(), AGEING, "At 0 s they show other conductances."),
    ("programming", ErrorTwiceAsWide(), WRITES, "Declared 6e-05 +- 1e-06 S, written "),
    ("read_noise", NoiseTwiceAsWide(), READS, "Declared 1e-05 +- 1e-06 S, read "),
    ("read_noise", NoiseInsideTheWindow(), READS, "Declared 1e-05 +- 1e-06 S, read "),
    ("read_noise", TelegraphOfHalfTheSigma(**TELEGRAPH), READS, "Declared 1e-05 +- 5e-07 S, read 1.00"),
    ("read_noise", TelegraphAboveTheMean(**TELEGRAPH), READS, "Declared 1e-05 +- 1e-06 S, read 1.1"),
    ("read_noise", SumOfNoise(parts=(GAUSSIAN, TelegraphOfHalfTheSigma(**TELEGRAPH))), READS, "Declared 1e-05 +- "),
    ("update", Backwards(), PULSES, "-3 pulses at 0.3 of the window moved the mean by 3e-06 S."),
    ("update", OutOfTheWindow(), PULSES, "-3 pulses left the window."),
    ("update", OneForAll(), TRAINS, "Off by "),
    ("update", NoiseOncePerTrain(), TRAINS, "Off by "),
    ("update", RedrawnSteps(), KEPT, "From the same state a cell moved "),
    ("update", OneSpreadForAll(step_size=1e-6, spread_step_size=0.1), KEPT, "For cells of shape (20000,) it drew"),
    ("programming", VerifyThatSaysNothing(error=WIDE, tolerance=1e-6, max_pulses=3), VERIFIED, ""),
    ("conduction", Rectifier(), CURVE, "f runs from 0 to 0.2 V over -0.2 to 0.2 V, and f(1e-6 V) is 1e-06 V."),
    ("conduction", TwiceTheVoltage(), CURVE, "f runs from -0.4 to 0.4 V over -0.2 to 0.2 V, and f(1e-6 V) is 2e-06 V."),
]


@pytest.mark.parametrize("device", [PLAIN, PULSED, *SOUND, *map(load, names())], ids=lambda device: device.name)
def test_a_sound_device_keeps_every_promise(device: Device) -> None:
    findings = check_device(device)
    assert len(findings) == len(CHECKS)
    assert [f.broken for f in findings] == [""] * len(CHECKS)
    assert all(f.promise.endswith(".") for f in findings)
    assert len({f.promise for f in findings}) == len(CHECKS)


@pytest.mark.parametrize(("slot", "law", "promise", "how"), BROKEN, ids=[type(law).__name__ for _, law, *_ in BROKEN])
def test_a_broken_promise_is_named(slot: str, law: Variant, promise: str, how: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_device(PLAIN.replace(**{slot: law}))
    assert str(caught.value).startswith("device 'plain': ")
    assert f"{promise} {how}" in str(caught.value)


def test_every_promise_is_broken_by_one_of_these_classes() -> None:
    promises = {finding.promise for finding in check_device(PLAIN)}
    promises.remove("Switching one slot off leaves what the others draw bit-identical.")  # no slot can break it
    assert {promise for _, _, promise, _ in BROKEN} == promises


def test_without_strict_the_findings_are_only_reported() -> None:
    broken = [f for f in check_device(PLAIN.replace(conduction=TwiceTheVoltage()), strict=False) if f.broken]
    assert [f.promise for f in broken] == [CURVE]
