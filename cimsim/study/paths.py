"""Dotted paths into a study, "chip.adc.bits": which exist, setting what lies there, and naming it in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import BeforeValidator
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
    first = ", ".join(dict.fromkeys(p.split(".")[0] for p in existing))
    remedy = f"did you mean {' or '.join(map(repr, near))}?" if near else f"a path starts with one of {first}"
    raise InputError(where, "must be a path that exists", path or "nothing", remedy)


def together(axis: str) -> list[str]:
    """The paths that an axis of a sweep sets, all to the same value: one, or several with commas between them."""
    return [path.strip() for path in axis.split(",")]


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
    found = [one for one in map(_unwrapped, (field.annotation, *get_args(field.annotation))) if one is not None]
    if not found:
        return None
    cls, validators = found[0]
    if not issubclass(cls, Variant):
        return cls
    given = value if isinstance(value, Mapping) else {}
    for validator in validators:  # a family whose tables need not name their kind has one that fills it in
        given = validator(given)
    if "kind" in given:
        return cls.members().get(given["kind"], cls)
    return type(field.default) if isinstance(field.default, cls) and not isinstance(value, Mapping) else cls


def _unwrapped(annotation: Any) -> tuple[type[Parameters], list[Callable[[Any], Any]]] | None:
    """The class of parameters in an annotation, and what is done to its values before they are checked."""
    cls, *extra = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if not (isinstance(cls, type) and issubclass(cls, Parameters)):
        return None
    return cls, [cast(Callable[[Any], Any], one.func) for one in extra if isinstance(one, BeforeValidator)]
