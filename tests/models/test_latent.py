"""Laws of the models with a proposal: weights average to the evidence, bounds lie below it, models learn."""

import pytest
import torch
from torch import nn

from gmtools.gradients import vimco
from gmtools.inference import elbo, iwae
from gmtools.models import (
    VAE,
    BernoulliHead,
    DeepLatentGaussian,
    GaussianHead,
    LinearGaussian,
    SigmoidBeliefNetwork,
    StandardNormal,
    all_binary,
    conv_vae,
    mlp_vae,
)
from gmtools.nets import MLP

MODELS = {
    "vae bernoulli": lambda: mlp_vae(5, 2, (8,)),
    "vae gaussian": lambda: mlp_vae(5, 2, (8,), "gaussian"),
    "vae logistic": lambda: mlp_vae(5, 2, (8,), "discretised_logistic", levels=5),
    "vae images": lambda: conv_vae(1, (4, 5), 2, (4, 3)),
    "vae colour": lambda: conv_vae(3, (4, 4), 2, (4, 3), "discretised_logistic", levels=3),
    "vae voxels": lambda: conv_vae(1, (4, 4, 4), 2, (4, 3)),
    "vae signals": lambda: conv_vae(1, (6,), 2, (4, 3), "gaussian"),
    "deep gaussian": lambda: DeepLatentGaussian(5, (3, 2), (8,)),
    "sigmoid belief": lambda: SigmoidBeliefNetwork(5, (3, 2)),
}


def make(name):
    torch.manual_seed(0)
    model = MODELS[name]().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_shapes_compilation_gradients_and_round_trip(name, compile_whole):
    model = make(name)
    x = model.sample(6)
    assert x.shape[0] == 6 and not x.requires_grad
    assert model.log_weights(x, 3).shape == (3, 6)
    step = lambda x: -elbo(model.log_weights(x, 2)).mean()  # noqa: E731
    torch.manual_seed(1)
    expected = step(x)
    torch.manual_seed(1)
    torch.testing.assert_close(compile_whole(step)(x), expected)
    expected.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key

    other = make(name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(model.state_dict())
    z = model.proposal(x).sample((2,))
    torch.testing.assert_close(other.log_joint(x, z), model.log_joint(x, z))


@pytest.mark.parametrize("name", MODELS)
def test_bad_inputs(name):
    model = make(name)
    with pytest.raises(ValueError, match="K is 0"):
        model.log_weights(model.sample(2), 0)
    with pytest.raises(ValueError, match="n is 0"):
        model.sample(0)
    with pytest.raises(ValueError, match="shape"):
        model.log_weights(torch.zeros(2, 99, dtype=torch.float64), 1)


def exact_by_quadrature(model, x):
    """log p(x) for a one-dimensional latent, by the trapezoidal rule on [-9, 9]."""
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    log_joint = model.log_joint(x, z[:, None, None].expand(-1, x.shape[0], 1))
    return log_joint.logsumexp(0) + torch.log(z[1] - z[0])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "discretised_logistic"])
def test_weights_of_a_vae_average_to_the_evidence(likelihood):
    torch.manual_seed(0)
    model = mlp_vae(3, 1, (6,), likelihood, levels=4).double()
    nn.init.constant_(
        model.encoder.net.layers[-1].bias[1:], 1.0
    )  # a proposal wide enough for finite variance
    x = model.sample(4)
    exact = exact_by_quadrature(model, x)
    with torch.no_grad():
        log_w = model.log_weights(x, 40_000)
        ratio = (log_w - exact).exp()
        error = 5 * ratio.std(0) / 200
        assert ((ratio.mean(0) - 1).abs() < error).all()
        assert (error < 0.2).all()  # the estimate would notice a wrong constant
        bound = elbo(log_w)
        assert (bound < exact + 5 * log_w.std(0) / 200).all()
        assert (bound < iwae(log_w)).all()


def test_vae_with_enumerable_data_sums_to_one():
    torch.manual_seed(0)
    model = mlp_vae(4, 1, (6,)).double()
    total = exact_by_quadrature(model, all_binary(4).double()).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0, dtype=torch.float64))


def test_linear_gaussian_vae_reaches_the_exact_evidence_with_the_exact_posterior():
    """A VAE with a linear decoder is factor analysis; with the true posterior its bound is tight."""
    torch.manual_seed(0)
    truth = LinearGaussian(4, 2, isotropic=True).double()
    decoder = GaussianHead(nn.Linear(2, 4), scale=1.0).double()
    encoder = GaussianHead(MLP(4, 4, ())).double()
    with torch.no_grad():
        truth.theta0.normal_()
        decoder.net.weight.copy_(truth.theta1)
        decoder.net.bias.copy_(truth.theta0)
    x = truth.sample(5)
    exact = truth.log_prob(x)
    loose = VAE(encoder, decoder, StandardNormal(2).double())
    log_w = loose.log_weights(x, 4000)
    assert (elbo(log_w) < exact - 5 * log_w.std(0) / 4000**0.5).all()

    class Exact(nn.Module):
        def forward(self, context):
            return truth.posterior(context)

    tight = VAE(Exact(), decoder, StandardNormal(2).double())
    torch.testing.assert_close(tight.log_weights(x, 3), exact.expand(3, 5))


