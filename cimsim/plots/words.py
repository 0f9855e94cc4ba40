"""Text in figures."""

from __future__ import annotations

import textwrap

_INCHES = 0.0076  # of a letter, for each point of its size: the mean of English text in matplotlib's own font


def wrapped(text: str, inches: float, points: float = 10.0) -> str:
    """Text in lines that fit into so many inches, for letters of so many points; its own line breaks stay."""
    width = max(int(inches / (_INCHES * points)), 1)
    lines = (textwrap.fill(line, width, break_on_hyphens=False) for line in text.split("\n"))
    return "\n".join(lines)
