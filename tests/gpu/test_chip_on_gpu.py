"""A chip on a CUDA device against the same chip on the host. Run by `make gpu` where there is one."""

from __future__ import annotations

import numpy as np
import pytest

import cimsim as cim
import device_models as dm
from cimsim.backend import backend_name, to_host

pytestmark = pytest.mark.gpu


def noiseless() -> dm.Device:
    return dm.load("generic-rram").replace(read_noise=None)


def made(device: dm.Device, **design: object) -> tuple[cim.Chip, np.ndarray]:
    (x, _), (x_test, _) = cim.datasets.load("digits")
    spec = cim.ChipSpec(device=device, tile=(32, 16), dac=cim.DAC(bits=8), **design)
    return cim.program(cim.mlp([64, 32, 10]), spec, calibrate=x[:256], seed=1), x_test


@pytest.mark.parametrize(
    "scheme", [cim.DifferentialPair(), cim.OffsetColumn(), cim.BitSlices()], ids=lambda s: type(s).__name__
)
def test_exact_reads_agree_to_a_code(scheme: object) -> None:
    chip, x = made(noiseless(), weights=scheme, adc=cim.ADC(bits=8))
    host, there = chip.matmul(0, x), chip.to("cupy").matmul(0, x)
    assert backend_name(there) == "cupy"
    bank, matrix = chip.matrices[0].banks[0, 0], chip.matrices[0]
    code = float(bank.step.max()) * chip.matrices[0].inputs.full * matrix.weight_scale / matrix.design.full_scale
    assert np.abs(to_host(there) - host).max() <= 2.001 * code * len(matrix.rows)
    assert np.mean(to_host(there) == host) > 0.99


def test_without_converters_products_agree_to_float32() -> None:
    chip, x = made(noiseless(), adc=None)
    host = chip.forward(x)
    np.testing.assert_allclose(to_host(chip.to("cupy").forward(x)), host, atol=2e-6 * np.abs(host).max())


def test_read_noise_has_the_same_law() -> None:
    chip, x = made(dm.load("generic-rram"), adc=None)
    sample = np.repeat(x[:1], 20_000, axis=0)
    host, there = chip.matmul(0, sample), to_host(chip.to("cupy").matmul(0, sample))
    error = host.std(axis=0) / np.sqrt(len(sample))
    assert (np.abs(host.mean(axis=0) - there.mean(axis=0)) < 6 * error).all()
    np.testing.assert_allclose(there.std(axis=0), host.std(axis=0), rtol=0.04)


def test_ageing_and_tuning_stay_on_the_device() -> None:
    (x, y), _ = cim.datasets.load("digits")
    chip, _ = made(dm.load("generic-rram"), adc=cim.ADC(bits=8))
    tuned, history = cim.fine_tune(chip.to("cupy").age(86400.0), x[:256], y[:256], epochs=2)
    assert backend_name(tuned.matrices[-1].tiles[0, 0].cells.g) == "cupy"
    assert np.isfinite(history["loss"]).all()


def test_training_reaches_the_same_accuracy() -> None:
    (x, y), (x_test, y_test) = cim.datasets.load("digits")
    there = cim.train(cim.mlp([64, 32, 10]).to("cupy"), x, y)
    assert cim.accuracy(there, x_test, y_test) >= 0.94
