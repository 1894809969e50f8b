"""Approximate inference: what slides 25 to 41 compute with a model's log-joint.

``bounds`` holds the objectives as functions of log-weights; ``kl`` divergences; ``laplace_approximation`` the
Gaussian at the mode; ``importance`` weighted samples and their diagnostics; ``metropolis``, ``langevin`` and
``hamiltonian`` the Markov chain samplers, with ``chains`` for what they share and ``diagnostics`` for
convergence; ``ais`` and ``smc`` annealed and sequential Monte Carlo; ``em`` exact and variational EM.
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
from gmtools.inference.metropolis import adaptive_metropolis, random_walk_metropolis
from gmtools.inference.smc import ParticleFilter, particle_filter, systematic_resampling

__all__ = [
    "Chains",
    "DualAveraging",
    "EMFit",
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
    "gaussian_kl",
    "hmc",
    "importance_sampling",
    "iwae",
    "laplace",
    "leapfrog",
    "mala",
    "mcmc_ess",
    "monte_carlo_kl",
    "pareto_k",
    "pareto_smooth",
    "particle_filter",
    "perturbative",
    "r_hat",
    "random_walk_metropolis",
    "renyi",
    "systematic_resampling",
    "ula",
]
