from __future__ import annotations

import numpy as np
import pytest

from cimsim.learning.rules import check_rule
from cimsim.published import Effort, Result, faces_2017


@pytest.fixture(scope="module")
def result(mnist_here: None) -> Result:
    return faces_2017.run(Effort(quick=True, say=lambda line: None))


def test_both_ways_learn_faces_nearly_as_well_as_software(result: Result):
    software = result.row("noisy unseen faces, software").here
    assert software > 70
    for name in ("single pulses", "verified"):
        assert result.row(f"noisy unseen faces, {name}").here > software - 15


def test_verified_training_takes_more_pulses_and_fewer_iterations(result: Result):
    pulses, settled = (
        [result.row(f"{what}, {name}").here for name in ("single pulses", "verified")]
        for what in ("pulses", "iterations until all is learnt")
    )
    assert pulses[0] == 960 * faces_2017.ITERATIONS
    assert 2 * pulses[0] < pulses[1] < 5 * pulses[0]
    assert settled[1] < settled[0]


def test_energies_are_pulses_times_what_one_takes(result: Result):
    for name in ("single pulses", "verified"):
        energy = result.row(f"pulses, {name}").here * faces_2017.PULSE_ENERGY
        assert result.row(f"energy of training, {name}").here == pytest.approx(1e9 * energy)
    assert result.row("cells for weights").difference == 0


def test_noise_replaces_its_share_of_pixels():
    x = np.full((50, 320), 2.0, np.float32)
    copies = faces_2017.noisy(x, 0.3, 2, seed=1)
    assert copies.shape == (100, 320)
    assert np.mean(copies != 2.0) == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(faces_2017.noisy(x, 0.0, 1, seed=1), x)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_its_rule_keeps_the_promises_of_rules():
    check_rule(faces_2017.SignVerify())
