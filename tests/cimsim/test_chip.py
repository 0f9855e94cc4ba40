"""A chip's life: programming, calibration, age, another ADC; what is drawn when, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import device_models as dm
from cimsim import chip as chip_module
from cimsim import datasets
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.crossbar.wires import Wires
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network, mlp
from device_models import faults, programming, read_noise, retention
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import ParameterError, to_dict
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_independent, assert_normal, assert_rate, assert_same_law

WINDOW = Window(g_min=5e-6, g_max=1e-4)
IDEAL = Device(name="ideal", window=WINDOW)
SLOTS: dict[str, Any] = {
    "faults": faults.CellFaults(stuck_lrs=0.02, stuck_hrs=0.03, spread_g_min=0.05, spread_g_max=0.05),
    "programming": programming.SpanError(error=0.02),
    "retention": retention.PowerLawDrift(nu=0.05, spread=0.02),
    "read_noise": read_noise.ProportionalNoise(relative=0.02),
}
FULL = IDEAL.replace(**SLOTS)


def network() -> Network:
    return mlp([30, 20, 5], seed=1)


def inputs(n: int = 60) -> np.ndarray:
    return Streams(1).rng("inputs").random((n, 30), dtype=np.float32)


def made(device: Device = FULL, seed: int = 0, *, calibrate: bool = True, **spec: Any) -> Chip:
    spec = {"tile": (16, 8)} | spec
    return program(network(), ChipSpec(device=device, **spec), calibrate=inputs() if calibrate else None, seed=seed)


def cells(chip: Chip) -> list[np.ndarray]:
    """Conductances of all arrays of a chip."""
    return [tile.cells.g for matrix in chip.matrices for tile in matrix.tiles.values()]


def stuck(chip: Chip) -> list[np.ndarray]:
    return [tile.cells.stuck for matrix in chip.matrices for tile in matrix.tiles.values()]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# What is drawn


def test_one_seed_is_one_die() -> None:
    one, again = made(seed=3, adc=ADC(bits=6)), made(seed=3, adc=ADC(bits=6))
    assert same(cells(one), cells(again))
    assert np.array_equal(one.forward(inputs()), again.forward(inputs()))


def test_other_seeds_are_independent_dies() -> None:
    one, other = (np.concatenate([g.ravel() for g in cells(made(seed=seed))]) for seed in (3, 4))
    targets = np.concatenate([g.ravel() for g in cells(made(IDEAL))])
    assert_independent(one - targets, other - targets)


@pytest.mark.parametrize("off", ["programming", "retention", "read_noise"])
def test_switching_one_slot_off_leaves_what_is_fabricated(off: str) -> None:
    one, other = made(), made(FULL.replace(**{off: None}))
    assert same(stuck(one), stuck(other))
    limits = [[t.cells.limits.g_max for m in chip.matrices for t in m.tiles.values()] for chip in (one, other)]
    assert same(*limits)


@pytest.mark.parametrize("off", ["retention", "read_noise"])
def test_switching_reads_or_drift_off_leaves_what_is_written(off: str) -> None:
    assert same(cells(made()), cells(made(FULL.replace(**{off: None}))))


def test_switching_read_noise_off_leaves_every_trajectory() -> None:
    one, other = made().age(1e6), made(FULL.replace(read_noise=None)).age(1e6)
    for a, b in zip(one.matrices, other.matrices, strict=True):
        assert np.array_equal(a.weights(), b.weights())


@pytest.mark.parametrize(
    "spec",
    [{"adc": ADC(bits=4)}, {"adc": ADC(bits=9, noise=0.1)}, {"dac": DAC(bits=3)}, {"wires": Wires(word=1.0)}],
    ids=["adc", "another adc", "dac", "wires"],
)
def test_the_periphery_does_not_change_the_cells(spec: dict[str, Any]) -> None:
    assert same(cells(made()), cells(made(**spec)))


def test_the_die_does_not_depend_on_what_it_is_calibrated_on() -> None:
    spec = ChipSpec(device=FULL, adc=ADC(bits=6, gain_spread=0.1), tile=(16, 8))
    dies = [program(network(), spec, calibrate=x, seed=2) for x in (inputs(), 3 * inputs(7), None)]
    assert same(cells(dies[0]), cells(dies[1]))
    assert same(cells(dies[0]), cells(dies[2]))
    gains = [[e.gain for m in die.matrices for e in m.column_errors.values()] for die in dies]
    assert same(gains[0], gains[1])


def test_reads_are_fixed_by_their_seed_and_independent_of_other_seeds() -> None:
    chip, exact = made(), made(FULL.replace(read_noise=None))
    x = np.repeat(inputs(1), 500, axis=0)
    noise = [chip.matmul(0, x, seed=seed) - exact.matmul(0, x) for seed in (1, 1, 2)]
    assert np.array_equal(noise[0], noise[1])
    assert_independent(noise[0], noise[2])


def test_reads_of_different_layers_are_independent() -> None:
    net = mlp([20, 20, 20], seed=1)
    spec = ChipSpec(device=IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.05)))
    chip, x = program(net, spec), np.repeat(inputs(1)[:, :20], 500, axis=0)
    first, second = (chip.matmul(k, x) - x @ net.weights[k] for k in (0, 1))
    assert_independent(first, second)


@pytest.mark.parametrize("adc", [None, ADC(bits=7, noise=0.01)])
def test_the_noise_of_a_sample_does_not_depend_on_the_size_of_the_batch(adc: ADC | None) -> None:
    """Longer and shorter than what is run at once, also where a batch is cut."""
    chip = made(adc=adc)
    x = np.tile(inputs(), (3 * chip_module.CHUNK // 60 + 1, 1))
    whole = chip.forward(x, seed=5)
    assert np.array_equal(whole, chip.forward(x, seed=5))
    code = 0.0 if adc is None else max(float(np.max(b.step)) for b in chip.matrices[-1].banks.values())
    step = 1e-5 * np.abs(whole).max() + code * chip.matrices[-1].weight_scale * 30 / chip.matrices[-1].design.full_scale
    for n in (1, 100, chip_module.CHUNK, chip_module.CHUNK + 1):
        difference = np.abs(chip.forward(x[:n], seed=5) - whole[:n])
        assert (difference < 1e-5 * np.abs(whole).max()).mean() > 0.99  # but for sums on the edge of a code
        assert difference.max() <= step


def test_reads_are_normal_around_what_the_cells_hold() -> None:
    net = Network(network().layers[:1])
    chip = program(net, ChipSpec(device=IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.02))))
    x = np.repeat(inputs(1), 3000, axis=0)
    variance = sum((x[0] ** 2) @ (0.02 * g) ** 2 for t in chip.matrices[0].tiles.values() for g in t.cells.g)
    y = chip.forward(x) - net.layers[0].bias
    assert_normal(y, x[0] @ chip.matrices[0].weights(), chip.matrices[0].weight_scale / WINDOW.span * np.sqrt(variance))


# Ageing


@pytest.mark.parametrize("wires", [None, Wires(word=1.0)])
def test_ageing_by_parts_is_ageing_at_once(wires: Wires | None) -> None:
    chip = made(wires=wires)
    parts, once = chip.age(1000.0).age(9000.0), chip.age(10_000.0)
    assert parts.seconds == once.seconds == 10_000.0
    for a, b in zip(parts.matrices, once.matrices, strict=True):
        for place in a.places:
            held = [m.design.device.conductance(m.tiles[place].cells) for m in (a, b)]
            assert np.array_equal(*held)
    assert np.array_equal(parts.forward(inputs()), once.forward(inputs()))


def test_drift_alike_in_all_cells_scales_the_products_exactly() -> None:
    chip = made(IDEAL.replace(retention=retention.PowerLawDrift(nu=0.05)), calibrate=False)
    for seconds in (10.0, 1e8):
        expected = seconds**-0.05 * chip.matmul(0, inputs())
        np.testing.assert_allclose(chip.age(seconds).matmul(0, inputs()), expected, rtol=2e-5, atol=1e-6)


def test_age_leaves_the_ranges_and_the_younger_chip_as_they_were() -> None:
    chip = made(adc=ADC(bits=6), dac=DAC(bits=6))
    before = chip.forward(inputs())
    aged = chip.age(1e7)
    for young, old in zip(chip.matrices, aged.matrices, strict=True):
        assert old.banks is young.banks
        assert old.inputs == young.inputs
    assert chip.seconds == 0
    assert np.array_equal(chip.forward(inputs()), before)


def test_calibrating_an_aged_chip_again_fits_its_ranges_to_the_smaller_currents() -> None:
    chip = made(IDEAL.replace(retention=retention.PowerLawDrift(nu=0.1)), adc=ADC(bits=6))
    aged = chip.age(1e6)
    again = aged.calibrate(inputs(), seed=0)
    for young, old in zip(chip.matrices, again.matrices, strict=True):
        for place in young.places:
            np.testing.assert_allclose(old.banks[place].step, 1e6**-0.1 * young.banks[place].step, rtol=0.05)


@pytest.mark.parametrize("seconds", [-1.0, np.nan, np.inf, "a day"])
def test_time_does_not_run_backwards(seconds: Any) -> None:
    with pytest.raises(InputError, match=r"^age: must be a time in seconds, 0 or more, got .*; time does not run back"):
        made(calibrate=False).age(seconds)


# Converters


def test_another_adc_gives_the_chip_that_would_have_been_made_with_it() -> None:
    changed = made(adc=ADC(bits=8), dac=DAC(bits=8), wires=Wires(word=0.5), seed=4).with_adc(ADC(bits=5, per="column"))
    fresh = made(adc=ADC(bits=5, per="column"), dac=DAC(bits=8), wires=Wires(word=0.5), seed=4)
    assert changed.spec == fresh.spec
    assert np.array_equal(changed.forward(inputs()), fresh.forward(inputs()))


def test_taking_the_adc_away_gives_the_currents_themselves() -> None:
    chip = made(IDEAL, adc=ADC(bits=3), seed=4).with_adc(None)
    np.testing.assert_allclose(chip.forward(inputs()), network().forward(inputs()), atol=1e-5)


def test_more_bits_bring_the_chip_closer_to_its_cells_by_half_each() -> None:
    chip = made(IDEAL, adc=ADC(bits=4, calibration="minmax"))
    errors = []
    for bits in (5, 7, 9, 11):
        y = chip.with_adc(ADC(bits=bits, calibration="minmax")).matmul(0, inputs())
        errors.append(np.sqrt(np.mean((y - inputs() @ network().weights[0]) ** 2)))
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4.0, rtol=0.15)


def test_an_uncalibrated_chip_refuses_until_it_is_calibrated() -> None:
    chip = made(adc=ADC(bits=6), dac=DAC(bits=6), calibrate=False)
    message = (
        r"^ADC: has no range yet \(uncalibrated\) and does not convert; pass calibrate=x to program, or call "
        r"chip.calibrate\(x\), with some training inputs, or give a range$"
    )
    for use in (chip.forward, chip.predict, lambda x: chip.matmul(0, x), chip.with_adc(ADC(bits=4)).forward):
        with pytest.raises(InputError, match=message):
            use(inputs())
    later = chip.calibrate(inputs(), seed=0)
    assert np.array_equal(later.forward(inputs()), made(adc=ADC(bits=6), dac=DAC(bits=6)).forward(inputs()))
    with pytest.raises(InputError, match="uncalibrated"):
        chip.forward(inputs())


def test_each_layer_is_calibrated_on_what_the_converters_before_it_pass_on() -> None:
    chip = made(IDEAL, adc=ADC(bits=2), dac=DAC(bits=8))
    hidden, _ = chip.network.activations(inputs(), chip.products())
    assert chip.matrices[1].inputs.full == pytest.approx(float(hidden[1].max()))
    assert not chip.matrices[1].inputs.signed


# Specs, shapes and refusals


@pytest.mark.parametrize("weights", [DifferentialPair(subtract="digital"), OffsetColumn(), BitSlices(slices=2, bits=2)])
@pytest.mark.parametrize("card", dm.names())
def test_every_card_makes_a_chip_with_every_scheme(card: str, weights: Any) -> None:
    spec = ChipSpec(device=card, tile=(16, 9), weights=weights, dac=DAC(bits=8), adc=ADC(bits=8), wires=Wires(word=0.5))
    chip = program(network(), spec, calibrate=inputs(), seed=1)
    assert chip.report().cells == sum(g.size for g in cells(chip))
    if chip.report().stuck > 0.05 * chip.report().cells:  # so many dead cells are no question of the scheme
        chip = program(network(), spec.replace(device=spec.device.replace(faults=None)), calibrate=inputs(), seed=1)
    seen, exact = chip.age(10.0).matmul(0, inputs()), inputs() @ network().weights[0]
    assert np.corrcoef(seen.ravel(), exact.ravel())[0, 1] > 0.75


def test_a_spec_is_toml_and_back_and_names_its_device_by_card_or_in_full() -> None:
    spec = ChipSpec(device="generic-rram", weights=BitSlices(slices=2, bits=2), adc=ADC(bits=5), wires=Wires(word=1.0))
    assert ChipSpec(**to_dict(spec)) == spec
    assert spec.device == dm.load("generic-rram")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": "generic-ram"}, r"must be the name of a card or the path of one, got generic-ram; did you mean"),
        (
            {"tile": (0, 8)},
            r"ChipSpec: tile must have at least \(1, 1\) \(rows, columns\), got \(0, 8\); choose a larger",
        ),
        ({"tile": (8, 1), "weights": OffsetColumn()}, r"ChipSpec: tile must have at least \(1, 2\)"),
        (
            {"v_read": 200.0},
            r"ChipSpec\.v_read: must be in volts, between 0\.0001 and 20, got 200\.0; did you mean 200e-3",
        ),
        ({"device": "generic-rram", "v_read": 0.5}, r"v_read: must be at most the 0\.3 V that 'generic-rram' is known"),
        ({"adc": {"bitz": 3, "bits": 3}}, r"ChipSpec\.adc: unknown name, got 'bitz'; did you mean 'bits'"),
        ({"weights": {"kind": "OffsetColum"}}, r"unknown 'kind', got OffsetColum; did you mean 'OffsetColumn'"),
        ({"dacs": None}, r"ChipSpec: unknown name, got 'dacs'; did you mean 'dac'"),
        ({"weights": BitSlices(bits=4), "device": IDEAL.replace(window=WINDOW.replace(levels=8))}, "need 16 levels"),
    ],
)
def test_impossible_designs_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises((ParameterError, InputError), match=message) as caught:
        ChipSpec(**({"device": IDEAL} | values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda chip: chip.forward(np.zeros((3, 5))),
            "x: must have 30 features per sample (batch, 30), got shape (3, 5); reshape to (-1, 30) or fit the network",
        ),
        (
            lambda chip: chip.forward(np.zeros(30)),
            "x: must have 30 features per sample (batch, 30), got shape (30,); pass x[None, :] for one sample",
        ),
        (
            lambda chip: chip.forward(np.full((2, 30), np.nan)),
            "x: must be finite, got 60 NaN or infinite values of 60; remove or fill these values first",
        ),
        (
            lambda chip: chip.calibrate(np.full((2, 30), np.inf)),
            "x: must be finite, got 60 NaN or infinite values of 60; remove or fill these values first",
        ),
        (
            lambda chip: chip.matmul(0, np.zeros((2, 20))),
            "x: must have 30 features per sample (batch, 30), got shape (2, 20); "
            "reshape to (-1, 30) or fit the network",
        ),
        (lambda chip: chip.matmul(2, inputs()), "layer: must be an integer from -2 to 1, got 2; the chip has 2 layers"),
        (
            lambda chip: chip.matmul(True, inputs()),
            "layer: must be an integer from -2 to 1, got True; the chip has 2 layers",
        ),
        (lambda chip: chip.forward(inputs(), seed=-1), "seed: must be an integer, 0 or more, got -1; give seed=0, say"),
        (
            lambda chip: chip.forward(inputs(), seed=1.5),
            "seed: must be an integer, 0 or more, got 1.5; give seed=0, say",
        ),
        (
            lambda chip: program(chip.network, chip.spec, seed=-3),
            "seed: must be an integer, 0 or more, got -3; give seed=0, say",
        ),
        (
            lambda chip: program(chip.network, chip.spec.device, calibrate=inputs()),  # type: ignore[arg-type]
            "spec: must be a ChipSpec, got Device; write cim.ChipSpec(device=...), say",
        ),
        (
            lambda chip: program(chip, chip.spec),  # type: ignore[arg-type]
            "network: must be a Network, got Chip; build one with cim.mlp, cim.cnn or cim.snn, or load one",
        ),
        (
            lambda chip: program(chip.network, chip.spec, replicas={2: 3}),
            "replicas: must be an integer from -2 to 1, got 2; the chip has 2 layers",
        ),
        (
            lambda chip: program(chip.network, chip.spec, calibrate=np.zeros((2, 5))),
            "calibrate: must have 30 features per sample (batch, 30), got shape (2, 5); "
            "reshape to (-1, 30) or fit the network",
        ),
        (
            lambda chip: accuracy(chip, inputs(), np.zeros(3, int)),
            "y: must hold one label per sample, shape (60,), got shape (3,); pass the labels that belong to x",
        ),
        (lambda chip: chip.to("cuda"), "backend: unknown back end, got cuda; did you mean 'cupy'? Known: numpy, cupy"),
    ],
)
def test_bad_use_is_refused_in_one_line(use: Callable[[Chip], Any], message: str) -> None:
    chip = made(calibrate=False)
    with pytest.raises(InputError) as caught:
        use(chip)
    assert str(caught.value) == message


def test_bad_calibration_inputs_are_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("made")

    monkeypatch.setattr(chip_module.AnalogMatrix, "program", never)
    with pytest.raises(InputError, match="calibrate: must be finite"):
        program(network(), ChipSpec(device=IDEAL), calibrate=np.full((2, 30), np.nan))


# Reads that are not Gaussian: drawn cell by cell

TELEGRAPH = read_noise.TelegraphNoise(amplitude=0.2, exponent=0.5, g_ref=1e-5, tau_high=1.0, tau_low=4.0)


def test_telegraph_reads_have_the_mean_and_variance_of_theory() -> None:
    """The mean output is what the cells hold; its variance v^2 @ sigma^2, both cells of a pair adding to it."""
    chip = made(IDEAL.replace(read_noise=TELEGRAPH), calibrate=False)
    matrix, x = chip.matrices[0], inputs(1)
    reads = chip.matmul(0, np.repeat(x, 4000, axis=0), seed=1)
    sigma = np.zeros((30, 20))
    for (r, c), tile in matrix.tiles.items():
        sigma[matrix.rows[r], matrix.columns[c]] = np.sqrt((TELEGRAPH.sigma(tile.cells.g, 0.0) ** 2).sum(axis=0))
    unit = matrix.weight_scale / WINDOW.span
    spread = np.sqrt(x[0] ** 2 @ sigma**2) * unit
    standard = (reads - x[0] @ matrix.weights()) / spread
    assert np.abs(standard.mean(axis=0)).max() < 5 / np.sqrt(4000)
    np.testing.assert_allclose(standard.std(axis=0), 1.0, atol=0.06)


def test_the_output_of_one_cell_has_its_two_values() -> None:
    net = mlp([1, 2], seed=0).with_weights([(np.array([[1.0, 0.5]]), np.zeros(2))])
    device = Device(name="one", window=Window(g_min=0.0, g_max=1e-4), read_noise=TELEGRAPH)
    out = program(net, ChipSpec(device=device)).matmul(0, np.ones((2000, 1)))[:, 0]
    gap = TELEGRAPH.gap(np.array(1e-4)) / 1e-4
    low, high = 1 - 0.2 * gap, 1 + 0.8 * gap
    np.testing.assert_allclose(np.where(out > 1, out - high, out - low), 0.0, atol=1e-6)
    assert_rate(out > 1, 0.2)


def test_telegraph_reads_of_a_sample_are_the_same_however_a_batch_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = made(FULL.replace(read_noise=TELEGRAPH), adc=ADC(bits=8))
    whole = chip.forward(inputs(), seed=4)
    monkeypatch.setattr(chip_module, "CHUNK", 7)
    np.testing.assert_allclose(chip.forward(inputs(), seed=4), whole, atol=1e-5)
    assert not np.array_equal(chip.forward(inputs(), seed=5), whole)


def test_a_gaussian_law_drawn_cell_by_cell_has_the_law_of_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.repeat(inputs(1), 2000, axis=0)
    fast = made(wires=Wires(word=1.0)).age(100.0).matmul(0, x)
    monkeypatch.setattr(read_noise.ProportionalNoise, "gaussian", False)
    slow = made(wires=Wires(word=1.0)).age(100.0).matmul(0, x)
    for column in range(20):
        assert_same_law(fast[:, column], slow[:, column])


def test_telegraph_noise_too_small_to_matter_leaves_the_digits_as_they_are_and_a_large_one_does_not() -> None:
    (x, y), (x_test, y_test) = datasets.load("digits")
    x_test, y_test = x_test[:200], y_test[:200]
    means = np.stack([x[y == k].mean(axis=0) for k in range(10)], axis=1)
    net = mlp([64, 10], seed=0)
    net = net.with_weights([(means.astype(np.float32), (-0.5 * (means**2).sum(axis=0)).astype(np.float32))])
    exact = accuracy(program(net, ChipSpec(device=IDEAL)), x_test, y_test)
    seen = {}
    for amplitude in (1e-6, 1.0):
        law = TELEGRAPH.replace(amplitude=amplitude, exponent=0.0)
        seen[amplitude] = accuracy(program(net, ChipSpec(device=IDEAL.replace(read_noise=law))), x_test, y_test)
    assert seen[1e-6] == exact > 0.8
    assert 0.2 < seen[1.0] < exact - 0.03


def test_layers_are_counted_from_either_end() -> None:
    chip = made(IDEAL, calibrate=False)
    hidden = np.maximum(inputs() @ network().weights[0], 0)
    assert np.array_equal(chip.matmul(-1, hidden), chip.matmul(1, hidden))
    assert np.array_equal(chip.matmul(np.int64(-2), inputs()), chip.matmul(0, inputs()))


def test_whole_numbers_and_other_floats_are_taken_as_inputs() -> None:
    chip = made(IDEAL, calibrate=False)
    x = np.arange(60).reshape(2, 30)
    for kind in (np.uint8, np.int64, np.float16, np.float64):
        np.testing.assert_allclose(chip.forward(x.astype(kind)), network().forward(x.astype(np.float32)), rtol=1e-4)


def test_the_held_network_predicts_what_the_chip_reads_without_noise() -> None:
    chip = made(FULL.replace(read_noise=None), wires=Wires(word=1.0, bit=1.0), calibrate=False).age(1e5)
    np.testing.assert_allclose(chip.held_network().forward(inputs()), chip.forward(inputs()), atol=1e-5)
    assert (chip.held_network().predict(inputs()) == chip.predict(inputs())).all()


# Transposed reads


@pytest.mark.parametrize("scheme", [DifferentialPair(), OffsetColumn(), BitSlices(slices=3, bits=2)], ids=str)
def test_errors_go_back_through_the_weights_that_the_cells_hold(scheme: Any) -> None:
    chip = made(FULL.replace(read_noise=None), weights=scheme, wires=Wires(word=1.0, bit=1.0), adc=ADC(bits=6))
    e = Streams(4).rng("errors").standard_normal((40, 20)).astype(np.float32)
    expected = e @ chip.matrices[0].weights().T
    np.testing.assert_allclose(chip.rmatmul(0, e), expected, atol=5e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(chip.rmatmul(-1, e[:, :5]), chip.rmatmul(1, e[:, :5]))


def test_the_way_back_is_calibrated_layer_by_layer_and_does_not_touch_the_way_forward() -> None:
    converters = {"back_dac": DAC(bits=12), "back_adc": ADC(bits=12), "adc": ADC(bits=6), "dac": DAC(bits=6)}
    chip, plain = made(FULL, **converters), made(FULL, adc=ADC(bits=6), dac=DAC(bits=6))
    e = Streams(4).rng("errors").standard_normal((40, 5)).astype(np.float32)
    with pytest.raises(InputError, match=r"^back ADC: has no range yet .*; call chip.calibrate_back\(layer, e\) with"):
        chip.rmatmul(-1, e)
    ready = chip.calibrate_back(-1, e)
    assert np.array_equal(ready.forward(inputs()), plain.forward(inputs()))
    assert same(cells(ready), cells(plain))
    quiet = made(FULL.replace(read_noise=None), **converters).calibrate_back(-1, e)
    expected = e @ quiet.matrices[1].weights().T
    np.testing.assert_allclose(quiet.rmatmul(-1, e), expected, atol=3e-3 * np.abs(expected).max())
    assert_independent(ready.rmatmul(-1, e, seed=1) - expected, ready.rmatmul(-1, e, seed=2) - expected)
    assert ready.report().effects["back_adc"].startswith("ADC(bits=12")
    assert "back_adc" not in plain.report().effects


def test_errors_of_the_wrong_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"must have 20 features per sample"):
        made(IDEAL, calibrate=False).rmatmul(0, np.ones((3, 30)))
