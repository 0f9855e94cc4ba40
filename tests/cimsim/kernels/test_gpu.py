"""The GPU's kernels without a GPU: compiled by NVRTC for each architecture, and as C for the host, where they run."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cimsim.kernels import Gaussian, Sums, Table, Uniform, cpu, gpu
from device_models.streams import Streams

SAMPLES, COLUMNS = 37, 9
START = np.float32(1e-5)  # of outputs, to which reads are added
ARCHITECTURES = ("70", "75", "80", "86", "89", "90")
POINTER = {np.dtype(name): kind for name, kind in (("f4", ctypes.c_float), ("i4", ctypes.c_int),
           ("u4", ctypes.c_uint), ("i8", ctypes.c_longlong), ("u8", ctypes.c_void_p))}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernels as C, with loops in place of threads."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler (cc or gcc)")
    folder: Path = tmp_path_factory.mktemp("kernels")
    (folder / "read_out.c").write_text(gpu.source(), encoding="utf-8")
    command = [compiler, "-O2", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unused-function", "-shared", "-fPIC"]
    subprocess.run([*command, "read_out.c", "-o", "read_out.so", "-lm"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "read_out.so"))


def called(kernel: Any, arguments: tuple[Any, ...]) -> None:
    """Call a kernel with what CuPy would be given: arrays as pointers, numbers as they are."""
    kernel.restype = None
    kernel(*(ctypes.c_void_p(x.ctypes.data) if isinstance(x, np.ndarray) else POINTER[x.dtype](x.item())
             for x in arguments))  # fmt: skip


def laws(n: int) -> dict[str, Uniform | Table | None]:
    rng = np.random.default_rng(0)
    scale, first = np.full(n, 4e5, np.float32), rng.uniform(-2e-5, -1e-5, n).astype(np.float32)
    even = Uniform(scale, rng.uniform(6, 9, n).astype(np.float32), 1 / scale, first, 15)
    edges = np.sort(2e-5 * rng.standard_normal((3, 15)), axis=1).astype(np.float32)
    table = Table(edges, rng.standard_normal((3, 16)).astype(np.float32), np.arange(n) % 3)
    return {"none": None, "even": even, "table": table}


def currents(signals: int) -> np.ndarray:
    return (2e-5 * np.random.default_rng(1).standard_normal((SAMPLES, signals * COLUMNS))).astype(np.float32)


def noises(kind: str, n: int, source: Any) -> tuple[Gaussian | None, Gaussian | None]:
    """Noise of cells that goes by sample, and noise of converters that does not."""
    variance = np.random.default_rng(2).uniform(1e-12, 1e-11, (SAMPLES, n)).astype(np.float32)
    cells = Gaussian(source("read"), np.asfortranarray(variance), 3)
    converters = Gaussian(source("adc"), variance[0].copy(), 1)
    return (cells if "cells" in kind else None), (converters if "converters" in kind else None)


def read(kernel: Any, i: np.ndarray, sums: Sums, law: Any, both: Any) -> np.ndarray:
    y = np.full((COLUMNS - sums.reference, SAMPLES), START).T
    called(kernel, gpu.read_out_arguments(y, i, sums, law, both))
    return y


@pytest.mark.parametrize("law", ["none", "even", "table"])
@pytest.mark.parametrize("signals", [1, 4])
@pytest.mark.parametrize("reference", [False, True])
def test_exact_reads_are_those_of_the_cpu_to_the_bit(
    compiled: ctypes.CDLL, law: str, signals: int, reference: bool
) -> None:
    i, made = currents(signals), laws(signals * COLUMNS)[law]
    sums = Sums(np.random.default_rng(3).standard_normal(signals).astype(np.float32), reference, 0.7)
    expected = np.full((COLUMNS - reference, SAMPLES), START).T
    found = read(compiled.read_out, i, sums, made, (None, None))
    cpu.read_out(expected, (0, 0), i.copy(), sums, made)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["cells", "converters", "cells and converters"])
@pytest.mark.parametrize("row", [0, 2**32 - 10])
def test_noise_is_that_of_the_cpu_to_rounding(compiled: ctypes.CDLL, kind: str, row: int) -> None:
    streams, i, sums = Streams(5).at("tile", 1), currents(4), Sums(np.ones(4, np.float32), True, 1.0)
    there = noises(kind, 4 * COLUMNS, lambda role: gpu.noise(i, streams, role, row))
    here = noises(kind, 4 * COLUMNS, lambda role: cpu.noise(i, streams, role, row))
    expected = np.full((COLUMNS - 1, SAMPLES), START).T
    found = read(compiled.read_out, i, sums, None, there)
    cpu.read_out(expected, (0, 0), i.copy(), sums, None, here)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)  # amperes, where noise is 1e-6 to 3e-6


@pytest.mark.parametrize("law", ["even", "table"])
def test_noisy_reads_are_those_of_the_cpu_to_a_code(compiled: ctypes.CDLL, law: str) -> None:
    i, made, sums = currents(1), laws(COLUMNS)[law], Sums(np.ones(1, np.float32), False, 1.0)
    there = noises("cells and converters", COLUMNS, lambda role: gpu.noise(i, Streams(1), role, 7))
    here = noises("cells and converters", COLUMNS, lambda role: cpu.noise(i, Streams(1), role, 7))
    expected = np.full((COLUMNS, SAMPLES), START).T
    found = read(compiled.read_out, i, sums, made, there)
    cpu.read_out(expected, (0, 0), i.copy(), sums, made, here)
    assert (found == expected).mean() > 0.99  # a current at the edge of a code may fall on either side


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "variance", [np.float32(4.0), np.linspace(1, 9, COLUMNS, dtype=np.float32)], ids=["one", "each"]
)
def test_added_noise_is_that_of_the_cpu(compiled: ctypes.CDLL, order: Any, variance: Any) -> None:
    found, expected = np.zeros((2, SAMPLES, COLUMNS), np.float32)
    found = found.copy(order)
    source = gpu.noise(found, Streams(2), "dac", 3)
    called(compiled.add_noise, gpu.noise_arguments(found, Gaussian(source, variance, 5)))
    cpu.noise(expected, Streams(2), "dac", 3).add(expected, variance, 5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert expected.std() > 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc_compiles_the_kernels(architecture: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a driver that is not there
        nvrtc = pytest.importorskip("cupy.cuda", reason="needs the extra `gpu`").nvrtc
        try:
            nvrtc.getVersion()
        except (RuntimeError, OSError, ImportError) as error:
            pytest.skip(f"needs NVRTC (pip install nvidia-cuda-nvrtc-cu12): {error}")
    program = nvrtc.createProgram(gpu.source(), "read_out.cu", [], [])
    nvrtc.compileProgram(program, [f"--gpu-architecture=sm_{architecture}", *gpu.OPTIONS])
    code = nvrtc.getCUBIN(program)
    assert b"read_out" in code
    assert b"add_noise" in code
