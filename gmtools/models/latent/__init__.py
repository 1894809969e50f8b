"""Latent-variable models: those with exact likelihoods, and those with a proposal and log-weights.

Exact: ``linear_gaussian`` (factor analysis, probabilistic PCA), ``mixture``, ``hmm``, ``linear_dynamical``
(Kalman), ``gaussian_process``.
Bounded: ``sigmoid_belief``, ``deep_gaussian``, ``vae`` (also convolutional, over signals, images and voxels),
``semi_supervised``, ``sequence``, ``draw``, ``air``; ``base`` holds what they share, ``attention`` the
windows of the last two.
"""

from gmtools.models.latent.air import AIR
from gmtools.models.latent.attention import crop, filter_bank, paste, read_window, write_window
from gmtools.models.latent.base import LatentVariableModel, UnrolledModel
from gmtools.models.latent.deep_gaussian import DeepLatentGaussian, GaussianCascade
from gmtools.models.latent.draw import DRAW, Window
from gmtools.models.latent.gaussian_process import GPLatentVariableModel
from gmtools.models.latent.hmm import HMM, CategoricalEmission, GaussianEmission, StatePosterior
from gmtools.models.latent.linear_dynamical import Filtered, LinearDynamicalSystem, Smoothed
from gmtools.models.latent.linear_gaussian import LinearGaussian, fit_ppca
from gmtools.models.latent.mixture import GaussianMixture
from gmtools.models.latent.semi_supervised import SemiSupervisedVAE, semi_supervised_vae
from gmtools.models.latent.sequence import SequenceVAE
from gmtools.models.latent.sigmoid_belief import BernoulliChain, SigmoidBeliefNetwork
from gmtools.models.latent.vae import VAE, conv_vae, mlp_vae

__all__ = [
    "AIR",
    "DRAW",
    "HMM",
    "VAE",
    "BernoulliChain",
    "CategoricalEmission",
    "DeepLatentGaussian",
    "Filtered",
    "GaussianCascade",
    "GaussianEmission",
    "GPLatentVariableModel",
    "GaussianMixture",
    "LatentVariableModel",
    "LinearDynamicalSystem",
    "LinearGaussian",
    "SemiSupervisedVAE",
    "SequenceVAE",
    "SigmoidBeliefNetwork",
    "Smoothed",
    "StatePosterior",
    "UnrolledModel",
    "Window",
    "conv_vae",
    "crop",
    "filter_bank",
    "fit_ppca",
    "mlp_vae",
    "paste",
    "read_window",
    "semi_supervised_vae",
    "write_window",
]
