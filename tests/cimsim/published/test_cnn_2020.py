from __future__ import annotations

import numpy as np
import pytest

import cimsim as cim
from cimsim import published
from cimsim.published import Result, cnn_2020


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return published.run("cnn-2020", quick=True)


def test_transfer_costs_accuracy_and_hybrid_training_wins_some_back(result: Result):
    software, before, after = (result.row(k).here for k in ("software", "after transfer", "after hybrid training"))
    assert software > 85
    assert before > software - 10
    assert after > before - 4
    assert result.row("three copies, after transfer").here > software - 12


def test_the_network_has_the_papers_weights_and_copies_save_reads(result: Result):
    assert result.row("weights of the convolutions").difference == 0
    assert result.row("reads in turn saved by three copies").here == pytest.approx(3, abs=0.05)
    assert result.row("arrays of 128 x 16, three copies").here == 3 * (1 + 2) + 3


def test_the_layers_lead_to_192_features():
    net = cim.cnn((1, 28, 28), cnn_2020.LAYERS)
    assert [w.shape for w in net.weights] == [(9, 8), (72, 12), (192, 10)]


def test_written_cells_spread_as_the_design_says():
    net, spec = cim.cnn((1, 28, 28), cnn_2020.LAYERS), cnn_2020.spec(0.025)
    matrix = cim.program(net, spec, seed=1).matrices[2].copies[0]
    window, wanted = spec.device.window, matrix.targets(net.weights[2])
    errors = np.concatenate([(matrix.tiles[p].cells.g - goal)[goal > 4e-6].ravel() for p, goal in wanted.items()])
    assert len(np.unique(np.concatenate([goal.ravel() for goal in wanted.values()]))) <= 8
    assert np.std(errors) == pytest.approx(0.025 * window.span, rel=0.1)
