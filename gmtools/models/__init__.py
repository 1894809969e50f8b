"""Generative models, by how their likelihood is had.

``autoregressive`` and ``energy`` hold fully observed models, directed and undirected; ``latent`` those with
latent variables; ``implicit`` simulators without a density; ``heads`` the conditional distributions that
serve as likelihoods and recognition models. Models have ``log_prob`` where it is exact, ``log_weights(x,
K)`` where it is bounded, and ``sample(n)``; they are trained from outside, with ``gmtools.training.fit``.
"""

from gmtools.models.autoregressive import *  # noqa: F403
from gmtools.models.autoregressive import __all__ as _autoregressive
from gmtools.models.binary import all_binary
from gmtools.models.energy import *  # noqa: F403
from gmtools.models.energy import __all__ as _energy
from gmtools.models.heads import (
    BernoulliHead,
    DiscretisedLogistic,
    DiscretisedLogisticHead,
    GaussianHead,
    StandardNormal,
)
from gmtools.models.implicit import ImplicitModel
from gmtools.models.latent import *  # noqa: F403
from gmtools.models.latent import __all__ as _latent

__all__ = [
    "BernoulliHead",
    "DiscretisedLogistic",
    "DiscretisedLogisticHead",
    "GaussianHead",
    "ImplicitModel",
    "StandardNormal",
    "all_binary",
    *_autoregressive,
    *_energy,
    *_latent,
]
