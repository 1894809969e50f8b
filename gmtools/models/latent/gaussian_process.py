"""The Gaussian-process latent variable model: nonlinear functions of the latents, integrated out exactly."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from gmtools.checks import check_choice, check_count, check_shape
from gmtools.models.latent.base import check_data

KERNELS = ("gaussian", "linear")


class GPLatentVariableModel(nn.Module):
    r"""A latent variable model whose decoder is a Gaussian process, integrated out.

    .. math::

        z_n \sim \mathcal N(0, I_d), \qquad f_j \sim \mathcal{GP}(0, k), \qquad
        x_{nj} \mid z_n, f \sim \mathcal N(\mu_j + f_j(z_n), \sigma^2)

    Given the latents of all N data points, every column of the data is one draw of an N-dimensional Gaussian,

    .. math::

        p(X \mid Z) = \prod_{j=1}^{D} \mathcal N(x_{\cdot j} \mid \mu_j 1, K(Z, Z) + \sigma^2 I),

    and the latents are found, with the kernel's parameters, at the maximum of ``log_joint()``. The model has
    seen its data when it is built: a latent belongs to each of them, and the mean of a column is fixed. The
    latents begin at the principal components. A linear kernel makes it probabilistic PCA, with the weights
    integrated out in place of the latents. Costs O(N³) a step.

    Args:
        x: data, shape ``(N, D)``; the model takes its type.
        d_z: dimension d of the latent variable, at most the smaller of N and D.
        kernel: ``"gaussian"``, :math:`a^2 e^{-\|z - z'\|^2 / 2 \ell^2}`, or ``"linear"``,
            :math:`a^2 z^\top z'`.

    Parameters: ``z`` of shape ``(N, d)``; scalars ``log_amplitude``, ``log_length``, ``log_noise``, the
    logarithms of :math:`a`, :math:`\ell` and :math:`\sigma`.

    Raises:
        ValueError: ``x`` is not of shape ``(N, D)`` and a floating type, constant but for rounding, or not
            finite; ``d_z`` is too large; an unknown kernel.

    Reference: N. Lawrence, Probabilistic Non-linear Principal Component Analysis with Gaussian Process Latent
    Variable Models, 2005.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> angle = torch.linspace(0, 3, 20)
    >>> model = GPLatentVariableModel(torch.stack((angle.cos(), angle.sin(), angle), dim=1), d_z=1)
    >>> model.predict(model.z[:4]).mean.shape, model.sample(7).shape
    (torch.Size([4, 3]), torch.Size([7, 3]))
    """

    def __init__(self, x: Tensor, d_z: int, kernel: str = "gaussian"):
        super().__init__()
        check_data(x)
        check_count("d_z", d_z)
        check_choice("kernel", kernel, KERNELS)
        if d_z > min(x.shape):
            raise ValueError(f"d_z is {d_z}, expected at most {min(x.shape)} for x of shape {tuple(x.shape)}")
        self.kernel_name, self.d_z = kernel, d_z
        mean = x.mean(0)
        spread = (x - mean).square().mean().sqrt()
        if not spread > 8 * torch.finfo(x.dtype).eps * x.abs().max():  # the mean's own rounding
            raise ValueError(f"x is constant in all {len(x)} rows, expected data that vary")
        self.register_buffer("mean", mean)
        self.register_buffer("centred", x - mean)
        left, _, _ = torch.linalg.svd(self.centred, full_matrices=False)
        self.z = nn.Parameter(math.sqrt(len(x)) * left[:, :d_z].contiguous())
        self.log_amplitude = nn.Parameter(spread.log())
        self.log_length = nn.Parameter(torch.zeros_like(spread))
        self.log_noise = nn.Parameter(spread.log() - 2)

    def kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel's matrix of latents ``(..., N, d)`` and ``(..., M, d)``, shape ``(..., N, M)``."""
        amplitude = (2 * self.log_amplitude).exp()
        if self.kernel_name == "linear":
            return amplitude * a @ b.mT
        squared = (a[..., :, None, :] - b[..., None, :, :]).square().sum(-1)
        return amplitude * (-0.5 * squared * (-2 * self.log_length).exp()).exp()

    def log_marginal(self) -> Tensor:
        """log p(X | Z) with the functions integrated out, a scalar in nats."""
        columns = MultivariateNormal(self.centred.new_zeros(len(self.z)), self._covariance())
        return columns.log_prob(self.centred.T).sum()

    def log_joint(self) -> Tensor:
        """log p(X | Z) + log p(Z), the scalar to be maximised, in nats."""
        return self.log_marginal() + Normal(0.0, 1.0).log_prob(self.z).sum()

    def predict(self, z: Tensor) -> Independent:
        r"""The distribution of new data at given latents, from Gaussian conditioning on the data seen.

        .. math::

            x \mid z, X, Z \sim \mathcal N\left(\mu + k_z^\top A^{-1} (X - \mu),\;
            (k(z, z) + \sigma^2 - k_z^\top A^{-1} k_z)\, I \right), \qquad A = K(Z, Z) + \sigma^2 I

        Args:
            z: latents, shape ``(..., d)``; each is predicted by itself.

        Returns:
            a Gaussian of batch shape ``(...)`` and event shape ``(D,)``.

        Raises:
            ValueError: ``z`` has another dimension.
        """
        check_shape("z", z, "...", self.d_z)
        factor = torch.linalg.cholesky(self._covariance())
        flat = z.reshape(-1, self.d_z)
        whitened = torch.linalg.solve_triangular(factor, self.kernel(self.z, flat), upper=False)  # (N, M)
        mean = self.mean + whitened.T @ torch.linalg.solve_triangular(factor, self.centred, upper=False)
        prior = self.kernel(flat[:, None], flat[:, None])[:, 0, 0]
        noise = (2 * self.log_noise).exp()
        variance = (prior - whitened.square().sum(0)).clamp_min(0) + noise
        scale = variance.sqrt()[:, None].expand_as(mean)
        shape = (*z.shape[:-1], len(self.mean))
        return Independent(Normal(mean.reshape(shape), scale.reshape(shape)), 1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n data points ``(n, D)``: latents from the prior, then each from its prediction."""
        check_count("n", n)
        z = torch.randn(n, self.d_z, dtype=self.z.dtype, device=self.z.device)
        return self.predict(z).sample()

    def _covariance(self) -> Tensor:
        noise = (2 * self.log_noise).exp()
        identity = torch.eye(len(self.z), dtype=self.z.dtype, device=self.z.device)
        return self.kernel(self.z, self.z) + noise * identity
