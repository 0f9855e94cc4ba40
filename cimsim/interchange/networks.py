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
    the layers by name, in JSON. Raises `InputError` for another suffix or a file that cannot be written.
    """
    path = _with_known_suffix(Path(path))
    kinds = json.dumps([type(layer).__name__ for layer in network.layers])
    arrays = {
        f"layers.{i}.{name}": np.ascontiguousarray(to_host(getattr(layer, name)))
        for i, layer in enumerate(network.layers)
        if isinstance(layer, Weighted)
        for name in ("weight", "bias")
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
        return Network(tuple(_layer(kind, i, arrays) for i, kind in enumerate(_names(kinds))))
    except FileNotFoundError:
        raise InputError(str(path), "must be an existing file", "nothing there", "check the path") from None
    except InputError as error:
        (place,), rule, value, remedy = error.problem
        raise InputError(f"{path}, {place}", rule, value, remedy) from None
    except (KeyError, ValueError, OSError, EOFError) as error:
        remedy = "write it with cimsim.export or `cimsim train`"
        raise InputError(str(path), "must hold a network", f"{type(error).__name__}: {error}", remedy) from None


def _names(kinds: str) -> list[str]:
    """The names of layers from their JSON."""
    names = json.loads(kinds)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("'layers' is no list of names")
    return names


def _layer(kind: str, i: int, arrays: dict[str, np.ndarray]) -> Layer:
    if kind == "Dense":
        return Dense(arrays[f"layers.{i}.weight"], arrays[f"layers.{i}.bias"])
    if kind not in _PLAIN:
        raise InputError(f"layers[{i}]", "unknown layer", kind, suggestion(kind, ["Dense", *_PLAIN]))
    return _PLAIN[kind]()


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
