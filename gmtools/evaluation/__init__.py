"""How good is a model, in numbers with their uncertainty.

``likelihood`` has the negative log-likelihood and bits per dimension, ``two_sample`` tests with permutation
p-values, ``fidelity`` precision, recall, density, coverage and modes, ``calibration`` of probabilities and
posteriors, ``image_quality`` PSNR and SSIM.
"""

from gmtools.evaluation.calibration import (
    Reliability,
    expected_calibration_error,
    interval_coverage,
    pit,
    reliability_curve,
)
from gmtools.evaluation.fidelity import Fidelity, Modes, modes_covered, precision_recall
from gmtools.evaluation.image_quality import psnr, ssim
from gmtools.evaluation.likelihood import (
    Estimate,
    bits_per_dim,
    importance_bits_per_dim,
    inverse_logit_transform,
    logit_transform,
    mean_and_error,
    nll,
)
from gmtools.evaluation.two_sample import TestResult, classifier_test, mmd_test, permutation_test

__all__ = [
    "Estimate",
    "Fidelity",
    "Modes",
    "Reliability",
    "TestResult",
    "bits_per_dim",
    "classifier_test",
    "expected_calibration_error",
    "importance_bits_per_dim",
    "interval_coverage",
    "inverse_logit_transform",
    "logit_transform",
    "mean_and_error",
    "mmd_test",
    "modes_covered",
    "nll",
    "permutation_test",
    "pit",
    "precision_recall",
    "psnr",
    "reliability_curve",
    "ssim",
]
