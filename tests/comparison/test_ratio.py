"""Laws of ratio estimation: against the closed form of known pairs, with equal and unequal sizes."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from gmtools.comparison import (
    Kernel,
    class_log_ratio,
    kliep,
    median_heuristic,
    ratio_by_classification,
    ulsif,
)

P, Q = Normal(0.5, 0.8), Normal(0.0, 1.0)
POINTS = torch.linspace(-1.5, 2.5, 60, dtype=torch.float64)[:, None]


def truth(x):
    return (P.log_prob(x) - Q.log_prob(x)).squeeze(-1)


def samples(n, m, seed=0):
    torch.manual_seed(seed)
    return P.sample((n, 1)).double(), Q.sample((m, 1)).double()


def quadratic():
    """Logistic regression on x and x^2 contains the exact log-ratio of two Gaussians."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, x):
            return self.linear(torch.cat([x, x.square()], -1))

    torch.manual_seed(0)
    return Network()


@pytest.mark.parametrize("n, m", [(6000, 6000), (2000, 8000)])
def test_classification_recovers_the_exact_log_ratio(n, m):
    network = quadratic()
    options = dict(steps=400, lr=0.05, batch_size=n + m)
    log_ratio, history = ratio_by_classification(network, *samples(n, m), **options)
    # the maximum-likelihood coefficients: error of order 1/sqrt(n), measured by the Fisher information
    x_p, x_q = samples(n, m)
    x = torch.cat([x_p, x_q])
    features = torch.cat([torch.ones_like(x), x, x.square()], 1)
    d = torch.sigmoid(network(x)).detach()
    covariance = torch.linalg.inv((features * d * (1 - d)).T @ features)
    at = torch.cat([torch.ones_like(POINTS), POINTS, POINTS.square()], 1)
    # Fisher's inverse counts the class sizes as random; given them the intercept varies less, never more
    error = ((at @ covariance) * at).sum(1).sqrt()
    assert ((log_ratio(POINTS).detach() - truth(POINTS)).abs() < 4.5 * error).all()
    assert len(history.loss) == 400


def test_without_the_correction_unequal_sizes_leave_a_constant():
    log_ratio, _ = ratio_by_classification(quadratic(), *samples(1000, 4000), steps=300, lr=0.05)
    naive = log_ratio(POINTS).detach() + math.log(1000 / 4000)
    assert abs((naive - truth(POINTS)).mean() - math.log(1 / 4)) < 0.3
    torch.testing.assert_close(class_log_ratio(naive, 1000, 4000), log_ratio(POINTS).detach())


def test_shapes_of_points_are_free():
    log_ratio, _ = ratio_by_classification(quadratic(), *samples(50, 50), steps=5)
    assert log_ratio(torch.zeros(4, 3, 1)).shape == (4, 3)


@pytest.mark.parametrize("estimator", [kliep, partial(ulsif, ridge=0.01)], ids=["kliep", "ulsif"])
def test_kernel_estimators_approach_the_true_ratio(estimator):
    def error(n):
        """Root mean squared error over points and ten data sets."""
        fits = [estimator(*samples(n, n, seed), bandwidth=0.7) for seed in range(10)]
        assert all((ratio.weights >= 0).all() for ratio in fits)
        return torch.stack([ratio(POINTS) - truth(POINTS).exp() for ratio in fits]).square().mean().sqrt()

    assert error(1500) < 0.5 * error(50)


def test_kliep_satisfies_its_constraint_and_its_optimality_conditions():
    x_p, x_q = samples(300, 400)
    ratio = kliep(x_p, x_q, bandwidth=0.8, centres=12, iterations=8_000)
    torch.testing.assert_close(ratio(x_q).mean(), torch.tensor(1.0))
    # Karush-Kuhn-Tucker: the objective's slope in each direction is 1 where the weight is positive, else less
    slope = (ratio.kernel(x_p, ratio.centres) / ratio(x_p)[:, None]).mean(0)
    slope = slope / ratio.kernel(x_q, ratio.centres).mean(0)
    assert (slope < 1 + 1e-3).all()
    torch.testing.assert_close(
        (ratio.weights * ratio.kernel(x_q, ratio.centres).mean(0) * slope).sum().item(), 1.0
    )


