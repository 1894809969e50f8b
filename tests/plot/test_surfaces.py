"""What an observer sees of a surface in space."""

import math

import pytest
import torch

from gmtools.plot import seen, turned

VIEWS = [(0.0, 0.0), (0.7, 0.4), (-2.0, 1.2), (math.pi, -0.5)]


def ball(x):
    return x.norm(dim=-1) - 1


def torus(x):
    return torch.hypot(x[..., :2].norm(dim=-1) - 2, x[..., 2]) - 1


views = pytest.mark.parametrize(("turn", "tilt"), VIEWS)


@views
def test_turning_is_a_rotation(turn, tilt):
    axes = turned(torch.eye(3), turn, tilt)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3))
    assert torch.linalg.det(axes).item() == pytest.approx(1)


@views
@pytest.mark.parametrize(("surface", "half_width"), [(ball, 1.2), (torus, 3.2)])
def test_points_lie_on_the_surface_under_their_pixels(surface, half_width, turn, tilt):
    points = seen(surface, half_width, turn, tilt, pixels=31)
    hit = points.isfinite().all(-1)
    assert 0.2 < hit.float().mean() < 0.9
    assert surface(points[hit]).abs().max() < 1e-4
    side = torch.linspace(-half_width, half_width, 31)
    screen = turned(points, turn, tilt)
    torch.testing.assert_close(screen[..., 0][hit], side.expand(31, 31)[hit], rtol=0, atol=1e-5)
    torch.testing.assert_close(screen[..., 1][hit], side[:, None].expand(31, 31)[hit], rtol=0, atol=1e-5)


@views
def test_the_near_side_of_a_ball_is_seen(turn, tilt):
    points = seen(ball, 1.2, turn, tilt, pixels=31)
    screen = turned(points, turn, tilt)
    hit = points.isfinite().all(-1)
    assert (screen[..., 2][hit] > 0).all()
    torch.testing.assert_close(
        screen[..., 2], (1 - screen[..., :2].square().sum(-1)).sqrt(), equal_nan=True, rtol=0, atol=1e-4
    )
