"""All tiles in one compiled call against the same tiles one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cimsim.crossbar import reader, sheet
from cimsim.crossbar.converters import ADC, DAC, FlashADC, LogADC, SarADC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.reader import Reader
from cimsim.crossbar.sheet import TileSheet
from cimsim.crossbar.wires import Wires
from cimsim.kernels import parts
from cimsim.kernels.events_cpu import LEAST_COLUMNS, LEAST_LINES
from device_models import read_noise
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.streams import Streams
from device_models.window import Window
from tests.foreign import ForeignArray

IDEAL = Device(name="ideal", window=Window(g_min=1e-6, g_max=1e-4))
NOISY = IDEAL.replace(read_noise=read_noise.ProportionalNoise(relative=0.05))
ROWS, COLUMNS = 41, 23  # tiles of 16 x 8: none of the last ones is whole
SCHEMES = [DifferentialPair(), DifferentialPair(subtract="digital"), OffsetColumn(), BitSlices(slices=3, bits=2)]
ADCS = [None, ADC(bits=6), ADC(bits=6, noise=0.03, gain_spread=0.05, offset_spread=0.02, share=4), LogADC(bits=5),
        FlashADC(bits=4, comparator_offset=0.1), SarADC(bits=6, mismatch=0.05)]  # fmt: skip
DACS = [None, DAC(bits=4, slice_bits=1), DAC(bits=4, signed="two-pass"), DAC(bits=4, signed="offset"),
        DAC(bits=6, noise=0.02, gain_spread=0.1)]  # fmt: skip
TRAPS = IDEAL.replace(read_noise=read_noise.TelegraphNoise(amplitude=0.1, tau_high=1.0, tau_low=1.0))
NONLINEAR = IDEAL.replace(conduction=Sinh(v0=0.3))


def made(device: Device = NOISY, **changes: Any) -> AnalogMatrix:
    return of_shape((ROWS, COLUMNS), (16, 8), device, **changes)


def of_shape(shape: tuple[int, int], tile: tuple[int, int], device: Device = NOISY, **changes: Any) -> AnalogMatrix:
    design = replace(Design(device, tile, DifferentialPair(), DAC(bits=6), None, None, 0.2), **changes)
    w = Streams(1).rng("weights").uniform(-1, 1, shape)
    return AnalogMatrix.program(w, design, Streams(0)).calibrated(inputs(50, shape[0]), draws())


def inputs(batch: int, rows: int = ROWS, share: float = 1.0) -> np.ndarray:
    """Inputs of which a share is not 0."""
    rng = Streams(2).rng("inputs")
    return (rng.uniform(-1, 1, (batch, rows)) * (rng.random((batch, rows)) < share)).astype(np.float32)


def draws() -> Draws:
    return Draws(Streams(5), np.zeros(1, np.float32))


def one_by_one(matrix: AnalogMatrix, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr(reader, "LEAST_FOR_SHEET", 10**9)
        return np.asarray(Reader.of(matrix.forward, matrix.tiles).product(x, draws().rows(len(x))))


def assert_same(matrix: AnalogMatrix, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same but for rounding, which carries a current over the edge of a code once in a while."""
    laid = TileSheet.of(matrix.forward, matrix.tiles)
    assert laid is not None
    seen, expected = matrix.matmul(x, draws()), one_by_one(matrix, x, monkeypatch)
    near = np.isclose(seen, expected, rtol=1e-5, atol=3e-6 * np.abs(expected).max())
    assert near.mean() > (0.999 if matrix.design.adc else 1 - 1e-9)


