"""Device cards: strict TOML files, one device each, read and written without loss."""

from __future__ import annotations

import tomllib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from device_models.device import Device
from device_models.errors import InputError, ParameterError, suggestion
from device_models.parameters import to_dict


def names() -> list[str]:
    """Names of the cards that come with the package, sorted."""
    return sorted(p.name.removesuffix(".toml") for p in _shipped().iterdir() if p.name.endswith(".toml"))


def load(name_or_path: str | Path) -> Device:
    """A device from a shipped card ("generic-rram") or from a file ("my_fit.toml").

    Raises:
        InputError: no such card or file, or not TOML.
        ParameterError: a name, type or value that a device does not allow.
    """
    text = str(name_or_path)
    if text in names():
        with as_file(_shipped() / f"{text}.toml") as path:
            return parse(read_toml(path), text)
    if text.endswith(".toml") or Path(text).is_file():
        return parse(read_toml(Path(text)), text)
    remedy = f"{suggestion(text, names())}; or give the path of a .toml file"
    raise InputError("device", "must be the name of a card or the path of one", text, remedy)


def save(device: Device, path: str | Path) -> Path:
    """Write a device as a card; `load(path)` gives an equal device.

    Raises:
        InputError: the file cannot be written.
    """
    import tomli_w

    path = Path(path)
    try:
        path.write_text(tomli_w.dumps(to_dict(device)), encoding="utf-8")
    except OSError as error:
        raise InputError(str(path), "must be a file one can write", error.strerror or error, "check the path") from None
    return path


def parse(values: dict[str, Any], where: str) -> Device:
    """A device from the contents of a card; errors name `where` first."""
    try:
        return Device(**values)
    except ParameterError as error:
        raise error.within(where) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file, or an `InputError` that says where it does not parse."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "must be an existing file", "nothing there", "check the path") from None
    except OSError as error:
        raise InputError(str(path), "must be a file one can read", error.strerror or error, "check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), "must be TOML", str(error), "correct the file at that place") from None


def _shipped() -> Any:
    return files("device_models") / "cards"
