r"""Families of approximate posteriors (slides 49 to 61), from the least to the most expressive.

Each is a module whose ``forward(context=None)`` gives a Distribution over z, for
``gmtools.distributions.rsample_and_log_prob``: free parameters without a context, amortised with one.
``gaussian.py`` holds mean field, full and low-rank covariance; ``mixture.py`` mixtures, reparametrised and
stratified; ``copula.py`` any marginals with a Gaussian copula; ``auxiliary.py`` hierarchical posteriors with
their bound; ``structured.py`` those that follow a graph of dependencies; ``flow.py`` normalising flows;
``fitting.py`` fits one and
measures its gap; ``parameters.py`` where their numbers come from.
"""

from .auxiliary import Auxiliary, AuxiliaryDistribution
from .copula import Copula, GaussianCopula, normal_mixtures, quantile
from .fitting import fit_posterior, gap
from .flow import FlowPosterior
from .gaussian import FullCovariance, LowRankCovariance, MeanField
from .mixture import Mixture, NormalMixture, stratified
from .parameters import Parameters, positive
from .structured import Structured, StructuredDistribution, chain_parents

__all__ = [
    "Auxiliary",
    "AuxiliaryDistribution",
    "Copula",
    "FlowPosterior",
    "FullCovariance",
    "GaussianCopula",
    "LowRankCovariance",
    "MeanField",
    "Mixture",
    "NormalMixture",
    "Parameters",
    "Structured",
    "StructuredDistribution",
    "chain_parents",
    "fit_posterior",
    "gap",
    "normal_mixtures",
    "positive",
    "quantile",
    "stratified",
]
