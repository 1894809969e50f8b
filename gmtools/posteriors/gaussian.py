"""Gaussian posteriors: fully factorised, with full covariance, with a diagonal plus a low rank."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Independent, LowRankMultivariateNormal, MultivariateNormal, Normal

from gmtools.checks import check_count

from .parameters import Parameters, positive


class MeanField(nn.Module):
    r"""Fully factorised Gaussian posterior.

    .. math:: q(z \mid c) = \prod_{d=1}^D \mathcal{N}(z_d \mid \mu_d(c), \sigma_d(c)^2)

    Fitted to a Gaussian of precision :math:`\Lambda`, its optimum has the right means and the variances
    :math:`1 / \Lambda_{dd}`, smaller than the marginal ones :math:`(\Lambda^{-1})_{dd}`.

    Args:
        dim: size D of z.
        d_context: size of the context; 0 for free parameters.
        hidden: hidden layers of the network that reads the context.

    Shapes:
        ``forward(context=None)``: a Distribution of batch shape ``()``, or that of a context
        ``(..., d_context)``, and event shape ``(D,)``. Begins as a standard normal.

    Raises:
        ValueError: dim < 1, or a context that is missing, unexpected or of another size.

    Reference: Jordan, Ghahramani, Jaakkola & Saul (1999), An introduction to variational methods for
        graphical models.

    Chapter: 5-posteriors/50-mean-field

    >>> q = MeanField(2, d_context=3)(torch.zeros(7, 3))
    >>> q.batch_shape, q.event_shape
    (torch.Size([7]), torch.Size([2]))
    """

    def __init__(self, dim: int, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        check_count("dim", dim)
        self.parameters_of = Parameters(torch.zeros(2, dim), d_context, hidden)

    def forward(self, context: Tensor | None = None) -> Independent:
        loc, raw_scale = self.parameters_of(context).unbind(-2)
        return Independent(Normal(loc, positive(raw_scale)), 1)


class FullCovariance(nn.Module):
    r"""Gaussian posterior with all covariances, by its Cholesky factor.

    .. math:: q(z \mid c) = \mathcal{N}(z \mid \mu(c), L(c) L(c)^\top)

    L is lower triangular with a positive diagonal: D(D + 1)/2 numbers, and :math:`O(D^2)` a draw.

    Args:
        dim: size D of z.
        d_context: size of the context; 0 for free parameters.
        hidden: hidden layers of the network that reads the context.

    Shapes:
        ``forward(context=None)``: a Distribution of batch shape ``()``, or that of a context
        ``(..., d_context)``, and event shape ``(D,)``. Begins as a standard normal.

    Raises:
        ValueError: dim < 1, or a context that is missing, unexpected or of another size.

    Reference: Opper & Archambeau (2009), The variational Gaussian approximation revisited.

    Chapter: 5-posteriors/54-posterior-families

    >>> FullCovariance(3)().covariance_matrix.shape
    torch.Size([3, 3])
    """

    def __init__(self, dim: int, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        check_count("dim", dim)
        self.parameters_of = Parameters(torch.zeros(1 + dim, dim), d_context, hidden)

    def forward(self, context: Tensor | None = None) -> MultivariateNormal:
        raw = self.parameters_of(context)
        return MultivariateNormal(raw[..., 0, :], scale_tril=cholesky_factor(raw[..., 1:, :]))


def cholesky_factor(raw: Tensor) -> Tensor:
    """Read a square matrix ``(..., D, D)`` as a Cholesky factor: lower triangle, positive diagonal.

    >>> cholesky_factor(torch.zeros(2, 2)).round()
    tensor([[1., 0.],
            [0., 1.]])
    """
    return raw.tril(-1) + positive(raw.diagonal(dim1=-2, dim2=-1)).diag_embed()


class LowRankCovariance(nn.Module):
    r"""Gaussian posterior whose covariance is a diagonal plus a matrix of low rank.

    .. math:: q(z \mid c) = \mathcal{N}\big(z \mid \mu(c),\operatorname{diag} \sigma(c)^2 + W(c)W(c)^\top\big)

    D(R + 2) numbers and :math:`O(D R^2)` a draw with its density: between mean field (R = 0) and full.

    Args:
        dim: size D of z.
        rank: number R of columns of W.
        d_context: size of the context; 0 for free parameters.
        hidden: hidden layers of the network that reads the context.

    Shapes:
        ``forward(context=None)``: a Distribution of batch shape ``()``, or that of a context
        ``(..., d_context)``, and event shape ``(D,)``. Begins near a standard normal, with a small random W:
        at W = 0 its gradient would vanish.

    Raises:
        ValueError: dim < 1, rank < 1, or a context that is missing, unexpected or of another size.

    Reference: Ong, Nott & Smith (2018), Gaussian variational approximation with a factor covariance
        structure.

    Chapter: 5-posteriors/54-posterior-families

    >>> LowRankCovariance(5, rank=2)().cov_factor.shape
    torch.Size([5, 2])
    """

    def __init__(self, dim: int, rank: int, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        check_count("dim", dim)
        check_count("rank", rank)
        initial = torch.cat([torch.zeros(2, dim), 0.1 * torch.randn(rank, dim)])
        self.parameters_of = Parameters(initial, d_context, hidden)

    def forward(self, context: Tensor | None = None) -> LowRankMultivariateNormal:
        raw = self.parameters_of(context)
        scale, factor = positive(raw[..., 1, :]), raw[..., 2:, :].mT
        return LowRankMultivariateNormal(raw[..., 0, :], factor, scale**2)
