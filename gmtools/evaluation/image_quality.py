r"""Distortion of images: peak signal-to-noise ratio and structural similarity."""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from gmtools.checks import check_float, check_positive, check_shape


def psnr(image: Tensor, reference: Tensor, peak: float = 1.0) -> Tensor:
    r"""Peak signal-to-noise ratio of every image, in decibels.

    .. math:: 10 \log_{10} \frac{\text{peak}^2}{\text{mean squared error}}

    Args:
        image: shape ``(N, C, H, W)``.
        reference: same shape.
        peak: the largest value a pixel can take.

    Returns:
        Shape ``(N,)``; infinite where the images are equal.

    Raises:
        ValueError: shapes that differ, whole numbers, or a peak that is not positive.

    Reference: Huynh-Thu & Ghanbari (2008), Scope of validity of PSNR in image/video quality assessment.

    Chapter: 1-why/07-super-resolution

    >>> psnr(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.1))
    tensor([20.])
    """
    check_shape("image", image, "N", "C", "H", "W")
    check_shape("reference", reference, *image.shape)
    check_float("image", image)
    check_float("reference", reference)
    check_positive("peak", peak)
    error = (image - reference).square().flatten(1).mean(1)
    return 20 * math.log10(peak) - 10 * error.log10()


def ssim(image: Tensor, reference: Tensor, peak: float = 1.0) -> Tensor:
    r"""Structural similarity of every image, averaged over channels and windows.

    .. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
              {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}, \qquad
              c_1 = (0.01\,\text{peak})^2, \quad c_2 = (0.03\,\text{peak})^2

    with local moments under a Gaussian window of 11 x 11 pixels and standard deviation 1.5, only where the
    window fits.

    Args:
        image: shape ``(N, C, H, W)``, at least 11 x 11 pixels.
        reference: same shape.
        peak: the largest value a pixel can take.

    Returns:
        Shape ``(N,)``, at most 1, which only equal images reach.

    Raises:
        ValueError: shapes that differ, whole numbers, images smaller than the window, or a peak that is not
            positive.

    Reference: Wang, Bovik, Sheikh & Simoncelli (2004), Image quality assessment: from error visibility to
    structural similarity.

    Chapter: 1-why/07-super-resolution

    >>> x = torch.rand(2, 1, 16, 16)
    >>> torch.allclose(ssim(x, x), torch.ones(2))
    True
    """
    check_shape("image", image, "N", "C", "H", "W")
    check_shape("reference", reference, *image.shape)
    check_float("image", image)
    check_float("reference", reference)
    check_positive("peak", peak)
    if min(image.shape[-2:]) < 11:
        raise ValueError(f"image has shape {tuple(image.shape)}, expected at least 11 x 11 pixels")
    offset = torch.arange(11, dtype=image.dtype, device=image.device) - 5
    weight = (-0.5 * (offset / 1.5).square()).exp()
    weight = weight / weight.sum()
    window = torch.outer(weight, weight)[None, None]

    def local(x: Tensor) -> Tensor:
        return conv2d(x.flatten(0, 1)[:, None], window).reshape(*x.shape[:2], -1)

    mean_x, mean_y = local(image), local(reference)
    var_x = local(image.square()) - mean_x.square()
    var_y = local(reference.square()) - mean_y.square()
    covariance = local(image * reference) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).flatten(1).mean(1)
