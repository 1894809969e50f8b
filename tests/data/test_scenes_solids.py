"""Laws of what is put together from known parts: scenes of pictures and solids of voxels."""

import math

import pytest
import torch

from gmtools.data import SOLIDS, scenes, solids


def within(mean, sample, sigmas=5):
    return abs(sample.mean() - mean) < sigmas * sample.std() / math.sqrt(len(sample))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_scene_is_the_sum_of_its_pictures_at_its_corners(most):
    torch.manual_seed(0)
    picture = torch.rand(1, 1, 4, 4).double()
    images, counts, corners = scenes(picture, 50, most=most, size=14)
    expected = torch.zeros(50, 1, 14, 14).double()
    for n in range(50):
        for row, column in corners[n, : counts[n]].tolist():
            expected[n, 0, row : row + 4, column : column + 4] += picture[0, 0]
    torch.testing.assert_close(images, expected)


def test_pictures_of_a_scene_stand_apart_and_counts_are_uniform():
    torch.manual_seed(1)
    pictures = torch.eye(3)[:, None, :, None].expand(-1, -1, -1, 3)
    images, counts, corners = scenes(pictures, 3000, most=2, size=10)
    assert (corners[:, 0] - corners[:, 1]).abs().amax(-1).min() == 2  # s - 1
    assert corners.min() == 0 and corners.max() == 7  # nothing is cut off
    for count in range(3):
        assert within(1 / 3, (counts == count).double())
    assert all(within(3.5, place.double()) for place in corners.flatten(1).T)
    row_of_ink = images.sum(-1)[:, 0]  # which of the three pictures was drawn
    assert (row_of_ink.sum(1) == 3 * counts).all()


def test_crowded_scenes_are_refused_in_time():
    with pytest.raises(ValueError, match="enlarge size or lower most"):
        scenes(torch.ones(1, 1, 8, 8), 5, most=9, size=28)


def test_the_draws_of_scenes_never_change():
    """Committed weights were trained on such scenes: redrawing must take the same random numbers."""
    torch.manual_seed(0)
    corners = scenes(torch.ones(1, 1, 8, 8), 200, most=4, size=21)[2]
    torch.manual_seed(0)
    torch.randint(5, (200,))
    expected = torch.randint(14, (200, 4, 2))
    while True:
        apart = (expected[:, :, None] - expected[:, None]).abs().amax(-1) >= 7
        close = ~(apart | torch.eye(4).bool()).all(-1).all(-1)
        if not close.any():
            break
        expected[close] = torch.randint(14, (int(close.sum()), 4, 2))
    assert torch.equal(corners, expected)


def test_bad_scenes_are_refused():
    with pytest.raises(ValueError, match="size is 9"):
        scenes(torch.ones(1, 1, 4, 4), 5, size=9)
    with pytest.raises(ValueError, match="pictures has shape"):
        scenes(torch.ones(1, 1, 4, 5), 5)
    with pytest.raises(ValueError, match="n is 0"):
        scenes(torch.ones(1, 1, 4, 4), 0)


# Volumes for unit half-axes: 4/3 pi, 1.6^3, 1.6 pi, and the cone's third of base times height.
VOLUMES = (4 / 3 * math.pi, 1.6**3, 1.6 * math.pi, 2 / 3 * math.pi)


def test_solids_have_the_volume_of_their_kind_whatever_the_turn():
    """The half-axes are independent, uniform on (0.4, 0.7): their product has the mean 0.55^3. Places are
    random, so that counting voxels is unbiased."""
    torch.manual_seed(0)
    voxels, kinds = solids(800)
    volume = voxels.double().sum((1, 2, 3, 4)) * (2 / 12) ** 3
    for kind in range(len(SOLIDS)):
        chosen = volume[kinds == kind]
        assert within(0.55**3 * VOLUMES[kind], chosen), SOLIDS[kind]
        assert within(0.25, (kinds == kind).double())


def test_solids_are_binary_lie_inside_and_differ():
    torch.manual_seed(0)
    voxels, kinds = solids(200, size=12)
    assert voxels.unique().tolist() == [0, 1] and (voxels.sum((1, 2, 3, 4)) > 0).all()
    assert voxels[..., 0, :, :].sum() == 0 and voxels[..., 0].sum() == 0  # the border stays empty
    assert voxels.flatten(1).unique(dim=0).shape[0] > 190


def test_cones_taper_upwards_and_the_others_do_not():
    torch.manual_seed(0)
    voxels, kinds = solids(600)
    height = torch.arange(12.0)
    mass = voxels.sum((1, 2, 3))  # by height
    mean = (mass * height).sum(1) / mass.sum(1)
    middle = torch.stack([torch.nonzero(m)[[0, -1]].float().mean() for m in mass])
    lean = mean - middle
    assert lean[kinds == SOLIDS.index("cone")].mean() < -0.5
    assert within(0, lean[kinds != SOLIDS.index("cone")])


def test_bad_solids_are_refused():
    with pytest.raises(ValueError, match="size is 3"):
        solids(5, size=3)
    with pytest.raises(ValueError, match="n is 0"):
        solids(0)
