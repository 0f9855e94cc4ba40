"""Pictures of an array with wires show the solver's numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cimsim.crossbar.wires import Wires, effective_conductance, node_voltages
from cimsim.plots.wires import column_error, voltage_drop, wires_page

G = np.random.default_rng(0).uniform(1e-6, 1e-4, (12, 7))
V = np.random.default_rng(1).uniform(0.05, 0.2, (30, 12))
WIRES = Wires(word=2.0, bit=1.5, source=50.0)


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def test_the_map_shows_the_millivolts_that_every_cell_lacks(ax: Axes) -> None:
    v_word, v_bit = node_voltages(G, WIRES, V[0])
    assert voltage_drop(G, WIRES, V[0], ax=ax) is ax
    np.testing.assert_allclose(ax.images[0].get_array(), 1e3 * (V[0][:, None] - (v_word - v_bit)))
    assert "mV" in ax.figure.axes[1].get_ylabel()


def test_without_wires_nothing_is_lost(ax: Axes) -> None:
    voltage_drop(G, Wires(), V[0], ax=ax)
    np.testing.assert_allclose(ax.images[0].get_array(), 0, atol=1e-12)


def test_columns_show_the_mean_loss_with_its_quantiles(ax: Axes) -> None:
    column_error(G, WIRES, V, ax=ax)
    lost = 100 * (1 - V @ effective_conductance(G, WIRES) / (V @ G))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), lost.mean(axis=0))
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(np.quantile(lost, 0.05, axis=0).min())
    assert heights.max() == pytest.approx(np.quantile(lost, 0.95, axis=0).max())


def test_a_bit_line_without_current_leaves_a_gap(ax: Axes) -> None:
    g = G.copy()
    g[:, 3] = 0
    column_error(g, WIRES, V[0], ax=ax)
    assert np.flatnonzero(np.isnan(ax.lines[0].get_ydata())).tolist() == [3]


def test_the_page_names_array_and_wires() -> None:
    figure = wires_page(G, WIRES, V)
    figure.savefig(io.BytesIO())
    assert figure.get_suptitle() == "12 x 7 cells; word 2 Ω, bit 1.5 Ω, source 50 Ω"
    assert wires_page(G, Wires(), V[0]).get_suptitle() == "12 x 7 cells; no resistance"


def test_the_page_says_where_word_lines_are_driven() -> None:
    figure = wires_page(G, Wires(word=2.0, drive="both"), V)
    assert figure.get_suptitle() == "12 x 7 cells; word 2 Ω, driven from both ends"
    assert figure.axes[0].get_xlabel() == "bit line, drivers at both ends"
    assert wires_page(G, WIRES, V).axes[0].get_xlabel() == "bit line, drivers to the left"
