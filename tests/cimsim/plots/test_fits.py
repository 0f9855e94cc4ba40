from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure

from cimsim.plots.fits import POINTS, Axis, data_and_law, fit_page, residuals
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
    code = "import sys, cimsim.plots.fits; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