@pytest.mark.parametrize("adc", ADCS, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_a_sheet_gives_what_its_tiles_give_with_the_same_noise(
    scheme: Any, adc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same(made(scheme=scheme, adc=adc), inputs(300), monkeypatch)


@pytest.mark.parametrize("device", [IDEAL, NOISY], ids=["exact", "noisy"])
@pytest.mark.parametrize("dac", DACS, ids=str)
def test_a_sheet_takes_every_pass(dac: DAC | None, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(made(device, dac=dac, adc=ADC(bits=6)), inputs(300), monkeypatch)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_sheet_takes_inputs_of_which_few_are_driven(
    share: float, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = 2 * LEAST_LINES, LEAST_COLUMNS
    matrix = of_shape((rows, columns), (LEAST_LINES, columns), adc=ADC(bits=6))
    assert_same(matrix, np.asarray(inputs(400, rows, share), order=order), monkeypatch)


@pytest.mark.parametrize("block", [32, 64, 256])
@pytest.mark.parametrize("cores", [1, 3])
def test_noise_does_not_depend_on_blocks_or_cores(block: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    adc, x = ADC(bits=6, noise=0.03), inputs(500)
    expected = made(adc=adc).matmul(x, draws())
    monkeypatch.setattr(sheet, "MOST", block)
    monkeypatch.setattr(sheet, "available_cores", lambda: cores)
    monkeypatch.setattr(parts, "available_cores", lambda: cores)
    assert (made(adc=adc).matmul(x, draws()) == expected).mean() > 0.999


def test_the_mean_of_reads_has_no_noise() -> None:
    """A DAC that adds half its range subtracts what inputs of 0 give, noise of cells and converters averaged out."""
    changes: dict[str, Any] = {"dac": DAC(bits=6, signed="offset"), "adc": ADC(bits=8, noise=0.02)}
    noisy, exact = made(NOISY, **changes), made(IDEAL, **changes)
    laid = Reader(exact.forward, noisy.tiles)
    assert exact.inputs is not None
    rest = np.zeros((70, ROWS), np.float32)
    (zero,) = np.unique(laid.sums(rest, exact.inputs, None), axis=0)
    np.testing.assert_array_equal(zero, exact.forward.zero)


def test_samples_of_a_part_are_whole_blocks_and_bounded() -> None:
    laid = TileSheet.of(made().forward, made().tiles)
    assert laid is not None
    for n in (1, 64, 1000, 10**7):
        assert laid.samples(n) % laid.block == 0
        assert laid.samples(n) * ROWS <= sheet.PART


@pytest.mark.parametrize(("device", "wires"), [(TRAPS, None), (NONLINEAR, Wires(word=2.0, bit=2.0))])
def test_tiles_that_are_more_than_products_are_read_one_by_one(device: Device, wires: Wires | None) -> None:
    matrix = made(device, wires=wires)
    assert TileSheet.of(matrix.forward, matrix.tiles) is None


def test_tiles_elsewhere_are_read_by_their_library() -> None:
    matrix = made().moved(ForeignArray)
    assert TileSheet.of(matrix.forward, matrix.tiles) is None


def test_a_sheet_is_laid_out_for_many_samples_and_then_kept() -> None:
    matrix = made(adc=ADC(bits=6))
    matrix.matmul(inputs(reader.LEAST_FOR_SHEET - 1), draws())
    assert "_sheet" not in vars(matrix._reader)
    matrix.matmul(inputs(reader.LEAST_FOR_SHEET), draws())
    kept = matrix._reader._sheet
    assert isinstance(kept, TileSheet)
    matrix.matmul(inputs(reader.LEAST_FOR_SHEET), draws())
    assert matrix._reader._sheet is kept


def test_few_samples_are_read_alike_whatever_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = made(adc=ADC(bits=6))
    matrix.matmul(inputs(reader.LEAST_FOR_SHEET), draws())
    monkeypatch.delattr(TileSheet, "add")
    np.testing.assert_array_equal(matrix.matmul(inputs(5), draws()), made(adc=ADC(bits=6)).matmul(inputs(5), draws()))


def test_every_blas_is_on_one_thread_while_parts_run() -> None:
    """That of compiled loops too, which is loaded late: in a process that has not read anything before."""
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from cimsim.bench import reads\n"
        "from cimsim.kernels import parts\n"
        "with parts._LIMIT.held():\n"
        "    chip, x = reads.chip_of_a_layer(noisy=False)\n"
        "    chip.matmul(0, x)\n"
        "    print({p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas'})\n"
    )
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "{1}"
