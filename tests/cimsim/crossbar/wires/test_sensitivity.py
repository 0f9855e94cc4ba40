"""First-order changes of the effective conductance against the exact solve."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires, effective_conductance
from cimsim.crossbar.wires.sensitivity import Sensitivity, attenuation
from device_models.streams import Streams

Floats = np.ndarray
STREAMS = Streams(seed=4)
ALL = Wires(word=20.0, bit=30.0, source=50.0, sense=10.0)


def cells(*shape: int) -> Floats:
    return STREAMS.rng("cells").uniform(5e-6, 1e-4, shape)


@pytest.mark.parametrize(
    "wires", [ALL, ALL.replace(drive="both"), Wires(bit=30.0, sense=100.0), Wires(word=9.0), Wires()]
)
def test_change_is_the_derivative(wires: Wires) -> None:
    """The central difference errs in third order."""
    g = cells(9, 7)
    dg = 1e-4 * g * STREAMS.rng("change").standard_normal(g.shape)
    exact = (effective_conductance(g + dg, wires) - effective_conductance(g - dg, wires)) / 2
    assert np.abs(Sensitivity.of(g, wires).change(dg) - exact).max() < 1e-8 * np.abs(exact).max()


def test_the_error_of_the_change_is_of_second_order() -> None:
    g, wires = cells(12, 8), ALL
    dg, sensitivity = 0.1 * g * STREAMS.rng("change").standard_normal(g.shape), Sensitivity.of(g, wires)

    def error(share: float) -> float:
        exact = effective_conductance(g + share * dg, wires) - effective_conductance(g, wires)
        return float(np.abs(sensitivity.change(share * dg) - exact).max())

    assert error(1.0) / error(0.1) == pytest.approx(100, rel=0.1)


def test_own_is_the_derivative_by_one_cell() -> None:
    g, wires = cells(6, 5), ALL
    own, step = Sensitivity.of(g, wires).own(), 1e-9
    for place in ((0, 4), (5, 0), (2, 3)):
        more, less = g.copy(), g.copy()
        more[place] += step
        less[place] -= step
        slope = (effective_conductance(more, wires) - effective_conductance(less, wires))[place] / (2 * step)
        assert own[place] == pytest.approx(slope, rel=1e-6)


def test_current_variance_is_that_of_drawn_changes() -> None:
    g, v = cells(10, 6), STREAMS.rng("volts").random((3, 10))
    rng, sigma = STREAMS.rng("noise"), 0.02 * g
    drawn = effective_conductance(g + sigma * rng.standard_normal((4000, *g.shape)), ALL)
    expected = Sensitivity.of(g, ALL).current_variance(v, sigma**2)
    np.testing.assert_allclose(np.einsum("br,nrc->nbc", v, drawn).var(0), expected, rtol=0.1)


@pytest.mark.parametrize(("ohms", "deviation", "change"), [(1.0, 0.04, 0.06), (5.0, 0.16, 0.25)])
def test_attenuation_is_as_good_as_it_says(ohms: float, deviation: float, change: float) -> None:
    g, wires = cells(64, 64), Wires(word=ohms, bit=ohms)
    v = STREAMS.rng("volts").random((20, 64)) * (STREAMS.rng("on").random((20, 64)) < 0.5)
    g_eff = effective_conductance(g, wires)
    share, sigma = attenuation(g, g_eff), 0.02 * g
    true = np.sqrt(Sensitivity.of(g, wires).current_variance(v, sigma**2))
    ours = np.sqrt(v**2 @ (share * sigma) ** 2)
    assert 0 < (ours / true - 1).mean() < deviation
    dg = 0.05 * g * STREAMS.rng("change").standard_normal(g.shape)
    exact = v @ (effective_conductance(g + dg, wires) - g_eff)
    assert np.linalg.norm(v @ (share * dg) - exact) < change * np.linalg.norm(exact)


def test_attenuation_lies_between_0_and_1_and_is_1_for_an_open_cell() -> None:
    g = np.array([[0.0, 1e-3], [1e-3, 1e-3]])
    share = attenuation(g, effective_conductance(g, Wires(word=10.0, bit=10.0)))
    assert share[0, 0] == 1
    assert (share > 0).all()
    assert share[1, 0] < 1
