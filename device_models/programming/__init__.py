"""Writing a conductance: one-shot error, and write-verify with a tolerance and a pulse budget.

`base.py` holds the slot, `one_shot.py` errors without verify, `verify.py` a verify whose pulses land independently,
`loop.py` a verify by the device's own pulses, `shortcut.py` the same drawn from tables.
"""

from device_models.programming.base import Programming, PulsedCells, PulsedProgramming, Written
from device_models.programming.loop import VerifyLoop
from device_models.programming.one_shot import PolynomialError, SaturatingError, SpanError, WriteError
from device_models.programming.shortcut import VerifyShortcut, shortcut
from device_models.programming.verify import WriteVerify

__all__ = [
    "PolynomialError",
    "Programming",
    "PulsedCells",
    "PulsedProgramming",
    "SaturatingError",
    "SpanError",
    "VerifyLoop",
    "VerifyShortcut",
    "WriteError",
    "WriteVerify",
    "Written",
    "shortcut",
]
