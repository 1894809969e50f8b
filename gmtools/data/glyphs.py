"""Letters of three alphabets, drawn with the DejaVu fonts that matplotlib ships."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gmtools.checks import check_choice, check_count, check_shape

ALPHABETS = {
    "latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "greek": "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
    "cyrillic": "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЬЮЯ",  # the Bulgarian alphabet
}

# Cyrillic letters that a model trained on Latin and Greek has in effect already seen.
LOOK_ALIKES = {"upper": "АВГЕКМНОПРСТУФХ", "lower": "аекорсуфх"}

FACES = {
    "sans": "DejaVuSans",
    "sans bold": "DejaVuSans-Bold",
    "sans oblique": "DejaVuSans-Oblique",
    "sans bold oblique": "DejaVuSans-BoldOblique",
    "serif": "DejaVuSerif",
    "serif bold": "DejaVuSerif-Bold",
    "serif italic": "DejaVuSerif-Italic",
    "serif bold italic": "DejaVuSerif-BoldItalic",
    "mono": "DejaVuSansMono",
    "mono bold": "DejaVuSansMono-Bold",
    "mono oblique": "DejaVuSansMono-Oblique",
    "mono bold oblique": "DejaVuSansMono-BoldOblique",
}


class GlyphSet(NamedTuple):
    """Images of letters.

    Attributes:
        images: ink in [0, 1], shape ``(N, 1, S, S)``; a letter's faces stand one after the other.
        labels: index into ``characters``, shape ``(N,)``.
        faces: index into the faces that were asked for, shape ``(N,)``.
        characters: the letters.
    """

    images: Tensor
    labels: Tensor
    faces: Tensor
    characters: str


def glyphs(
    alphabet: str = "latin", *, case: str = "upper", size: int = 28, faces: tuple[str, ...] = tuple(FACES)
) -> GlyphSet:
    """Draw every letter of an alphabet in every face, centred.

    Args:
        alphabet: ``"latin"``, ``"greek"`` or ``"cyrillic"``.
        case: ``"upper"`` or ``"lower"``.
        size: side of the image in pixels.
        faces: keys of ``FACES``.

    Returns:
        A :class:`GlyphSet` of ``len(alphabet) * len(faces)`` images.

    Raises:
        ValueError: an unknown alphabet, case or face, no face, or a size too small to read (below 8).

    Reference: Lake, Salakhutdinov & Tenenbaum (2015), Human-level concept learning through probabilistic
    program induction (its Omniglot plays this part in the literature).

    Chapter: 1-why/11-one-shot-generalisation

    >>> letters = glyphs("cyrillic", faces=("sans", "serif"))
    >>> letters.images.shape, letters.characters[letters.labels[2]]
    (torch.Size([60, 1, 28, 28]), 'Б')
    """
    check_choice("alphabet", alphabet, tuple(ALPHABETS))
    check_choice("case", case, ("upper", "lower"))
    check_count("size", size, 8)
    check_count("number of faces", len(faces))
    for face in faces:
        check_choice("faces", face, tuple(FACES))
    characters = ALPHABETS[alphabet] if case == "upper" else ALPHABETS[alphabet].lower()
    fonts = [_font(face, size) for face in faces]
    images = torch.stack([_draw(c, font, size) for c in characters for font in fonts])
    labels = torch.arange(len(characters)).repeat_interleave(len(faces))
    return GlyphSet(images[:, None], labels, torch.arange(len(faces)).repeat(len(characters)), characters)


def jitter(images: Tensor, *, degrees: float = 8.0, scale: float = 0.1, shift: float = 0.05) -> Tensor:
    """Turn, stretch and move every image a little, each by its own random amount.

    Args:
        images: shape ``(N, C, H, W)``.
        degrees: standard deviation of the rotation.
        scale: standard deviation of the logarithm of the size, along each axis.
        shift: standard deviation of the displacement, as a fraction of the side.

    Returns:
        Images of the same shape, bilinearly resampled; zero comes in from outside.

    Raises:
        ValueError: the images have another rank.

    Chapter: 1-why/11-one-shot-generalisation

    >>> jitter(torch.rand(5, 1, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """
    check_shape("images", images, "N", "C", "H", "W")
    n = len(images)
    angle = torch.deg2rad(degrees * torch.randn(n))
    stretch = torch.exp(scale * torch.randn(n, 2))
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(n, 2, 2)
    move = 2 * shift * torch.randn(n, 2, 1)  # the image spans [-1, 1]
    theta = torch.cat([rotation * stretch[:, None], move], -1).to(images)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _font(face: str, size: int):
    from matplotlib import get_data_path
    from PIL import ImageFont

    path = Path(get_data_path()) / "fonts" / "ttf" / f"{FACES[face]}.ttf"
    return ImageFont.truetype(str(path), round(0.64 * size))


def _draw(character: str, font, size: int) -> Tensor:
    import numpy as np
    from PIL import Image, ImageDraw

    page = Image.new("L", (size, size))
    left, top, right, bottom = font.getbbox(character)
    corner = (round((size - right - left) / 2), round((size - bottom - top) / 2))
    ImageDraw.Draw(page).text(corner, character, fill=255, font=font)
    return torch.from_numpy(np.asarray(page, dtype=np.float32)).to(torch.get_default_dtype()) / 255
