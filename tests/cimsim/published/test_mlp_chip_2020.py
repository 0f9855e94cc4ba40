from __future__ import annotations

import numpy as np
import pytest

from cimsim import published
from cimsim.published import Result
from cimsim.published.mlp_chip_2020 import V_READ, own_lines, shared_lines


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("mlp-chip-2020", quick=True)


def cells(rows: int = 40, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 20e-6, (2, rows, columns)), rng.integers(0, 2, rows).astype(float)


def test_source_lines_of_little_resistance_give_the_products():
    g, on = cells()
    exact = V_READ * on @ (g[0] - g[1])
    for solve in (own_lines, shared_lines):
        np.testing.assert_allclose(solve(g, on, 1e-3).currents, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).max())


def test_one_line_or_two_make_the_same_first_order_error_and_one_line_the_smaller_voltage():
    """To first order a line of r per segment lacks V Q(g), Q(g) = sum r min(d_i, d_j) g_i g_j, d being segments to its
    end. Of a pair on one line the cross terms cancel, so that Q(g+) - Q(g-) is left; its minus cell is half a segment
    nearer to the end."""
    g, on = cells()
    ohm, segments = 1e-2, len(on) - np.arange(len(on))
    exact = V_READ * on @ (g[0] - g[1])

    def form(one: np.ndarray, d: np.ndarray) -> np.ndarray:
        gated = one * on[:, None]
        return ohm * np.einsum("ic,ij,jc->c", gated, np.minimum.outer(d, d), gated)

    own, shared = own_lines(g, on, ohm), shared_lines(g, on, ohm)
    for lines, shift in ((own, 0.0), (shared, 0.5)):
        lacking = V_READ * (form(g[0], segments) - form(g[1], segments - shift))
        np.testing.assert_allclose(exact - lines.currents, lacking, rtol=1e-2, atol=1e-3 * np.abs(lacking).max())
    assert shared.volts < 0.5 * own.volts


def test_the_chip_holds_the_papers_cells_and_needs_few_levels_and_bits(result: Result):
    assert result.row("cells").difference == 0
    software = result.row("software").here
    assert software > 80
    assert abs(result.row("7-level weights, 8-bit converters").here - software) < 5
    assert result.row("test accuracy, 3-level weights").here > 70
    for _, found in result.curves[1].series.values():
        assert found[-1] < found[0] + 1
