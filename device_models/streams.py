"""Named random streams: one generator per (place, role), fixed by the seed and the names alone.

A draw is found by its name, not by its turn, so switching one effect off leaves every other draw bit-identical
and no result depends on the order or the number of workers.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import numpy as np

from device_models.errors import InputError


@dataclass(frozen=True)
class Streams:
    """The random streams below one place, `Streams(seed=1).at("layer", 0, "tile", 3).rng("programming")`."""

    seed: int
    place: tuple[str | int, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise InputError("seed", "must be an integer, 0 or more", self.seed, "give seed=0, say")

    def at(self, *place: str | int) -> Streams:
        """The streams of a place further in; its names hold no "/", which joins them."""
        return Streams(self.seed, (*self.place, *place))

    def rng(self, role: str) -> np.random.Generator:
        """The generator of one role at this place; the same names give the same generator, at its start."""
        entropy = [int(self.seed), *self.words(role)]
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))

    def key(self, role: str) -> np.ndarray:
        """Four 32-bit words, of seed, place and role, for a generator that draws by counter."""
        digest = hashlib.sha256(f"{self.seed}:{self.words(role)}".encode()).digest()
        return np.frombuffer(digest, dtype=np.uint32)[:4]

    def words(self, role: str) -> list[int]:
        """The place and role as eight 32-bit words."""
        names = [*map(str, self.place), role]
        name = "/".join(names)
        if name.count("/") >= len(names):
            raise InputError("streams", "a name must not hold '/', two places could share their draws", str(names))
        return list(struct.unpack("<8I", hashlib.sha256(name.encode()).digest()))
