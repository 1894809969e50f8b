"""Latent-variable models: those with exact likelihoods, and those with a proposal and log-weights.

``linear_gaussian`` (factor analysis, probabilistic PCA), ``mixture``, ``hmm``, ``linear_dynamical`` (Kalman);
``sigmoid_belief``, ``deep_gaussian``, ``vae`` (also convolutional, over signals, images and voxels).
"""

from gmtools.models.latent.base import LatentVariableModel
from gmtools.models.latent.deep_gaussian import DeepLatentGaussian, GaussianCascade
from gmtools.models.latent.hmm import HMM, CategoricalEmission, GaussianEmission, StatePosterior
from gmtools.models.latent.linear_dynamical import Filtered, LinearDynamicalSystem, Smoothed
from gmtools.models.latent.linear_gaussian import LinearGaussian, fit_ppca
from gmtools.models.latent.mixture import GaussianMixture
from gmtools.models.latent.sigmoid_belief import BernoulliChain, SigmoidBeliefNetwork
from gmtools.models.latent.vae import VAE, conv_vae, mlp_vae

__all__ = [
    "BernoulliChain",
    "CategoricalEmission",
    "DeepLatentGaussian",
    "Filtered",
    "GaussianCascade",
    "GaussianEmission",
    "GaussianMixture",
    "HMM",
    "LatentVariableModel",
    "LinearDynamicalSystem",
    "LinearGaussian",
    "SigmoidBeliefNetwork",
    "Smoothed",
    "StatePosterior",
    "VAE",
    "conv_vae",
    "fit_ppca",
    "mlp_vae",
]
