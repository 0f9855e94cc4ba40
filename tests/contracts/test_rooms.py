"""The rooms of both packages: imports go down only, no cycles, small files and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
HERE = "tests/contracts/test_rooms.py"

# From the ground up. Rooms on one floor do not import each other; a room holds its module and all modules below it.
FLOORS = (
    ("device_models",),
    ("cimsim.backend",),
    ("cimsim.kernels", "cimsim.datasets"),
    ("cimsim.crossbar",),
    ("cimsim.network", "cimsim.report"),
    ("cimsim.chip",),
    ("cimsim.learning",),
    (
        "cimsim.interchange",
        "cimsim.plots",
        "cimsim.bench",
        "cimsim.cost",
    ),
    ("cimsim.study", "cimsim.published"),
    ("cimsim.cli",),
    ("cimsim", "cimsim.__main__"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Who may import a library, and whether the rule holds inside functions as well.
KEPT_TO = {"cupy": ("cimsim.backend",)}
SCIPY_AT_THE_TOP = ("device_models.fitting",)
FILE_LINES, FUNCTION_LINES = 400, 60


class Import(NamedTuple):
    """One import: who, whom, on which line, and whether it is done when the module is loaded."""

    module: str
    target: str
    line: int
    at_load: bool


def sources() -> dict[str, str]:
    """The text of every module of both packages by dotted name."""
    found = {}
    for path in sorted(p for package in ("device_models", "cimsim") for p in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a module; every rule looks at the same ones."""
    return ast.parse(text)


