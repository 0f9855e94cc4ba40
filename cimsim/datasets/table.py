"""A table of samples that comes with the package: the digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimsim.datasets.base import Raw
from cimsim.datasets.files import content, shipped


@dataclass(frozen=True)
class ShippedTable:
    """A CSV of pixels and last a label; of `test_every` rows each the first is test."""

    file: str
    test_every: int
    full_scale: int

    def read(self, name: str) -> tuple[Raw, Raw]:
        """The training and the test part."""
        table = np.loadtxt(content(shipped(self.file)).decode().splitlines(), dtype=np.uint8, delimiter=",")
        test = np.arange(len(table)) % self.test_every == 0
        return Raw(table[~test, :-1], table[~test, -1]), Raw(table[test, :-1], table[test, -1])


DIGITS = ShippedTable("digits.csv.gz", test_every=5, full_scale=16)
