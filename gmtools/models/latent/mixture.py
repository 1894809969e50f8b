"""The Gaussian mixture, as a module with exact likelihood and posterior."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from gmtools.checks import check_count, check_shape


class GaussianMixture(nn.Module):
    r"""A mixture of C Gaussians with full covariances.

    .. math:: z \sim \operatorname{Cat}(\pi), \qquad x \mid z = c \sim \mathcal N(\mu_c, L_c L_c^\top), \qquad
              p(x) = \sum_c \pi_c\, \mathcal N(x \mid \mu_c, L_c L_c^\top)

    :math:`L_c` is lower triangular with a positive diagonal, :math:`\operatorname{softplus}` of a free
    parameter, so gradient ascent needs no constraint.

    Args:
        dim: dimension D of the data.
        components: number of components C.

    Parameters: ``logits`` of shape ``(C,)``, ``means`` of shape ``(C, D)``, ``raw_scale`` of shape ``(C, D,
    D)``.

    Reference: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, chapter 9.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> model = GaussianMixture(dim=2, components=3)
    >>> x = model.sample(5)
    >>> model.log_prob(x).shape, model.posterior(x).probs.shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(self, dim: int, components: int):
        super().__init__()
        check_count("dim", dim)
        check_count("components", components)
        self.dim, self.components = dim, components
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, dim))
        self.raw_scale = nn.Parameter(torch.zeros(components, dim, dim))
        with torch.no_grad():
            self.raw_scale.diagonal(dim1=-2, dim2=-1).fill_(_inverse_softplus(torch.tensor(1.0)))

    def scale_tril(self) -> Tensor:
        """The Cholesky factors of the covariances, shape ``(C, D, D)``."""
        diagonal = F.softplus(self.raw_scale.diagonal(dim1=-2, dim2=-1))
        return self.raw_scale.tril(-1) + torch.diag_embed(diagonal)

    @torch.no_grad()
    def set_(self, weights: Tensor, means: Tensor, covariances: Tensor) -> "GaussianMixture":
        """Set the parameters, for example to the result of an EM step. Returns the model.

        Args:
            weights: shape ``(C,)``, positive; normalised here.
            means: shape ``(C, D)``.
            covariances: shape ``(C, D, D)``, positive definite.
        """
        check_shape("weights", weights, self.components)
        check_shape("means", means, self.components, self.dim)
        check_shape("covariances", covariances, self.components, self.dim, self.dim)
        self.logits.copy_(weights.log())
        self.means.copy_(means)
        factor = torch.linalg.cholesky(covariances)
        diagonal = _inverse_softplus(factor.diagonal(dim1=-2, dim2=-1))
        self.raw_scale.copy_(factor.tril(-1) + torch.diag_embed(diagonal))
        return self

    def conditional(self) -> MultivariateNormal:
        """p(x | z) for every component: batch shape ``(C,)``, event shape ``(D,)``."""
        return MultivariateNormal(self.means, scale_tril=self.scale_tril())

    def marginal(self) -> MixtureSameFamily:
        """p(x) as a distribution."""
        return MixtureSameFamily(Categorical(logits=self.logits), self.conditional())

    def _log_joint(self, x: Tensor) -> Tensor:
        check_shape("x", x, "...", self.dim)
        return self.logits.log_softmax(0) + self.conditional().log_prob(x[..., None, :])

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-density of data ``(..., D)``, shape ``(...)``, in nats."""
        return self._log_joint(x).logsumexp(-1)

    def posterior(self, x: Tensor) -> Categorical:
        """The responsibilities p(z | x) of data ``(..., D)``: a categorical distribution, ``(..., C)``."""
        return Categorical(logits=self._log_joint(x))

    def sample(self, n: int) -> Tensor:
        """Draw n data points, ``(n, D)``."""
        check_count("n", n)
        with torch.no_grad():
            return self.marginal().sample((n,))


def _inverse_softplus(y: Tensor) -> Tensor:
    """The x with softplus(x) = y.

    >>> F.softplus(_inverse_softplus(torch.tensor(0.3)))
    tensor(0.3000)
    """
    return y + torch.log(-torch.expm1(-y))
