"""Möbius maps of the circle: their density, where they begin, and how they learn."""

import math

import pytest
import torch

from gmtools.flows import Elementwise, Flow, MobiusMap, uniform_angles

ZERO = torch.zeros((), dtype=torch.float64)


def test_one_mobius_map_gives_the_wrapped_cauchy_distribution():
    """Moved by -w, uniform angles have density (1 - r²) / (2 pi (1 + r² - 2 r cos(x - mu)))."""
    raw = torch.tensor([0.8, 0.6], dtype=torch.float64)
    f = Elementwise(1, MobiusMap(1)).double()
    f.free.data[:2] = raw
    centre = -MobiusMap.largest_radius * raw / (1 + raw.square().sum()).sqrt()
    r, mu = centre.norm(), torch.atan2(centre[1], centre[0])
    x = torch.linspace(-3, 3, 11, dtype=torch.float64)[:, None]
    cauchy = (1 - r**2) / (2 * math.pi * (1 + r**2 - 2 * r * (x[:, 0] - mu).cos()))
    torch.testing.assert_close(Flow(uniform_angles(1, like=ZERO), f).log_prob(x).exp(), cauchy)


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_mobius_maps_begin_near_the_identity(K):
    z = torch.linspace(-3, 3, 101, dtype=torch.float64)[:, None]
    x, ladj = MobiusMap(K).forward(z, torch.zeros(3 * K + 1, dtype=torch.float64))
    r = MobiusMap.initial_radius**K if K > 1 else 0.0
    assert (x - z).abs().max() <= 2 / K * math.asin(r) + 1e-14
    assert ladj.abs().max() <= 2 * math.atanh(r) + 1e-14


@pytest.mark.parametrize("heads", [(-1.5, 1.5), (0.0, math.pi), (0.3, 2.0)])
def test_mobius_centres_part_in_training(heads):
    """Two heads, two centres at least: K equal centres would stay one, as K = 1 is."""
    x = (torch.arange(100, dtype=torch.float64) + 0.5)[:, None] / 50 * math.pi - math.pi
    p = sum(torch.distributions.VonMises(m, ZERO + 8).log_prob(x[:, 0]).exp() for m in heads)
    p = p / p.sum()

    def trained(K):
        f = Elementwise(1, MobiusMap(K)).double()
        optimiser = torch.optim.Adam(f.parameters(), lr=0.05)
        for _ in range(80):
            loss = -(p * Flow(uniform_angles(1, like=ZERO), f.inverse_bijection).log_prob(x)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return f.elementwise._read(f.free.detach())[0][0], loss.item()

    (_, one), (centres, four) = trained(1), trained(4)
    assert torch.nn.functional.pdist(centres).min() > 0.01
    assert four < one - 0.3
