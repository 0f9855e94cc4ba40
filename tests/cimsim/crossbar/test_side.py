"""Reading in passes, forwards and backwards: slices of inputs and weights, shared converters, transposed reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimsim.crossbar.converters import ADC, DAC, AnyADC, FlashADC, LogADC, SarADC
from cimsim.crossbar.converters.dac import codes
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.reader import Reader
from cimsim.crossbar.wires import Wires, effective_conductance
from device_models import read_noise, retention, update
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Window
from tests.device_models.laws import assert_normal, assert_same_law
from tests.foreign import ForeignArray

IDEAL = Device(name="ideal", window=Window(g_min=1e-6, g_max=1e-4))
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.05))
WIRES = Wires(word=3.0, bit=2.0, source=20.0, sense=10.0)
SCHEMES = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn(), BitSlices(slices=3, bits=2)]
ENCODINGS = [
    {"slice_bits": width, "encoding": encoding, "signed": signed}
    for width in (None, 1, 3)
    for encoding in ("voltage", "pulse-width")
    for signed in ("differential", "two-pass", "offset")
]
ROWS, COLUMNS = 20, 11


def weights() -> np.ndarray:
    return Streams(1).rng("weights").uniform(-1, 1, (ROWS, COLUMNS))


def inputs(batch: int = 30, low: float = -1.0) -> np.ndarray:
    return Streams(2).rng("inputs").uniform(low, 1, (batch, ROWS)).astype(np.float32)


def errors(batch: int = 30) -> np.ndarray:
    return Streams(3).rng("errors").uniform(-1, 1, (batch, COLUMNS)).astype(np.float32)


def made(device: Device = IDEAL, tile: tuple[int, int] = (16, 8), seed: int = 0, **changes: Any) -> AnalogMatrix:
    design = replace(Design(device, tile, DifferentialPair(), None, None, None, 0.2), **changes)
    return AnalogMatrix.program(weights(), design, Streams(seed))


def draws(seed: int = 0, like: Any = None) -> Draws:
    return Draws(Streams(seed), np.zeros(1, np.float32) if like is None else like)


def close(seen: np.ndarray, expected: np.ndarray, share: float = 3e-6) -> None:
    np.testing.assert_allclose(seen, expected, atol=share * np.abs(expected).max())


# Passes


@pytest.mark.parametrize("choice", ENCODINGS, ids=lambda c: "-".join(map(str, c.values())))
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_without_adc_every_encoding_gives_the_product_of_the_codes(
    scheme: WeightScheme, choice: dict[str, Any]
) -> None:
    dac = DAC(bits=6, range=(-1.0, 1.0), **choice)
    matrix = made(scheme=scheme, dac=dac)
    assert matrix.inputs is not None
    close(matrix.matmul(inputs(), draws()), codes(dac, inputs(), matrix.inputs) / 31 @ matrix.weights())


@pytest.mark.parametrize("choice", ENCODINGS, ids=lambda c: "-".join(map(str, c.values())))
def test_through_a_nonlinear_law_one_bit_passes_and_pulses_stay_exact(choice: dict[str, Any]) -> None:
    matrix = made(IDEAL.replace(conduction=Sinh(v0=0.1)), dac=DAC(bits=6, range=(-1.0, 1.0), **choice))
    exact = made(dac=DAC(bits=6, range=(-1.0, 1.0))).matmul(inputs(), draws())
    error = np.abs(matrix.matmul(inputs(), draws()) - exact).max() / np.abs(exact).max()
    if choice["slice_bits"] == 1 or choice["encoding"] == "pulse-width":
        assert error < 3e-6
    else:
        assert error > 0.01


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("signed", ["differential", "two-pass", "offset"])
def test_every_pass_and_slice_is_converted_by_itself_and_added_by_its_worth(scheme: WeightScheme, signed: Any) -> None:
    """Oracle: floor to codes in float64, pass by pass, tile by tile, signal by signal."""
    adc = ADC(bits=5, range=(-2e-5, 2.7e-5))
    dac = DAC(bits=4, slice_bits=1, signed=signed, range=(-1.0, 1.0))
    matrix = made(scheme=scheme, dac=dac, adc=adc)
    assert matrix.inputs is not None
    whole, y = codes(dac, inputs(), matrix.inputs), np.zeros((30, COLUMNS))
    sent = {"differential": [(whole, 1)], "two-pass": [(np.maximum(whole, 0), 1), (np.maximum(-whole, 0), -1)]}
    for part, sign in sent.get(signed, [(whole + 8, 1)]):
        for bit in range(4 if signed == "offset" else 3):
            drive = 0.2 * np.sign(part) * (np.abs(part).astype(int) >> bit & 1)
            y += sign * 2**bit / 7 * _converted(matrix, drive)
    if signed == "offset":  # the code for 0 is 1000
        rest = np.zeros((1, ROWS))
        y -= 8 / 7 * _converted(matrix, rest + 0.2) + 7 / 7 * _converted(matrix, rest)
    seen = matrix.matmul(inputs(), draws()) / matrix.weight_scale
    assert (np.abs(seen - y) < 1e-4).mean() > 0.99  # all but currents within rounding of a transition


def _converted(matrix: AnalogMatrix, drive: np.ndarray) -> np.ndarray:
    """Sums of codes' currents over full scale, `(batch, outputs)`, for one drive of the word lines."""
    scheme, y = matrix.design.scheme, np.zeros((len(drive), COLUMNS))
    step = 4.7e-5 / 32
    for (r, c), tile in matrix.tiles.items():
        i = np.einsum("sa,br,arc->bsc", scheme.analog(), drive[:, matrix.rows[r]], tile.cells.g)
        code = np.clip(np.floor((i + 2e-5) / step), 0, 31)
        y[:, matrix.columns[c]] += scheme.collect(-2e-5 + (code + 0.5) * step)
    return y / (0.2 * IDEAL.window.span)


