import math
import warnings

import pytest
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from gmtools import models
from gmtools.inference import FactorAnalysisEM, MixtureEM, expectation_maximisation

F64 = torch.float64


def clusters(seed=0):
    torch.manual_seed(seed)
    centres = torch.tensor([[-2.0, 0.0], [1.0, 2.0], [2.0, -2.0]], dtype=F64)
    return torch.cat([c + torch.randn(60, 2, dtype=F64) @ torch.randn(2, 2, dtype=F64) for c in centres])


def factors(seed=0):
    torch.manual_seed(seed)
    loadings = torch.randn(6, 2, dtype=F64)
    noise = torch.rand(6, dtype=F64) + 0.2
    return 3.0 + torch.randn(300, 2, dtype=F64) @ loadings.T + noise.sqrt() * torch.randn(300, 6, dtype=F64)


def mixture_log_likelihood(x, parameters):
    components = MultivariateNormal(parameters.means, parameters.covariances)
    return MixtureSameFamily(Categorical(parameters.weights), components).log_prob(x).mean()


def factor_log_likelihood(x, parameters):
    covariance = parameters.loadings @ parameters.loadings.T + parameters.variance.diag()
    return MultivariateNormal(parameters.mean, covariance).log_prob(x).mean()


CASES = {
    "mixture, exact": (lambda: MixtureEM(clusters()), 3, mixture_log_likelihood),
    "mixture, hard": (lambda: MixtureEM(clusters(), family="hard"), 3, mixture_log_likelihood),
    "factors, exact": (lambda: FactorAnalysisEM(factors()), 2, factor_log_likelihood),
    "factors, mean field": (
        lambda: FactorAnalysisEM(factors(), family="mean_field"),
        2,
        factor_log_likelihood,
    ),
    "factors, isotropic": (lambda: FactorAnalysisEM(factors(), isotropic=True), 2, factor_log_likelihood),
}
every_case = pytest.mark.parametrize("make, size, log_likelihood", CASES.values(), ids=CASES.keys())


@every_case
def test_bound_never_decreases_and_stays_below_the_likelihood(make, size, log_likelihood):
    for seed in range(5):
        steps = make()
        torch.manual_seed(seed)
        parameters = steps.start(size)
        fit = expectation_maximisation(steps, parameters, iterations=30)
        assert fit.bounds.shape == (30, 2) and fit.bounds[-1, -1] > fit.bounds[0, 0] + 0.01
        assert (fit.bounds.flatten().diff() >= -1e-12).all()
        assert (fit.bounds[-1, 1] <= log_likelihood(steps.x, fit.parameters) + 1e-12).all()
        assert steps.bound(fit.posterior, fit.parameters).item() == pytest.approx(fit.bounds[-1, 1].item())


@every_case
def test_e_step_is_tight_exactly_for_the_exact_families(make, size, log_likelihood):
    steps = make()
    torch.manual_seed(1)
    parameters = expectation_maximisation(steps, steps.start(size), iterations=3).parameters
    gap = log_likelihood(steps.x, parameters) - steps.bound(steps.e_step(parameters), parameters)
    assert abs(gap) < 1e-12 if steps.family == "exact" else gap > 1e-3


@every_case
def test_m_step_is_a_stationary_point_of_the_bound(make, size, log_likelihood):
    steps = make()
    torch.manual_seed(2)
    posterior = steps.e_step(expectation_maximisation(steps, steps.start(size), iterations=2).parameters)
    best = steps.m_step(posterior)
    value = steps.bound(posterior, best)
    for _ in range(20):
        changed = [p * (1 + 0.02 * torch.randn_like(p)) for p in best]
        if steps.__class__ is MixtureEM:
            changed = [changed[0] / changed[0].sum(), changed[1], 0.5 * (changed[2] + changed[2].mT)]
        else:
            changed[0] = best.mean  # fixed at the data's mean
            changed[2] = best.variance * changed[2][0] / best.variance[0] if steps.isotropic else changed[2]
        assert steps.bound(posterior, type(best)(*changed)) < value


def test_mean_field_e_step_is_the_best_diagonal_gaussian():
    steps = FactorAnalysisEM(factors(), family="mean_field")
    torch.manual_seed(0)
    parameters = steps.start(2)
    best = steps.e_step(parameters)
    value = steps.bound(best, parameters)
    for _ in range(20):
        mean = best.mean + 0.01 * torch.randn_like(best.mean)
        covariance = best.covariance * (1 + 0.05 * torch.randn(2, dtype=F64)).diag()
        assert steps.bound(best._replace(mean=mean), parameters) < value
        assert steps.bound(best._replace(covariance=covariance), parameters) < value


