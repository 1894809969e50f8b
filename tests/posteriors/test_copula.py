"""Gaussian copulas: densities known in closed form, marginals, rank correlations, quantiles."""

import pytest
import torch
from scipy import stats
from torch.distributions import (
    Categorical,
    Gamma,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from gmtools.posteriors import Copula, GaussianCopula, normal_mixtures, quantile

MEAN = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
TRIL = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.3, 2.0]], dtype=torch.float64)


def correlation():
    rows = TRIL / TRIL.norm(dim=-1, keepdim=True)
    return rows @ rows.T


def test_copula_of_normals_is_a_normal():
    scale = torch.tensor([0.5, 1.0, 2.0])
    q = GaussianCopula(Normal(MEAN, scale), TRIL)
    peer = MultivariateNormal(MEAN, scale[:, None] * correlation() * scale)
    z = peer.sample((100,))
    torch.testing.assert_close(q.log_prob(z), peer.log_prob(z))


@pytest.mark.parametrize("dtype, reach", [(torch.float32, 11.0), (torch.float64, 35.0)])
@pytest.mark.parametrize("kind", ["normals", "mixtures"])
def test_copula_of_normals_is_a_normal_far_in_its_tails(kind, dtype, reach):
    loc, scale = torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype)
    tril = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=dtype)
    marginals = Normal(loc, scale)
    if kind == "mixtures":  # of two equal normals
        parts = Normal(loc.expand(2, 2).T, scale.expand(2, 2).T)
        marginals = MixtureSameFamily(Categorical(torch.ones(2, 2, dtype=dtype)), parts)
    q, peer = GaussianCopula(marginals, tril), MultivariateNormal(loc, scale_tril=tril)
    z = torch.tensor([[-reach, -reach], [reach, reach], [-reach, 0.0], [1.0, reach]], dtype=dtype)
    z.requires_grad_()
    ours, theirs = q.log_prob(z), peer.log_prob(z)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)
    slopes = [torch.autograd.grad(p.sum(), z)[0] for p in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "marginals, cdf",
    [
        (Laplace(MEAN, torch.ones(3)), stats.laplace(1.0).cdf),
        (LogNormal(MEAN, torch.ones(3)), stats.lognorm(1.0, scale=torch.e**1.0).cdf),
        (normal_mixtures(torch.zeros(3, 9)), None),
    ],
    ids=["Laplace", "log-normal", "mixtures"],
)
def test_copula_keeps_its_marginals_and_its_rank_correlation(marginals, cdf):
    n = 4_000
    z = GaussianCopula(marginals, TRIL).sample((n,))
    first = z[:, 0].numpy()
    own = cdf if cdf else lambda x: marginals.cdf(torch.as_tensor(x)[:, None].expand(-1, 3))[:, 0].numpy()
    assert stats.kstest(first, own).pvalue > 1e-5
    spearman = stats.spearmanr(z.numpy()).statistic
    expected = 6 / torch.pi * (correlation() / 2).asin()  # of any Gaussian copula
    assert (torch.as_tensor(spearman) - expected).abs().max() < 5 / n**0.5


def test_quantile_inverts_the_cdf_with_the_gradients_of_the_root():
    raw = torch.randn(4, 9, requires_grad=True)
    q = normal_mixtures(raw)
    u = torch.rand(50, 4).requires_grad_()
    z = quantile(q, u)
    torch.testing.assert_close(q.cdf(z), u)
    # F(z(u, φ); φ) = u for every φ: its total derivative vanishes
    (by_raw,) = torch.autograd.grad(q.cdf(z).sum(), raw, retain_graph=True)
    torch.testing.assert_close(by_raw, torch.zeros_like(by_raw), atol=1e-8, rtol=0)
    (by_u,) = torch.autograd.grad(z.sum(), u)
    torch.testing.assert_close(by_u, (-q.log_prob(z)).exp().detach())


@pytest.mark.parametrize("apart", [4.0, 8.0, 15.0, 100.0])
@pytest.mark.parametrize("p", [0.5, 0.5 - 1e-7, 0.5 + 1e-7])
def test_quantile_between_bumps_where_the_density_underflows(apart, p):
    weight = torch.ones(1, 2, dtype=torch.float32)
    loc = torch.tensor([[-apart, apart]], dtype=torch.float32, requires_grad=True)
    q = MixtureSameFamily(Categorical(weight), Normal(loc, weight))
    u = torch.tensor([p], dtype=torch.float32)
    z = quantile(q, u)
    assert z.abs().item() <= apart + 1
    torch.testing.assert_close(q.cdf(z), u, rtol=0, atol=3e-7)
    (by_loc,) = torch.autograd.grad(z.sum(), loc)
    assert by_loc.isfinite().all()


def test_copula_errors():
    with pytest.raises(ValueError, match=r"raw has shape \(2, 8\), expected \(..., D, 3 R\)"):
        Copula(2, d_marginal=8)()
    with pytest.raises(ValueError, match=r"scale_tril has shape \(2, 2\), expected \(3, 3\)"):
        GaussianCopula(Normal(MEAN, 1.0), torch.eye(2))
    with pytest.raises(ValueError, match="event shape"):
        GaussianCopula(MultivariateNormal(MEAN, torch.eye(3)), torch.eye(3))
    with pytest.raises(ValueError, match="Gamma have no icdf"):
        GaussianCopula(Gamma(torch.ones(3), 1.0), torch.eye(3)).rsample()
