"""The four energies against integrals of one dimension; their walls leave the published square alone."""

import math

import pytest
import torch

from gmtools.models.plane_energies import EDGE, PLANE_ENERGIES, WALL

ROOT = math.sqrt(2 * math.pi)


@pytest.mark.parametrize("name, widths", [("U2", (0.4,)), ("U3", (0.35, 0.35)), ("U4", (0.4, 0.35))])
def test_constant_of_a_wave_is_width_times_length(name, widths):
    """Given z_1, exp(-U) is a sum of Gaussian bumps in z_2 wherever they stand."""
    truth = math.log(ROOT * sum(widths) * (2 * EDGE + ROOT * WALL))
    assert PLANE_ENERGIES[name].posterior().log_evidence.item() == pytest.approx(truth, abs=1e-6)


def test_constant_of_the_ring_in_polar_coordinates():
    r, angle = torch.linspace(0, 6, 3001).double(), torch.linspace(-math.pi, math.pi, 2001).double()
    z1 = r[:, None] * angle.cos()
    sides = (-0.5 * ((z1 - 2) / 0.6) ** 2).exp() + (-0.5 * ((z1 + 2) / 0.6) ** 2).exp()
    around = torch.trapezoid(sides, angle)
    truth = torch.trapezoid(r * (-0.5 * ((r - 2) / 0.4) ** 2).exp() * around, r).log()
    torch.testing.assert_close(PLANE_ENERGIES["U1"].posterior().log_evidence, truth, atol=1e-6, rtol=0)


@pytest.mark.parametrize("target", PLANE_ENERGIES.values(), ids=PLANE_ENERGIES)
def test_walls_stand_outside_the_published_square(target):
    z = 8 * torch.rand(1000, 2).double() - 4
    assert torch.equal(target.log_joint(z), -target.U(z))
    out = torch.tensor([[5.0, 0.0], [-5.0, 0.0]]).double()
    assert torch.allclose(target.log_joint(out), -target.U(out) - 0.5 * (1 / WALL) ** 2)
    torch.manual_seed(0)
    draws = target.posterior().sample((5000,))
    assert draws.shape == (5000, 2) and draws[:, 0].abs().max() < EDGE + 6 * WALL
