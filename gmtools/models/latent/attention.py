"""Differentiable windows of an image: the Gaussian filter bank of DRAW and the spatial transformer of AIR."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gmtools.checks import check_count, check_shape


def filter_bank(centre: Tensor, stride: Tensor, variance: Tensor, points: int, size: int) -> Tensor:
    r"""Gaussian filters along one axis, each normalised to sum to one.

    .. math:: \mu_i = g + \left(i - \frac{P - 1}{2}\right) \delta, \qquad
              F_{ia} = \frac{1}{Z_i} \exp\left(-\frac{(a - \mu_i)^2}{2 \sigma^2}\right), \qquad a = 0, \dots,
              S - 1

    Args:
        centre, stride, variance: g, :math:`\delta`, :math:`\sigma^2` in pixels, shape ``(N,)``.
        points: number of filters P.
        size: number of pixels S along the axis.

    Returns:
        shape ``(N, P, S)``.

    Reference: K. Gregor and others, DRAW: A Recurrent Neural Network for Image Generation, 2015.
    Chapter: 3-inference/40-richer-vaes.

    >>> one = torch.ones(1)
    >>> filter_bank(2 * one, one, 1e-4 * one, points=3, size=5)[0].round()
    tensor([[0., 1., 0., 0., 0.],
            [0., 0., 1., 0., 0.],
            [0., 0., 0., 1., 0.]])
    """
    check_count("points", points)
    check_count("size", size)
    offset = torch.arange(points, dtype=centre.dtype, device=centre.device) - (points - 1) / 2
    mean = centre[:, None] + offset * stride[:, None]
    pixel = torch.arange(size, dtype=centre.dtype, device=centre.device)
    exponent = -(pixel - mean[..., None]).square() / (2 * variance[:, None, None])
    return exponent.softmax(-1)  # softmax: a window far outside the image does not divide by zero


def read_window(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    r"""The window that two filter banks see.

    .. math:: w = F_y\, x\, F_x^\top

    Args:
        image: shape ``(N, H, W)``.
        rows: shape ``(N, P, H)``.
        columns: shape ``(N, P, W)``.

    Returns:
        shape ``(N, P, P)``.

    Reference: K. Gregor and others, DRAW: A Recurrent Neural Network for Image Generation, 2015.
    Chapter: 3-inference/40-richer-vaes.

    >>> read_window(torch.ones(1, 4, 4), torch.eye(4)[None, 1:3], torch.eye(4)[None, 1:3]).shape
    torch.Size([1, 2, 2])
    """
    return rows @ image @ columns.mT


def write_window(window: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    r"""Paint a window into an image: the adjoint of :func:`read_window`.

    .. math:: x = F_y^\top w\, F_x, \qquad \langle \operatorname{read}(x), w \rangle
              = \langle x, \operatorname{write}(w) \rangle

    Args:
        window: shape ``(N, P, P)``.
        rows: shape ``(N, P, H)``.
        columns: shape ``(N, P, W)``.

    Returns:
        shape ``(N, H, W)``.

    Reference: K. Gregor and others, DRAW: A Recurrent Neural Network for Image Generation, 2015.
    Chapter: 3-inference/40-richer-vaes.

    >>> write_window(torch.ones(1, 2, 2), torch.eye(4)[None, 1:3], torch.eye(4)[None, 1:3])[0].sum()
    tensor(4.)
    """
    return rows.mT @ window @ columns


def crop(image: Tensor, where: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Cut a window out of an image with a spatial transformer (bilinear interpolation, zeros outside).

    .. math:: w(u) = x(s\, u + t), \qquad u \in [-1, 1]^2

    Args:
        image: shape ``(N, C, H, W)``.
        where: scale s and shift t = (t_x, t_y), shape ``(N, 3)``; the image spans [-1, 1] along both axes.
        size: height and width of the window.

    Returns:
        shape ``(N, C, *size)``.

    Reference: S. M. A. Eslami and others, Attend, Infer, Repeat: Fast Scene Understanding with Generative
    Models, 2016. Chapter: 3-inference/40-richer-vaes.

    >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> torch.allclose(crop(image, torch.tensor([[1.0, 0.0, 0.0]]), (4, 4)), image, atol=1e-5)
    True
    """
    check_shape("where", where, image.shape[0], 3)
    return _transform(image, where[:, :1], where[:, 1:], size)


def paste(window: Tensor, where: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Put a window into an empty image, at the place from which :func:`crop` would cut it.

    .. math:: x(v) = w\left(\frac{v - t}{s}\right), \qquad v \in [-1, 1]^2

    Args:
        window: shape ``(N, C, h, w)``.
        where: scale s and shift t = (t_x, t_y), shape ``(N, 3)``.
        size: height and width of the image.

    Returns:
        shape ``(N, C, *size)``.

    Reference: S. M. A. Eslami and others, Attend, Infer, Repeat: Fast Scene Understanding with Generative
    Models, 2016. Chapter: 3-inference/40-richer-vaes.

    >>> paste(torch.ones(1, 1, 2, 2), torch.tensor([[0.5, 0.5, 0.5]]), (4, 4))[0, 0].round()
    tensor([[0., 0., 0., 0.],
            [0., 0., 0., 0.],
            [0., 0., 1., 1.],
            [0., 0., 1., 1.]])
    """
    check_shape("where", where, window.shape[0], 3)
    inverse = 1 / where[:, :1]
    return _transform(window, inverse, -where[:, 1:] * inverse, size)


def _transform(image: Tensor, scale: Tensor, shift: Tensor, size: tuple[int, int]) -> Tensor:
    zero = torch.zeros_like(scale)
    affine = torch.stack(
        (torch.cat((scale, zero, shift[:, :1]), 1), torch.cat((zero, scale, shift[:, 1:]), 1)), 1
    )
    grid = F.affine_grid(affine, [image.shape[0], image.shape[1], *size], align_corners=False)
    return F.grid_sample(image, grid, padding_mode="zeros", align_corners=False)
