"""Copies of a layer: dealt reads, their own devices and noise, and what the report counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.replicas import Replicas
from device_models.errors import InputError
from device_models.programming import SpanError
from device_models.read_noise import AbsoluteNoise
from device_models.streams import Streams

WINDOW = dm.Window(g_min=1e-6, g_max=100e-6)
IDEAL = dm.Device(name="ideal", window=WINDOW)
ERRING = dm.Device(name="erring", window=WINDOW, programming=SpanError(error=0.05))
NOISY = ERRING.replace(read_noise=AbsoluteNoise(std=1e-6))
NET = cim.cnn((1, 8, 8), [cim.Conv(4, kernel=3), "relu", cim.MaxPool(2), cim.Linear(10)], seed=1)
X = np.random.default_rng(0).random((30, 64), dtype=np.float32)


def chip(device: dm.Device, **given: Any) -> cim.Chip:
    return cim.program(NET, cim.ChipSpec(device=device, tile=(32, 32)), calibrate=X, seed=3, **given)


def copies_of(made: cim.Chip, layer: int = 0) -> tuple[AnalogMatrix, ...]:
    matrix = made.matrices[layer]
    assert isinstance(matrix, Replicas)
    return matrix.copies


@pytest.mark.parametrize("spread", ["reads", "images"])
@pytest.mark.parametrize("replicas", [3, {0: 3}, {-2: 2}])
def test_copies_of_ideal_devices_change_nothing(replicas: Any, spread: Any) -> None:
    np.testing.assert_allclose(
        chip(IDEAL, replicas=replicas, spread=spread).forward(X), NET.forward(X), rtol=1e-4, atol=1e-4
    )


def test_the_first_copy_is_the_layer_without_others_and_all_differ() -> None:
    held = [copy.weights() for copy in copies_of(chip(ERRING, replicas={0: 3}))]
    np.testing.assert_array_equal(held[0], chip(ERRING).matrices[0].weights())
    errors = np.array([(w - NET.weights[0]).ravel() for w in held])
    assert np.all(np.abs(np.corrcoef(errors) - np.eye(3)) < 0.6)


@pytest.mark.parametrize(("spread", "run"), [("reads", 1), ("images", 36)])
def test_reads_are_dealt_out_in_turn(spread: Any, run: int) -> None:
    made = chip(ERRING, replicas={0: 3}, spread=spread)
    v = np.concatenate(list(NET.weighted[0].vectors(X[:7])))
    found = made.matrices[0].matmul(v, made._draws(0, 0))
    for c, copy in enumerate(copies_of(made)):
        mine = np.arange(len(v)) // run % 3 == c
        np.testing.assert_allclose(found[mine], v[mine] @ copy.weights(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spread", ["reads", "images"])
def test_a_samples_result_does_not_depend_on_how_a_batch_is_cut(spread: Any) -> None:
    made = chip(NOISY, replicas=3, spread=spread)
    v = np.concatenate(list(NET.weighted[0].vectors(X[:5])))
    whole = made.matrices[0].matmul(v, made._draws(0, 0))
    draws = made._draws(0, 0)
    cut = [made.matrices[0].matmul(part, draws) for part in np.split(v, [10, 11, 47, 130])]
    np.testing.assert_array_equal(np.concatenate(cut), whole)


def test_copies_draw_their_own_read_noise() -> None:
    made = chip(dm.Device(name="n", window=WINDOW, read_noise=AbsoluteNoise(std=1e-6)), replicas={0: 2})
    v = np.repeat(np.ones((1, 9), np.float32), 4000, axis=0)
    found = made.matrices[0].matmul(v, made._draws(0, 0))[:, 0]
    assert abs(np.corrcoef(found[0::2], found[1::2])[0, 1]) < 0.1
    assert found[0::2].std() == pytest.approx(found[1::2].std(), rel=0.1)


def test_the_transposed_read_of_a_read_goes_through_the_same_copy() -> None:
    made = chip(ERRING, replicas={0: 2})
    e = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)
    found = made.matrices[0].rmatmul(e, Draws(Streams(0), made.matrices[0].tiles[0, 0].signals))
    for c, copy in enumerate(copies_of(made)):
        np.testing.assert_allclose(found[c::2], e[c::2] @ copy.weights().T, rtol=1e-4, atol=1e-4)


def test_averaging_over_copies_lowers_the_error_of_the_held_weights() -> None:
    def error(made: cim.Chip) -> float:
        return float(np.sqrt(np.mean((made.matrices[0].weights() - NET.weights[0]) ** 2)))

    single = np.mean([error(cim.program(NET, cim.ChipSpec(device=ERRING), seed=s)) for s in range(20)])
    four = np.mean([error(cim.program(NET, cim.ChipSpec(device=ERRING), seed=s, replicas=4)) for s in range(20)])
    assert four == pytest.approx(single / 2, rel=0.15)


def test_the_report_counts_copies_tiles_and_the_cycles_that_they_save() -> None:
    spec = cim.ChipSpec(device=ERRING, tile=(32, 32), dac=cim.DAC(bits=4, slice_bits=1))
    rows = [cim.program(NET, spec, calibrate=X, replicas=r).report().layers for r in ({}, {0: 3})]
    one, three = rows[0][0], rows[1][0]
    assert (one.copies, one.tiles, one.cells, one.cycles) == (1, 1, 2 * 9 * 4, 36 * 4)
    assert (three.copies, three.tiles, three.cells, three.cycles) == (3, 3, 3 * 2 * 9 * 4, 12 * 4)
    assert one.utilisation == three.utilisation == pytest.approx(9 * 4 / 32**2)
    assert rows[0][1] == rows[1][1]


def test_age_converters_and_export_take_copies(tmp_path: Any) -> None:
    spec = cim.ChipSpec(device="generic-rram", tile=(32, 32), adc=cim.ADC(bits=6), dac=cim.DAC(bits=6))
    made = cim.program(NET, spec, calibrate=X, replicas={0: 2}).age(1e5)
    assert made.with_adc(cim.ADC(bits=4)).forward(X).shape == (30, 10)
    assert 0 <= made.report().layers[0].adc_clipping < 0.5
    cim.export(made, tmp_path, spice=True)
    with np.load(tmp_path / "conductances.npz") as found:
        assert {n for n in found if n.startswith("layer0")} == {
            f"layer0/{copy}tile0-0/{what}" for copy in ("", "copy1/") for what in ("target", "achieved")
        }
        for c, copy in enumerate(copies_of(made)):
            name = f"layer0/{'copy1/' if c else ''}tile0-0/achieved"
            tile = copy.tiles[0, 0]
            np.testing.assert_array_equal(found[name], tile.device.conductance(tile.cells))
    assert (tmp_path / "spice" / "layer0-copy1-tile0-0.cir").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"replicas": 0}, "replicas: must be a whole number of copies"),
        ({"replicas": {5: 2}}, "replicas: must be an integer from -2 to 1"),
        ({"replicas": True}, "replicas: must be a whole number of copies"),
        ({"spread": "patches"}, "spread: must be 'reads' or 'images'"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        chip(IDEAL, **given)
    assert str(error.value).startswith(said)


def test_copies_that_do_not_fit_the_chip_are_refused_before_they_are_made() -> None:
    spec = cim.ChipSpec(device=IDEAL, tile=(32, 32), tiles=4)
    assert cim.program(NET, spec, replicas={0: 2}).report().layers[0].tiles == 2
    with pytest.raises(InputError) as error:
        cim.program(NET, spec, replicas={0: 3})
    assert str(error.value).startswith("ChipSpec.tiles: must hold the 5 tiles that the layers need (3, 2), got 4")
