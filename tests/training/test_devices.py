"""What is moved to a device works there: drawing and scoring make no tensor elsewhere, and the numbers agree.

The first law needs no GPU: on torch's "meta" device tensors have shapes but no numbers, and an operation that
mixes them with a tensor that was left on the CPU fails, as it would on a GPU.
"""

import copy

import pytest
import torch
from torch.distributions import Distribution

from gmtools import flows, models, nets, posteriors
from gmtools.distributions import rsample_and_log_prob
from gmtools.flows import AffineMap, Flow, SplineMap, standard_normal, uniform_angles, uniform_cylinder

H = (8,)
F64 = torch.float64

EUCLIDEAN = {
    "affine": lambda: flows.Affine(3),
    "permute": lambda: flows.Permute([2, 0, 1]),
    "sigmoid": lambda: flows.Sigmoid(3),
    "linear": lambda: flows.InvertibleLinear(3),
    "planar": lambda: flows.Planar(3, 2),
    "radial": lambda: flows.Radial(3, 2),
    "sylvester": lambda: flows.Sylvester(3, 2, 2),
    "elementwise": lambda: flows.Elementwise(3, AffineMap(), 2, H),
    "real nvp": lambda: flows.real_nvp(3, 2, H, d_context=2),
    "maf": lambda: flows.masked_autoregressive_flow(3, 2, H, d_context=2),
    "spline coupling": lambda: flows.Coupling(3, SplineMap(4), H, d_context=2),
    "spline autoregressive": lambda: flows.neural_spline_flow(3, 2, 4, hidden=H, autoregressive=True),
}
ANGULAR = {
    "torus": lambda: flows.torus_flow(2, 2, hidden=H, d_context=2),
    "mobius": lambda: flows.torus_flow(2, 2, flows.MobiusMap(2), H),
    "embedded torus": lambda: flows.Compose(flows.torus_flow(2, 2, hidden=H), flows.TorusEmbedding()),
}
SPHERICAL = {
    "sphere": lambda: flows.sphere_flow(2, 4, H, d_context=2),
    "exponential map": lambda: flows.exponential_map_flow(1, 3, 2, H),
}
BASES = {"flow": standard_normal, "angles": uniform_angles, "sphere": lambda _, like: uniform_cylinder(like)}
POSTERIORS = {
    "mean field": lambda: posteriors.MeanField(3, 2, hidden=H),
    "full covariance": lambda: posteriors.FullCovariance(3, 2, hidden=H),
    "low rank": lambda: posteriors.LowRankCovariance(3, 1, 2, hidden=H),
    "mixture": lambda: posteriors.Mixture(3, 2, 2, hidden=H),
    "copula": lambda: posteriors.Copula(3, d_context=2, hidden=H),
    "structured": lambda: posteriors.Structured(3, d_context=2, hidden=H),
    "flow": lambda: posteriors.FlowPosterior(flows.Planar(3, 2), 2, hidden=H),
}
EXACT = {
    "factor analysis": lambda: models.LinearGaussian(4, 2),
    "mixture": lambda: models.GaussianMixture(4, 3),
    "binary MADE": lambda: models.BernoulliMADE(4, H),
    "real MADE": lambda: models.GaussianMADE(4, hidden=H),
    "NADE": lambda: models.NADE(4, 5),
    "RBM": lambda: models.RBM(4, 3),
    "Boltzmann machine": lambda: models.BoltzmannMachine(4),
}
BOUNDED = {
    "vae": lambda: models.mlp_vae(4, 2, H),
    "gaussian vae": lambda: models.mlp_vae(4, 2, H, "gaussian"),
    "discretised vae": lambda: models.mlp_vae(4, 2, H, "discretised_logistic", levels=4),
    "convolutional vae": lambda: models.conv_vae(1, (4, 4), 2, (4, 3)),
    "deep gaussian": lambda: models.DeepLatentGaussian(4, (3, 2), H),
    "sigmoid belief network": lambda: models.SigmoidBeliefNetwork(4, (3, 2)),
}


def run_flow(base):
    def run(f, noise):
        context = noise[:, :2] if f.d_context else None
        p = Flow(BASES[base](f.dim, like=noise), f, context)
        draw = p.sample((6,) if context is None else ())
        points = f(noise[:, : f.dim].tanh(), context)[0].detach()
        return draw, p.log_prob(points)

    return run


def run_posterior(posterior, noise):
    q = posterior(noise[:, :2])
    return rsample_and_log_prob(q, (2,))[0], q.log_prob(noise)


def run_exact(model, noise):
    x = (noise[:, [0, 1, 2, 0]] > 0).to(noise)
    return model.sample(5), model.log_prob(x)


def run_bounded(model, noise):
    x = model.sample(6)
    z = model.proposal(x).sample((2,))
    return z, model.log_joint(torch.ones_like(x), torch.ones_like(z))


def run_gp(model, noise):
    return model.sample(3), torch.stack((model.log_joint(), model.predict(noise[0, :2]).log_prob(model.mean)))


def run_pixels(net, noise):
    images = noise.flatten()[:16].reshape(1, 1, 4, 4)
    return images, net(images)


CASES = {}
for table, run in [
    (EUCLIDEAN, run_flow("flow")),
    (ANGULAR, run_flow("angles")),
    (SPHERICAL, run_flow("sphere")),
    (POSTERIORS, run_posterior),
    (EXACT, run_exact),
    (BOUNDED, run_bounded),
    ({"gaussian process": lambda: models.GPLatentVariableModel(torch.randn(6, 3), 2)}, run_gp),
    ({"PixelCNN": lambda: nets.PixelCNN(1, 2), "PixelRNN": lambda: nets.PixelRNN(1, 2)}, run_pixels),
]:
    CASES |= {f"{run.__name__[4:] or 'flow'} {name}": (make, run) for name, make in table.items()}


def made(name):
    """The module in float64, with random parameters, what to run with it, and the noise it is given."""
    torch.manual_seed(0)
    make, run = CASES[name]
    module = make()
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module.double(), run, torch.randn(6, 3, dtype=F64)


@pytest.mark.parametrize("name", CASES)
def test_no_tensor_stays_behind_on_another_device(name, monkeypatch):
    module, run, noise = made(name)
    expected = run(module, noise)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # no looking at numbers, there are none
    Distribution.set_default_validate_args(False)
    found = run(module.to("meta"), noise.to("meta"))
    for here, there in zip(expected, found, strict=True):
        assert there.device.type == "meta" and there.shape == here.shape and there.dtype == here.dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU on this machine")
@pytest.mark.parametrize("name", CASES)
def test_scores_on_the_gpu_are_those_on_the_cpu(name):
    module, run, noise = made(name)
    _, expected = run(module, noise)
    draw, found = run(copy.deepcopy(module).to("cuda"), noise.to("cuda"))
    assert draw.is_cuda and draw.isfinite().all()
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-7, atol=1e-9)
