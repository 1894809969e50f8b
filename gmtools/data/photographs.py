"""Patches of the two photographs that ship with scikit-learn: real images without a download."""

import torch
from torch import Tensor

from gmtools.checks import check_count
from gmtools.data.image_set import ImageSet, Splits


def photo_patches(size: int = 32) -> Splits:
    """Cut the photographs (a temple, a flower; 427 x 640 pixels) into square patches that do not overlap.

    The left three fifths of each photograph are to train on, the next fifth to validate, the last to test, so
    that no pixel is shared.

    Args:
        size: side of a patch in pixels, from 8 to 128.

    Returns:
        Three :class:`ImageSet`: images uint8 ``(N, 3, size, size)`` with 256 levels, labels 0 or 1 for the
        photograph.

    Raises:
        ValueError: ``size`` out of range.

    Reference: Pedregosa et al. (2011), Scikit-learn; photographs under Creative Commons by attribution.

    Chapter: 1-why/07-super-resolution

    >>> train, validation, test = photo_patches(32)
    >>> train.images.shape, len(validation.images), len(test.images)
    (torch.Size([312, 3, 32, 32]), 104, 104)
    """
    from sklearn.datasets import load_sample_images

    check_count("size", size, 8)
    if size > 128:
        raise ValueError(f"size is {size}, expected at most 128 pixels")
    photos = torch.stack([torch.tensor(p) for p in load_sample_images().images]).permute(0, 3, 1, 2)
    width = photos.shape[-1]
    parts = photos.tensor_split((3 * width // 5, 4 * width // 5), dim=-1)
    return Splits(*(_cut(part, size) for part in parts))


def _cut(photos: Tensor, size: int) -> ImageSet:
    patches = photos.unfold(2, size, size).unfold(3, size, size)  # (photo, C, rows, columns, size, size)
    per_photo = patches.shape[2] * patches.shape[3]
    images = patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).contiguous()
    return ImageSet(images, torch.arange(len(photos)).repeat_interleave(per_photo), 256, "photographs")
