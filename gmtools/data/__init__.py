"""Data to learn from, none of it downloaded at import.

``toys`` and ``curves`` hold planar densities with known entropy.
"""

from gmtools.data.curves import NoisyCurves, Rings, Spirals, TwoMoons
from gmtools.data.toys import Checkerboard, EightGaussians, GaussianGrid, GaussianMixture2D, Pinwheel, Toy

TOYS: dict[str, type[Toy]] = {
    "two_moons": TwoMoons,
    "eight_gaussians": EightGaussians,
    "gaussian_grid": GaussianGrid,
    "checkerboard": Checkerboard,
    "pinwheel": Pinwheel,
    "rings": Rings,
    "spirals": Spirals,
}

__all__ = [
    "TOYS",
    "Checkerboard",
    "EightGaussians",
    "GaussianGrid",
    "GaussianMixture2D",
    "NoisyCurves",
    "Pinwheel",
    "Rings",
    "Spirals",
    "Toy",
    "TwoMoons",
]
