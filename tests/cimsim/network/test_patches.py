from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cimsim.network import patches as patches_module
from cimsim.network.patches import Patches
from tests.foreign import ForeignArray

sides = st.tuples(st.integers(1, 3), st.integers(1, 3))
images = st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))


def geometry(image: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple) -> Patches:
    made = Patches(image, kernel, stride, padding, dilation)
    assume(all(r <= p for r, p in zip(made.reach, made.padded, strict=True)))
    return made


def by_hand(p: Patches, x: np.ndarray) -> np.ndarray:
    """Element by element, from the definition."""
    (c, h, w), (kh, kw), (sh, sw), (dh, dw) = p.image, p.kernel, p.stride, p.dilation
    framed = np.pad(x.reshape(-1, c, h, w), [(0, 0), (0, 0), *[(n, n) for n in p.padding]])
    vertical, horizontal = (w.count for w in p.windows)
    rows = [
        [n[a, i * sh + k * dh, j * sw + m * dw] for a in range(c) for k in range(kh) for m in range(kw)]
        for n in framed
        for i in range(vertical)
        for j in range(horizontal)
    ]
    return np.array(rows)


@given(images, sides, sides, st.tuples(st.integers(0, 2), st.integers(0, 2)), sides, st.integers(1, 3))
def test_patches_are_their_definition_and_adding_them_is_the_transpose(
    image: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, n: int
) -> None:
    p = geometry(image, kernel, stride, padding, dilation)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, int(np.prod(image))))
    cut = p.cut(x)
    assert cut.shape == (n * p.count, p.rows)
    np.testing.assert_array_equal(cut, by_hand(p, x))
    d = rng.standard_normal(cut.shape)
    assert np.sum(cut * d) == pytest.approx(np.sum(x * p.added(d)), rel=1e-9, abs=1e-9)


def test_patches_of_another_library_have_the_same_numbers() -> None:
    p = Patches((2, 6, 5), (3, 2), (2, 1), (1, 0), (1, 2))
    x = np.random.default_rng(0).standard_normal((4, 60)).astype(np.float32)
    cut = p.cut(x)
    np.testing.assert_array_equal(p.cut(ForeignArray(x)).get(), cut)
    np.testing.assert_array_equal(p.added(ForeignArray(cut)).get(), p.added(cut))
    assert cut.dtype == p.added(cut).dtype == np.float32


@pytest.mark.parametrize("size", [1, 300, 10**6])
def test_blocks_are_all_images_in_order_and_as_small_as_asked(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(patches_module, "_BLOCK", size)
    p = Patches((1, 6, 6), (3, 3), (1, 1), (0, 0), (1, 1))
    blocks = list(p.blocks(7))
    assert [i for block in blocks for i in range(7)[block]] == list(range(7))
    largest = max(block.stop - block.start for block in blocks)
    assert largest == 1 or largest * p.count * p.rows <= size
