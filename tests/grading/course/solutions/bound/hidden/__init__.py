"""The hidden part of the small lab that the grader's tests and benchmark stand on, one file an exercise."""

# The parts in the order of the exercises: each registers what it holds.
# ruff: noqa: F401, I001
from .common import hidden
from . import gaussian_kl
from . import bernoulli_log_likelihood
from . import elbo