def test_more_iterations_of_kliep_never_lower_its_objective():
    x_p, x_q = samples(200, 200)
    torch.manual_seed(0)
    values = []
    for iterations in (1, 2, 5, 20, 100):
        torch.manual_seed(0)
        values.append(kliep(x_p, x_q, bandwidth=0.5, iterations=iterations)(x_p).log().mean().item())
    assert values == sorted(values)


def test_ulsif_solves_its_quadratic_problem():
    x_p, x_q = samples(300, 400)
    ratio = ulsif(x_p, x_q, bandwidth=0.7, ridge=0.1, centres=20)
    phi_p, phi_q = (ratio.kernel(x, ratio.centres) for x in (x_p, x_q))
    alpha = torch.zeros(20, requires_grad=True)
    loss = (phi_q @ alpha).square().mean() / 2 - (phi_p @ alpha).mean() + 0.05 * alpha.square().sum()
    (gradient,) = torch.autograd.grad(loss, alpha, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(g, alpha, retain_graph=True)[0] for g in gradient])
    solution = torch.linalg.solve(hessian, -gradient).clamp(min=0).detach()
    torch.testing.assert_close(ratio.weights, solution)


def test_cross_validation_prefers_a_sensible_bandwidth():
    x_p, x_q = samples(400, 400)
    chosen = ulsif(x_p, x_q)
    assert isinstance(chosen.kernel, Kernel) and chosen.ridge in (1e-3, 1e-2, 1e-1, 1.0)

    def risk(ratio):
        fresh_p, fresh_q = samples(20_000, 20_000, seed=9)
        return (ratio(fresh_q).square().mean() / 2 - ratio(fresh_p).mean()).item()

    assert risk(chosen) < risk(ulsif(x_p, x_q, bandwidth=0.02, ridge=1e-3))
    assert risk(chosen) < risk(ulsif(x_p, x_q, bandwidth=20.0, ridge=1.0))


@pytest.mark.parametrize("n, m", [(2, 300), (300, 3)])
@pytest.mark.parametrize("estimator", [kliep, ulsif])
def test_a_bandwidth_is_chosen_from_few_points_too(estimator, n, m):
    """An empty fold would make every risk infinite, and the narrowest bandwidth the first of equals."""
    chosen = []
    for seed in range(5):
        x_p, x_q = samples(n, m, seed)
        chosen.append(estimator(x_p, x_q).kernel.bandwidths / median_heuristic(x_p, x_q))
    assert max(chosen) > 0.15


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: kliep(torch.zeros(3), torch.zeros(3, 1)), r"x_p has shape \(3,\)"),
        (lambda: ulsif(torch.zeros(3, 1), torch.zeros(3, 2)), r"x_q has shape \(3, 2\), expected \(M, 1\)"),
        (lambda: kliep(*samples(9, 9), bandwidth=-1.0), "bandwidth"),
        (lambda: ulsif(*samples(9, 9), ridge=0.0), "ridge"),
        (lambda: kliep(*samples(9, 9), iterations=0), "iterations is 0"),
        (lambda: ulsif(*samples(9, 9), centres=0), "centres is 0"),
        (lambda: ulsif(*samples(9, 1)), "points in x_q is 1"),
        (
            lambda: kliep(
                torch.cat([samples(200, 9)[0], 1e6 * torch.arange(1, 101.0)[:, None]]), samples(9, 300)[1]
            ),
            "no bandwidth a finite risk",
        ),
        (lambda: kliep(torch.ones(9, 1).long(), torch.ones(9, 1)), "x_p has dtype torch.int64"),
        (lambda: class_log_ratio(torch.zeros(2), 0, 5), "n_p is 0"),
        (lambda: ratio_by_classification(quadratic(), torch.zeros(3, 1), torch.zeros(3)), "x_q has shape"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