def test_encoder_and_prior_may_be_any_distribution():
    class Skewed(nn.Module):
        def forward(self, context=None):
            base = torch.distributions.LogNormal(torch.zeros(2), 1.0)
            return torch.distributions.Independent(base, 1)

    model = VAE(GaussianHead(MLP(5, 4)), BernoulliHead(MLP(2, 5)), Skewed())
    assert model.sample(3).shape == (3, 5)
    q = GaussianHead(MLP(5, 4))
    flow = lambda x: torch.distributions.TransformedDistribution(  # noqa: E731
        q(x), [torch.distributions.transforms.ExpTransform()]
    )
    model.encoder = type("Flow", (nn.Module,), {"forward": lambda self, x: flow(x)})()
    assert model.log_weights(model.sample(3), 4).isfinite().all()
    assert model.reconstruct(torch.ones(3, 5)).shape == (3, 5)


def test_deep_gaussian_is_the_cascade_of_its_formula():
    model = make("deep gaussian")
    noise = torch.randn(7, 5, dtype=torch.float64)
    h1, h2 = model.latents(noise)
    gains = [g.exp() for g in model.decoder[0].log_gains]
    torch.testing.assert_close(h2, gains[1] * noise[:, 3:])
    torch.testing.assert_close(h1, model.decoder[0].maps[0](h2) + gains[0] * noise[:, :3])


def test_sigmoid_belief_network_is_exact_and_its_weights_agree():
    model = make("sigmoid belief")
    every = all_binary(5).double()
    exact = model.log_prob(every)
    torch.testing.assert_close(exact.exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    # The weights' mean and the bound in closed form: all latents are enumerable.
    z = all_binary(5).double()[:, None].expand(-1, 32, 5)
    q = model.proposal(every)
    torch.testing.assert_close(q.log_prob(z).exp().sum(0), torch.ones(32, dtype=torch.float64))
    log_w = model.log_joint(every, z) - q.log_prob(z)
    torch.testing.assert_close((q.log_prob(z) + log_w).logsumexp(0), exact)
    assert ((q.log_prob(z).exp() * log_w).sum(0) < exact).all()
    torch.manual_seed(0)
    sampled = model.log_weights(every, 20_000).detach()
    ratio = (sampled - exact).exp()
    assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / 20_000**0.5).all()


def test_sigmoid_belief_samples_have_its_frequencies():
    model = make("sigmoid belief")
    x = model.sample(40_000)
    index = (x @ torch.tensor([16.0, 8, 4, 2, 1], dtype=torch.float64)).long()
    frequency = torch.bincount(index, minlength=32) / 40_000
    p = model.log_prob(all_binary(5).double()).exp()
    assert ((frequency - p).abs() < 5 * (p * (1 - p) / 40_000).sqrt()).all()


def test_sigmoid_belief_learns_by_vimco():
    torch.manual_seed(0)
    patterns = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    x = patterns[torch.arange(64) % 2]
    model = SigmoidBeliefNetwork(6, (3,))
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    before = model.log_prob(x).mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        (-vimco(lambda z: model.log_joint(x, z), model.proposal(x), 5).mean()).backward()
        optimizer.step()
    assert (
        model.log_prob(x).mean().item() > before + 1.5
    )  # at most from -6 log 2 = -4.2 nats to -log 2 = -0.7


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("vae")])
def test_bound_in_closed_form_agrees_with_the_weights(name):
    model = make(name)
    x = model.sample(3)
    with torch.no_grad():
        log_w = model.log_weights(x, 4000)
        closed = model.bound(x.expand(200, *x.shape).flatten(0, 1)).unflatten(0, (200, 3))
    error = (log_w.var(0) / 4000 + closed.var(0) / 200).sqrt()
    assert ((log_w.mean(0) - closed.mean(0)).abs() < 5 * error).all()


@pytest.mark.parametrize("name", ["vae bernoulli", "vae gaussian", "vae colour"])  # a likelihood each
def test_bound_in_closed_form_compiles(name, compile_whole):
    model = make(name)
    x = model.sample(3)
    torch.manual_seed(3)
    expected = model.bound(x, 2)
    torch.manual_seed(3)
    compiled = compile_whole(model.bound)
    torch.testing.assert_close(compiled(x, 2), expected)


def test_vae_learns():
    torch.manual_seed(0)
    x = torch.bernoulli(torch.rand(1, 2, 20).round().expand(50, 2, 20).flatten(0, 1) * 0.9 + 0.05)
    model = mlp_vae(20, 2, (16,))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    bounds = []
    for _ in range(200):
        optimizer.zero_grad()
        bound = model.bound(x).mean()
        (-bound).backward()
        optimizer.step()
        bounds.append(bound.item())
    assert sum(bounds[-20:]) / 20 > bounds[0] + 5


def test_unknown_likelihood_and_too_many_states():
    with pytest.raises(ValueError, match="likelihood is 'poisson'"):
        mlp_vae(4, 2, likelihood="poisson")
    with pytest.raises(ValueError, match="entries other than 0 and 1"):
        mlp_vae(4, 2).log_weights(torch.full((2, 4), 0.5))
    with pytest.raises(ValueError, match="dim is 20"):
        SigmoidBeliefNetwork(3, (20,)).log_prob(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="sizes"):
        SigmoidBeliefNetwork(3, ())
    with pytest.raises(ValueError, match="sizes"):
        DeepLatentGaussian(3, (2, 0))
