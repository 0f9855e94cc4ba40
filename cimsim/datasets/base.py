"""What a source of labelled samples is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = tuple[NDArray[np.float32], NDArray[np.int64]]


class Raw(NamedTuple):
    """Unscaled samples: values `(n, features)`, 0 to the source's full scale, and integer labels `(n,)`."""

    values: NDArray[Any]
    labels: NDArray[Any]


class Source(Protocol):
    """Where a data set comes from."""

    @property
    def full_scale(self) -> int:
        """The largest value there can be, which becomes 1."""
        ...

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training and the test part of the set of this name."""
        ...
