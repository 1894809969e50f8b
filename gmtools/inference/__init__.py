"""Approximate inference: what slides 25 to 41 compute with a model's log-joint.

``bounds`` holds the objectives as functions of log-weights; ``kl`` divergences; ``laplace_approximation`` the
Gaussian at the mode; ``importance`` weighted samples and their diagnostics; ``metropolis``, ``langevin`` and
``hamiltonian`` the Markov chain samplers, with ``chains`` for what they share and ``diagnostics`` for
convergence; ``ais`` and ``smc`` annealed and sequential Monte Carlo; ``em`` exact and variational EM; ``ep``
expectation propagation; ``likelihood_free`` approximate Bayesian computation; ``noise_contrastive``
estimation of unnormalised models.
"""

from gmtools.inference.ais import annealed_importance_sampling
from gmtools.inference.bounds import elbo, iwae, perturbative, renyi
from gmtools.inference.chains import Chains, DualAveraging
from gmtools.inference.diagnostics import mcmc_ess, r_hat
from gmtools.inference.em import (
    EMFit,
    FactorAnalysisEM,
    FactorParameters,
    FactorPosterior,
    MixtureEM,
    MixtureParameters,
    expectation_maximisation,
)
from gmtools.inference.ep import EPFit, expectation_propagation
from gmtools.inference.hamiltonian import hmc, leapfrog
from gmtools.inference.importance import (
    ImportanceSample,
    effective_sample_size,
    importance_sampling,
    pareto_k,
    pareto_smooth,
)
from gmtools.inference.kl import Estimate, gaussian_kl, monte_carlo_kl
from gmtools.inference.langevin import mala, ula
from gmtools.inference.laplace_approximation import LaplaceApproximation, laplace
from gmtools.inference.likelihood_free import ABCSample, rejection_abc, smc_abc
from gmtools.inference.metropolis import adaptive_metropolis, random_walk_metropolis
from gmtools.inference.noise_contrastive import nce, noise_log_ratios
from gmtools.inference.smc import ParticleFilter, particle_filter, systematic_resampling

__all__ = [
    "ABCSample",
    "Chains",
    "DualAveraging",
    "EMFit",
    "EPFit",
    "Estimate",
    "FactorAnalysisEM",
    "FactorParameters",
    "FactorPosterior",
    "ImportanceSample",
    "LaplaceApproximation",
    "MixtureEM",
    "MixtureParameters",
    "ParticleFilter",
    "adaptive_metropolis",
    "annealed_importance_sampling",
    "effective_sample_size",
    "elbo",
    "expectation_maximisation",
    "expectation_propagation",
    "gaussian_kl",
    "hmc",
    "importance_sampling",
    "iwae",
    "laplace",
    "leapfrog",
    "mala",
    "mcmc_ess",
    "monte_carlo_kl",
    "nce",
    "noise_log_ratios",
    "pareto_k",
    "pareto_smooth",
    "particle_filter",
    "perturbative",
    "r_hat",
    "random_walk_metropolis",
    "rejection_abc",
    "renyi",
    "smc_abc",
    "systematic_resampling",
    "ula",
]