@pytest.mark.parametrize("signed", ["differential", "two-pass", "offset"])
def test_every_pass_reads_the_cells_anew(signed: Any) -> None:
    """Variances of passes add, each with the square of its worth."""
    dac = DAC(bits=4, slice_bits=1, signed=signed, range=(-1.0, 1.0))
    matrix = made(NOISY, dac=dac, tile=(64, 64))
    x, cells = np.repeat(inputs(1), 4000, axis=0), matrix.tiles[0, 0].cells.g
    whole = codes(dac, inputs(1), matrix.inputs)[0] + (8 if signed == "offset" else 0)
    bits = np.abs(whole).astype(int) >> np.arange(4)[:, None] & 1
    variance = (((2.0 ** np.arange(4))[:, None] / 7 * bits) ** 2).sum(axis=0) @ (0.05 * cells).__pow__(2).sum(axis=0)
    sigma = np.sqrt(variance) / IDEAL.window.span * matrix.weight_scale
    seen = matrix.matmul(x, draws())
    mean = codes(dac, inputs(1), matrix.inputs) / 7 @ matrix.weights()
    assert_normal(seen.astype(np.float64), mean, sigma)


@pytest.mark.parametrize("dac", [None, DAC(bits=4, slice_bits=2)])
def test_tiles_without_converters_are_read_as_one_and_give_the_sum_of_each(dac: DAC | None) -> None:
    matrix = made(dac=dac).calibrated(inputs(), draws())
    joined, rows = Reader.of(matrix.forward, matrix.tiles), draws().rows(30)
    assert len(matrix.tiles) > len(joined.tiles) == 1
    close(joined.product(inputs(), rows), Reader(matrix.forward, matrix.tiles).product(inputs(), rows))


@pytest.mark.parametrize("changes", [{"adc": ADC(bits=6)}, {"device": NOISY}])
def test_tiles_are_read_one_by_one_where_each_is_converted_or_noisy(changes: dict[str, Any]) -> None:
    matrix = made(**changes)
    assert Reader.of(matrix.forward, matrix.tiles).tiles == matrix.tiles


