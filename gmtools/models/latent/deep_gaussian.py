"""The deep latent Gaussian model: several layers of Gaussian latents."""

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.models.heads import BernoulliHead, GaussianHead, StandardNormal
from gmtools.models.latent.vae import VAE
from gmtools.nets import MLP


class GaussianCascade(nn.Module):
    r"""Layers of Gaussian variables, each a function of the one above plus its own noise.

    .. math:: h_L = G_L \xi_L, \qquad h_l = T_l(h_{l+1}) + G_l \xi_l, \qquad \xi_l \sim \mathcal N(0, I)

    with diagonal :math:`G_l`. As a function of the noise it is deterministic.

    Args:
        sizes: dimensions of the layers from the bottom, :math:`(d_1, \dots, d_L)`.
        hidden: hidden layers of every :math:`T_l`.

    Shapes:
        noise: ``(..., d_1 + ... + d_L)``, from the bottom layer to the top; returns :math:`h_1`, ``(...,
        d_1)``.

    Reference: D. J. Rezende, S. Mohamed, D. Wierstra, Stochastic Backpropagation and Approximate Inference
    in Deep Generative Models, 2014. Chapter: 3-inference/39-variational-autoencoder.

    >>> GaussianCascade((3, 2))(torch.randn(7, 5)).shape
    torch.Size([7, 3])
    """

    def __init__(self, sizes: tuple[int, ...], hidden: tuple[int, ...] = (64,)):
        super().__init__()
        if not sizes:
            raise ValueError("sizes is empty, expected at least one layer")
        for size in sizes:
            check_count("sizes", size)
        self.sizes = list(sizes)
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.maps = nn.ModuleList(MLP(above, below, hidden) for below, above in pairs)
        self.log_gains = nn.ParameterList(torch.zeros(size) for size in sizes)

    def layers(self, noise: Tensor) -> list[Tensor]:
        """All layers :math:`h_1, ..., h_L`, from the bottom."""
        check_shape("noise", noise, "...", sum(self.sizes))
        scaled = [
            gain.exp() * part for gain, part in zip(self.log_gains, noise.split(self.sizes, -1), strict=True)
        ]
        layers = [scaled[-1]]
        for transform, own in zip(reversed(self.maps), reversed(scaled[:-1]), strict=True):
            layers.append(transform(layers[-1]) + own)
        return layers[::-1]

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise)[0]


class DeepLatentGaussian(VAE):
    r"""Deep latent Gaussian model: L layers of Gaussian latents under a likelihood.

    .. math::

        h_L = G_L \xi_L, \qquad h_l = T_l(h_{l+1}) + G_l \xi_l, \qquad x \mid h_1 \sim p(x \mid T_0(h_1)),
              \qquad q(\xi \mid x) = \mathcal N(\mu(x), \operatorname{diag} \sigma(x)^2)

    The latents of ``log_joint`` and ``proposal`` are the noises :math:`\xi`, bottom layer first; in them the
    model is a :class:`VAE` whose decoder is a cascade.

    Args:
        d_x: dimension of the data.
        sizes: dimensions of the latent layers from the bottom.
        hidden: hidden layers of every network.
        likelihood: None for Bernoulli, or a head around the decoder's last network, from ``(..., sizes[0])``.

    Reference: D. J. Rezende, S. Mohamed, D. Wierstra, Stochastic Backpropagation and Approximate Inference
    in Deep Generative Models, 2014. Chapter: 3-inference/39-variational-autoencoder.

    >>> model = DeepLatentGaussian(d_x=6, sizes=(4, 2))
    >>> model.log_weights(model.sample(5), K=3).shape
    torch.Size([3, 5])
    """

    def __init__(
        self,
        d_x: int,
        sizes: tuple[int, ...],
        hidden: tuple[int, ...] = (64,),
        likelihood: nn.Module | None = None,
    ):
        check_count("d_x", d_x)
        cascade, total = GaussianCascade(sizes, hidden), sum(sizes)
        likelihood = likelihood or BernoulliHead(MLP(sizes[0], d_x, hidden))
        encoder = GaussianHead(MLP(d_x, 2 * total, hidden))
        super().__init__(encoder, nn.Sequential(cascade, likelihood), StandardNormal(total))

    def latents(self, noise: Tensor) -> list[Tensor]:
        """The layers :math:`h_1, ..., h_L` that belong to noise ``(..., sum(sizes))``."""
        return self.decoder[0].layers(noise)
