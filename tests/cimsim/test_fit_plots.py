from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure

import device_models as dm
from cimsim.cli import main
from cimsim.fit_plots import POINTS, Axis, data_and_law, fit_page, residuals
from device_models.conduction import Sinh
from device_models.device import Device
from device_models.fitting import Fit, fit, measure
from device_models.fitting.results import Series
from device_models.update import ExponentialUpdate
from device_models.window import Window

DEVICE = Device(
    name="true",
    window=Window(g_min=10e-6, g_max=110e-6),
    update=ExponentialUpdate(pulses_up=30, pulses_down=30, nl_up=1.0, nl_down=-1.0, c2c=0.01),
    conduction=Sinh(v0=0.3),
)


@pytest.fixture(scope="module")
def found() -> Fit:
    return fit(measure(DEVICE, "pulses", devices=6, cycles=2), measure(DEVICE, "iv", devices=6, points=21), name="mine")


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def test_a_page_has_two_panels_for_each_measurement(found: Fit) -> None:
    figure = fit_page(found)
    figure.savefig(io.BytesIO())
    assert len(figure.axes) == 4
    assert [a.get_title("left") for a in figure.axes[:2]] == ["Pulse trains: ExponentialUpdate", "I-V: Sinh"]
    assert "mine" in figure.get_suptitle()


def test_points_and_law_are_those_of_the_fit(ax: Axes, found: Fit) -> None:
    view = found.slots[0].view
    data_and_law(ax, found.slots[0])
    points = [line for line in ax.lines if line.get_linestyle() == "None"]
    drawn = [line for line in ax.lines if line.get_linestyle() == "-"]
    for line, series in zip(points, view.data, strict=True):
        np.testing.assert_allclose(line.get_ydata(), series.y * 1e6)
    for line, series in zip(drawn, view.law, strict=True):
        np.testing.assert_allclose(line.get_ydata(), series.y * 1e6)
    assert len([c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)]) == 2
    assert ax.get_ylabel() == "conductance (µS)"


def test_the_law_runs_through_the_points(found: Fit) -> None:
    """Residuals have the mean square that the fit states, and no trend to speak of."""
    slot = found.slots[0]
    left = np.concatenate([series.y for series in slot.view.residual])
    assert np.sqrt(np.mean(left**2)) == pytest.approx(slot.residual_rms)
    assert abs(left.mean()) < 0.5 * slot.residual_rms


def test_residuals_carry_their_size_beside_the_datas_own(ax: Axes, found: Fit) -> None:
    residuals(ax, found.slots[0])
    assert ax.get_title("left").startswith("RMS ")
    assert "data's own spread" in ax.get_title("left")
    residuals(ax, found.slots[1])
    assert "A" in ax.get_title("left")


def test_many_points_are_thinned_and_units_get_a_prefix(ax: Axes) -> None:
    many = Series("many", np.arange(3 * POINTS), np.linspace(0, 5e-9, 3 * POINTS))
    assert Axis.of((many,), "y", "g", "S") == Axis(1e9, "g (nS)")
    assert Axis.of((many,), "x", "pulses", "") == Axis(1.0, "pulses")


def test_importing_it_does_not_import_matplotlib() -> None:
    code = "import sys, cimsim.fit_plots; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- the command ---


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in a directory with measurements: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    measure(DEVICE, "pulses", devices=6, cycles=2).save("pulses.csv")
    measure(DEVICE, "iv", devices=6, points=21).save("iv.csv")

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ended(ended.value.code, *capsys.readouterr())

    return call


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
