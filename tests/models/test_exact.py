"""Laws of the latent-variable models whose likelihood is exact, against enumeration and dense Gaussians."""

import itertools

import pytest
import torch
from torch.distributions import MultivariateNormal

from gmtools.models import (
    HMM,
    CategoricalEmission,
    GaussianEmission,
    GaussianMixture,
    LinearDynamicalSystem,
    LinearGaussian,
    fit_ppca,
)


def perturbed(model):
    """The model in float64 with parameters that have no special values."""
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    return model


def make(name):
    torch.manual_seed(0)
    return perturbed(
        {
            "factor analysis": lambda: LinearGaussian(4, 2),
            "ppca": lambda: LinearGaussian(4, 2, isotropic=True),
            "mixture": lambda: GaussianMixture(3, 4),
            "hmm symbols": lambda: HMM(3, CategoricalEmission(3, 4)),
            "hmm vectors": lambda: HMM(3, GaussianEmission(3, 2)),
            "lds": lambda: LinearDynamicalSystem(2, 3),
        }[name]()
    )


NAMES = ["factor analysis", "ppca", "mixture", "hmm symbols", "hmm vectors", "lds"]


def draw(name, model, n):
    return model.sample(n, length=5) if name in ("hmm symbols", "hmm vectors", "lds") else model.sample(n)


@pytest.mark.parametrize("name", NAMES)
def test_trains_compiles_and_round_trips(name, compile_whole):
    model = make(name)
    x = draw(name, model, 7)
    assert x.shape[0] == 7 and not x.requires_grad
    compiled = compile_whole(model.log_prob)
    torch.testing.assert_close(compiled(x), model.log_prob(x))
    assert model.log_prob(x).shape == (7,)
    model.log_prob(x).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    other = perturbed(make(name))
    assert not torch.allclose(other.log_prob(x), model.log_prob(x))
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_log_prob_has_mean_zero_under_the_model(name):
    """E[grad log p(x)] = 0 if sample and log_prob describe the same distribution: a law for every model."""
    model = make(name)
    torch.manual_seed(1)
    x = draw(name, model, 3000)
    weights = torch.ones(3000, dtype=torch.float64, requires_grad=True)
    log_prob = model.log_prob(x)
    gradients = torch.autograd.grad((weights * log_prob).sum(), list(model.parameters()), create_graph=True)
    flat = torch.cat([g.flatten() for g in gradients])
    scores = torch.stack([torch.autograd.grad(g, weights, retain_graph=True)[0] for g in flat], 1)
    standard_error = scores.std(0) / 3000**0.5
    assert (scores.mean(0).abs() <= 5 * standard_error + 1e-9).all()


@pytest.mark.parametrize("isotropic", [False, True])
def test_linear_gaussian_matches_the_dense_gaussian(isotropic):
    model = make("ppca" if isotropic else "factor analysis")
    x = model.sample(6)
    noise = torch.diag(model.variance())
    dense = MultivariateNormal(model.theta0, model.theta1 @ model.theta1.T + noise)
    torch.testing.assert_close(model.log_prob(x), dense.log_prob(x))
    # The posterior from conditioning the joint Gaussian of (z, x), in dense form.
    gain = model.theta1.T @ torch.linalg.inv(dense.covariance_matrix)
    posterior = model.posterior(x)
    torch.testing.assert_close(posterior.mean, (x - model.theta0) @ gain.T)
    expected = torch.eye(2, dtype=torch.float64) - gain @ model.theta1
    torch.testing.assert_close(posterior.covariance_matrix, expected.expand(6, 2, 2))
    torch.testing.assert_close(model.posterior(x[3]).mean, posterior.mean[3])
    torch.testing.assert_close(model.posterior(x.view(2, 3, -1)).mean, posterior.mean.view(2, 3, 2))


def test_linear_gaussian_log_weights_are_the_evidence():
    model = make("factor analysis")
    x = model.sample(5)
    torch.testing.assert_close(model.log_weights(x, 3), model.log_prob(x).expand(3, 5))


def test_prior_of_the_parameters():
    model = make("factor analysis")
    flat = torch.cat([p.flatten() for p in model.parameters()])
    expected = torch.distributions.Normal(0.0, 2.0).log_prob(flat).sum()
    torch.testing.assert_close(model.log_prior(2.0), expected)
    torch.manual_seed(0)
    large = LinearGaussian(100, 50).sample_parameters_(0.3)
    assert abs(large.theta1.std().item() - 0.3) < 5 * 0.3 / (2 * 5000) ** 0.5


