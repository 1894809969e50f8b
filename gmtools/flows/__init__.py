"""Normalising flows.

``core`` the contract, composition, inversion, the distribution; ``elementwise`` permutation, shift and scale,
logistic; ``linear`` a full matrix; ``planar`` and ``sylvester`` stacks of low-rank layers; ``coupling`` Real
NVP; ``autoregressive`` MAF and IAF; ``spline`` rational-quadratic splines; ``root`` monotone equations;
``circle``, ``sphere``, ``exponential_map`` and ``embedding`` flows on manifolds.
"""

from gmtools.flows.autoregressive import Autoregressive, masked_autoregressive_flow
from gmtools.flows.circle import MobiusMap, circular_features, torus_flow, uniform_angles
from gmtools.flows.core import Bijection, Compose, Flow, Inverse, standard_normal
from gmtools.flows.coupling import AffineMap, Coupling, CouplingStack, real_nvp
from gmtools.flows.elementwise import Affine, Elementwise, Permute, Sigmoid
from gmtools.flows.embedding import (
    CircleEmbedding,
    Embedding,
    SphereEmbedding,
    TorusEmbedding,
    log_volume,
)
from gmtools.flows.exponential_map import ExponentialMap, exponential_map_flow
from gmtools.flows.linear import InvertibleLinear
from gmtools.flows.planar import Planar, Radial
from gmtools.flows.root import monotone_root
from gmtools.flows.sphere import sphere_flow, uniform_cylinder
from gmtools.flows.spline import SplineMap, neural_spline_flow, rational_quadratic
from gmtools.flows.sylvester import Sylvester

__all__ = [
    "Affine",
    "AffineMap",
    "Autoregressive",
    "Bijection",
    "CircleEmbedding",
    "Compose",
    "Coupling",
    "CouplingStack",
    "Elementwise",
    "Embedding",
    "ExponentialMap",
    "Flow",
    "Inverse",
    "InvertibleLinear",
    "MobiusMap",
    "Permute",
    "Planar",
    "Radial",
    "Sigmoid",
    "SphereEmbedding",
    "SplineMap",
    "Sylvester",
    "TorusEmbedding",
    "circular_features",
    "exponential_map_flow",
    "log_volume",
    "masked_autoregressive_flow",
    "monotone_root",
    "neural_spline_flow",
    "rational_quadratic",
    "real_nvp",
    "sphere_flow",
    "standard_normal",
    "torus_flow",
    "uniform_angles",
    "uniform_cylinder",
]
