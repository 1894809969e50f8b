"""Generative models, by how their likelihood is had.

``latent`` holds models with latent variables; ``heads`` the conditional distributions that serve as
likelihoods and recognition models. Models have ``log_prob`` where it is exact, ``log_weights(x, K)`` where
it is bounded, and ``sample(n)``; they are trained from outside, with ``gmtools.training.fit``.
"""

from gmtools.models.binary import all_binary
from gmtools.models.heads import (
    BernoulliHead,
    DiscretisedLogistic,
    DiscretisedLogisticHead,
    GaussianHead,
    StandardNormal,
)
from gmtools.models.latent import *  # noqa: F403
from gmtools.models.latent import __all__ as _latent

__all__ = [
    "BernoulliHead",
    "DiscretisedLogistic",
    "DiscretisedLogisticHead",
    "GaussianHead",
    "StandardNormal",
    "all_binary",
    *_latent,
]
