"""Laws of likelihoods and distortions: code lengths of known models, Jacobians, agreement with scipy."""

import math

import pytest
import scipy.ndimage
import torch
from torch.distributions import Beta, Normal

from gmtools.data import EightGaussians, dequantise
from gmtools.evaluation import (
    bits_per_dim,
    importance_bits_per_dim,
    inverse_logit_transform,
    logit_transform,
    mean_and_error,
    nll,
    psnr,
    ssim,
)


def test_nll_is_the_entropy_plus_the_divergence():
    torch.manual_seed(0)
    toy = EightGaussians()
    truth = nll(toy.log_prob(toy.sample((20_000,))))
    assert abs(truth.value - toy.entropy()) < 4.5 * truth.standard_error
    p, q = Normal(0.0, 1.0), Normal(0.5, 2.0)
    estimate = nll(q.log_prob(p.sample((50_000,))))
    exact = p.entropy() + torch.distributions.kl_divergence(p, q)
    assert abs(estimate.value - exact) < 4.5 * estimate.standard_error


def test_the_standard_error_is_that_of_the_mean():
    torch.manual_seed(0)
    means = torch.stack([torch.randn(100).exp().mean() for _ in range(4000)])
    errors = torch.tensor([mean_and_error(torch.randn(100).exp()).standard_error for _ in range(4000)])
    assert (errors.square().mean() / means.var()).sqrt() == pytest.approx(1, abs=0.1)


def test_a_piecewise_constant_density_gives_the_code_length_of_the_discrete_model():
    torch.manual_seed(0)
    probability = torch.tensor([0.5, 0.25, 0.125, 0.125])
    x = torch.multinomial(probability, 3000 * 6, replacement=True).reshape(3000, 6)
    y = dequantise(x, 4)
    density = 4 * probability[(4 * y).long()]  # constant on each bin: dequantisation costs nothing
    estimate = bits_per_dim(density.log().sum(1), dims=6, levels=4)
    discrete = bits_per_dim(probability[x].log().sum(1), dims=6)
    assert estimate.value == pytest.approx(discrete.value, rel=1e-9)
    assert abs(discrete.value - 1.75) < 4.5 * discrete.standard_error


def test_dequantisation_bounds_the_discrete_code_length_and_more_draws_tighten_it():
    torch.manual_seed(0)
    levels, model = 4, Beta(torch.tensor(2.0), torch.tensor(5.0))
    edges = torch.linspace(0, 1, levels + 1)
    cdf = 1 - (1 - edges) ** 6 - 6 * edges * (1 - edges) ** 5  # of Beta(2, 5)
    mass = cdf.diff()
    x = torch.multinomial(mass, 4000, replacement=True)[:, None]
    exact = bits_per_dim(mass[x].log().sum(1), dims=1)
    log_q = torch.stack([model.log_prob(dequantise(x, levels)).sum(1) for _ in range(64)])
    one, few, many = (importance_bits_per_dim(log_q[:k], 1, levels) for k in (1, 8, 64))
    assert one.value == pytest.approx(bits_per_dim(log_q[0], 1, levels).value)
    assert exact.value < many.value + 0.01 and many.value < few.value < one.value
    assert many.value == pytest.approx(exact.value, abs=0.02)


def test_the_jacobian_of_the_logit_transform_is_autograds():
    torch.manual_seed(0)
    y = torch.rand(1, 5)
    z, ladj = logit_transform(y, 0.03)
    jacobian = torch.autograd.functional.jacobian(lambda y: logit_transform(y[None], 0.03)[0][0], y[0])
    torch.testing.assert_close(ladj[0], torch.linalg.slogdet(jacobian).logabsdet)
    torch.testing.assert_close(inverse_logit_transform(z, 0.03), y)
    ends, _ = logit_transform(torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(inverse_logit_transform(ends), torch.tensor([[0.0, 1.0]]))


def test_a_density_of_logits_becomes_a_density_on_the_unit_interval():
    y = torch.linspace(0, 1, 20_001)[:, None]
    z, ladj = logit_transform(y)
    inside = Normal(0.3, 0.5)  # practically all its mass lies between the ends, at logit(0.05) = -2.94
    density = (inside.log_prob(z).sum(1) + ladj).exp()
    torch.testing.assert_close(torch.trapezoid(density, y[:, 0]), torch.tensor(1.0), atol=1e-6, rtol=0)


def test_numbers_are_transformed_as_rows_of_one():
    y = torch.linspace(0, 1, 5)
    z, ladj = logit_transform(y)
    rows, same = logit_transform(y[:, None])
    assert torch.equal(z, rows[:, 0]) and torch.equal(ladj, same)


def test_psnr_of_known_noise():
    x = torch.rand(3, 2, 16, 16)
    torch.testing.assert_close(psnr(x + 0.01, x), torch.full((3,), 40.0))
    torch.testing.assert_close(psnr(255 * x + 2.55, 255 * x, peak=255.0), torch.full((3,), 40.0))
    assert (psnr(x, x) == math.inf).all()


def test_ssim_is_its_definition_with_scipys_gaussian_filter():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 24, 20)
    y = (x + 0.2 * torch.randn_like(x)).clamp(0, 1)

    def smooth(a):
        return scipy.ndimage.gaussian_filter(a, 1.5, truncate=3.4)[5:-5, 5:-5]  # radius 5

    for n in range(2):
        values = []
        for c in range(3):
            a, b = x[n, c].numpy(), y[n, c].numpy()
            ma, mb = smooth(a), smooth(b)
            va, vb, cov = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
            top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
            values.append((top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean())
        assert ssim(y, x)[n].item() == pytest.approx(sum(values) / 3, rel=1e-9)


def test_ssim_ranks_distortions_and_is_symmetric():
    torch.manual_seed(0)
    x = torch.rand(2, 1, 32, 32)
    a, b = x + 0.05 * torch.randn_like(x), x + 0.3 * torch.randn_like(x)
    assert (ssim(b, x) < ssim(a, x)).all() and (ssim(a, x) < 1).all()
    torch.testing.assert_close(ssim(a, x), ssim(x, a))
    torch.testing.assert_close(ssim(255 * a, 255 * x, peak=255.0), ssim(a, x))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: nll(torch.zeros(1)), "number of values is 1"),
        (lambda: nll(torch.zeros(3, 2)), r"values has shape \(3, 2\)"),
        (lambda: nll(torch.tensor([math.nan, 0.0])), "values has shape"),
        (lambda: mean_and_error(torch.arange(3)), "values has dtype torch.int64"),
        (lambda: psnr(*torch.zeros(2, 1, 1, 16, 16, dtype=torch.uint8)), "image has dtype torch.uint8"),
        (lambda: ssim(*torch.zeros(2, 1, 1, 16, 16, dtype=torch.uint8)), "image has dtype torch.uint8"),
        (lambda: bits_per_dim(torch.zeros(3), dims=0), "dims is 0"),
        (lambda: bits_per_dim(torch.zeros(3), dims=2, levels=1), "levels is 1"),
        (lambda: importance_bits_per_dim(torch.zeros(3), 2, 4), "log_prob has shape"),
        (lambda: logit_transform(torch.tensor([[1.5]])), "y has values from 1.5"),
        (lambda: logit_transform(torch.tensor([[0.5]]), alpha=0.5), "alpha is 0.5"),
        (lambda: inverse_logit_transform(torch.zeros(2), alpha=0.0), "alpha is 0.0"),
        (lambda: psnr(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5)), "reference has shape"),
        (lambda: psnr(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), peak=0.0), "peak"),
        (lambda: ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)), "at least 11 x 11"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
