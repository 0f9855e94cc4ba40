"""The measured files of the shared data, read as they lie."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import device_models as dm
from device_models.fitting import Fit, fit


class Known(NamedTuple):
    """What a measurement's fit comes to: the family chosen, residual RMS and the data's own spread (microsiemens)."""

    files: tuple[str, ...]
    family: str
    residual: float
    spread: float


RAMPS = "crosssim-pulse-ramps"
RELAXATION = "rram-relaxation-stanford"
KNOWN = {
    "gong": Known(("aihwkit-gong-reram/gong_et_al.csv",), "SoftBoundsUpdate with noisy reads", 0.95, 0.38),
    "ramps": Known((f"{RAMPS}/set.csv", f"{RAMPS}/reset.csv"), "TabulatedUpdate", 16.9, 12.5),
    "relaxation": Known((f"{RELAXATION}/techB_relaxdata_10k.min.tsv.gz",), "TabulatedRetention", 4.95, 4.96),
    "bake A": Known((f"{RELAXATION}/techA_bake.tsv.gz",), "TabulatedRetention", 12.9, 12.9),
    "bake B": Known((f"{RELAXATION}/techB_bake.tsv.gz",), "TabulatedRetention", 8.52, 8.52),
    "series": Known((f"{RELAXATION}/techA_tsdata.min.tsv.gz",), "AbsoluteNoise", 4.82, 4.82),
}


def made(folder: Path, known: Known) -> Fit:
    return fit(*(folder / name for name in known.files))


def check(found: Fit, known: Known) -> None:
    (slot,) = found.slots
    assert slot.choices[0].family == known.family
    assert slot.residual_rms * 1e6 == pytest.approx(known.residual, rel=0.02)
    assert slot.spread * 1e6 == pytest.approx(known.spread, rel=0.02)
    assert found.assumed
    dm.check_device(found.device)
    assert all(Path(name).name in found.device.source.paper for name in known.files)


@pytest.mark.parametrize("name", ["ramps", "gong"])
def test_pulse_trains(real_data: Path, name: str) -> None:
    check(made(real_data, KNOWN[name]), KNOWN[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relaxation", "bake A", "bake B", "series"])
def test_large_files(real_data: Path, name: str) -> None:
    check(made(real_data, KNOWN[name]), KNOWN[name])


def test_the_ramps_are_read_in_siemens_with_their_polarity(real_data: Path) -> None:
    found = made(real_data, KNOWN["ramps"])
    low, high = found.window
    assert low.value == pytest.approx(1.636e-3, rel=1e-3)
    assert high.value == pytest.approx(2.477e-3, rel=1e-3)
    assert "currents in amperes, read at 0.1 V" in found.assumed


def test_weights_without_a_unit_are_said_to_be_laid_on_a_window(real_data: Path) -> None:
    found = made(real_data, KNOWN["gong"])
    assert any("weights without a unit" in line for line in found.assumed)
    assert found.parameters["pulses.rate"].holds(0.0027)
