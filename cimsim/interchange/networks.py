"""Networks as `.safetensors` or `.npz`: one array per weight and bias, and the list of layers as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cimsim.backend import to_host
from cimsim.network.layers import Dense, Layer, ReLU, Sigmoid, Tanh, Weighted
from cimsim.network.network import Network
from device_models.errors import InputError, suggestion

_PLAIN: dict[str, type[Layer]] = {"ReLU": ReLU, "Sigmoid": Sigmoid, "Tanh": Tanh}
_SUFFIXES = (".safetensors", ".npz")


def save_network(network: Network, path: str | Path) -> Path:
    """Write a network's layers and weights; the suffix of `path` chooses the format.

    Arrays are named `layers.0.weight`, `layers.0.bias`, ...; `layers` (npz: an array; safetensors: metadata) lists
    the layers by name, in JSON.
    """
    path = _with_known_suffix(Path(path))
    kinds = json.dumps([type(layer).__name__ for layer in network.layers])
    arrays = {
        f"layers.{i}.{name}": np.ascontiguousarray(to_host(getattr(layer, name)))
        for i, layer in enumerate(network.layers)
        if isinstance(layer, Weighted)
        for name in ("weight", "bias")
    }
    if path.suffix == ".npz":
        np.savez(path, layers=np.array(kinds), **arrays)  # type: ignore[arg-type]
    else:
        from safetensors.numpy import save

        path.write_bytes(save(arrays, metadata={"format": "cimsim.network", "layers": kinds}))
    return path


def load_network(path: str | Path) -> Network:
    """A network from a file of `save_network`, or from the folder of an exported chip (its held weights).

    Raises `InputError` for a file that is missing, damaged or holds something else.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "weights.safetensors"
    read = _read_npz if _with_known_suffix(path).suffix == ".npz" else _read_safetensors
    try:
        kinds, arrays = read(path)
        return Network(tuple(_layer(kind, i, arrays) for i, kind in enumerate(json.loads(kinds))))
    except FileNotFoundError:
        raise InputError(str(path), "must be an existing file", "nothing there", "check the path") from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        remedy = "write it with cimsim.export or `cimsim train`"
        raise InputError(str(path), "must hold a network", f"{type(error).__name__}: {error}", remedy) from None


def _layer(kind: str, i: int, arrays: dict[str, np.ndarray]) -> Layer:
    if kind == "Dense":
        return Dense(arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"])
    if kind not in _PLAIN:
        raise InputError(f"layers[{i}]", "unknown layer", kind, suggestion(kind, ["Dense", *_PLAIN]))
    return _PLAIN[kind]()


def _read_npz(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    from zipfile import BadZipFile

    try:
        with np.load(path, allow_pickle=False) as archive:
            return str(archive["layers"]), {name: archive[name] for name in archive.files}
    except BadZipFile as error:
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