def test_a_long_batch_is_cut_into_blocks_and_reads_the_same_numbers() -> None:
    matrix = made(NOISY, dac=DAC(bits=4, slice_bits=2, noise=0.01), adc=ADC(bits=9, noise=0.003))
    matrix, x = matrix.calibrated(inputs(), draws()), inputs(700)
    whole, source = matrix.matmul(x, draws(4)), draws(4)
    parts = np.concatenate([matrix.matmul(part, source) for part in (x[:1], x[1:300], x[300:])])
    assert np.mean(np.abs(whole - parts) < 1e-5) > 0.999


def test_turns_of_telegraph_noise_are_apart_too() -> None:
    device = IDEAL.replace(read_noise=read_noise.TelegraphNoise(amplitude=0.3, tau_high=1.0, tau_low=1.0))
    x = np.ones((3, ROWS), np.float32)
    one, two = (made(device, dac=DAC(bits=2, slice_bits=1, range=(0.0, 1.0))).currents(x, draws()) for _ in range(2))
    for (_, i), (_, again) in zip(one, two, strict=True):
        assert i.shape[0] == 6
        assert np.array_equal(i, again)
        assert (i[:3] != i[3:]).mean() > 0.7  # few cells: some sums come out alike


# Offset inputs


def test_inputs_of_0_give_0_through_any_converter() -> None:
    matrix = made(dac=DAC(bits=6, signed="offset"), adc=SarADC(bits=4, mismatch=0.2, offset_spread=0.05))
    matrix = matrix.calibrated(inputs(), draws())
    assert np.array_equal(matrix.matmul(np.zeros((3, ROWS)), draws()), np.zeros((3, COLUMNS)))


def test_the_word_for_zero_does_not_follow_drift_until_it_is_measured_again() -> None:
    device = IDEAL.replace(retention=retention.PowerLawDrift(nu=0.1, spread=0.05))
    matrix = made(device, dac=DAC(bits=6, signed="offset")).calibrated(inputs(), draws())
    aged, rest = matrix.aged(1e5), np.zeros((1, ROWS), np.float32)
    assert matrix.inputs is not None
    lost = (aged.weights() - matrix.weights()).sum(axis=0) * 32 / 31 * matrix.inputs.full
    close(aged.matmul(rest, draws())[0], lost)
    assert np.abs(lost).max() > 0.1
    again = aged.calibrated(inputs(), draws())
    assert np.array_equal(again.matmul(rest, draws()), np.zeros((1, COLUMNS)))


def test_after_pulses_the_word_for_zero_is_measured_again() -> None:
    device = IDEAL.replace(update=update.ExponentialUpdate(pulses_up=50, pulses_down=50))
    matrix = made(device, dac=DAC(bits=6, signed="offset")).calibrated(inputs(), draws())
    moved, _ = matrix.pulsed(np.full((ROWS, COLUMNS), 5), Streams(1))
    assert not np.array_equal(moved.weights(), matrix.weights())
    assert np.array_equal(moved.matmul(np.zeros((1, ROWS)), draws()), np.zeros((1, COLUMNS)))


# Ranges, kinds and sharing


@pytest.mark.parametrize("signed", ["differential", "two-pass", "offset"])
def test_ranges_cover_the_currents_of_all_passes(signed: Any) -> None:
    dac = DAC(bits=4, slice_bits=1, signed=signed)
    matrix = made(dac=dac, adc=ADC(bits=8, calibration="minmax")).calibrated(inputs(), draws())
    assert matrix.clipping(inputs(), draws()) < 1e-3  # the outermost currents, but for rounding
    passes = {"differential": 3, "two-pass": 6, "offset": 4}[signed]
    for place, i in matrix.currents(inputs(), draws()):
        bank = matrix.banks[place]
        low, high = bank.first - bank.step / 2, bank.first + bank.step * 255.5
        assert i.shape == (30 * passes, bank.step.size)
        assert (i >= low - 1e-9).all()
        assert (i <= high + 1e-9).all()


