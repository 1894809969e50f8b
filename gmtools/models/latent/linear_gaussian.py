r"""The linear-Gaussian latent-variable model: factor analysis, and probabilistic PCA where the noise is
isotropic."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

from gmtools.checks import check_count, check_positive, check_shape
from gmtools.models.latent.base import LatentVariableModel, check_data


class LinearGaussian(LatentVariableModel):
    r"""Linear-Gaussian model: factor analysis, or probabilistic PCA when isotropic.

    .. math:: z \sim \mathcal N(0, I_d), \qquad x \mid z, \theta \sim \mathcal N(\theta_0 + \theta_1 z,
              \operatorname{diag} e^{\theta_2}), \qquad \theta \sim \mathcal N(0, \kappa^2 I)

    The marginal and the posterior are Gaussian:

    .. math::

        p(x \mid \theta) = \mathcal N(\theta_0, \theta_1 \theta_1^\top + \operatorname{diag} e^{\theta_2}),
              \qquad p(z \mid x, \theta) = \mathcal N(M^{-1} \theta_1^\top \Psi^{-1} (x - \theta_0), M^{-1}),

    with :math:`\Psi = \operatorname{diag} e^{\theta_2}` and :math:`M = I + \theta_1^\top \Psi^{-1} \theta_1`.

    Args:
        d_x: dimension D of the data.
        d_z: dimension d of the latent variable.
        isotropic: one variance for all dimensions (probabilistic PCA) instead of one each (factor analysis).

    Parameters: ``theta0`` of shape ``(D,)``, ``theta1`` of shape ``(D, d)``, ``theta2`` of shape ``(D,)``, or
    ``(1,)`` when isotropic.

    Reference: M. E. Tipping, C. M. Bishop, Probabilistic Principal Component Analysis, 1999.
    Chapter: 2-models/22-linear-gaussian-model.

    >>> model = LinearGaussian(d_x=5, d_z=2)
    >>> x = model.sample(7)
    >>> model.log_prob(x).shape, model.posterior(x).mean.shape
    (torch.Size([7]), torch.Size([7, 2]))
    """

    def __init__(self, d_x: int, d_z: int, isotropic: bool = False):
        super().__init__()
        check_count("d_x", d_x)
        check_count("d_z", d_z)
        self.d_x, self.d_z, self.isotropic = d_x, d_z, isotropic
        self.theta0 = nn.Parameter(torch.zeros(d_x))
        self.theta1 = nn.Parameter(torch.randn(d_x, d_z) / math.sqrt(d_z))
        self.theta2 = nn.Parameter(torch.zeros(1 if isotropic else d_x))

    def variance(self) -> Tensor:
        """The noise variances, shape ``(D,)``."""
        return self.theta2.exp().expand(self.d_x)

    def marginal(self) -> LowRankMultivariateNormal:
        """The marginal p(x), a Gaussian of low rank plus diagonal."""
        return LowRankMultivariateNormal(self.theta0, self.theta1, self.variance())

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """The exact posterior p(z | x) of data ``(..., D)``: batch shape ``(...)``, event shape ``(d,)``."""
        check_shape("x", x, "...", self.d_x)
        scaled = self.theta1 / self.variance()[:, None]
        identity = torch.eye(self.d_z, dtype=x.dtype, device=x.device)
        precision = identity + self.theta1.T @ scaled
        projected = torch.atleast_2d((x - self.theta0) @ scaled)
        mean = torch.linalg.solve(precision, projected.mT).mT.reshape(*x.shape[:-1], self.d_z)
        return MultivariateNormal(mean, precision_matrix=precision)

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-density of data ``(..., D)``, shape ``(...)``, in nats."""
        check_shape("x", x, "...", self.d_x)
        return self.marginal().log_prob(x)

    def proposal(self, x: Tensor) -> MultivariateNormal:
        """The exact posterior, so that every log-weight equals ``log_prob``."""
        return self.posterior(x)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """The log-joint of data ``(N, D)`` and latents ``(K, N, d)``, shape ``(K, N)``."""
        check_shape("z", z, "...", self.d_z)
        noise = torch.distributions.Normal(z @ self.theta1.T + self.theta0, self.variance().sqrt())
        prior = torch.distributions.Normal(torch.zeros_like(z), 1.0)
        return noise.log_prob(x).sum(-1) + prior.log_prob(z).sum(-1)

    def sample(self, n: int) -> Tensor:
        """Draw n data points, ``(n, D)``, through the latent variable."""
        check_count("n", n)
        with torch.no_grad():
            z = torch.randn(n, self.d_z, dtype=self.theta0.dtype, device=self.theta0.device)
            noise = torch.randn(n, self.d_x, dtype=self.theta0.dtype, device=self.theta0.device)
            return self.theta0 + z @ self.theta1.T + self.variance().sqrt() * noise

    def log_prior(self, kappa: float) -> Tensor:
        r"""The log-density of the parameters, :math:`\log \rho(\theta) = \sum \log \mathcal N(\theta_i \mid
        0, \kappa^2)`.

        Args:
            kappa: standard deviation of the prior.

        Returns:
            a scalar, in nats.
        """
        check_positive("kappa", kappa)
        prior = torch.distributions.Normal(0.0, kappa)
        return sum(prior.log_prob(theta).sum() for theta in self.parameters())

    @torch.no_grad()
    def sample_parameters_(self, kappa: float) -> "LinearGaussian":
        """Draw all parameters from their prior, in place: the top of the hierarchy. Returns the model."""
        check_positive("kappa", kappa)
        for theta in self.parameters():
            theta.normal_(0.0, kappa)
        return self


@torch.no_grad()
def fit_ppca(x: Tensor, d_z: int) -> LinearGaussian:
    r"""The maximum-likelihood probabilistic PCA, in closed form.

    .. math:: \theta_0 = \bar x, \qquad \sigma^2 = \frac{1}{D - d} \sum_{j > d} \lambda_j, \qquad
              \theta_1 = U_d (\Lambda_d - \sigma^2 I)^{1/2},

    with the eigenvalues :math:`\lambda_1 \ge \lambda_2 \ge \dots` and eigenvectors of the sample covariance
    (divided by N).

    Args:
        x: data, shape ``(N, D)``.
        d_z: dimension of the latent variable, less than D.

    Returns:
        an isotropic :class:`LinearGaussian` in the type of ``x``.

    Raises:
        ValueError: ``d_z`` is not below D, or the rest of the covariance vanishes.

    Reference: M. E. Tipping, C. M. Bishop, Probabilistic Principal Component Analysis, 1999.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> fit_ppca(torch.randn(50, 4), d_z=2).theta1.shape
    torch.Size([4, 2])
    """
    check_data(x)
    check_count("d_z", d_z)
    d_x = x.shape[1]
    if d_z >= d_x:
        raise ValueError(f"d_z is {d_z}, expected less than the dimension {d_x} of x")
    mean = x.mean(0)
    eigenvalues, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / x.shape[0])  # ascending
    variance = eigenvalues[: d_x - d_z].mean()
    if not variance > eigenvalues[-1] * torch.finfo(x.dtype).eps * d_x:
        raise ValueError(f"x lies in a subspace of dimension {d_z}; no noise variance is left to estimate")
    model = LinearGaussian(d_x, d_z, isotropic=True).to(x)
    model.theta0.copy_(mean)
    model.theta1.copy_(vectors[:, -d_z:] * (eigenvalues[-d_z:] - variance).clamp_min(0).sqrt())
    model.theta2.copy_(variance.log())
    return model
