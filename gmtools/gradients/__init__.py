r"""Estimators of :math:`\nabla_\phi \mathbb{E}_{q_\phi(z)}[f(z)]` (slides 42 to 48).

Each is a function ``estimator(f, q, K, ...)`` that returns a surrogate of shape ``q.batch_shape``: its value
estimates the expectation and ``backward`` the gradient, in the parameters of q and in those inside f.
``score_function.py`` differentiates the density, ``pathwise.py`` the path (explicit or implicit),
``gaussian.py`` uses what is known of Gaussians, ``measure_valued.py`` splits the density's derivative,
``relaxed.py`` smooths discrete draws (biased), ``multi_sample.py`` holds the estimators for variational
bounds, which take :math:`\log p(x, z)` for f. ``variance.py`` measures bias and variance; ``surrogate.py`` is
what all are made of.
"""

from .gaussian import gaussian_first_order, gaussian_second_order
from .measure_valued import WeakDerivative, measure_valued
from .multi_sample import doubly_reparametrised, sticking_the_landing, vimco
from .pathwise import VonMises, implicit, pathwise
from .relaxed import gumbel_softmax, relax, straight_through
from .score_function import leave_one_out, score_function
from .surrogate import attach
from .variance import GradientMoments, gradient_moments, gradient_samples

__all__ = [
    "GradientMoments",
    "VonMises",
    "WeakDerivative",
    "attach",
    "doubly_reparametrised",
    "gaussian_first_order",
    "gaussian_second_order",
    "gradient_moments",
    "gradient_samples",
    "gumbel_softmax",
    "implicit",
    "leave_one_out",
    "measure_valued",
    "pathwise",
    "relax",
    "score_function",
    "sticking_the_landing",
    "straight_through",
    "vimco",
]
