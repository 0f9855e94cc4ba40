"""Nested dissection: leaves of any size are the same network, and levels of blocks of any shape join to it."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.crossbar.wires import Wires
from cimsim.crossbar.wires import leaves as module
from cimsim.crossbar.wires.dissection import dissected
from cimsim.crossbar.wires.leaves import Corner, Segments, leaves
from cimsim.crossbar.wires.nodal import nodal_conductance
from device_models.streams import Streams

SEGMENTS = Segments(np.full(23, 0.5), np.full(37, 0.25), None)


@pytest.mark.parametrize("right", [None, 0.5])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 64])
def test_the_size_of_the_leaves_does_not_matter(
    size: int, right: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = Streams(seed=1).rng("cells").uniform(1e-6, 1e-4, (2, 37, 23))
    monkeypatch.setattr(module, "_LEAF", size)
    wires = Wires(word=2.0, bit=4.0, drive="left" if right is None else "both")
    ours = dissected(g, SEGMENTS._replace(right=right))
    np.testing.assert_allclose(ours, nodal_conductance(g, wires), rtol=1e-11)


@pytest.mark.parametrize("corner", [Corner(top, last) for top in (False, True) for last in (False, True)])
def test_leaves_have_ports_where_lines_go_on(corner: Corner) -> None:
    g = Streams(seed=1).rng("cells").uniform(1e-6, 1e-4, (2, 3, 4, 5, 6))
    blocks = leaves(g, Segments(np.ones((5, 6)), np.ones((3, 4)), None), corner)
    assert blocks.ports == (4, 0 if corner.last else 4, 0 if corner.top else 6, 6)
    assert blocks.number.shape == (3, 5, 2)
    assert blocks.meshes.shape == (30, sum(blocks.ports), sum(blocks.ports))
    assert np.array_equal(blocks.meshes, np.swapaxes(blocks.meshes, -1, -2))


def test_one_cell_inside_an_array_is_three_resistors_in_a_row() -> None:
    blocks = leaves(
        np.full((1, 1, 1, 1, 1), 1e-3),
        Segments(np.full((1, 1), 0.5), np.full((1, 1), 0.25), None),
        Corner(False, False),
    )
    expected = np.zeros((4, 4))
    for k, siemens in enumerate((0.5, 1e-3, 0.25)):
        expected[k, k + 1] = expected[k + 1, k] = siemens
    assert np.array_equal(blocks.meshes[0], expected)
