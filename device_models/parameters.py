"""Frozen, validated parameters: the base of every device slot, chip part and study section.

A `Parameters` class takes keyword arguments only, refuses unknown names and implausible units, and never changes.
A `Variant` is a family of exchangeable `Parameters` (every read-noise law, every weight scheme): in TOML and JSON
the member is named by `kind`, its class name, so a class written by a user is found like one of ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from device_models.errors import InputError, ParameterError, Problem, shown, suggestion

_PREFIXES = {"e-6": 1e-6, "e-9": 1e-9, "e-3": 1e-3, "e3": 1e3, "e6": 1e6}


class RuleBroken(ValueError):
    """Raised inside a validator; becomes a `Problem` with the place and value filled in."""

    def __init__(self, rule: str, remedy: str = "", value: str | None = None) -> None:
        self.rule, self.remedy, self.value = rule, remedy, value
        super().__init__(rule)


class Parameters(BaseModel):
    """A frozen, keyword-only, strictly validated value.

    Raises `ParameterError` for an unknown name, a missing one, a wrong type or a value out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(_problems(type(self), error)) from None

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, values: Any) -> Any:
        """NumPy scalars count as the Python numbers they hold: sweeps are written with `np.arange`."""
        if isinstance(values, Mapping):
            return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        return values

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, validated again."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


_DESCRIBING: ContextVar[frozenset[type]] = ContextVar("families whose JSON schema is being made", default=frozenset())


class Variant(Parameters):
    """A family of exchangeable parts. Subclass once with abstract methods for the family, then once per member."""

    @model_validator(mode="wrap")
    @classmethod
    def _choose(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, Mapping):
            return handler(values)
        if "kind" in values:
            member = cls._member(values["kind"])
            rest = {k: v for k, v in values.items() if k != "kind"}
            return handler(rest) if member is cls else member(**rest)
        if inspect.isabstract(cls):
            raise RuleBroken("needs a 'kind'", f"one of {', '.join(cls.members())}", value="none")
        return handler(values)

    @classmethod
    def members(cls) -> dict[str, type[Self]]:
        """The concrete classes of this family by name, users' own included."""
        found: dict[str, type[Self]] = {} if inspect.isabstract(cls) else {cls.__name__: cls}
        for child in cls.__subclasses__():
            found |= child.members()
        return found

    @classmethod
    def _member(cls, kind: object) -> type[Self]:
        members = cls.members()
        if not isinstance(kind, str) or kind not in members:
            raise RuleBroken("unknown 'kind'", suggestion(str(kind), list(members)), value=shown(str(kind)))
        return members[kind]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if not inspect.isabstract(cls):
            return _with_kind(cls.__name__, schema, handler)
        members = cls.members()
        if cls in _DESCRIBING.get():  # a law that wraps another of its own family: named there, described once
            return {"type": "object", "properties": {"kind": {"enum": list(members)}}, "required": ["kind"]}
        token = _DESCRIBING.set(_DESCRIBING.get() | {cls})
        try:
            return {"anyOf": [_with_kind(k, member.__pydantic_core_schema__, handler) for k, member in members.items()]}
        finally:
            _DESCRIBING.reset(token)


