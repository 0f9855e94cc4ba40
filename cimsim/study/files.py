"""Studies as TOML: those that come with the package, files of one's own, and changes from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from cimsim.study import paths
from cimsim.study.paths import Plain
from cimsim.study.study import Study, expanded
from device_models.cards import read_toml
from device_models.errors import InputError, ParameterError, suggestion


def names() -> list[str]:
    """Names of the studies that come with the package, sorted."""
    return sorted(p.name.removesuffix(".toml") for p in _shipped().iterdir() if p.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML of a study that comes with the package. Raises `InputError` for an unknown name."""
    if name not in names():
        raise InputError("study", "must be the name of a built-in study", name, suggestion(name, names()))
    return str((_shipped() / f"{name}.toml").read_text(encoding="utf-8"))


def load(name_or_path: str | Path, changes: Mapping[str, Any] | None = None) -> Study:
    """A built-in study by its name, or one from a TOML file, with the values at some paths changed.

    A device card named by a path is looked up from the study's own folder.

    Raises:
        InputError: no such study, not TOML, or a path in `changes` that does not exist.
        ParameterError: a name, type or value that a study does not allow, at any point of its sweep.
    """
    values, where, folder = _read(str(name_or_path))
    values = expanded(values, folder)
    for path, value in (changes or {}).items():
        _change(values, path, value)
    try:
        return Study(**values)
    except ParameterError as error:
        places = [(f"{where}: {'.'.join(p.where[1:])}" if p.where[1:] else where,) for p in error.problems]
        raise ParameterError([p._replace(where=w) for p, w in zip(error.problems, places, strict=True)]) from None


def parse_change(assignment: str) -> tuple[str, Any]:
    """The path and value of "PATH=VALUE", the value written as in TOML; text needs no quotes.

    Raises `InputError` where there is no path, or a value that starts like TOML and is not.
    """
    path, equals, value = (part.strip() for part in assignment.partition("="))
    if not (path and equals and value):
        raise InputError("--set", "must be PATH=VALUE", assignment, "write chip.adc.bits=6, say")
    try:
        return path, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        if value[0] not in "[{\"'":
            return path, value
        raise InputError(f"--set {path}", "must have a TOML value", value, str(error)) from None


def _read(name_or_path: str) -> tuple[Plain, str, Path]:
    """The values of a study, what to call it in an error, and the folder it lies in."""
    if name_or_path in names():
        with as_file(_shipped() / f"{name_or_path}.toml") as path:
            return read_toml(path), name_or_path, Path()
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        remedy = f"{suggestion(name_or_path, names())}; or give the path of a .toml file"
        raise InputError("study", "must be the name of a built-in study or the path of one", name_or_path, remedy)
    return read_toml(path), path.name, path.parent


def _shipped() -> Any:
    return files("cimsim.study") / "builtin"


def _change(values: Plain, path: str, value: Any) -> None:
    """Set one value of a study, in place; `sweep.<path>` is the axis of that path, or of several."""
    root, _, axis = path.partition(".")
    swept = values.setdefault("sweep", {})
    if root == "sweep" and axis:
        same = [a for a in swept if paths.together(a) == paths.together(axis)]  # however it is spaced
        swept[same[0] if same else axis] = value
        return
    above = [a for a in swept if any(path == p or path.startswith(f"{p}.") for p in paths.together(a))]
    if above:
        raise InputError(path, "must not be swept already", value, f"set sweep.{above[0]} to a list of values")
    paths.check("study", path, paths.known(Study, values))
    paths.put(values, path, value)