KINDS: list[AnyADC] = [
    SarADC(bits=10, mismatch=0.01),
    FlashADC(bits=9),
    LogADC(bits=12),
    ADC(bits=11, dnl=0.1, inl=0.5),
]


@pytest.mark.parametrize("adc", KINDS, ids=lambda adc: type(adc).__name__)
@pytest.mark.parametrize("per", ["layer", "tile", "column"])
@pytest.mark.parametrize("share", [1, 3])
def test_fine_converters_of_every_kind_come_close_to_the_product(adc: AnyADC, per: Any, share: int) -> None:
    matrix = made(scheme=OffsetColumn(), adc=adc.replace(per=per, share=share)).calibrated(inputs(), draws())
    expected = inputs() @ matrix.weights()
    error = matrix.matmul(inputs(), draws()) - expected
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.abs(expected).max()


def test_neighbouring_columns_of_an_array_share_a_converters_errors() -> None:
    scheme = DifferentialPair(subtract="digital")
    matrix = made(scheme=scheme, adc=ADC(bits=8, gain_spread=0.1, share=4)).calibrated(inputs(), draws())
    scale = matrix.banks[0, 0].scale.reshape(2, 8)
    assert np.array_equal(scale[:, :4], np.repeat(scale[:, :1], 4, axis=1))
    assert np.unique(scale).size == 4
    assert (
        matrix.banks[0, 1].scale.reshape(2, 3)[:, 1:].tolist()
        == matrix.banks[0, 1].scale.reshape(2, 3)[:, :-1].tolist()
    )


# Transposed reads


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_the_transposed_read_is_the_product_with_the_transposed_weights_held(scheme: WeightScheme, wires: Any) -> None:
    device = IDEAL.replace(retention=retention.PowerLawDrift(nu=0.1, spread=0.1))
    matrix = made(device, scheme=scheme, wires=wires).aged(1e4)
    seen = matrix.rmatmul(errors(), draws())
    close(seen, errors() @ matrix.weights().T)
    assert seen.shape == (30, ROWS)
    assert seen.dtype == np.float32


