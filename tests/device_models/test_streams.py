from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from device_models.errors import InputError
from device_models.streams import Streams
from tests.device_models.laws import P_LIMIT, assert_distributed

names = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=5)
places = st.lists(names | st.integers(0, 99), max_size=3)


def drawn(streams: Streams, role: str = "read", n: int = 4) -> list[int]:
    return [int(v) for v in streams.rng(role).integers(0, 2**63, n)]


@given(st.integers(0, 2**40), places, places, names)
def test_the_same_names_give_the_same_draws_however_they_are_reached(
    seed: int, outer: list[str | int], inner: list[str | int], role: str
) -> None:
    assert drawn(Streams(seed).at(*outer).at(*inner), role) == drawn(Streams(seed).at(*outer, *inner), role)


@given(st.integers(0, 99), places, names, st.integers(0, 99), places, names)
def test_other_names_give_other_draws(
    seed: int, place: list[str | int], role: str, other_seed: int, other_place: list[str | int], other_role: str
) -> None:
    same = (seed, *map(str, place), role) == (other_seed, *map(str, other_place), other_role)
    assert (drawn(Streams(seed).at(*place), role) == drawn(Streams(other_seed).at(*other_place), other_role)) == same


def test_a_generator_starts_anew_whatever_was_drawn_before() -> None:
    streams = Streams(3)
    first = drawn(streams)
    streams.rng("another role").random(100)
    assert drawn(streams) == first


def test_neighbouring_streams_are_independent() -> None:
    n, many = 200, 1000
    z = np.stack([Streams(0).at("layer", i).rng("read").standard_normal(many) for i in range(n)])
    r = np.corrcoef(z)[np.triu_indices(n, 1)]
    assert stats.chi2.sf(many * np.sum(r**2), r.size) > P_LIMIT


def test_neighbouring_seeds_are_uniform() -> None:
    assert_distributed(np.array([Streams(seed).rng("read").random() for seed in range(2000)]), stats.uniform.cdf)


def test_words_are_the_hash_of_the_names() -> None:
    words = Streams(5).at("layer", 1).words("read")
    digest = b"".join(w.to_bytes(4, "little") for w in words)
    assert digest == hashlib.sha256(b"layer/1/read").digest()


def test_keys_are_the_hash_of_seed_and_words() -> None:
    streams = Streams(5).at("layer", 1)
    digest = hashlib.sha256(f"5:{streams.words('read')}".encode()).digest()
    assert streams.key("read").dtype == np.uint32
    assert streams.key("read").tobytes() == digest[:16]
    others = (Streams(6).at("layer", 1).key("read"), Streams(5).at("layer", 2).key("read"), streams.key("dac"))
    assert len({key.tobytes() for key in (streams.key("read"), *others)}) == 4


def test_numpy_integers_count_as_integers() -> None:
    assert drawn(Streams(np.int64(7)).at(np.int32(2))) == drawn(Streams(7).at(2))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True])
def test_seeds_are_whole_numbers(seed: object) -> None:
    with pytest.raises(InputError, match=r"^seed: must be an integer, 0 or more, got .*; give seed=0, say$"):
        Streams(seed)  # type: ignore[arg-type]


def test_a_name_with_a_slash_is_refused_for_it_could_be_two() -> None:
    for streams, role in [(Streams(0).at("a/b"), "c"), (Streams(0), "a/b")]:
        with pytest.raises(InputError, match="must not hold '/'"):
            streams.rng(role)


def test_streams_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Streams(0).seed = 1  # type: ignore[misc]
