from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import device_models as dm
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.errors import InputError
from device_models.faults import CellFaults
from device_models.fitting import Fit, fit, laws, measure, tables
from device_models.fitting.writes import variance_share
from device_models.programming import SpanError, WriteError
from device_models.read_noise import AbsoluteNoise
from device_models.tabulated import TabulatedUpdate
from device_models.update import ExponentialUpdate, curve_constant
from device_models.window import Window

DEVICE = Device(
    name="true",
    window=Window(g_min=10e-6, g_max=110e-6),
    update=ExponentialUpdate(pulses_up=50, pulses_down=40, nl_up=2.0, nl_down=-3.0, c2c=0.01),
    programming=SpanError(error=0.02),
    conduction=Sinh(v0=0.3),
    read_noise=AbsoluteNoise(std=0.2e-6),
)


@pytest.fixture(scope="module")
def whole() -> Fit:
    """A fit to one measurement of every kind."""
    tables_ = [measure(DEVICE, kind, devices=24, seed=1) for kind in ("pulses", "writes", "iv", "reads", "retention")]
    return fit(*tables_, measure(DEVICE.replace(faults=CellFaults(stuck_lrs=0.1)), "faults", devices=200), name="mine")


def test_every_measurement_fills_its_slot(whole: Fit) -> None:
    device, middle = whole.device, np.array([60e-6])
    assert isinstance(device.update, ExponentialUpdate)
    assert isinstance(device.conduction, Sinh)
    assert device.conduction.v_max == 0.5
    assert isinstance(device.programming, WriteError)
    assert device.programming.sigma(middle, device.window)[0] == pytest.approx(2e-6, rel=0.15)
    assert device.read_noise is not None
    assert device.read_noise.sigma(middle, 1.0)[0] == pytest.approx(0.2e-6, rel=0.1)
    assert isinstance(device.faults, CellFaults)
    assert 0.05 < device.faults.stuck_lrs < 0.16
    assert device.window.g_max == pytest.approx(110e-6, rel=0.01)
    assert whole.parameters["iv.v0"].holds(0.3)


def test_what_does_not_change_with_time_stays_ideal(whole: Fit) -> None:
    assert whole.device.retention is None
    assert whole.left_ideal == {"retention": "measured, but no change with time that these data show"}


def test_the_fitted_device_keeps_its_promises_and_survives_its_card(whole: Fit, tmp_path: Path) -> None:
    dm.check_device(whole.device)
    assert dm.load(whole.save(tmp_path / "mine.toml")) == whole.device
    assert whole.device.source.figures["iv.v0"] == str(whole.parameters["iv.v0"])


def test_the_page_says_what_was_found(whole: Fit) -> None:
    page = str(whole)
    for said in (
        "mine: fitted from",
        "chosen by AIC: Sinh",
        "residual RMS",
        "left ideal",
        "95 %:",
        "bootstrap over 24",
    ):
        assert said in page
    assert max(map(len, page.splitlines())) < 300
    assert len(page.splitlines()) < 80


def test_the_same_seed_gives_the_same_fit() -> None:
    table = measure(DEVICE, "pulses", devices=6, cycles=2)
    assert fit(table).device == fit(table).device


def test_noiseless_pulses_give_the_law_back_exactly() -> None:
    update = ExponentialUpdate(pulses_up=60, pulses_down=45, nl_up=1.5, nl_down=-2.5)
    exact = DEVICE.replace(update=update, read_noise=None)
    found = fit(measure(exact, "pulses", devices=2, up=60, down=45)).parameters
    for name in ("pulses_up", "pulses_down", "nl_up", "nl_down"):
        assert found[f"pulses.{name}"].value == pytest.approx(getattr(update, name), rel=1e-4)
    assert found["pulses.c2c"].value < 1e-6


@pytest.mark.parametrize("nl", [-6.0, -1.0, 0.005, 0.3, 2.4, 4.88, 7.0])
def test_labels_invert_the_curve_constant(nl: float) -> None:
    assert laws.label(np.array([1 / curve_constant(nl)]))[0] == pytest.approx(nl, rel=1e-4)


