from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim.network.coding import Direct, PoissonRate
from cimsim.network.conv import Conv2d
from cimsim.network.neurons import DiscreteLIF
from cimsim.study.architecture import Architecture
from cimsim.study.store import resolved
from cimsim.study.study import Study, schema
from device_models.errors import InputError, ParameterError

TOML = """
layers = [
    { kind = "Conv", channels = 6, kernel = 3, padding = [1, 0] },
    "relu",
    { kind = "MaxPool", kernel = 2 },
]
hidden = [5]
activation = "tanh"
"""
LAYERS = [cim.Conv(6, kernel=3, padding=(1, 0)), "relu", cim.MaxPool(2)]


def same(a: cim.Network, b: cim.Network) -> bool:
    return list(map(repr, a.layers)) == list(map(repr, b.layers)) and all(
        np.array_equal(v, w) for v, w in zip(a.weights, b.weights, strict=True)
    )


def test_layers_come_first_then_hidden_ones_then_one_output_per_class() -> None:
    made = Architecture(**tomllib.loads(TOML))
    assert made == Architecture(layers=LAYERS, hidden=[5], activation="tanh")
    expected = cim.cnn((1, 8, 8), [*LAYERS, cim.Linear(5), "tanh", cim.Linear(10)], seed=3)
    assert same(made.network(64, 10, 3), expected)


def test_without_layers_it_is_a_multilayer_perceptron() -> None:
    assert same(Architecture().network(64, 10, 3), cim.mlp([64, 32, 10], seed=3))
    made = Architecture(hidden=[], layers=[])
    assert same(made.network(64, 10, 3), cim.mlp([64, 10], seed=3))
    made = Architecture(hidden=[7, 6], activation="tanh")
    assert same(made.network(64, 10, 3), cim.mlp([64, 7, 6, 10], activation="tanh", seed=3))


def test_with_layers_there_are_no_hidden_ones_unless_asked_for() -> None:
    assert len(Architecture(layers=LAYERS).network(64, 10, 0).weighted) == 2


def test_the_image_is_square_unless_its_shape_is_given() -> None:
    made = Architecture(layers=[cim.Conv(2, kernel=1)], image=[2, 4, 8]).network(64, 10, 0)
    assert isinstance(made.layers[0], Conv2d)
    assert made.layers[0].in_shape == (2, 4, 8)


SPIKING = """
hidden = [5]
activation = "spiking"
spiking = { code = { kind = "PoissonRate", steps = 3 }, neuron = { decay = 0.5 }, readout = "count" }
"""


def test_a_spiking_network_is_that_of_snn() -> None:
    made = Architecture(**tomllib.loads(SPIKING))
    form = {"code": PoissonRate(steps=3), "neuron": DiscreteLIF(decay=0.5), "readout": "count", "seed": 3}
    expected = cim.snn([64, 5, 10], **form)
    assert same(made.network(64, 10, 3), expected)
    assert (made.trained(), made.network(64, 10, 3).code) == (made, expected.code)
    assert made.finished(expected, np.zeros((1, 64))) is expected
    layers = [cim.Conv(2, kernel=3), cim.MaxPool(2)]
    expected = cim.snn([*layers, cim.Linear(5), cim.Linear(10)], image=(1, 8, 8), **form)
    assert same(made.replace(layers=layers).network(64, 10, 3), expected)


def test_a_converted_network_is_trained_with_rectifiers() -> None:
    x = np.random.default_rng(0).random((20, 64)).astype(np.float32)
    converted = {"learning": "conversion", "code": Direct(steps=4)}
    made = Architecture(hidden=[5], activation="spiking", spiking=converted)
    net = made.trained().network(64, 10, 3)
    assert same(net, cim.mlp([64, 5, 10], seed=3))
    assert same(made.finished(net, x), cim.to_spiking(net, x, code=Direct(steps=4)))
    assert made.trained() == Architecture(hidden=[5]).trained() == Architecture(hidden=[5], spiking=converted).trained()


