"""Data to learn from, none of it downloaded at import.

``toys`` and ``curves`` hold planar densities with known entropy, ``digits`` scikit-learn's digits, ``images``
MNIST and Fashion-MNIST, ``photographs`` patches of two real pictures, ``glyphs`` letters of three alphabets,
``sprites`` shapes with known factors of variation, ``scenes`` pictures put together, ``solids`` bodies as
voxels, ``image_set`` the form of labelled images and their dequantisation.
"""

from gmtools.data.curves import NoisyCurves, Rings, Spirals, TwoMoons
from gmtools.data.digits import digits
from gmtools.data.glyphs import ALPHABETS, FACES, LOOK_ALIKES, GlyphSet, glyphs, jitter
from gmtools.data.image_set import ImageSet, Splits, dequantise
from gmtools.data.images import fashion_mnist, mnist
from gmtools.data.photographs import photo_patches
from gmtools.data.scenes import scenes
from gmtools.data.solids import SOLIDS, solids
from gmtools.data.sprites import FACTORS, SHAPES, factor_grid, render_sprites, sample_factors
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
    "ALPHABETS",
    "FACES",
    "FACTORS",
    "LOOK_ALIKES",
    "SHAPES",
    "SOLIDS",
    "TOYS",
    "Checkerboard",
    "EightGaussians",
    "GaussianGrid",
    "GaussianMixture2D",
    "GlyphSet",
    "ImageSet",
    "NoisyCurves",
    "Pinwheel",
    "Rings",
    "Spirals",
    "Splits",
    "Toy",
    "TwoMoons",
    "dequantise",
    "digits",
    "factor_grid",
    "fashion_mnist",
    "glyphs",
    "jitter",
    "mnist",
    "photo_patches",
    "render_sprites",
    "sample_factors",
    "scenes",
    "solids",
]
