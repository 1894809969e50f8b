"""Laws of the Gaussian-process latent variable model, against dense Gaussians, PCA and scikit-learn."""

import math

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from torch.distributions import MultivariateNormal, Normal

from gmtools.models import GPLatentVariableModel, fit_ppca
from gmtools.training import fit

F64 = torch.float64


def data(n=12, seed=0):
    torch.manual_seed(seed)
    return (
        torch.randn(n, 3, dtype=F64) @ torch.randn(3, 4, dtype=F64) + 0.1 * torch.randn(n, 4, dtype=F64) + 2
    )


def make(kernel, n=12, d_z=2):
    model = GPLatentVariableModel(data(n), d_z, kernel)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


kernels = pytest.mark.parametrize("kernel", ["gaussian", "linear"])


@kernels
def test_a_prediction_is_the_conditional_of_the_joint_gaussian(kernel):
    """p(x* | X) = p(X, x*) / p(X), both from the dense covariance of all latents together."""
    model = make(kernel)
    z_new = torch.randn(1, 2, dtype=F64)
    x_new = torch.randn(4, dtype=F64)
    latents = torch.cat((model.z, z_new))
    covariance = model.kernel(latents, latents) + (2 * model.log_noise).exp() * torch.eye(13, dtype=F64)
    columns = torch.cat((model.centred, (x_new - model.mean)[None])).T
    joint = MultivariateNormal(torch.zeros(13, dtype=F64), covariance).log_prob(columns).sum()
    torch.testing.assert_close(model.predict(z_new[0]).log_prob(x_new), joint - model.log_marginal())


def test_a_linear_kernel_is_a_linear_map_with_its_weights_integrated_out():
    """The mean of p(X | Z, W) over the prior of the weights W is p(X | Z)."""
    model = make("linear", n=3, d_z=1)
    K = 200_000
    with torch.no_grad():
        model.log_noise.copy_(model.log_amplitude)  # wide enough for the average to have a variance
        weights = model.log_amplitude.exp() * torch.randn(K, 1, 4, dtype=F64)
        log_p = Normal(model.z @ weights, model.log_noise.exp()).log_prob(model.centred).sum((-1, -2))
        ratio = (log_p - model.log_marginal()).exp()
    error = ratio.std() / K**0.5
    assert abs(ratio.mean() - 1) < 5 * error and error < 0.02


def test_the_linear_model_is_stationary_at_the_principal_components():
    """Dual probabilistic PCA: Z = U (Λ/D - σ²)^½, with the eigenvectors of X Xᵀ, maximises p(X | Z)."""
    model = GPLatentVariableModel(data(), 2, "linear")
    values, vectors = torch.linalg.eigh(model.centred @ model.centred.T / 4)
    noise = values[:-2].mean()  # of all N - d directions
    with torch.no_grad():
        model.log_amplitude.zero_()
        model.log_noise.copy_(noise.log() / 2)
        model.z.copy_(vectors[:, -2:] * (values[-2:] - noise).sqrt())
    best = model.log_marginal()
    for gradient in torch.autograd.grad(best, [model.z, model.log_amplitude, model.log_noise]):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-8, rtol=0)
    with torch.no_grad():
        model.z += 0.01 * torch.randn_like(model.z)
        assert model.log_marginal() < best


def test_predictions_are_scikit_learns():
    model = make("gaussian", d_z=1)
    amplitude, length, noise = (
        p.exp().item() for p in (model.log_amplitude, model.log_length, model.log_noise)
    )
    peer = GaussianProcessRegressor(
        ConstantKernel(amplitude**2) * RBF(length) + WhiteKernel(noise**2), optimizer=None, alpha=0
    ).fit(model.z.detach().numpy(), model.centred.numpy())
    z_new = torch.linspace(-3, 3, 5, dtype=F64)[:, None]
    mean, std = peer.predict(z_new.numpy(), return_std=True)
    prediction = model.predict(z_new)
    torch.testing.assert_close(prediction.mean - model.mean, torch.from_numpy(mean), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(prediction.stddev, torch.from_numpy(std), rtol=1e-6, atol=1e-8)
    assert model.log_marginal().item() == pytest.approx(peer.log_marginal_likelihood_value_, rel=1e-8)


def test_it_unrolls_a_curve_that_principal_components_cannot():
    """On three quarters of a circle one latent orders the points and predicts them; a line cannot."""
    torch.manual_seed(0)
    angle = torch.linspace(0, 1.5 * math.pi, 30, dtype=F64)
    x = torch.stack((angle.cos(), angle.sin()), dim=1) + 0.02 * torch.randn(30, 2, dtype=F64)
    model = GPLatentVariableModel(x, 1)
    before = model.log_joint().item()
    fit(model, lambda: -model.log_joint(), steps=200, lr=0.05, progress=False)
    assert model.log_joint() > before + 20
    error = (model.predict(model.z).mean - x).square().sum(-1).mean()
    line = fit_ppca(x, 1).theta2.exp()  # variance that the best line leaves
    assert error < line / 4


@kernels
def test_shapes_compilation_gradients_and_round_trip(kernel, compile_whole):
    model, other = make(kernel), GPLatentVariableModel(data(seed=1), 2, kernel)
    torch.testing.assert_close(compile_whole(model.log_joint)(), model.log_joint())
    model.log_joint().backward()
    for name, parameter in model.named_parameters():
        if (kernel, name) != ("linear", "log_length"):
            assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_joint(), model.log_joint(), rtol=0, atol=0)
    assert model.predict(torch.zeros(5, 1, 2, dtype=F64)).batch_shape == (5, 1)
    x = model.sample(3)
    assert x.shape == (3, 4) and not x.requires_grad


def test_samples_have_the_predictions_moments():
    model = make("gaussian")
    torch.manual_seed(1)
    x = model.sample(20_000)
    z = torch.randn(20_000, 2, dtype=F64)
    with torch.no_grad():
        expected = model.predict(z).mean
    error = (x.var(0) / len(x) + expected.var(0) / len(z)).sqrt()
    assert ((x.mean(0) - expected.mean(0)).abs() < 5 * error).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GPLatentVariableModel(torch.zeros(5), 1), r"x has shape \(5,\), expected \(N, D\)"),
        (lambda: GPLatentVariableModel(torch.randn(5, 2), 3), "d_z is 3, expected at most 2"),
        (lambda: GPLatentVariableModel(torch.randn(5, 2), 0), "d_z is 0"),
        (lambda: GPLatentVariableModel(torch.randn(5, 2), 1, "cubic"), "kernel is 'cubic'"),
        (lambda: GPLatentVariableModel(torch.full((5, 2), 0.5), 1), "x is constant"),
        (lambda: GPLatentVariableModel(torch.full((7, 3), 0.1), 1), "x is constant"),  # 0.1 is not its mean
        (lambda: GPLatentVariableModel(torch.full((5, 2), math.nan), 1), "x has shape .* 10 infinite or NaN"),
        (lambda: GPLatentVariableModel(torch.tensor([[1.0], [math.inf]]), 1), "x has shape .* 1 infinite"),
        (lambda: GPLatentVariableModel(torch.arange(10).view(5, 2), 1), "x has dtype torch.int64"),
        (lambda: make("linear").predict(torch.zeros(3)), r"z has shape \(3,\), expected \(..., 2\)"),
        (lambda: make("linear").sample(0), "n is 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
