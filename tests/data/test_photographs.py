"""Laws of the photographs' patches: they tile the pictures and share no pixel."""

import pytest
import torch
from sklearn.datasets import load_sample_images

from gmtools.data import photo_patches


@pytest.mark.parametrize("size", [32, 64])
def test_patches_tile_the_photographs_from_left_to_right(size):
    rows, start = 427 // size, 0
    for part, width in zip(photo_patches(size), (384, 128, 128), strict=True):
        columns = width // size
        assert part.images.shape == (2 * rows * columns, 3, size, size)
        assert part.images.dtype == torch.uint8 and part.levels == 256
        for photo, original in enumerate(load_sample_images().images):
            tiles = part.images[part.labels == photo].reshape(rows, columns, 3, size, size)
            picture = tiles.permute(0, 3, 1, 4, 2).reshape(rows * size, columns * size, 3)
            expected = torch.tensor(original)[: rows * size, start : start + columns * size]
            assert torch.equal(picture, expected)
        start += width


@pytest.mark.parametrize("size", [4, 256])
def test_sizes_out_of_range_are_named(size):
    with pytest.raises(ValueError, match=f"size is {size}"):
        photo_patches(size)
