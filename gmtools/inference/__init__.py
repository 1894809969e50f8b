"""Approximate inference: what slides 25 to 41 compute with a model's log-joint.

``bounds`` holds the objectives as functions of log-weights; ``kl`` divergences; ``laplace`` the Gaussian at
the mode; ``importance`` weighted samples and their diagnostics; ``metropolis``, ``langevin`` and ``hmc`` the
Markov chain samplers, with ``chains`` for what they share and ``diagnostics`` for convergence.
"""

from gmtools.inference.bounds import elbo, iwae, perturbative, renyi
from gmtools.inference.chains import Chains, DualAveraging
from gmtools.inference.diagnostics import mcmc_ess, r_hat
from gmtools.inference.hmc import hmc, leapfrog
from gmtools.inference.importance import (
    ImportanceSample,
    effective_sample_size,
    importance_sampling,
    pareto_k,
    pareto_smooth,
)
from gmtools.inference.kl import Estimate, gaussian_kl, monte_carlo_kl
from gmtools.inference.langevin import mala, ula
from gmtools.inference.laplace import LaplaceApproximation, laplace
from gmtools.inference.metropolis import adaptive_metropolis, random_walk_metropolis

__all__ = [
    "Chains",
    "DualAveraging",
    "Estimate",
    "ImportanceSample",
    "LaplaceApproximation",
    "adaptive_metropolis",
    "effective_sample_size",
    "elbo",
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
    "perturbative",
    "r_hat",
    "random_walk_metropolis",
    "renyi",
    "ula",
]