@cache
def import_nodes(text: str) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import in a module, and whether it is done when the module is loaded."""
    tree = parsed(text)
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    return [(n, id(n) not in inside) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]


def imports(module: str, text: str, modules: Mapping[str, str]) -> Iterator[Import]:
    """Every import of a module; `from package import name` leads to the module of that name where there is one."""
    for node, at_load in import_nodes(text):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in modules else str(node.module) for name in whole]
        yield from (Import(module, target, node.lineno, at_load) for target in targets)


def all_imports(modules: Mapping[str, str]) -> list[Import]:
    return [found for module, text in modules.items() for found in imports(module, text, modules)]


def room_of(module: str) -> str | None:
    """The room a module is in: the longest room name it starts with; "cimsim" stands for itself only."""
    near = [r for r in FLOOR_OF if module == r or (module.startswith(f"{r}.") and r != "cimsim")]
    return max(near, key=len, default=None)


def homeless(modules: Mapping[str, str]) -> list[str]:
    return [f"{m} is in no room: place it on a floor in {HERE}" for m in modules if room_of(m) is None]


def uphill(modules: Mapping[str, str]) -> list[str]:
    """Imports that do not go down."""
    found = []
    for one in all_imports(modules):
        here, there = room_of(one.module), room_of(one.target)
        if here and there and here != there and FLOOR_OF[there] >= FLOOR_OF[here]:
            found.append(f"{one.module}, line {one.line}: {here} must not import {there}, imports go down only")
    return found


def relative(modules: Mapping[str, str]) -> list[str]:
    """Relative imports, which the other rules cannot see."""
    nodes = ((module, node) for module, text in modules.items() for node, _ in import_nodes(text))
    return [
        f"{module}, line {node.lineno}: name the package in full"
        for module, node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def strays(modules: Mapping[str, str]) -> list[str]:
    """Libraries imported outside the rooms they are kept to."""
    found = []
    for one in all_imports(modules):
        library = one.target.partition(".")[0]
        if one.module not in KEPT_TO.get(library, (one.module,)):
            found.append(f"{one.module}, line {one.line}: {library} is kept to {', '.join(KEPT_TO[library])}")
        ground = one.module.startswith("device_models") and not one.module.startswith(SCIPY_AT_THE_TOP)
        if library == "scipy" and ground and one.at_load:
            found.append(f"{one.module}, line {one.line}: import scipy inside the function that needs it")
    return found


def cycle(modules: Mapping[str, str]) -> list[str]:
    """The modules of one import cycle in order, or none."""
    edges: dict[str, set[str]] = {module: set() for module in modules}
    for one in all_imports(modules):
        if one.target in modules and one.target != one.module:
            edges[one.module].add(one.target)
    while edges:
        leaves = {module for module, targets in edges.items() if not targets & edges.keys()}
        if not leaves:
            return _walk(edges)
        edges = {module: targets for module, targets in edges.items() if module not in leaves}
    return []


def _walk(edges: Mapping[str, set[str]]) -> list[str]:
    """Follow imports among modules that all lie on or above a cycle until one comes again."""
    path = [min(edges)]
    while path[-1] not in path[:-1]:
        path.append(min(edges[path[-1]] & edges.keys()))
    return path[path.index(path[-1]) :]


def too_long(modules: Mapping[str, str]) -> list[str]:
    found = []
    for module, text in modules.items():
        lines = text.count("\n")
        if lines > FILE_LINES:
            found.append(f"{module} has {lines} lines, at most {FILE_LINES}: it wants another room")
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    found.append(f"{module}.{node.name} has {length} lines, at most {FUNCTION_LINES}")
    return found


# --- our packages ---


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return sources()


def test_every_module_has_a_room(modules: dict[str, str]) -> None:
    assert {"device_models.device", "cimsim", "cimsim.chip"} <= modules.keys()
    assert homeless(modules) == []


def test_imports_name_their_package_in_full(modules: dict[str, str]) -> None:
    assert relative(modules) == []
    assert relative({"cimsim.chip": "from . import cli"}) == ["cimsim.chip, line 1: name the package in full"]


def test_imports_go_down_only(modules: dict[str, str]) -> None:
    assert uphill(modules) == []


def test_libraries_are_imported_where_they_belong(modules: dict[str, str]) -> None:
    assert strays(modules) == []


def test_no_modules_import_each_other_in_a_circle(modules: dict[str, str]) -> None:
    assert cycle(modules) == []


def test_files_and_functions_are_small(modules: dict[str, str]) -> None:
    assert too_long(modules) == []


# --- the rules themselves, on packages made up to break them ---


@pytest.mark.parametrize(
    ("module", "text", "sentence"),
    [
        ("device_models.device", "import cimsim", "device_models must not import cimsim,"),
        (
            "device_models.device",
            "def f():\n    from cimsim.chip import Chip",
            "device_models must not import cimsim.chip",
        ),
        ("cimsim.datasets", "from cimsim import kernels", "cimsim.datasets must not import cimsim.kernels"),
        (
            "cimsim.crossbar.tile",
            "from cimsim.network.layers import A",
            "cimsim.crossbar must not import cimsim.network",
        ),
        (
            "cimsim.report",
            "if TYPE_CHECKING:\n    from cimsim.chip import A",
            "cimsim.report must not import cimsim.chip",
        ),
        ("cimsim.study.runner", "import cimsim.published.yao", "cimsim.study must not import cimsim.published"),
        ("cimsim.cli", "from cimsim import __version__", "cimsim.cli must not import cimsim,"),
    ],
)
def test_an_import_that_goes_up_or_across_is_found(module: str, text: str, sentence: str) -> None:
    (found,) = uphill({module: text, "cimsim.kernels": ""})
    assert sentence in found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("cimsim.chip", "from cimsim.network.layers import Dense\nfrom device_models import Device\nimport numpy"),
        ("cimsim.crossbar.matrix", "from cimsim.crossbar.tile import Tile"),
        ("cimsim", "from cimsim import datasets\nfrom cimsim.cli import main"),
        ("cimsim.cli", "from cimsim import datasets"),
        ("cimsim.__main__", "from cimsim.cli import main"),
    ],
)
def test_an_import_that_goes_down_is_none_of_our_business(module: str, text: str) -> None:
    assert uphill({module: text, "cimsim.datasets": ""}) == []


def test_a_module_without_a_room_is_told_where_to_go() -> None:
    assert homeless({"cimsim.attic": "", "cimsim.crossbar.new": "", "device_models.new": "", "cimsim": ""}) == [
        f"cimsim.attic is in no room: place it on a floor in {HERE}"
    ]


@pytest.mark.parametrize(
    ("module", "text", "kept"),
    [
        ("cimsim.backend", "def f():\n    import cupy", True),
        ("cimsim.kernels.gpu", "def f():\n    import cupy.cuda", False),
        ("device_models.update", "def f():\n    from scipy.optimize import brentq", True),
        ("device_models.update", "from scipy.optimize import brentq", False),
        ("device_models.fitting", "import scipy.optimize", True),
        ("cimsim.crossbar.wires", "import scipy", True),
    ],
)
def test_libraries_are_kept_to_their_rooms(module: str, text: str, kept: bool) -> None:
    assert (strays({module: text}) == []) == kept


def test_a_circle_is_walked_round_once() -> None:
    ring = {"a": "import b", "b": "from c import x", "c": "import d\nimport b", "d": "", "e": "import a"}
    assert cycle(ring) in (["b", "c", "b"], ["c", "b", "c"])
    assert cycle({**ring, "c": "import d"}) == []


def test_long_files_and_functions_are_found() -> None:
    body = "\n".join(["def f():", *["    pass"] * 60])
    assert too_long({"a": body}) == ["a.f has 61 lines, at most 60"]
    assert too_long({"a": "\n" * 401}) == ["a has 401 lines, at most 400: it wants another room"]
