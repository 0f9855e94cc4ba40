"""Networks as `.safetensors` or `.npz`: one array per weight and bias, and the list of layers as text."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cimsim.backend import to_host
from cimsim.network.coding.base import Code
from cimsim.network.conv import Conv2d
from cimsim.network.firing import Count, FirstSpike, Integrating, Potential, Spiking
from cimsim.network.layers import Dense, Heaviside, Layer, ReLU, Sigmoid, Tanh, Unbiased
from cimsim.network.network import LayerRanges, Network
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.norm import BatchNorm2d
from cimsim.network.pooling import AvgPool2d, MaxPool2d
from cimsim.network.recurrent import RecurrentDense
from cimsim.network.recurrent_conv import RecurrentConv2d
from cimsim.network.surrogates import Surrogate
from device_models.errors import InputError, suggestion
from device_models.parameters import Parameters, to_dict

_TIMED: tuple[type[Layer], ...] = (Spiking, Integrating, Count, FirstSpike, Potential, RecurrentDense, RecurrentConv2d)
_CLASSES: tuple[type[Layer], ...] = (
    Dense,
    Unbiased,
    Conv2d,
    MaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    ReLU,
    Sigmoid,
    Tanh,
    Heaviside,
    *_TIMED,
)
_KINDS = {cls.__name__: cls for cls in _CLASSES}
_SUFFIXES = (".safetensors", ".npz")


class _Tables(Parameters):
    """What is a table in a list of layers."""

    code: Code | None = None
    neuron: DiscreteLIF | None = None
    surrogate: Surrogate | None = None


def save_network(network: Network, path: str | Path) -> Path:
    """Write a network's layers and weights; the suffix of `path` chooses the format.

    Arrays are named `layers.0.weight`, `layers.0.bias`, ...; `layers` (npz: an array; safetensors: metadata) lists
    the layers in JSON, each by its name, or as a table of its settings with the name as `kind`. A spiking network's
    list begins with its code; ranges of converters that it was trained with come next.
    Raises `InputError` for another suffix or a file that cannot be written.
    """
    path = _with_known_suffix(Path(path))
    head: list[dict[str, Any]] = [] if network.code is None else [{"code": to_dict(network.code)}]
    head += [] if network.ranges is None else [{"ranges": network.ranges}]
    kinds = json.dumps([*head, *(_entry(layer) for layer in network.layers)])
    arrays = {
        f"layers.{i}.{name}": np.ascontiguousarray(to_host(getattr(layer, name)))
        for i, layer in enumerate(network.layers)
        for name in layer.arrays
    }
    try:
        if path.suffix == ".npz":
            np.savez(path, layers=np.array(kinds), **arrays)  # type: ignore[arg-type]
        else:
            from safetensors.numpy import save

            path.write_bytes(save(arrays, metadata={"format": "cimsim.network", "layers": kinds}))
    except OSError as error:
        raise InputError(str(path), "must be a file one can write", error.strerror or error, "check the path") from None
    return path


def load_network(path: str | Path) -> Network:
    """A network from a file of `save_network`, or from the folder of an exported chip (its held weights).

    Raises `InputError` for a file that is missing, damaged or holds something else.
    """
    path = Path(path)
    if path.is_dir() or not (path.suffix or path.exists()):
        path = path / "weights.safetensors"
    read = _read_npz if _with_known_suffix(path).suffix == ".npz" else _read_safetensors
    try:
        kinds, arrays = read(path)
        head, entries = _entries(kinds)
        layers = tuple(_layer(entry, i, arrays) for i, entry in enumerate(entries))
        return Network(layers, _Tables(code=head.get("code")).code, _ranges(head.get("ranges")))
    except FileNotFoundError:
        raise InputError(str(path), "must be an existing file", "nothing there", "check the path") from None
    except InputError as error:
        (place,), rule, value, remedy = error.problem
        raise InputError(f"{path}, {place}", rule, value, remedy) from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        remedy = "write it with cimsim.export or `cimsim train`"
        raise InputError(str(path), "must hold a network", f"{type(error).__name__}: {error}", remedy) from None


def _entry(layer: Layer) -> str | dict[str, Any]:
    """A layer without its arrays: its name, or its settings with the name as their kind."""
    assert is_dataclass(layer)
    names = [field.name for field in fields(layer) if field.name not in layer.arrays]
    kind = type(layer).__name__
    return {"kind": kind, **{name: to_dict(getattr(layer, name)) for name in names}} if names else kind


def _entries(kinds: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What comes before the layers by name, and the settings of layers with their kinds, from their JSON."""
    entries = json.loads(kinds)
    if not isinstance(entries, list) or not all(isinstance(entry, str | dict) for entry in entries):
        raise ValueError("'layers' is no list of layers")
    head: dict[str, Any] = {}
    while entries and isinstance(entries[0], dict) and entries[0].keys() & {"code", "ranges"}:
        head |= entries.pop(0)
    return head, [{"kind": entry} if isinstance(entry, str) else entry for entry in entries]


def _ranges(found: Any) -> tuple[LayerRanges, ...] | None:
    """Ranges of converters, a pair of inputs and one of sums or None for each layer."""
    if found is None:
        return None
    try:
        return tuple(LayerRanges((float(a), float(b)), sums and _pair(sums)) for (a, b), sums in found)
    except TypeError as error:
        raise ValueError(f"'ranges' are none: {error}") from None


def _pair(found: Any) -> tuple[float, float]:
    low, high = map(float, found)
    return low, high


def _layer(entry: dict[str, Any], i: int, arrays: dict[str, np.ndarray]) -> Layer:
    kind = str(entry.get("kind"))
    if kind not in _KINDS:
        raise InputError(f"layers[{i}]", "unknown layer", kind, suggestion(kind, list(_KINDS)))
    own = {name: arrays[f"layers.{i}.{name}"] for name in _KINDS[kind].arrays}
    settings = {name: _setting(name, v) for name, v in entry.items() if name != "kind"}
    try:
        return _KINDS[kind](**own, **settings)
    except TypeError as error:  # a setting too many, too few or of another type
        raise ValueError(str(error)) from None


def _setting(name: str, value: Any) -> Any:
    """A setting as a layer takes it."""
    if name in ("neuron", "surrogate"):
        return getattr(_Tables(**{name: value}), name)
    return tuple(value) if isinstance(value, list) else value


def _read_npz(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    import zlib
    from zipfile import BadZipFile

    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("one array, no archive of arrays")
            return str(archive["layers"]), {name: archive[name] for name in archive.files}
    except (BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: encrypted, or of a later zip version
        raise ValueError(str(error)) from None


def _read_safetensors(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            return metadata["layers"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _with_known_suffix(path: Path) -> Path:
    if path.suffix not in _SUFFIXES:
        raise InputError(str(path), f"must end in {' or '.join(_SUFFIXES)}", path.suffix or "no suffix", "rename it")
    return path