def test_closed_form_ppca_agrees_with_scikit_learn_and_is_stationary():
    from sklearn.decomposition import PCA

    torch.manual_seed(0)
    x = torch.randn(200, 5, dtype=torch.float64) @ torch.randn(5, 5, dtype=torch.float64) + 3
    model = fit_ppca(x, 2)
    model.log_prob(x).mean().backward()
    for parameter in model.parameters():
        torch.testing.assert_close(parameter.grad, torch.zeros_like(parameter), atol=1e-9, rtol=0)
    peer = PCA(2).fit(x.numpy())
    # scikit-learn divides by N - 1; with its covariance rescaled to N the two agree.
    ratio = 199 / 200
    covariance = torch.from_numpy(peer.get_covariance()) * ratio
    torch.testing.assert_close(model.marginal().covariance_matrix, covariance)
    torch.testing.assert_close(model.theta0, torch.from_numpy(peer.mean_))


def test_mixture_agrees_with_scikit_learn():
    from sklearn.mixture import GaussianMixture as Peer

    torch.manual_seed(0)
    x = torch.cat([torch.randn(100, 2) - 2, 0.5 * torch.randn(60, 2) + 2]).double()
    peer = Peer(2, random_state=0).fit(x.numpy())
    model = GaussianMixture(2, 2).double()
    model.set_(*(torch.from_numpy(a) for a in (peer.weights_, peer.means_, peer.covariances_)))
    torch.testing.assert_close(model.log_prob(x), torch.from_numpy(peer.score_samples(x.numpy())))
    torch.testing.assert_close(model.posterior(x).probs, torch.from_numpy(peer.predict_proba(x.numpy())))
    torch.testing.assert_close(model.marginal().log_prob(x), model.log_prob(x))


def paths_of(model, x):
    """Every path of states and its log-joint with the data: (P, T), (P, N)."""
    paths = torch.tensor(list(itertools.product(range(model.states), repeat=x.shape[1])))
    emission = model.emission().log_prob(x.unsqueeze(2) if x.dim() == 2 else x.unsqueeze(2))  # (N, T, S)
    log_joint = model.log_initial()[paths[:, 0]] + model.log_transition()[paths[:, :-1], paths[:, 1:]].sum(1)
    visited = emission[:, torch.arange(x.shape[1]), paths]  # (N, P, T)
    return paths, log_joint[:, None] + visited.sum(-1).T


@pytest.mark.parametrize("name", ["hmm symbols", "hmm vectors"])
def test_hmm_against_all_paths(name):
    model = make(name)
    x = model.sample(4, length=5)
    paths, log_joint = paths_of(model, x)
    torch.testing.assert_close(model.log_prob(x), log_joint.logsumexp(0))

    weights = log_joint.softmax(0)  # (P, N)
    posterior = model.posterior(x)
    one_hot = torch.nn.functional.one_hot(paths, 3).double()  # (P, T, S)
    torch.testing.assert_close(posterior.state.exp(), torch.einsum("pn,pts->nts", weights, one_hot))
    pairs = torch.einsum("pn,ptr,pts->ntrs", weights, one_hot[:, :-1], one_hot[:, 1:])
    torch.testing.assert_close(posterior.pair.exp(), pairs)
    torch.testing.assert_close(posterior.log_prob, model.log_prob(x))

    best, index = log_joint.max(0)
    path, value = model.viterbi(x)
    torch.testing.assert_close(value, best)
    assert torch.equal(path, paths[index])


def test_hmm_probabilities_sum_to_one():
    model = make("hmm symbols")
    every = torch.tensor(list(itertools.product(range(4), repeat=4)))
    torch.testing.assert_close(model.log_prob(every).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("name", ["hmm symbols", "hmm vectors"])
def test_baum_welch_never_decreases_and_ends_stationary(name):
    truth = make(name)
    torch.manual_seed(3)
    x = truth.sample(40, length=8)
    model = perturbed(truth)
    trace = [model.baum_welch_step_(x) for _ in range(60)]
    assert all(after >= before - 1e-10 for before, after in itertools.pairwise(trace))
    assert trace[-1] > trace[0] + 0.01
    torch.testing.assert_close(trace[-1], model.log_prob(x).mean().item(), atol=0.05, rtol=0)


def test_baum_welch_step_is_the_maximum_of_the_expected_log_joint():
    """One EM step lands where the gradient of E_q[log p(x, z)] vanishes, q the posterior before the step."""
    model = make("hmm vectors")
    x = model.sample(30, length=6)
    q = model.posterior(x)
    gamma, pair = q.state.exp().detach(), q.pair.exp().detach()
    model.baum_welch_step_(x)
    emission = model.emission().log_prob(x.unsqueeze(2))
    expected = (gamma * emission).sum() + (gamma[:, 0] * model.log_initial()).sum()
    expected = expected + (pair * model.log_transition()).sum()
    for gradient in torch.autograd.grad(expected, list(model.parameters())):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-8, rtol=0)


