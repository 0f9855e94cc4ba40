"""Errors of both packages: one line that says where, which rule, what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """One broken rule. `where` is a path of names, outermost first."""

    where: tuple[str, ...]
    rule: str
    value: str
    remedy: str

    def __str__(self) -> str:
        got = f", got {self.value}" if self.value else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{'.'.join(self.where)}: {self.rule}{got}{remedy}"


class InputError(ValueError):
    """Input that breaks a rule: '*where*: *rule*, got *value*; *remedy*' in one line."""

    def __init__(self, where: str, rule: str, value: object = "", remedy: str = "") -> None:
        self.problem = Problem((where,), rule, shown(_text(value)), remedy)
        super().__init__(str(self.problem))


class ParameterError(ValueError):
    """One or more parameters break their rules; `problems` holds every one of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(" | ".join(map(str, problems)))

    def within(self, *place: str) -> ParameterError:
        """The same problems, seen from further out (a file, a section)."""
        return ParameterError([p._replace(where=(*place, *p.where)) for p in self.problems])


def check_type(where: str, value: object, kind: type, remedy: str) -> None:
    """Raise `InputError` for a value of another kind."""
    if not isinstance(value, kind):
        raise InputError(where, f"must be a {kind.__name__}", type(value).__name__, remedy)


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Name what an `InputError` raised inside is of as the caller knows it: `renamed(x="x_test")`."""
    try:
        yield
    except InputError as error:
        (place,), rule, value, remedy = error.problem
        name = place.partition(".")[0]
        if name not in names:
            raise
        raise InputError(names[name] + place.removeprefix(name), rule, value, remedy) from None


def _text(value: object) -> str:
    """A value as text: NumPy's numbers as the numbers they are."""
    return value if isinstance(value, str) else repr(value.item() if isinstance(value, np.generic) else value)


def shown(text: str) -> str:
    """A value's text as an error shows it: short, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def suggestion(name: str, known: list[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or the list of all."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'? Known: {', '.join(known)}"
    return f"known: {', '.join(known)}" if known else "nothing can be given here"
