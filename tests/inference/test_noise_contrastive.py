import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from gmtools.inference import nce, noise_log_ratios

F64 = torch.float64
TRUTH = torch.tensor([0.5, math.log(2.0), 0.5 * math.log(2.0 / (2 * math.pi))], dtype=F64)
NOISE = MultivariateNormal(torch.zeros(1, dtype=F64), 2 * torch.eye(1, dtype=F64))


def unnormalised(theta):
    """c - exp(l) (x - m)^2 / 2 with theta = (m, l, c); at TRUTH the log-density of N(0.5, 1/2)."""
    return lambda x: theta[2] - 0.5 * theta[1].exp() * (x[..., 0] - theta[0]) ** 2


def draw(N):
    return 0.5 + math.sqrt(0.5) * torch.randn(N, 1, dtype=F64)


def objective(theta, x, K):
    return nce(*noise_log_ratios(unnormalised(theta), NOISE, x, K))


@pytest.mark.parametrize("K", [1, 5])
def test_expected_gradient_vanishes_at_the_truth_and_only_there(K):
    torch.manual_seed(0)
    x = draw(10_000)

    def gradients(theta):
        torch.manual_seed(1)
        theta = theta.clone().requires_grad_()
        return torch.stack(
            [torch.autograd.grad(objective(theta, c, K).mean(), theta)[0] for c in x.split(100)]
        )

    at_truth = gradients(TRUTH)
    error = at_truth.std(0) / math.sqrt(len(at_truth))
    assert (at_truth.mean(0).abs() < 5 * error).all()
    for i in range(3):
        away = gradients(TRUTH + 0.3 * torch.eye(3, dtype=F64)[i])
        assert away.mean(0)[i] < -5 * away.std(0)[i] / math.sqrt(len(away))  # uphill points back


def test_recovers_the_parameters_and_the_normaliser():
    torch.manual_seed(0)
    estimates = []
    for _ in range(20):
        at_x, at_noise = draw(1000), NOISE.sample((5, 1000))
        theta = torch.zeros(3, dtype=F64, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [theta], max_iter=100, line_search_fn="strong_wolfe", tolerance_change=1e-10
        )

        def loss(theta=theta, optimiser=optimiser, at_x=at_x, at_noise=at_noise):
            optimiser.zero_grad()
            f = unnormalised(theta)
            value = -nce(f(at_x) - NOISE.log_prob(at_x), f(at_noise) - NOISE.log_prob(at_noise)).mean()
            value.backward()
            return value

        optimiser.step(loss)
        estimates.append(theta.detach())
    estimates = torch.stack(estimates)
    error = estimates.std(0) / math.sqrt(20)
    assert (error < 0.03).all()
    assert ((estimates.mean(0) - TRUTH).abs() < 5 * error).all()


def test_is_the_classifier_s_log_likelihood():
    torch.manual_seed(0)
    log_r_data, log_r_noise = torch.randn(4, dtype=F64), torch.randn(3, 4, dtype=F64)
    p_data = log_r_data.exp() / (log_r_data.exp() + 3)  # posterior probability of data with prior 1 : K
    p_noise = 3 / (log_r_noise.exp() + 3)
    torch.testing.assert_close(nce(log_r_data, log_r_noise), p_data.log() + p_noise.log().sum(0))


def test_whole_graph_and_extreme_ratios(compile_whole):
    log_r_data, log_r_noise = torch.tensor([1000.0, -1000.0]), torch.zeros(2, 2)
    value = nce(log_r_data, log_r_noise)
    assert value.isfinite().all()
    compiled = compile_whole(nce)
    torch.testing.assert_close(compiled(log_r_data, log_r_noise), value)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"log_r_data has shape \(2, 2\)"):
        nce(torch.zeros(2, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"log_r_noise has shape \(1, 3\), expected \(K, 2\)"):
        nce(torch.zeros(2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="log_r_noise has shape .* K >= 1"):
        nce(torch.zeros(2), torch.zeros(0, 2))
    with pytest.raises(ValueError, match="log_r_data has shape .* NaN"):
        nce(torch.full((2,), math.nan), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="K is 0"):
        noise_log_ratios(unnormalised(TRUTH), NOISE, draw(3), 0)
    with pytest.raises(ValueError, match=r"x has shape \(3,\)"):
        noise_log_ratios(unnormalised(TRUTH), NOISE, torch.zeros(3), 1)
    with pytest.raises(ValueError, match=r"log_density\(x\) has shape \(3, 1\)"):
        noise_log_ratios(lambda x: x, NOISE, draw(3), 1)
