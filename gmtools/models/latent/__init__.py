"""Latent-variable models: those with exact likelihoods, and those with a proposal and log-weights.

``linear_gaussian`` (factor analysis, probabilistic PCA), ``mixture``, ``hmm``, ``linear_dynamical`` (Kalman).
"""

from gmtools.models.latent.base import LatentVariableModel
from gmtools.models.latent.hmm import HMM, CategoricalEmission, GaussianEmission, StatePosterior
from gmtools.models.latent.linear_dynamical import Filtered, LinearDynamicalSystem, Smoothed
from gmtools.models.latent.linear_gaussian import LinearGaussian, fit_ppca
from gmtools.models.latent.mixture import GaussianMixture

__all__ = [
    "HMM",
    "CategoricalEmission",
    "Filtered",
    "GaussianEmission",
    "GaussianMixture",
    "LatentVariableModel",
    "LinearDynamicalSystem",
    "LinearGaussian",
    "Smoothed",
    "StatePosterior",
    "fit_ppca",
]