def test_mixture_agrees_with_scikit_learn():
    x = clusters()
    steps = MixtureEM(x)
    torch.manual_seed(0)
    start = steps.start(3)
    fit = expectation_maximisation(steps, start, iterations=25)
    peer = GaussianMixture(
        3,
        tol=0.0,
        reg_covar=0.0,
        max_iter=25,
        weights_init=start.weights.numpy(),
        means_init=start.means.numpy(),
        precisions_init=torch.linalg.inv(start.covariances).numpy(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns that 25 iterations have not converged
        peer.fit(x.numpy())
    torch.testing.assert_close(fit.parameters.weights, torch.tensor(peer.weights_))
    torch.testing.assert_close(fit.parameters.means, torch.tensor(peer.means_))
    torch.testing.assert_close(fit.parameters.covariances, torch.tensor(peer.covariances_))


def test_factor_analysis_agrees_with_scikit_learn():
    x = factors()
    steps = FactorAnalysisEM(x)
    torch.manual_seed(0)
    fit = expectation_maximisation(steps, steps.start(2), iterations=3000, tolerance=1e-13)
    peer = FactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(x.numpy())
    assert fit.bounds[-1, 1].item() == pytest.approx(peer.score(x.numpy()), abs=1e-6)
    torch.testing.assert_close(fit.parameters.variance, torch.tensor(peer.noise_variance_), atol=2e-3, rtol=0)


def test_isotropic_factors_reach_the_closed_form_of_probabilistic_pca():
    x = factors()
    steps = FactorAnalysisEM(x, isotropic=True)
    torch.manual_seed(0)
    fit = expectation_maximisation(steps, steps.start(2), iterations=3000, tolerance=1e-14)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    noise = eigenvalues[:4].mean()
    spectrum = torch.cat([noise.expand(4), eigenvalues[4:]])
    exact = -0.5 * (6 * math.log(2 * math.pi) + spectrum.log().sum() + 6)
    assert fit.bounds[-1, 1].item() == pytest.approx(exact.item(), abs=1e-9)
    assert fit.parameters.variance[0].item() == pytest.approx(noise.item(), rel=1e-4)


def test_results_fit_the_models_of_the_library():
    mixture = MixtureEM(clusters())
    factor_analysis = FactorAnalysisEM(factors())
    torch.manual_seed(0)
    fit = expectation_maximisation(mixture, mixture.start(3), iterations=5)
    model = models.GaussianMixture(dim=2, components=3).double().set_(*fit.parameters)
    torch.testing.assert_close(
        model.log_prob(mixture.x).mean(), mixture_log_likelihood(mixture.x, fit.parameters)
    )
    torch.testing.assert_close(model.posterior(mixture.x).probs, mixture.e_step(fit.parameters))
    fit = expectation_maximisation(factor_analysis, factor_analysis.start(2), iterations=5)
    model = models.LinearGaussian(d_x=6, d_z=2).double()
    model.theta0.data, model.theta1.data = fit.parameters.mean, fit.parameters.loadings
    model.theta2.data = fit.parameters.variance.log()
    torch.testing.assert_close(
        model.posterior(factor_analysis.x).mean, factor_analysis.e_step(fit.parameters).mean
    )


def test_tolerance_stops_early():
    steps = FactorAnalysisEM(factors())
    torch.manual_seed(0)
    fit = expectation_maximisation(steps, steps.start(2), iterations=500, tolerance=1e-4)
    gains = fit.bounds[:, 1].diff()
    assert len(fit.bounds) < 500 and gains[-1] < 1e-4 and (gains[:-1] >= 1e-4).all()


def test_collapsed_and_empty_components_are_named():
    steps = MixtureEM(torch.tensor([[0.0, 0.0], [5.0, 5.0], [9.0, 1.0], [9.0, 2.0]], dtype=F64))
    parameters = steps.start(2)
    with pytest.raises(ValueError, match=r"components \[0\] are not positive definite"):
        expectation_maximisation(steps, steps.m_step(torch.eye(2, dtype=F64)[[0, 1, 1, 1]]))
    with pytest.raises(ValueError, match=r"components \[1\] have no data left"):
        steps.m_step(torch.eye(2, dtype=F64)[[0, 0, 0, 0]])
    assert parameters.covariances.shape == (2, 2, 2)


@pytest.mark.parametrize("kind", [MixtureEM, FactorAnalysisEM])
def test_bad_arguments_are_named(kind):
    with pytest.raises(ValueError, match=r"x has shape \(3,\)"):
        kind(torch.zeros(3))
    with pytest.raises(ValueError, match="x has shape .* NaN"):
        kind(torch.full((3, 2), math.nan))
    with pytest.raises(ValueError, match="family is 'soft'"):
        kind(torch.zeros(3, 2), family="soft")
    with pytest.raises(ValueError, match="x has dtype torch.int64"):
        kind(torch.arange(6).reshape(3, 2))
    with pytest.raises(ValueError, match="is 0, expected"):
        kind(torch.randn(3, 2)).start(0)
    with pytest.raises(ValueError, match="iterations is 0"):
        expectation_maximisation(kind(torch.randn(3, 2)), None, iterations=0)


def test_constant_columns_are_refused_where_they_have_a_variance_of_their_own():
    x = factors()
    x[:, 1] = 0.1
    with pytest.raises(ValueError, match=r"x has constant columns \[1\]"):
        FactorAnalysisEM(x)
    steps = FactorAnalysisEM(x, isotropic=True)
    torch.manual_seed(0)
    assert expectation_maximisation(steps, steps.start(2), iterations=20).bounds.isfinite().all()
    with pytest.raises(ValueError, match=r"x has constant columns \[0, 1, 2, 3, 4, 5\]"):
        FactorAnalysisEM(torch.ones_like(x), isotropic=True)


@pytest.mark.parametrize("family", ["exact", "mean_field"])
def test_small_noise_in_single_precision(family):
    torch.manual_seed(0)
    x = torch.randn(200, 1) * torch.tensor([3.0, 2.0, 1.0]) + 1e-3 * torch.randn(200, 3)
    steps, exact = FactorAnalysisEM(x, family), FactorAnalysisEM(x.double(), family)
    start = steps.start(1)
    fit = expectation_maximisation(steps, start, iterations=200)
    expected = expectation_maximisation(exact, type(start)(*(p.double() for p in start)), iterations=200)
    torch.testing.assert_close(
        fit.parameters.variance.double(), expected.parameters.variance, rtol=1e-3, atol=0
    )


def test_too_many_components_are_refused():
    with pytest.raises(ValueError, match="components is 4, expected at most the 3"):
        MixtureEM(torch.randn(3, 2)).start(4)
    with pytest.raises(ValueError, match="components is 3, expected at most the 2 distinct points"):
        MixtureEM(torch.randn(2, 2).repeat(20, 1)).start(3)
