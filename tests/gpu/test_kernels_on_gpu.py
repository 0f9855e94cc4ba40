"""The kernels of a read-out on a CUDA device against those of the host. Run by `make gpu` where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cimsim.backend import to_device, to_host
from cimsim.kernels import Gaussian, Sums, Table, Uniform, kernels_for, noise
from device_models.streams import Streams

pytestmark = pytest.mark.gpu

SAMPLES, COLUMNS, SIGNALS = 1000, 130, 4
EVERY = SIGNALS * COLUMNS


def currents() -> np.ndarray:
    return (2e-5 * np.random.default_rng(1).standard_normal((SAMPLES, EVERY))).astype(np.float32)


def laws() -> dict[str, Uniform | Table | None]:
    rng = np.random.default_rng(0)
    scale, first = np.full(EVERY, 4e6, np.float32), rng.uniform(-2e-5, -1e-5, EVERY).astype(np.float32)
    even = Uniform(scale, rng.uniform(60, 90, EVERY).astype(np.float32), 1 / scale, first, 255)
    edges = np.sort(2e-5 * rng.standard_normal((3, 255)), axis=1).astype(np.float32)
    table = Table(edges, rng.standard_normal((3, 256)).astype(np.float32), np.arange(EVERY) % 3)
    return {"none": None, "even": even, "table": table}


def read(backend: Any, law: Uniform | Table | None, reference: bool, noisy: bool) -> np.ndarray:
    i = to_device(currents(), backend)
    if law is not None:
        law = type(law)(*(to_device(x, backend) if isinstance(x, np.ndarray) else x for x in law))
    sums = Sums(np.array([1, 4, 16, 64], np.float32), reference, 0.7)
    y = np.zeros_like(i, shape=(COLUMNS + 5, SAMPLES + 7)).T
    noises = (None, None)
    if noisy:
        source, variance = noise(i, Streams(3), "read", 11), np.full_like(i, 1e-12)
        noises = (Gaussian(source, variance, 2), Gaussian(source, variance[0], 3))
    kernels_for(i).read_out(y, (7, 5), i, sums, law, noises)
    return to_host(y)


@pytest.mark.parametrize("law", ["none", "even", "table"])
@pytest.mark.parametrize("reference", [False, True])
def test_exact_reads_are_those_of_the_host_to_the_bit(law: str, reference: bool) -> None:
    made = laws()[law]
    np.testing.assert_array_equal(read("cupy", made, reference, False), read("numpy", made, reference, False))


def test_noise_is_that_of_the_host_to_rounding() -> None:
    there, here = read("cupy", None, True, True), read("numpy", None, True, True)
    exact = read("numpy", None, True, False)
    assert (here - exact).std() > 1e-5
    np.testing.assert_allclose(there - exact, here - exact, rtol=0, atol=1e-4 * (here - exact).std())


@pytest.mark.parametrize("order", ["C", "F"])
def test_added_noise_is_that_of_the_host(order: Any) -> None:
    here = np.zeros((SAMPLES, COLUMNS), np.float32)
    there = to_device(here.copy(order), "cupy")
    variance = np.linspace(1, 9, COLUMNS, dtype=np.float32)
    noise(here, Streams(0), "dac", 5).add(here, variance, 1)
    noise(there, Streams(0), "dac", 5).add(there, to_device(variance, "cupy"), 1)
    np.testing.assert_allclose(to_host(there), here, rtol=0, atol=2e-5)
