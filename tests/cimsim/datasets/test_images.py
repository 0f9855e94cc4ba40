from __future__ import annotations

import numpy as np
import pytest

from cimsim.datasets.images import crop, shrink
from device_models.errors import InputError


def images(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((n, shape[0] * shape[1]), dtype=np.float32)


def test_a_crop_is_the_middle():
    x = np.arange(28 * 28, dtype=np.float32)[None]
    assert np.array_equal(crop(x, (28, 28), (20, 20)), x.reshape(28, 28)[4:24, 4:24].reshape(1, -1))
    assert np.array_equal(crop(x, (28, 28), (28, 28)), x)


def test_whole_blocks_shrink_to_their_means():
    x = images(3, 6, 4)
    blocks = x.reshape(3, 3, 2, 2, 2).mean(axis=(2, 4)).reshape(3, -1)
    np.testing.assert_allclose(shrink(x, (6, 4), (3, 2)), blocks, rtol=1e-6)


@pytest.mark.parametrize("to", [(8, 8), (5, 3), (64, 64), (1, 1)])
def test_shrinking_keeps_the_mean_of_the_image_and_of_an_even_one_every_pixel(to):
    x = images(4, 64, 64)
    np.testing.assert_allclose(shrink(x, (64, 64), to).mean(axis=1), x.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(shrink(np.full_like(x, 0.3), (64, 64), to), 0.3, rtol=1e-5)


def test_pixels_between_two_parts_are_shared():
    x = np.array([[1.0, 2.0, 4.0]], np.float32)
    np.testing.assert_allclose(shrink(x, (1, 3), (1, 2)), [[(1 + 2 / 2) / 1.5, (2 / 2 + 4) / 1.5]], rtol=1e-6)


@pytest.mark.parametrize(("made", "rule"), [(crop, "crop.to: must be from"), (shrink, "shrink.to: must be from")])
def test_a_larger_part_or_another_shape_is_refused(made, rule):
    with pytest.raises(InputError, match=rule):
        made(images(1, 4, 4), (4, 4), (5, 4))
    with pytest.raises(InputError, match="images of 5 x 4"):
        made(images(1, 4, 4), (5, 4), (2, 2))