def test_the_way_back_through_the_wires_is_that_of_an_array_turned_around() -> None:
    """Reciprocity: an array whose word lines are the old bit lines, driven at their sense end, and so on."""
    g = Streams(1).rng("g").uniform(1e-6, 1e-3, (13, 7))
    turned = Wires(word=WIRES.bit, bit=WIRES.word, source=WIRES.sense, sense=WIRES.source)
    around = effective_conductance(g[::-1, ::-1].T, turned)
    np.testing.assert_allclose(around[::-1, ::-1].T, effective_conductance(g, WIRES), rtol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("wires", [None, WIRES], ids=["ideal", "wires"])
def test_transposed_reads_draw_the_noise_of_their_cells_anew(scheme: WeightScheme, wires: Any) -> None:
    matrix = made(NOISY, scheme=scheme, wires=wires, tile=(64, 64))
    e, tile = errors(1), matrix.tiles[0, 0]
    full = np.concatenate([e[0], [e[0].sum()]]) if isinstance(scheme, OffsetColumn) else e[0]
    cells = (0.05 * np.minimum(tile.g_eff, tile.cells.g)) ** 2  # noise is attenuated as the cell's current is
    worth = np.array(scheme.worths()) ** 2 @ np.abs(scheme.analog())
    sigma = np.sqrt(np.einsum("a,arc,c->r", worth, cells, full**2)) / IDEAL.window.span * matrix.weight_scale
    seen = matrix.rmatmul(np.repeat(e, 2000, axis=0), draws()).astype(np.float64)
    assert_normal(seen, e @ matrix.weights().T, sigma)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_converters_of_the_way_back_are_its_own(scheme: WeightScheme) -> None:
    plain = made(scheme=scheme, dac=DAC(bits=6), adc=ADC(bits=6, gain_spread=0.1))
    both = made(
        scheme=scheme,
        dac=DAC(bits=6),
        adc=ADC(bits=6, gain_spread=0.1),
        back_dac=DAC(bits=12, slice_bits=4, signed="two-pass"),
        back_adc=ADC(bits=14, per="column"),
    )
    plain, both = (m.calibrated(inputs(), draws()) for m in (plain, both))
    assert np.array_equal(both.matmul(inputs(), draws()), plain.matmul(inputs(), draws()))
    with pytest.raises(
        InputError, match=r"back ADC: has no range yet \(uncalibrated\) and does not convert; call chip"
    ):
        both.rmatmul(errors(), draws())
    close(both.calibrated_back(errors(), draws()).rmatmul(errors(), draws()), errors() @ both.weights().T, 2e-3)
    close(plain.rmatmul(errors(), draws()), errors() @ both.weights().T)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_offset_inputs_work_on_the_way_back_as_well(scheme: WeightScheme) -> None:
    matrix = made(scheme=scheme, back_dac=DAC(bits=8, signed="offset", range=(-1.0, 1.0)))
    taken = np.rint(errors() * 127) / 127
    close(matrix.rmatmul(errors(), draws()), taken @ matrix.weights().T, 1e-5)


def test_errors_of_one_side_are_not_those_of_the_other() -> None:
    same = ADC(bits=8, gain_spread=0.1)
    matrix = made(tile=(20, 11), adc=same, back_adc=same).calibrated(inputs(), draws())
    matrix = matrix.calibrated_back(errors(), draws())
    there, back = matrix.banks[0, 0].scale, matrix.back.banks[0, 0].scale
    assert (there.size, back.size) == (COLUMNS, ROWS)
    assert not set(matrix.column_errors[0, 0].gain) & set(matrix.back.column_errors[0, 0].gain)


# Currents for other read-outs, and other libraries


def test_currents_add_up_to_the_product_without_any_converter() -> None:
    """What integrate-and-fire neurons on the columns are fed; tiles one above the other are to be added."""
    matrix = made()
    spikes = (inputs() > 0).astype(np.float32)
    total = np.zeros((30, COLUMNS))
    for (_, c), i in matrix.currents(spikes, draws()):
        total[:, matrix.columns[c]] += i
    close(total / matrix.design.full_scale * matrix.weight_scale, spikes @ matrix.weights())


def test_currents_of_noisy_cells_have_the_law_of_the_reads() -> None:
    matrix, x = made(NOISY, tile=(64, 64)), np.repeat(inputs(1), 3000, axis=0)
    (_, i) = next(iter(matrix.currents(x, draws(1))))
    seen = matrix.matmul(x, draws(2)) * (matrix.design.full_scale / matrix.weight_scale)
    for column in range(COLUMNS):
        assert_same_law(i[:, column], seen[:, column])


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize(
    "adc", [None, ADC(bits=5), SarADC(bits=6, mismatch=0.1, share=2)], ids=["none", "even", "table"]
)
@pytest.mark.parametrize("signed", ["differential", "two-pass", "offset"])
def test_another_library_gives_the_same_outputs_both_ways(scheme: WeightScheme, adc: Any, signed: Any) -> None:
    dac = DAC(bits=5, slice_bits=2, signed=signed)
    matrix = made(scheme=scheme, dac=dac, adc=adc, back_dac=dac, back_adc=adc)
    matrix = matrix.calibrated(inputs(), draws()).calibrated_back(errors(), draws())
    theirs, away = matrix.moved(ForeignArray), ForeignArray(np.zeros(1, np.float32))
    for method, x in (("matmul", inputs()), ("rmatmul", errors())):
        ours = getattr(matrix, method)(x, draws())
        np.testing.assert_array_equal(getattr(theirs, method)(ForeignArray(x), draws(like=away)).get(), ours)
