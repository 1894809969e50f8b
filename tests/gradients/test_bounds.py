"""Laws of the estimators for variational bounds: exact gradients by quadrature and enumeration."""

import itertools
import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal

from gmtools.distributions import rsample_and_log_prob
from gmtools.gradients import (
    doubly_reparametrised,
    gradient_moments,
    gradient_samples,
    score_function,
    sticking_the_landing,
    vimco,
)
from gmtools.inference import iwae

X = 1.5


def log_joint(z, prior_loc):
    """z ~ N(prior_loc, 1), x | z ~ N(z, 1): the posterior is N((prior_loc + x) / 2, 1/2)."""
    return Normal(prior_loc, 1.0).log_prob(z) + Normal(z, 1.0).log_prob(torch.tensor(X))


def exact_bound(loc, scale, prior_loc, K):
    """E log (1/K Σ w_k) by Gauss-Hermite quadrature over the K noises."""
    nodes, vectors = torch.linalg.eigh(
        torch.arange(1.0, 30).sqrt().diag(1) + torch.arange(1.0, 30).sqrt().diag(-1)
    )
    weights = vectors[0] ** 2
    noise = torch.cartesian_prod(*[nodes] * K).reshape(-1, K).T
    mass = torch.cartesian_prod(*[weights] * K).reshape(-1, K).prod(-1)
    z = loc + scale * noise
    return (mass * iwae(log_joint(z, prior_loc) - Normal(loc, scale).log_prob(z))).sum()


PARAMETERS = tuple(torch.tensor(v, dtype=torch.float64) for v in (0.3, 0.9, -0.2))


@pytest.mark.parametrize(
    "estimator, K, K_bound",
    [
        (sticking_the_landing, 1, 1),
        (sticking_the_landing, 4, 1),
        (doubly_reparametrised, 1, 1),
        (doubly_reparametrised, 2, 2),
        (doubly_reparametrised, 3, 3),
        (vimco, 2, 2),
        (vimco, 3, 3),
    ],
)
def test_unbiased_for_the_bound_and_for_the_model(estimator, K, K_bound, assert_unbiased):
    def surrogate(loc, scale, prior_loc):
        return estimator(lambda z: log_joint(z, prior_loc), Normal(loc, scale), K=K)

    assert_unbiased(surrogate, PARAMETERS, lambda *p: exact_bound(*p, K_bound), repeats=40_000)


@pytest.mark.parametrize("K", [2, 4])
def test_vimco_enumerated(K, assert_unbiased):
    """Two bits, every combination of K draws enumerated."""
    table = torch.tensor([0.1, -1.0, 0.7, -0.4])

    def joint(z):
        return table[(z @ torch.tensor([2.0, 1.0])).long()]

    def exact(logits):
        q = Independent(Bernoulli(logits=logits), 1)
        states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)))
        log_q, log_p = q.log_prob(states), joint(states)
        draws = torch.tensor(list(itertools.product(range(4), repeat=K))).T
        return (log_q[draws].sum(0).exp() * iwae((log_p - log_q)[draws])).sum()

    def surrogate(logits):
        return vimco(joint, Independent(Bernoulli(logits=logits), 1), K)

    assert_unbiased(surrogate, (torch.tensor([0.4, -0.8]),), exact)


def test_vimco_admits_weights_of_zero():
    """Three draws of a bit whose 1 is impossible: the formula, with 0 for a baseline of log 0."""
    logit, gradients = torch.tensor(0.3), set()
    for seed in range(20):
        torch.manual_seed(seed)
        leaf = logit.clone().requires_grad_()
        seen = []

        def joint(z, seen=seen):
            seen.append(z)
            return torch.where(z == 0, 0.0, -torch.inf)

        surrogate = vimco(joint, Bernoulli(logits=leaf), K=3)
        possible = int((seen[0] == 0).sum())
        if not possible:
            assert surrogate == -torch.inf  # as the bound
            continue
        (gradient,) = torch.autograd.grad(surrogate, leaf)
        log_w = -Bernoulli(logits=logit).log_prob(torch.tensor(0.0))
        bound = log_w + math.log(possible / 3)
        without = {1: torch.tensor(0.0), 2: log_w + math.log(1 / 3), 3: log_w}[possible]
        rest = {1: log_w + math.log(1 / 3), 2: log_w, 3: 0.0}[
            possible
        ]  # what an impossible draw is compared with
        p = logit.sigmoid()
        expected = possible * (bound - without) * -p + (3 - possible) * (bound - rest) * (1 - p) + p
        torch.testing.assert_close(gradient, expected)
        gradients.add(possible)
    assert gradients == {1, 2, 3}


@pytest.mark.parametrize("estimator", [sticking_the_landing, doubly_reparametrised])
def test_no_noise_when_q_is_the_posterior(estimator):
    tril = torch.tensor([[1.0, 0.0], [0.7, 0.4]])
    posterior = MultivariateNormal(torch.ones(2), scale_tril=tril)

    def surrogate(loc, tril):
        return estimator(posterior.log_prob, MultivariateNormal(loc, scale_tril=tril.tril()), K=3)

    for samples in gradient_samples(surrogate, (torch.ones(2), tril), repeats=50):
        assert samples.abs().max() < 1e-12


def plain(log_p, q, K):
    z, log_q = rsample_and_log_prob(q, (K,))
    return iwae(log_p(z) - log_q)


def moments(estimator, K, repeats=20_000):
    def surrogate(loc, scale):
        return estimator(lambda z: log_joint(z, PARAMETERS[2]), Normal(loc, scale), K=K)

    return gradient_moments(surrogate, PARAMETERS[:2], repeats)


def test_plain_gradient_is_noisy_at_the_posterior_where_the_landing_sticks():
    q = (torch.tensor((X - 0.2) / 2), torch.tensor(0.5**0.5))

    def surrogate(loc, scale):
        return plain(lambda z: log_joint(z, PARAMETERS[2]), Normal(loc, scale), K=1)

    loc, scale = gradient_moments(surrogate, q, 20_000)
    # the plain gradient is - d log q(z)/dloc = -(z - loc)/scale², of variance 1/scale² = 2
    assert loc.variance.item() == pytest.approx(2.0, abs=5 * 2.0 * (2 / 20_000) ** 0.5)
    assert scale.variance > 1


def test_signal_to_noise_grows_with_K_only_when_doubly_reparametrised():
    def signal_to_noise(estimator, K):
        loc = moments(estimator, K)[0]
        return (loc.mean.abs() / loc.variance.sqrt()).item()

    assert signal_to_noise(doubly_reparametrised, 64) > 2 * signal_to_noise(doubly_reparametrised, 4)
    assert signal_to_noise(plain, 64) < signal_to_noise(plain, 4) / 2


def test_vimco_has_less_variance_than_the_plain_score_function():
    def naive(log_p, q, K):
        """Every draw gets the whole bound as its reward: the score function on the product of K q's."""
        product = Independent(Normal(q.loc[..., None].expand(*q.loc.shape, K), q.scale[..., None]), 1)
        return score_function(
            lambda z: iwae_last(log_p(z.movedim(-1, 1)) - q.log_prob(z.movedim(-1, 1))), product, 1
        )

    def iwae_last(log_w):
        return log_w.logsumexp(1) - math.log(log_w.shape[1])

    assert 2 * moments(vimco, 5)[0].variance < moments(naive, 5)[0].variance
