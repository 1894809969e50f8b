"""Approximate inference: what slides 25 to 41 compute with a model's log-joint.

``bounds`` holds the objectives as functions of log-weights; ``kl`` divergences; ``laplace`` the Gaussian at
the mode; ``importance`` weighted samples and their diagnostics.
"""

from gmtools.inference.bounds import elbo, iwae, perturbative, renyi
from gmtools.inference.importance import (
    ImportanceSample,
    effective_sample_size,
    importance_sampling,
    pareto_k,
    pareto_smooth,
)
from gmtools.inference.kl import Estimate, gaussian_kl, monte_carlo_kl
from gmtools.inference.laplace import LaplaceApproximation, laplace

__all__ = [
    "Estimate",
    "ImportanceSample",
    "LaplaceApproximation",
    "effective_sample_size",
    "elbo",
    "gaussian_kl",
    "importance_sampling",
    "iwae",
    "laplace",
    "monte_carlo_kl",
    "pareto_k",
    "pareto_smooth",
    "perturbative",
    "renyi",
]
