"""Published memristor arrays and chips, each run here beside its paper's figures; one module per paper.

from cimsim import published
result = published.run("cnn-2020", quick=True)
print(result.table)
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from cimsim.published.base import Curve, Effort, Published, Result, Row
from device_models.errors import InputError, suggestion

__all__ = ["Curve", "Effort", "Published", "Result", "Row", "load", "names", "run"]


def names() -> list[str]:
    """Names of all systems, sorted: modules here that end in a year."""
    return sorted(m.name.replace("_", "-") for m in iter_modules(__path__) if m.name[-4:].isdigit())


def load(name: str) -> Published:
    """A system by its name. Raises `InputError` for an unknown one."""
    if name not in names():
        raise InputError("published", "must be the name of a published system", name, suggestion(name, names()))
    system: Published = import_module(f"{__name__}.{name.replace('-', '_')}").SYSTEM
    return system


def run(name: str, *, quick: bool = False, whole: bool = False, seed: int = 0, progress: bool = False) -> Result:
    """Run a system: minutes, or less than one with `quick`, which makes do with less data and fewer repeats.

    `whole` trains for as long as the paper where that takes hours (`Published.shortened`).

    Long ones work in several processes: in a script, call this below `if __name__ == "__main__":`. Raises `InputError`
    for an unknown name, data that are not there, or `whole` where a run is as long as the paper's already.
    """
    return load(name).result(Effort(quick, seed, print if progress else _silent, whole))


def _silent(line: str) -> None:
    """Say nothing."""
