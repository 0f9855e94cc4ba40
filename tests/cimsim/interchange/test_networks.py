"""Networks as files: what is written is what is read, and other files are refused in one line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cimsim.interchange import load_network, save_network
from cimsim.network.build import AvgPool, Conv, Linear, MaxPool, cnn
from cimsim.network.coding import PoissonRate
from cimsim.network.layers import Dense, ReLU
from cimsim.network.network import LayerRanges, Network, mlp
from cimsim.network.neurons import DiscreteLIF
from cimsim.network.norm import BatchNorm2d
from cimsim.network.spiking import snn
from device_models.errors import InputError

SUFFIXES = [".safetensors", ".npz"]
X = np.random.default_rng(0).random((7, 6))


def same(a: Network, b: Network) -> bool:
    pairs = [
        (getattr(p, name), getattr(q, name))
        for p, q in zip(a.weighted, b.weighted, strict=True)
        for name in ("weight", "bias")
    ]
    types = [type(layer) for layer in a.layers] == [type(layer) for layer in b.layers]
    return types and all(v.dtype == w.dtype and np.array_equal(v, w) for v, w in pairs)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "step", "tanh"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_network_comes_back_to_the_bit(tmp_path: Path, suffix: str, activation: str, kind: Any) -> None:
    net = mlp([6, 5, 4], activation=activation, seed=1)
    net = net.with_weights([(w.astype(kind), np.arange(w.shape[1], dtype=kind)) for w in net.weights])
    path = save_network(net, tmp_path / f"net{suffix}")
    back = load_network(path)
    assert path == tmp_path / f"net{suffix}"
    assert same(net, back)
    assert np.array_equal(net.forward(X), back.forward(X))


def convolutional() -> Network:
    """Every kind of image layer, each with settings of its own."""
    conv = Conv(4, kernel=(3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2)
    pools = [MaxPool(2, stride=1, ceil=True), AvgPool((1, 2))]
    net = cnn((2, 6, 6), [conv, "tanh", *pools, Linear(3)], seed=1)
    rng = np.random.default_rng(0)
    shape = net.layers[0].out_shape  # type: ignore[attr-defined]
    norm = BatchNorm2d(rng.random(4), rng.random(4), rng.random(4), rng.random(4), shape, 1e-3)
    return Network((net.layers[0], norm, *net.layers[1:]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_image_layers_come_back_with_their_settings(tmp_path: Path, suffix: str) -> None:
    net, x = convolutional(), np.random.default_rng(1).random((5, 72))
    back = load_network(save_network(net, tmp_path / f"net{suffix}"))
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in net.layers]
    assert np.array_equal(net.forward(x), back.forward(x))
    for a, b in zip(net.layers, back.layers, strict=True):
        for field in fields(a):  # type: ignore[arg-type]
            v, w = getattr(a, field.name), getattr(b, field.name)
            assert type(v) is type(w)
            assert np.array_equal(v, w)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ranges_of_converters_come_back(tmp_path: Path, suffix: str) -> None:
    ranges = (LayerRanges((-0.5, 0.5), (-1.25, 2.0)), LayerRanges((0.0, 3.0), None))
    net = replace(mlp([6, 5, 4]), ranges=ranges)
    assert load_network(save_network(net, tmp_path / f"n{suffix}")).ranges == ranges
    spiking = replace(snn([6, 5, 4], steps=3), ranges=ranges)
    back = load_network(save_network(spiking, tmp_path / f"s{suffix}"))
    assert (back.ranges, back.code) == (ranges, spiking.code)


def test_weights_that_are_not_contiguous_come_back_as_they_are(tmp_path: Path) -> None:
    net = Network((Dense(np.arange(12, dtype=np.float32).reshape(3, 4).T, np.zeros(3)),))
    for suffix in SUFFIXES:
        assert same(net, load_network(save_network(net, tmp_path / f"net{suffix}")))


def test_no_pickle_is_written_and_other_tools_can_read_the_files(tmp_path: Path) -> None:
    net = mlp([6, 5, 4], seed=1)
    with np.load(save_network(net, tmp_path / "net.npz"), allow_pickle=False) as archive:
        assert json.loads(str(archive["layers"])) == ["Dense", "ReLU", "Dense"]
        assert np.array_equal(archive["layers.2.weight"], net.weights[1])
    from safetensors.numpy import load_file

    arrays = load_file(save_network(net, tmp_path / "net.safetensors"))
    assert sorted(arrays) == ["layers.0.bias", "layers.0.weight", "layers.2.bias", "layers.2.weight"]
    assert np.array_equal(arrays["layers.0.weight"], net.weights[0])


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = save_network(mlp([6, 5, 4]), tmp_path / f"net{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert refused(lambda: load_network(path)).startswith(f"{path}: must hold a network, got ")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"\x00" * 100,
        b"\xff" * 100,
        pickle.dumps({"layers.0.weight": np.eye(2)}),
        b"PK\x03\x04" + b"\x00" * 60,
    ],
    ids=["text", "zeros", "ones", "pickle", "broken zip"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    message = refused(lambda: load_network(path))
    assert message.startswith(f"{path}: must hold a network, got ")
    assert message.endswith("; write it with cimsim.export or `cimsim train`")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("net", [mlp([6, 5, 4]), convolutional()], ids=["mlp", "cnn"])
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_gives_a_network_or_one_line(
    tmp_path: Path, suffix: str, net: Network, place: float, bits: int
) -> None:
    """Nothing else comes out, whatever byte is wrong. Only the sums of a zip notice a wrong weight."""
    path = save_network(net, tmp_path / f"net{suffix}")
    damaged = bytearray(path.read_bytes())
    damaged[int(place * len(damaged))] ^= bits
    path.write_bytes(damaged)
    with suppress(InputError):
        assert isinstance(load_network(path), Network)


def write_npz(path: Path, layers: Any, **arrays: Any) -> Path:
    np.savez(path, layers=np.array(layers), **arrays)
    return path


DENSE = {"layers.0.weight": np.eye(3, dtype=np.float32), "layers.0.bias": np.zeros(3, np.float32)}


@pytest.mark.parametrize(
    ("layers", "arrays", "message"),
    [
        ('["Dense"]', {}, ": must hold a network, got KeyError: 'layers.0.weight'; write it with"),
        (
            '["Dens"]',
            DENSE,
            ", layers[0]: unknown layer, got Dens; did you mean 'Dense'? Known: Dense, Unbiased, Conv2d, ",
        ),
        ('["ReLU"]', {}, ", Network.layers: must hold a layer with weights, got 1; add a Dense layer"),
        ('["Dense", "Dense"]', DENSE, ": must hold a network, got KeyError"),
        ("5", DENSE, ": must hold a network, got ValueError: 'layers' is no list of layers; write it"),
        ('[["Dense"]]', DENSE, ": must hold a network, got ValueError: 'layers' is no list of layers; write it"),
        ("{", DENSE, ": must hold a network, got JSONDecodeError"),
        (
            '["Dense"]',
            DENSE | {"layers.0.bias": np.zeros(2)},
            ", Dense.bias: must hold one value per output, shape (3,), got",
        ),
        (
            '["Dense"]',
            DENSE | {"layers.0.weight": np.zeros(3)},
            ", Dense.weight: must be a matrix (n_in, n_out), got shape",
        ),
        (
            '["Dense"]',
            DENSE | {"layers.0.weight": np.eye(3) * np.nan},
            ", layers[0].weight: must be finite, got 9 NaN or",
        ),
        ('["Dense"]', DENSE | {"layers.0.weight": np.array([["a"]])}, ": must hold a network, got ValueError"),
        ('[{"kind": "Conv3d"}]', DENSE, ", layers[0]: unknown layer, got Conv3d; did you mean 'Conv2d'? Known: Dense,"),
        ('[{"kind": 5}]', DENSE, ", layers[0]: unknown layer, got 5; known: Dense,"),
        ("[{}]", DENSE, ", layers[0]: unknown layer, got None; known: Dense,"),
        ('[{"kind": "Conv2d"}]', DENSE, ": must hold a network, got ValueError: "),
        ('[{"kind": "Dense", "kernel": 3}]', DENSE, ": must hold a network, got ValueError: "),
        (
            '[{"kind": "Conv2d", "in_shape": [1, 2, 2], "kernel": 3}]',
            DENSE,
            ", Conv2d.kernel: must fit into the image of 2 x 2, got 3 x 3;",
        ),
    ],
)
def test_a_file_that_holds_no_network_says_what_is_wrong(
    tmp_path: Path, layers: str, arrays: dict[str, Any], message: str
) -> None:
    path = write_npz(tmp_path / "net.npz", layers, **arrays)
    assert refused(lambda: load_network(path)).startswith(f"{path}{message}")


def test_an_archive_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "net.npz"
    np.savez(path, layers=np.array([Bomb()], dtype=object), allow_pickle=True)
    assert "must hold a network, got ValueError: Object arrays cannot be loaded" in refused(lambda: load_network(path))
    assert not (tmp_path / "exploded").exists()


def test_one_array_under_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    with path.open("wb") as file:
        np.save(file, np.eye(3))
    assert refused(lambda: load_network(path)).startswith(f"{path}: must hold a network, got ValueError: one array, no")


def test_safetensors_of_another_tool_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save

    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"weight": np.eye(3)}))
    assert refused(lambda: load_network(path)).startswith(f"{path}: must hold a network, got KeyError: 'layers'; write")


@pytest.mark.parametrize("name", ["net.safetensors", "net.npz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert refused(lambda: load_network(path)) == f"{path}: must be an existing file, got nothing there; check the path"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "tuned" / "weights.safetensors"
    assert refused(lambda: load_network(tmp_path / "tuned")).startswith(
        f"{missing}: must be an existing file, got nothing"
    )


def test_an_unknown_suffix_is_refused_in_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    message = f"{path}: must end in .safetensors or .npz, got .pt; rename it"
    assert refused(lambda: save_network(mlp([2, 2]), path)) == message
    path.write_bytes(b"")
    assert refused(lambda: load_network(path)) == message


def test_a_path_may_be_text(tmp_path: Path) -> None:
    net = Network((Dense(np.eye(2), np.zeros(2)), ReLU()))
    assert same(net, load_network(str(save_network(net, str(tmp_path / "net.npz")))))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / f"net{suffix}"
    message = f"{path}: must be a file one can write, got Not a directory; check the path"
    assert refused(lambda: save_network(mlp([2, 2]), path)) == message


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("readout", ["count", "first", "membrane"])
def test_a_spiking_network_comes_back_with_its_code_and_neurons(tmp_path: Path, suffix: str, readout: str) -> None:
    neuron = DiscreteLIF(decay=0.8, reset="soft", refractory=1)
    net = snn([6, 4, 3], code=PoissonRate(steps=5, peak=0.5), neuron=neuron, readout=readout)  # type: ignore[arg-type]
    back = load_network(save_network(net, tmp_path / f"net{suffix}"))
    assert back.code == net.code
    assert [a for a in back.layers if not a.arrays] == [a for a in net.layers if not a.arrays]
    x = np.random.default_rng(0).random((9, 6))
    np.testing.assert_array_equal(back.forward(x, seed=2), net.forward(x, seed=2))


def test_a_damaged_neuron_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save_network(snn([6, 3]), path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["layers"] = np.array(str(arrays["layers"]).replace('"decay": 0.9', '"decay": 1.9'))
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"must hold a network.*neuron\.decay: must be less than or equal to 1"):
        load_network(path)