def test_pulses_that_follow_no_law_become_a_table() -> None:
    g = tuple(np.linspace(10e-6, 110e-6, 9))
    up = tuple(1e-6 * np.array([0.5, 1.0, 2.0, 3.0, 2.5, 2.0, 1.0, 0.5, 0.3]))
    spread = (2e-7,) * 9
    odd = TabulatedUpdate(g=g, dG_up=up, dG_down=tuple(-x for x in up), spread_up=spread, spread_down=spread)
    device = DEVICE.replace(update=odd, read_noise=None)
    found = fit(measure(device, "pulses", devices=10, up=130, down=130)).device.update
    assert isinstance(found, TabulatedUpdate)
    at = np.linspace(20e-6, 100e-6, 33)
    np.testing.assert_allclose(np.interp(at, found.g, found.dG_up), np.interp(at, g, up), atol=6e-8)
    np.testing.assert_allclose(np.interp(at, found.g, found.spread_up), 2e-7, rtol=0.15)


def test_one_polarity_is_mirrored_and_that_is_said() -> None:
    table = measure(DEVICE.replace(read_noise=None), "pulses", devices=8)
    up = table["polarity"] > 0
    half = tables.make("pulses", {name: column[up] for name, column in table.columns.items()}, "half")
    made = fit(half)
    assert "no pulses down: taken as the mirror of those up" in str(made)
    update = made.device.update
    assert isinstance(update, ExponentialUpdate)
    assert update.nl_down == pytest.approx(-update.nl_up)


def test_variance_components_are_unbiased() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        device = np.repeat(np.arange(20), 5)
        z = rng.normal(0, 1, 20)[device] + rng.normal(0, 2, 100)
        shares.append(variance_share(device, z))
    assert np.mean(shares) == pytest.approx(0.2, abs=0.02)


# --- too little, or nothing at all ---


def few(table: tables.Table, rows: int) -> tables.Table:
    return tables.make(table.kind, {name: column[:rows] for name, column in table.columns.items()}, "few.csv")


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [
        ("pulses", 96, "few.csv: needs at least 8 pulses up in each train"),
        ("writes", 10, "few.csv: needs at least 20 writes to fit the programming slot, got 10; measure 10 more"),
        ("reads", 24, "few.csv: needs at least 10 reads of each device"),
        ("iv", 5, "few.csv: needs at least 8 different voltages of each device to fit the conduction slot, got 5"),
        ("retention", 24, "few.csv: needs at least 1 times after the first"),
        ("faults", 10, "few.csv: needs at least 20 cells to fit the faults slot"),
    ],
)
def test_too_few_points_say_what_is_missing(kind: str, rows: int, said: str) -> None:
    with pytest.raises(InputError) as error:
        fit(few(measure(DEVICE, kind, devices=24), rows))
    assert str(error.value).startswith(said)


def test_a_fault_map_alone_gives_no_window() -> None:
    with pytest.raises(InputError, match="needs measurements that show a window"):
        fit(measure(DEVICE, "faults", devices=50))


def test_pulses_that_go_the_other_way_do_not_converge() -> None:
    table = measure(DEVICE.replace(read_noise=None), "pulses", devices=6)
    turned = tables.make("pulses", {**table.columns, "polarity": -table["polarity"]}, "turned.csv")
    with pytest.raises(InputError, match=r"turned\.csv: the fit of the update slot did not converge"):
        fit(turned)


def test_pulses_without_a_change_and_an_uneven_stride() -> None:
    pulse = np.arange(20)
    flat = {"pulse": pulse, "polarity": np.ones(20), "g": np.full(20, 1e-6)}
    with pytest.raises(InputError, match="needs conductances that change along the pulses"):
        fit(tables.make("pulses", flat, "flat.csv"))
    uneven = {"pulse": pulse + (pulse > 10), "polarity": np.ones(20), "g": np.linspace(1e-6, 2e-6, 20)}
    with pytest.raises(InputError, match="one constant stride"):
        fit(tables.make("pulses", uneven, "uneven.csv"))


def test_a_device_that_conducts_backwards_and_reads_that_do_not_differ() -> None:
    table = measure(DEVICE, "iv", devices=6)
    with pytest.raises(InputError, match="must conduct forwards"):
        fit(tables.make("iv", {**table.columns, "i": -table["i"]}, "back.csv"))
    still = {"t": np.arange(20.0), "g": np.full(20, 1e-6)}
    with pytest.raises(InputError, match="needs reads that differ"):
        fit(tables.make("reads", still, "still.csv"))


def test_nothing_to_fit_and_an_unknown_measurement() -> None:
    with pytest.raises(InputError, match="needs a measurement"):
        fit()
    with pytest.raises(InputError, match="must be a kind of measurement, got puls; did you mean 'pulses'"):
        measure(DEVICE, "puls")
