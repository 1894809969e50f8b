"""An invertible linear map through its LU factors."""

import torch
from torch import Tensor, nn

from gmtools.flows.core import Bijection


class InvertibleLinear(Bijection):
    r"""A full linear map whose determinant costs O(D), for its factors are triangular.

    .. math::

        x = P L (U + \operatorname{diag}(\sigma e^{s})) z + b, \qquad \log |\det J| = \sum_i s_i

    P is a permutation, L lower triangular with ones on its diagonal, U strictly upper triangular, and the
    signs :math:`\sigma` are fixed. Begins as a random orthogonal matrix. A call forward forms
    L U, O(D³), then multiplies, O(D²) a point; inverse is two triangular solves, O(D²) a point.

    Args:
        dim: size D.

    Reference: Kingma, Dhariwal (2018), Glow: generative flow with invertible 1x1 convolutions.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> f = InvertibleLinear(3)
    >>> x, ladj = f(torch.randn(5, 3))
    >>> torch.allclose(f.weight().slogdet().logabsdet, ladj, atol=1e-5)
    True
    """

    def __init__(self, dim: int):
        super().__init__(dim)
        orthogonal, _ = torch.linalg.qr(torch.randn(dim, dim))
        permutation, lower, upper = torch.linalg.lu(orthogonal)
        self.register_buffer("rows", permutation.argmax(1))  # (P A)[i] = A[rows[i]]
        self.register_buffer("signs", upper.diagonal().sign())
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.bias = nn.Parameter(torch.zeros(dim))

    def weight(self) -> Tensor:
        """The matrix of the map, ``(D, D)``."""
        lower, upper = self._factors()
        return (lower @ upper)[self.rows]

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        x = torch.nn.functional.linear(z, self.weight(), self.bias)
        return x, self.log_diagonal.sum().expand(z.shape[:-1])

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        lower, upper = self._factors()
        y = (x - self.bias)[..., self.rows.argsort()]
        y = y.reshape(-1, self.dim).T  # one column a point
        y = torch.linalg.solve_triangular(lower, y, upper=False, unitriangular=True)
        z = torch.linalg.solve_triangular(upper, y, upper=True).T
        return z.reshape(x.shape), -self.log_diagonal.sum().expand(x.shape[:-1])

    def _factors(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(self.dim, dtype=self.lower.dtype, device=self.lower.device)
        upper = self.upper.triu(1) + (self.signs * self.log_diagonal.exp()).diag()
        return self.lower.tril(-1) + identity, upper
