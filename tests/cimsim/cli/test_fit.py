"""`cimsim fit`: the card, the figure, and clear words for what cannot be fitted."""

from __future__ import annotations

from pathlib import Path

import pytest

import device_models as dm
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.fitting import measure
from device_models.update import ExponentialUpdate
from device_models.window import Window
from tests.conftest import Run

DEVICE = Device(
    name="true",
    window=Window(g_min=10e-6, g_max=110e-6),
    update=ExponentialUpdate(pulses_up=30, pulses_down=30, nl_up=1.0, nl_down=-1.0, c2c=0.01),
    conduction=Sinh(v0=0.3),
)


@pytest.fixture(autouse=True)
def files(run: Run) -> None:
    """Measurements in the directory where the command runs."""
    measure(DEVICE, "pulses", devices=6, cycles=2).save("pulses.csv")
    measure(DEVICE, "iv", devices=6, points=21).save("iv.csv")


def test_fit_writes_card_and_plot_and_prints_the_page(run: Run) -> None:
    code, out, err = run("fit", "pulses.csv", "iv.csv", "-o", "card.toml", "--plot", "fit.png", "--name", "mine")
    assert (code, err) == (0, "")
    assert out.startswith("mine: fitted from pulses.csv, iv.csv")
    assert out.endswith("card.toml\nfit.png\n")
    device = dm.load("card.toml")
    assert device.name == "mine"
    assert device.source.paper == "measured: pulses.csv, iv.csv"
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_names_the_device_where_no_name_is_given(run: Run) -> None:
    assert run("fit", "iv.csv", "-o", "card.toml").code == 0
    assert dm.load("card.toml").name == "card"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.csv", "-o", "card.toml"), "nowhere.csv: must be an existing file"),
        (("iv.csv", "-o", "card.json"), "card.json: must end in .toml"),
        (("iv.csv", "-o", "card.toml", "--plot", "fit.gif"), "fit.gif: must end in .png"),
        (("bad.csv", "-o", "card.toml"), "bad.csv, row 3, column 'i_A': must be a number, got x"),
    ],
)
def test_a_mistake_is_one_line_and_writes_no_card(run: Run, arguments: tuple[str, ...], said: str) -> None:
    Path("bad.csv").write_text("v_V,i_A\n0.1,1e-6\n0.2,x\n")
    code, out, err = run("fit", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"cimsim: error: {said}")
    assert err.count("\n") == 1
    assert not Path("card.toml").exists()
