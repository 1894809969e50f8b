"""The 1797 handwritten digits that ship with scikit-learn: 8 x 8 pixels, 17 grey levels, no download."""

import torch

from gmtools.data.image_set import ImageSet, Splits

TRAIN, VALIDATION = 1297, 250  # the other 250 are for the test


def digits() -> Splits:
    """Load the digits in one fixed split: 1297 to train, 250 to validate, 250 to test.

    Returns:
        Three :class:`ImageSet`: images uint8 ``(N, 1, 8, 8)`` with 17 levels, labels ``(N,)``.

    Reference: Alpaydin & Kaynak (1998), Optical recognition of handwritten digits, UCI repository.

    Chapter: 1-why/01-from-features-to-generative-models

    >>> train, validation, test = digits()
    >>> train.images.shape, len(validation.labels), len(test.labels)
    (torch.Size([1297, 1, 8, 8]), 250, 250)
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images).to(torch.uint8)[:, None]
    labels = torch.from_numpy(data.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = order.tensor_split((TRAIN, TRAIN + VALIDATION))
    return Splits(*(ImageSet(images[rows], labels[rows], 17, "digits") for rows in parts))
