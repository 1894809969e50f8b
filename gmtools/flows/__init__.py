"""Normalising flows.

``core`` the contract, composition, inversion, the distribution; ``elementwise`` permutation, shift and scale,
logistic; ``linear`` a full matrix; ``planar`` and ``sylvester`` stacks of low-rank layers; ``coupling`` Real
NVP; ``autoregressive`` MAF and IAF; ``spline`` rational-quadratic splines; ``root`` monotone equations;
``circle``, ``sphere`` and ``embedding`` flows on manifolds.
"""

from gmtools.flows.autoregressive import Autoregressive, masked_autoregressive_flow
from gmtools.flows.core import Bijection, Compose, Flow, Inverse, standard_normal
from gmtools.flows.coupling import AffineMap, Coupling, real_nvp
from gmtools.flows.elementwise import Affine, Elementwise, Permute, Sigmoid
from gmtools.flows.linear import InvertibleLinear
from gmtools.flows.planar import Planar, Radial
from gmtools.flows.root import monotone_root
from gmtools.flows.spline import SplineMap, neural_spline_flow, rational_quadratic
from gmtools.flows.sylvester import Sylvester

__all__ = [
    "Affine",
    "AffineMap",
    "Autoregressive",
    "Bijection",
    "Compose",
    "Coupling",
    "Elementwise",
    "Flow",
    "Inverse",
    "InvertibleLinear",
    "Permute",
    "Planar",
    "Radial",
    "Sigmoid",
    "SplineMap",
    "Sylvester",
    "masked_autoregressive_flow",
    "monotone_root",
    "neural_spline_flow",
    "rational_quadratic",
    "real_nvp",
    "standard_normal",
]