def test_networks_that_differ_after_training_only_are_trained_once(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def noted(net: cim.Network, *args: Any, **settings: Any) -> cim.Network:
        trained.append(repr(net.code))
        return cim.train(net, *args, **settings)

    monkeypatch.setattr("cimsim.study.runner.train", noted)
    tiny |= {"dies": 1, "network": {"hidden": [6], "activation": "spiking"}}
    tiny["sweep"] = {"network.spiking.learning": ["conversion", "surrogate"], "network.spiking.code.steps": [1, 8]}
    found = cim.run_study(Study(**tiny), tmp_path, progress=False).results
    assert sorted(trained) == ["None", "RegularRate(steps=1, peak=1.0)", "RegularRate(steps=8, peak=1.0)"]
    assert found["accuracy"][1] > found["accuracy"][0]  # converted: with 8 steps it knows more than with one


@pytest.mark.parametrize(
    ("given", "n_in", "message"),
    [
        (
            {"layers": LAYERS},
            60,
            "network.image: must hold the 60 features of a sample, got no image shape; "
            "set network.image to [channels, height, width]",
        ),
        (
            {"layers": LAYERS, "image": [1, 8, 9]},
            64,
            "network.image: must hold the 64 features of a sample, got",
        ),
        (
            {"layers": [cim.Conv(2, kernel=3), "relu"], "activation": "spiking"},
            64,
            "network.layers[1]: must have weights or be a pool, got Activation(function='relu'); leave it out",
        ),
        (
            {"layers": [cim.RecurrentConv(2, kernel=4)], "activation": "spiking"},
            64,
            "network.layers[0]: RecurrentConv2d.kernel: must have odd sides",
        ),
        (
            {"layers": [cim.MaxPool(9)]},
            64,
            "network.layers[0]: MaxPool2d.kernel: must fit into the image of 8 x 8, got 9 x 9",
        ),
    ],
)
def test_layers_that_do_not_fit_the_data_are_refused(given: dict[str, Any], n_in: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Architecture(**given).network(n_in, 10, 0)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"kind": "Conf"}], "Study.network.layers.0: unknown 'kind', got Conf; did you mean 'Conv'?"),
        ([{"kind": "Conv", "channels": 3}], "Study.network.layers.0.kernel: is required"),
        (
            [{"kind": "Conv", "channels": 3, "kernel": 3, "pading": 1}],
            "Study.network.layers.0: unknown name, got 'pading'; did you mean 'padding'?",
        ),
        (["relo"], "Study.network.layers.0.function: unknown activation, got relo; did you mean 'relu'?"),
        ([{"kind": "MaxPool", "kernel": 0}], "Study.network.layers.0.kernel: must be an integer of 1 or more"),
    ],
)
def test_layers_that_are_none_are_refused_with_the_study(tiny: dict[str, Any], layers: Any, message: str) -> None:
    tiny |= {"network": {"layers": layers}, "sweep": {}}
    with pytest.raises(ParameterError) as caught:
        Study(**tiny)
    assert message in str(caught.value)


def test_a_study_of_cnns_is_run_and_its_layers_can_be_swept(tiny: dict[str, Any], tmp_path: Path) -> None:
    layers = tomllib.loads(TOML)["layers"]
    tiny["sweep"] = {"network.layers": [[], layers], "inference.age": [0.0, 1e6]}
    tiny["training"]["epochs"] = 12
    study = Study(**tiny)
    result = cim.run_study(study, tmp_path, progress=False)
    assert Study(**tomllib.loads(resolved(study))) == study
    assert len(result.results) == 8
    by_layers = result.results.groupby("network.layers", sort=False)["float_accuracy"].first()
    (x, y), (x_test, y_test) = cim.datasets.load("digits", train=120, test=40)
    for points, found in zip(tiny["sweep"]["network.layers"], by_layers, strict=True):
        net = Architecture(layers=points, hidden=[6]).network(64, 10, 5)
        net = cim.train(net, x, y, seed=5, epochs=12, learning_rate=0.02)
        assert cim.accuracy(net, x_test, y_test) == pytest.approx(found)


def test_a_layer_that_does_not_fit_is_found_before_any_network_is_trained(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Any] = []
    monkeypatch.setattr("cimsim.study.runner.train", lambda *args, **_: trained.append(args))
    tiny["sweep"] = {"network.layers": [[], [{"kind": "MaxPool", "kernel": 9}]]}
    with pytest.raises(InputError, match=r"network\.layers\[0\]: MaxPool2d\.kernel: must fit into the image"):
        cim.run_study(Study(**tiny), tmp_path, progress=False)
    assert trained == []


def test_the_schema_takes_what_a_study_takes(tiny: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(json.dumps(schema())))

    def valid(layers: Any) -> bool:
        values = {"name": "a", "chip": {"device": "generic-rram"}, "network": {"layers": layers}}
        return bool(validator.is_valid(values))

    assert valid(tomllib.loads(TOML)["layers"])
    assert valid([])
    for layers in (["relo"], [{"kind": "Conv"}], [{"kind": "Conv", "channels": 3, "kernel": 0}], [3]):
        assert not valid(layers)
