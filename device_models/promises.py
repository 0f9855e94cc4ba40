"""What checks of promises share: each is a function whose first line of docstring is the promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from device_models.streams import Streams

Subject = TypeVar("Subject")


class Finding(NamedTuple):
    """One promise and, where it is broken, how."""

    promise: str
    broken: str


def findings(
    name: str,
    subject: Subject,
    checks: Sequence[Callable[[Subject, Streams], str | None]],
    *,
    seed: int = 0,
    strict: bool = True,
) -> list[Finding]:
    """Run every check on a subject; one finding per promise, `broken` empty where it is kept.

    Raises:
        AssertionError: a promise is broken, if `strict` (all of them are named).
    """
    found = [Finding((check.__doc__ or "").split("\n")[0], _outcome(check, subject, Streams(seed))) for check in checks]
    broken = [f"{f.promise} {f.broken}" for f in found if f.broken]
    if strict and broken:
        raise AssertionError(f"{name}: " + "; ".join(broken))
    return found


def global_state() -> str:
    """The state of NumPy's global generator: watched, not used."""
    state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return str({name: np.asarray(part).tobytes() for name, part in state.items()})


def _outcome(check: Callable[[Subject, Streams], str | None], subject: Subject, streams: Streams) -> str:
    """What a check says; an exception in the subject is a broken promise as well."""
    try:
        return check(subject, streams) or ""
    except Exception as error:
        return f"{type(error).__name__} was raised: {error}."