def _with_kind(kind: str, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """The JSON schema of a family's member, which must be named by its kind."""
    described = handler.resolve_ref_schema(handler(schema))
    described["properties"] = {"kind": {"const": kind}, **described["properties"]}
    described["required"] = list(dict.fromkeys(["kind", *described.get("required", [])]))
    return described


def to_dict(value: Any) -> Any:
    """Parameters as plain dicts, lists, strings and numbers, ready for TOML or JSON; `None` is left out."""
    if isinstance(value, Parameters):
        kind = {"kind": type(value).__name__} if isinstance(value, Variant) else {}
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return kind | {k: to_dict(v) for k, v in fields.items() if v is not None}
    if isinstance(value, Mapping):
        return {k: to_dict(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [to_dict(v) for v in value]
    return value


def _plausible(
    quantity: str, low: float, high: float, *, zero: bool = False, usual: str = "e-6"
) -> Callable[[float], float]:
    """A check that a value is in the range its SI unit makes plausible; `zero` allows exactly 0 as well.

    `usual` is the power of ten to suggest first for a value out of range.
    """
    prefixes = sorted(_PREFIXES, key=lambda prefix: prefix != usual)

    def check(value: float) -> float:
        if low <= value <= high or (zero and value == 0):
            return value
        scales = [p for p in prefixes if low <= value * _PREFIXES[p] <= high]
        remedy = f"did you mean {_scaled(value, scales[0])}?" if scales else "check the unit"
        raise RuleBroken(f"must be in {quantity}, {'0 or ' if zero else ''}between {low:g} and {high:g}", remedy)

    return check


def _scaled(value: float, prefix: str) -> str:
    """A value times a power of ten, as one writes it: 100e-6."""
    plain = f"{value:g}"
    return f"{value * _PREFIXES[prefix]:g}" if "e" in plain else plain + prefix


def _as_tuple(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple(v.item() if isinstance(v, np.generic) else v for v in value)


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise RuleBroken("the first must be below the second", "exchange them")
    return pair


Siemens = Annotated[float, AfterValidator(_plausible("siemens", 1e-12, 1e-1, zero=True)), Field(description="siemens")]
Volts = Annotated[float, AfterValidator(_plausible("volts", 1e-4, 20.0, usual="e-3")), Field(description="volts")]
Ohms = Annotated[float, AfterValidator(_plausible("ohms", 1e-6, 1e9, zero=True)), Field(description="ohms")]
Amperes = Annotated[float, AfterValidator(_plausible("amperes", -1.0, 1.0)), Field(description="amperes")]
Seconds = Annotated[float, AfterValidator(_plausible("seconds", 1e-12, 1e12, zero=True)), Field(description="seconds")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0, description="fraction, 0 to 1")]
Spread = Annotated[float, Field(ge=0.0, le=10.0, description="relative standard deviation, 0 or more")]
Floats = Annotated[tuple[float, ...], BeforeValidator(_as_tuple)]
FloatRows = Annotated[tuple[Floats, ...], BeforeValidator(_as_tuple)]
IntPair = Annotated[tuple[int, int], BeforeValidator(_as_tuple)]
FloatPair = Annotated[tuple[float, float], BeforeValidator(_as_tuple)]
FloatRange = Annotated[tuple[float, float], BeforeValidator(_as_tuple), AfterValidator(_rising)]
SiemensRange = Annotated[tuple[Siemens, Siemens], BeforeValidator(_as_tuple), AfterValidator(_rising)]


def _problems(cls: type[Parameters], error: ValidationError) -> list[Problem]:
    """Every broken rule in a pydantic error, with those of nested parameters in their places."""
    found: list[Problem] = []
    for detail in error.errors():
        where = (cls.__name__, *map(str, detail["loc"]))
        inner = detail.get("ctx", {}).get("error")
        if isinstance(inner, ParameterError):
            found += [p._replace(where=(*where, *p.where[1:])) for p in inner.problems]
        elif isinstance(inner, InputError):
            found.append(inner.problem._replace(where=(*where, *inner.problem.where)))
        elif isinstance(inner, RuleBroken):
            value = shown(repr(detail["input"])) if inner.value is None else inner.value
            found.append(Problem(where, inner.rule, value, inner.remedy))
        else:
            found.append(_plain_problem(cls, where, detail))
    return found


def _plain_problem(cls: type[Parameters], where: tuple[str, ...], detail: ErrorDetails) -> Problem:
    """A rule of pydantic's own, in our words."""
    if detail["type"] == "extra_forbidden":
        name, known = where[-1], list(cls.model_fields)
        return Problem(where[:-1], "unknown name", f"'{name}'", suggestion(name, known))
    if detail["type"] == "missing":
        return Problem(where, "is required", "nothing", "give it a value")
    field = cls.model_fields.get(where[1]) if len(where) > 1 else None
    unit = f" ({field.description})" if field is not None and field.description else ""
    rule = detail["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    rule = rule.replace("a valid tuple", "a list")
    return Problem(where, rule + unit, shown(repr(detail["input"])), _plain_remedy(detail, unit))


def _plain_remedy(detail: ErrorDetails, unit: str) -> str:
    """What to do about a broken rule of pydantic's, where the value tells what was meant."""
    value, rule = detail["input"], detail["type"]
    if isinstance(value, str) and rule in ("float_type", "int_type"):
        return "write a plain number in SI units, without quotes"
    if isinstance(value, float) and rule == "int_type" and value.is_integer():
        return f"write {value:.0f}"
    if rule == "less_than_equal" and "fraction" in unit and value <= 100:
        return f"write {value / 100:g} for {value:g} %"
    known = {"tuple_type": "write it in brackets, with commas", "string_type": "write it in quotes"}
    return known.get(rule, "")