def dense_lds(model, length):
    """Mean and covariance of (z_1..z_T, x_1..x_T), built by stacking the linear equations."""
    d = model.d_z
    q, r, p = model.log_q.exp(), model.log_r.exp(), model.log_p.exp()
    # z = B (m, 0, .., 0) + B noise, with B lower block triangular in powers of A.
    rows = [
        [
            torch.linalg.matrix_power(model.transition, t - s) if s <= t else torch.zeros(d, d).double()
            for s in range(length)
        ]
        for t in range(length)
    ]
    powers = torch.cat([torch.cat(row, 1) for row in rows])
    noise = torch.diag(torch.cat([p] + [q] * (length - 1)))
    mean_z = powers[:, :d] @ model.initial_mean
    cov_z = powers @ noise @ powers.T
    observe = torch.block_diag(*[model.observation] * length)
    cov_x = observe @ cov_z @ observe.T + torch.diag(r.repeat(length))
    return mean_z, cov_z, observe @ mean_z, cov_x, observe


def test_kalman_against_the_dense_gaussian():
    model = make("lds")
    x = model.sample(3, length=5)
    mean_z, cov_z, mean_x, cov_x, observe = dense_lds(model, 5)
    flat = x.flatten(1)
    torch.testing.assert_close(model.log_prob(x), MultivariateNormal(mean_x, cov_x).log_prob(flat))

    gain = cov_z @ observe.T @ torch.linalg.inv(cov_x)
    smoothed = model.smooth(x)
    torch.testing.assert_close(smoothed.mean.flatten(1), mean_z + (flat - mean_x) @ gain.T)
    covariance = cov_z - gain @ observe @ cov_z
    for t in range(5):
        block = slice(3 * t, 3 * t + 3)
        torch.testing.assert_close(smoothed.covariance[t], covariance[block, block])


@pytest.mark.parametrize("length", [1, 3])
def test_filter_at_the_last_step_is_the_smoother(length):
    model = make("lds")
    x = model.sample(3, length=length)
    filtered, smoothed = model.filter(x), model.smooth(x)
    torch.testing.assert_close(filtered.mean[:, -1], smoothed.mean[:, -1])
    mean_z, cov_z, mean_x, cov_x, observe = dense_lds(model, length)
    gain = (cov_z @ observe.T @ torch.linalg.inv(cov_x))[-3:]
    torch.testing.assert_close(filtered.mean[:, -1], mean_z[-3:] + (x.flatten(1) - mean_x) @ gain.T)


def test_bad_inputs_name_the_argument():
    for model in (make("factor analysis"), make("mixture")):
        with pytest.raises(ValueError, match=r"x has shape \(5, 7\)"):
            model.log_prob(torch.zeros(5, 7, dtype=torch.float64))
    for model in (make("hmm vectors"), make("lds")):
        with pytest.raises(ValueError, match=r"x has shape \(5, 7\)"):
            model.log_prob(torch.zeros(5, 7, dtype=torch.float64))
        with pytest.raises(ValueError, match="length"):
            model.sample(2, length=0)
    with pytest.raises(ValueError, match="d_z"):
        fit_ppca(torch.randn(10, 3), 3)
    with pytest.raises(ValueError, match="x has dtype torch.int64"):
        fit_ppca(torch.arange(30).view(10, 3), 1)
    with pytest.raises(ValueError, match="1 infinite or NaN"):
        fit_ppca(torch.tensor([[1.0, 2.0], [float("inf"), 0.0], [0.0, 1.0]]), 1)
    with pytest.raises(ValueError, match="subspace"):
        fit_ppca(torch.randn(10, 1).double().expand(10, 3), 1)
    with pytest.raises(ValueError, match="emission"):
        HMM(2, CategoricalEmission(3, 4))
    with pytest.raises(ValueError, match="d_z"):
        LinearGaussian(3, 0)
    with pytest.raises(ValueError, match="kappa"):
        LinearGaussian(3, 1).log_prior(-1.0)
    with pytest.raises(ValueError, match="K"):
        make("factor analysis").log_weights(torch.zeros(2, 4, dtype=torch.float64), 0)
    with pytest.raises(ValueError, match="covariances"):
        GaussianMixture(2, 3).set_(torch.ones(3), torch.zeros(3, 2), torch.eye(2))
