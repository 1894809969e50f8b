"""Learning by comparison: how two sets of samples differ, and how a model learns from the difference.

``pair`` is the running example with its exact answers; ``ratio`` and ``logistic`` estimate density ratios,
``divergences`` has the f-divergences with their variational form and the Bregman losses, ``scoring`` the
proper scoring rules, ``kernels`` and ``ipm`` the integral probability metrics, ``transport`` the Wasserstein
distances, ``gan`` the adversarial losses, ``two_step`` the loop that trains a generator by any of them.
"""

from gmtools.comparison.divergences import (
    F_DIVERGENCES,
    FDivergence,
    bregman_ratio_loss,
    f_divergence,
    variational_bound,
)
from gmtools.comparison.gan import (
    GAN_LOSSES,
    GanLoss,
    gan_loss,
    gradient_penalty,
    r1_penalty,
    smoothed_discriminator_loss,
    spectral_normalise,
)
from gmtools.comparison.ipm import (
    cramer_distance,
    energy_distance,
    mmd2,
    moment_distance,
    total_variation,
    witness,
)
from gmtools.comparison.kernels import KERNELS, Kernel, distances, median_heuristic
from gmtools.comparison.logistic import logistic_regression
from gmtools.comparison.pair import GaussianPair
from gmtools.comparison.ratio import KernelRatio, class_log_ratio, kliep, ratio_by_classification, ulsif
from gmtools.comparison.scoring import (
    SCORING_RULES,
    ScoringRule,
    classification_loss,
    energy_score,
    score,
    score_divergence,
)
from gmtools.comparison.transport import (
    Sinkhorn,
    frechet_distance,
    sinkhorn,
    sinkhorn_divergence,
    wasserstein,
    wasserstein_1d,
)
from gmtools.comparison.two_step import (
    Comparison,
    TwoStepHistory,
    by_classification,
    by_mmd,
    by_moments,
    by_ratio,
    two_step,
)

__all__ = [
    "F_DIVERGENCES",
    "GAN_LOSSES",
    "KERNELS",
    "SCORING_RULES",
    "Comparison",
    "FDivergence",
    "GanLoss",
    "GaussianPair",
    "Kernel",
    "KernelRatio",
    "ScoringRule",
    "Sinkhorn",
    "TwoStepHistory",
    "bregman_ratio_loss",
    "by_classification",
    "by_mmd",
    "by_moments",
    "by_ratio",
    "class_log_ratio",
    "classification_loss",
    "cramer_distance",
    "distances",
    "energy_distance",
    "energy_score",
    "f_divergence",
    "frechet_distance",
    "gan_loss",
    "gradient_penalty",
    "kliep",
    "logistic_regression",
    "median_heuristic",
    "mmd2",
    "moment_distance",
    "r1_penalty",
    "ratio_by_classification",
    "score",
    "score_divergence",
    "sinkhorn",
    "sinkhorn_divergence",
    "smoothed_discriminator_loss",
    "spectral_normalise",
    "total_variation",
    "two_step",
    "ulsif",
    "variational_bound",
    "wasserstein",
    "wasserstein_1d",
    "witness",
]
