"""What theory says of each family: closed forms, bounds, and agreement with torch and pyro."""

import pytest
import torch
from pyro.distributions import MixtureOfDiagNormals
from torch.distributions import (
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from gmtools.gradients import gradient_moments
from gmtools.posteriors import (
    Auxiliary,
    AuxiliaryDistribution,
    FullCovariance,
    LowRankCovariance,
    MeanField,
    NormalMixture,
    Structured,
    chain_parents,
    stratified,
)

PRECISION = torch.tensor([[2.0, 0.9, 0.2], [0.9, 1.5, -0.4], [0.2, -0.4, 1.0]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)


def as_multivariate(q):
    return MultivariateNormal(
        q.mean, q.variance.diag() if isinstance(q, Independent) else q.covariance_matrix
    )


def fit(posterior):
    """Minimise the exact KL(q || target) to rounding."""
    target = MultivariateNormal(MEAN, precision_matrix=PRECISION)
    optimiser = torch.optim.LBFGS(
        posterior.parameters(),
        max_iter=500,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        loss = kl_divergence(as_multivariate(posterior()), target)
        loss.backward()
        return loss

    optimiser.step(closure)
    return posterior(), closure().item()


def test_mean_field_optimum_has_the_conditional_variances():
    q, gap = fit(MeanField(3))
    torch.testing.assert_close(q.mean, MEAN, atol=1e-5, rtol=0)
    torch.testing.assert_close(q.variance, 1 / PRECISION.diag(), atol=1e-5, rtol=0)
    assert (q.variance < PRECISION.inverse().diag()).all()
    closed_form = (PRECISION.diag().log().sum() - PRECISION.logdet()) / 2
    assert gap == pytest.approx(closed_form.item(), abs=1e-8)


def test_the_ladder_of_gaussian_families():
    _, mean_field = fit(MeanField(3))
    _, low_rank = fit(LowRankCovariance(3, rank=1))
    q, full = fit(FullCovariance(3))
    assert mean_field > low_rank + 1e-3 and full < 1e-8
    torch.testing.assert_close(q.covariance_matrix, PRECISION.inverse(), atol=1e-4, rtol=0)


def random_mixture(*batch, R=3, D=2):
    return torch.randn(*batch, R), torch.randn(*batch, R, D), torch.rand(*batch, R, D) + 0.3


def test_mixture_agrees_with_pyro():
    logits, loc, scale = random_mixture(4)
    z = torch.randn(10, 4, 2)
    peer = MixtureOfDiagNormals(loc, scale, logits)
    torch.testing.assert_close(NormalMixture(logits, loc, scale).log_prob(z), peer.log_prob(z))


@pytest.mark.parametrize("kind", ["implicit", "stratified"])
def test_mixture_gradients_are_unbiased(kind):
    """Second moments of a mixture are polynomials in its parameters."""
    A = torch.tensor([[1.0, 0.7], [0.7, -0.5]])

    def f(z):
        return ((z @ A) * z).sum(-1)

    def surrogate(logits, loc, scale):
        q = NormalMixture(logits, loc, scale)
        return stratified(f, q, K=1) if kind == "stratified" else f(q.rsample())

    def exact(logits, loc, scale):
        return (logits.softmax(-1) * (f(loc) + (A.diag() * scale**2).sum(-1))).sum()

    parameters = random_mixture()
    leaves = [p.clone().requires_grad_() for p in parameters]
    truth = torch.autograd.grad(exact(*leaves), leaves)
    for moments, true in zip(gradient_moments(surrogate, parameters, 20_000), truth, strict=True):
        assert ((moments.mean - true).abs() < 5 * moments.standard_error + 1e-10).all()


def test_stratification_takes_variance_away():
    """With as many evaluations of f, well separated components leave no noise of choosing between them."""
    parameters = (torch.zeros(3), torch.tensor([[-4.0], [0.0], [4.0]]), torch.full((3, 1), 0.5))

    def variance(estimate):
        copies = [p.expand(5000, *p.shape) for p in parameters]
        return estimate(NormalMixture(*copies)).var()

    def f(z):
        return z[..., 0] ** 2

    assert 5 * variance(lambda q: stratified(f, q, K=1)) < variance(lambda q: f(q.rsample((3,))).mean(0))


def test_mixture_expands():
    q = NormalMixture(*random_mixture())
    wide = q.expand((5,))
    z = wide.rsample((4,))
    assert z.shape == (4, 5, 2)
    torch.testing.assert_close(wide.log_prob(z), q.log_prob(z))


def test_mixture_errors():
    with pytest.raises(ValueError, match=r"loc has shape \(2, 2\), expected \(3, D\)"):
        NormalMixture(torch.zeros(3), torch.zeros(2, 2), torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"scale has shape"):
        NormalMixture(torch.zeros(3), torch.zeros(3, 2), torch.ones(3, 1))
    with pytest.raises(ValueError, match="scale"):
        NormalMixture(torch.zeros(3), torch.zeros(3, 2), -torch.ones(3, 2))
    q = NormalMixture(torch.zeros(3), torch.zeros(3, 2), torch.ones(3, 2))
    with pytest.raises(ValueError, match="K is 0"):
        stratified(lambda z: z.sum(-1), q, K=0)
    with pytest.raises(ValueError, match=r"f\(z\) has shape"):
        stratified(lambda z: z.sum(), q, K=2)


W = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
NOISE = 0.6


def linear_auxiliary(reverse_mean=1.0, reverse_scale=1.0):
    """a ~ N(0, 1), z | a ~ N(W a, NOISE² I): q(z) and q(a | z) are Gaussians in closed form."""
    variance = 1 / (1 + (W.T @ W) / NOISE**2)
    slope = W.T @ torch.eye(2) / NOISE**2 * variance

    def conditional(a):
        return Independent(Normal(a @ W.T, NOISE), 1)

    def reverse(z):
        return Independent(Normal(reverse_mean * z @ slope.T, reverse_scale * variance.sqrt()[0]), 1)

    return AuxiliaryDistribution(Independent(Normal(torch.zeros(1), 1.0), 1), conditional, reverse, dim=2)


EXACT_AUXILIARY = (
    torch.zeros(2, dtype=torch.float64),
    W @ W.T + NOISE**2 * torch.eye(2, dtype=torch.float64),
)


def test_auxiliary_density_is_exact_with_the_exact_reverse_model():
    q, exact = linear_auxiliary(), MultivariateNormal(*EXACT_AUXILIARY)
    z, log_q = q.rsample_and_log_prob((100,))
    torch.testing.assert_close(log_q, exact.log_prob(z))
    torch.testing.assert_close(q.log_prob_estimate(z, K=1), exact.log_prob(z))


def test_auxiliary_bound_is_below_the_elbo_by_the_expected_kl():
    q, exact = linear_auxiliary(0.5, 1.5), MultivariateNormal(*EXACT_AUXILIARY)
    z, log_q = q.rsample_and_log_prob((50_000,))
    loss = log_q - exact.log_prob(z)  # the common term log p(x, z) of both bounds cancels
    gap = kl_divergence(linear_auxiliary().reverse(z), q.reverse(z)).mean()
    assert gap > 0.1
    assert (loss.mean() - gap).abs() < 5 * loss.std() / 50_000**0.5
    estimate = q.log_prob_estimate(z[:2000], K=200)
    assert (estimate - exact.log_prob(z[:2000])).abs().mean() < 0.1


def test_auxiliary_density_estimate_integrates_to_one():
    q = Auxiliary(2, d_auxiliary=2, hidden=(8,))()
    x = torch.linspace(-8, 8, 81)
    with torch.no_grad():
        estimates = q.log_prob_estimate(torch.cartesian_prod(x, x), K=20).exp()
    # independent errors cell by cell: far below the tolerance
    assert (estimates.sum() * (x[1] - x[0]) ** 2).item() == pytest.approx(1.0, abs=0.02)


def test_an_estimate_of_three_draws_keeps_double_precision():
    torch.set_default_dtype(torch.float32)
    standard = lambda x: Independent(Normal(torch.zeros_like(x), torch.ones_like(x)), 1)  # noqa: E731
    zeros = torch.zeros(2, dtype=torch.float64)
    q = AuxiliaryDistribution(standard(zeros), standard, standard, dim=2)
    torch.testing.assert_close(
        q.log_prob_estimate(zeros, K=3), standard(zeros).log_prob(zeros), rtol=0, atol=1e-12
    )


def test_auxiliary_has_no_closed_density():
    with pytest.raises(ValueError, match="log_prob_estimate"):
        linear_auxiliary().log_prob(torch.zeros(2))
    with pytest.raises(ValueError, match="K is 0"):
        linear_auxiliary().log_prob_estimate(torch.zeros(2), K=0)


def test_structured_factors_follow_the_parents():
    """The Hessian of log q of a linear chain links neighbours only, when scales do not depend on parents."""
    q = Structured(4, chain_parents(4, lag=1), hidden=())()
    z = torch.randn(4)
    hessian = torch.autograd.functional.hessian(q.log_prob, z)
    assert hessian[0, 1].abs() > 1e-6
    for i, j in [(0, 2), (0, 3), (1, 3)]:
        assert hessian[i, j].abs() < 1e-12


def test_structured_without_parents_is_mean_field():
    q = Structured(3, chain_parents(3, lag=0))()
    z = torch.randn(5, 3)
    torch.testing.assert_close(q.log_prob(z), MeanField(3)().log_prob(z))


def test_structured_follows_any_order():
    posterior = Structured(3, parents=[[1, 2], [2], []])
    assert posterior.order == [2, 1, 0]
    z, log_q = posterior().rsample_and_log_prob((5,))
    torch.testing.assert_close(log_q, posterior().log_prob(z))


def test_the_full_conditionals_of_slide_53_are_no_density():
    with pytest.raises(ValueError, match="cycle"):
        Structured(3, parents=[[1, 2], [0, 2], [0, 1]])
    with pytest.raises(ValueError, match="2 entries"):
        Structured(3, parents=[[], [0]])
    with pytest.raises(ValueError, match="indices from 0 to 2"):
        Structured(3, parents=[[], [0], [3]])
    with pytest.raises(ValueError, match="lag is -1"):
        chain_parents(3, lag=-1)
