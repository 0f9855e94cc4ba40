"""The picture of a retention fit: by time, and by state where only one time was measured."""

from __future__ import annotations

import numpy as np

from device_models.device import Device
from device_models.fitting import fit, measure
from device_models.retention import LogTimeShift
from device_models.window import Window

DEVICE = Device(
    name="true",
    window=Window(g_min=10e-6, g_max=110e-6),
    retention=LogTimeShift(shift=-0.2e-6, spread=0.4e-6, spread_slope=0.1e-6),
)


def test_one_time_is_drawn_against_the_state() -> None:
    slot = fit(measure(DEVICE, "retention", devices=60, times=(0.0, 1e3))).slots[0]
    view, (law,), (data,), (left,) = slot.view, slot.view.law, slot.view.data, slot.view.residual
    assert (view.x_unit, view.log_x) == ("S", False)
    assert view.title.endswith("after 1000 s")
    assert np.all(np.diff(law.x) > 0)
    np.testing.assert_allclose(data.y - left.y, np.interp(data.x, law.x, law.y), atol=1e-15)
    assert np.sqrt(np.mean(left.y**2)) == slot.residual_rms


def test_several_times_are_drawn_side_by_side_for_three_classes_of_state() -> None:
    times = (0.0, 1.0, 100.0, 1e4)
    view = fit(measure(DEVICE, "retention", devices=60, times=times)).slots[0].view
    assert len(view.data) == len(view.law) == len(view.residual) == 3
    for k, line in enumerate(view.law):
        np.testing.assert_allclose(line.x, np.array(times[1:]) * 1.12 ** (k - 1))
