"""Dotted paths into a study, "chip.adc.bits": which exist, setting what lies there, and naming it in a table."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic.fields import FieldInfo

from device_models.errors import InputError
from device_models.parameters import Parameters, Variant

Plain = dict[str, Any]
Label = str | int | float | bool


def known(cls: type[Parameters], values: Mapping[str, Any]) -> list[str]:
    """Every path below parameters of this class; `values` says which member of a family is in use where."""
    found: list[str] = []
    for name, field in cls.model_fields.items():
        found.append(name)
        inside = values.get(name)
        part = _part(field, inside)
        if part is not None:
            found += [f"{name}.{rest}" for rest in known(part, inside if isinstance(inside, Mapping) else {})]
    return found


def check(where: str, path: str, existing: list[str]) -> None:
    """Raises `InputError` for a path that does not exist, with the nearest that does."""
    if path in existing:
        return
    near = [p for p in existing if p.endswith(f".{path}")] or get_close_matches(path, existing, n=1, cutoff=0.5)
    first = ", ".join(p for p in existing if "." not in p)
    remedy = f"did you mean {' or '.join(map(repr, near))}?" if near else f"a path starts with one of {first}"
    raise InputError(where, "must be a path that exists", path, remedy)


def put(values: Plain, path: str, value: Any) -> None:
    """Set the value at a path, in place, making the tables on the way where there are none."""
    *tables, name = path.split(".")
    for i, table in enumerate(tables):
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            place = ".".join(tables[: i + 1])
            raise InputError(place, f"must be a table for '{path}' to be set", values, "give it as a table")
    values[name] = value


def label(value: Any) -> Label:
    """A swept value in a column of a table: a number or text as it is, a device its name, other tables in words."""
    if isinstance(value, Mapping):
        if "name" in value:
            return str(value["name"])
        rest = ", ".join(f"{k}={label(v)}" for k, v in value.items() if k != "kind")
        kind = value.get("kind", "")
        return f"{kind}({rest})" if kind and rest else kind or rest
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(label(v)) for v in value)}]"
    return value if isinstance(value, str | int | float) else str(value)


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first path at which two nested tables differ, and what each has there (None: nothing)."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return None if old == new else (path, old, new)
    for name in [*new, *(name for name in old if name not in new)]:
        found = first_difference(old.get(name), new.get(name), f"{path}.{name}" if path else name)
        if found is not None:
            return found
    return None


def _part(field: FieldInfo, value: Any) -> type[Parameters] | None:
    """The class of parameters that a field holds, of a family the member in use; None for a plain value."""
    candidates = (field.annotation, *get_args(field.annotation))
    classes = [c for c in candidates if isinstance(c, type) and issubclass(c, Parameters)]
    if not classes:
        return None
    cls = classes[0]
    if not issubclass(cls, Variant):
        return cls
    if isinstance(value, Mapping):
        return cls.members().get(value.get("kind", ""), cls)
    return type(field.default) if isinstance(field.default, cls) else cls
