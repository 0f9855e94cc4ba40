"""Hybrid training: what is lost in transfer comes back by tuning, and every stage is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim.learning.rules import MixedPrecision, ThresholdVerify
from device_models.device import Device
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.programming.one_shot import SpanError
from device_models.update import ExponentialUpdate
from device_models.window import Window

ROUGH = Device(
    name="rough",
    window=Window(g_min=2e-6, g_max=20e-6),
    programming=SpanError(error=0.1),
    update=ExponentialUpdate(pulses_up=200, pulses_down=200, c2c=0.002),
)


@pytest.fixture(scope="module")
def data() -> Any:
    return cim.datasets.load("digits")


@pytest.fixture(scope="module")
def net(data: Any) -> cim.Network:
    (x, y), _ = data
    return cim.train(cim.mlp([64, 24, 10]), x, y, epochs=10, seed=0)


def test_tuning_brings_back_what_the_transfer_cost(data: Any, net: cim.Network) -> None:
    (x, y), (x_test, y_test) = data
    done = cim.hybrid(
        net, cim.ChipSpec(device=ROUGH), x, y, x_test, y_test, share=0.3, epochs=8, batch=16, learning_rate=0.1
    )
    by_stage = done.stages.set_index("stage")["accuracy"]
    assert list(by_stage.index) == ["software", "after transfer", "after tuning"]
    assert by_stage["after transfer"] < by_stage["software"] - 0.04
    assert by_stage["after tuning"] > by_stage["after transfer"] + 0.02
    assert by_stage["software"] == cim.accuracy(net, x_test, y_test)
    assert by_stage["after tuning"] == cim.accuracy(done.chip, x_test, y_test)
    np.testing.assert_allclose(done.stages["accuracy"] + done.stages["error"], 1)
    assert done.samples == round(0.3 * len(x))
    assert len(done.history) == 8
    assert done.chip.matrices[0] is done.transferred.matrices[0]
    assert repr(done).startswith("Hybrid(software ")


def test_the_rule_the_layers_and_the_age_are_those_asked_for(data: Any, net: cim.Network) -> None:
    (x, y), (x_test, y_test) = data
    spec, rule = cim.ChipSpec(device=ROUGH), ThresholdVerify(threshold=0.5e-6)
    choice: dict[str, Any] = {"layers": [0], "age": 60.0, "calibrate": 100, "epochs": 1, "learning_rate": 0.2}
    done = cim.hybrid(net, spec, x, y, x_test, y_test, rule=rule, seed=3, **choice)
    chip = cim.program(net, spec, calibrate=x[:100], seed=3).age(60.0)
    assert np.array_equal(done.transferred.matrices[0].weights(), chip.matrices[0].weights())
    assert done.chip.seconds == 60.0
    assert done.chip.matrices[1] is done.transferred.matrices[1]
    assert done.history["cells_written"].sum() > 0
    again = cim.hybrid(net, spec, x, y, x_test, y_test, rule=rule, seed=3, **choice)
    assert np.array_equal(done.chip.matrices[0].weights(), again.chip.matrices[0].weights())


def test_what_cannot_be_done_is_refused(data: Any, net: cim.Network) -> None:
    (x, y), (x_test, y_test) = data
    spec = cim.ChipSpec(device=ROUGH)
    with pytest.raises(ParameterError, match=r"HybridTraining\.share: must be less than or equal to 1"):
        cim.hybrid(net, spec, x, y, x_test, y_test, share=1.5)
    with pytest.raises(InputError, match=r"hybrid\.share: must leave at least one training sample, got 0\.001 of 100"):
        cim.hybrid(net, spec, x[:100], y[:100], x_test, y_test, share=0.001)
    with pytest.raises(InputError, match="must hold labels from 0 to 9"):
        cim.hybrid(net, spec, x, y + 1, x_test, y_test)
    with pytest.raises(InputError, match=r"hybrid: unknown name, got shares; did you mean 'share'\? Known: share, "):
        cim.hybrid(net, spec, x, y, x_test, y_test, shares=0.1)
    with pytest.raises(InputError, match=r"^y_test: must hold labels from 0 to 9"):
        cim.hybrid(net, spec, x, y, x_test, y_test + 1)
    with pytest.raises(InputError, match=r"^x_test: must have 64 features per sample"):
        cim.hybrid(net, spec, x, y, y_test, x_test)
    with pytest.raises(InputError, match=r"^net: must be a Network, got ChipSpec; "):
        cim.hybrid(spec, net, x, y, x_test, y_test)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^spec: must be a ChipSpec, got Device; "):
        cim.hybrid(net, ROUGH, x, y, x_test, y_test)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"fine_tune\.rule: must be a PulseRule"):
        cim.hybrid(net, spec, x, y, x_test, y_test, rule=MixedPrecision)
