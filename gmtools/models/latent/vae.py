"""The variational autoencoder, from its three parts or ready-made from common networks."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from gmtools.checks import check_choice, check_count
from gmtools.models.heads import BernoulliHead, DiscretisedLogisticHead, GaussianHead, StandardNormal
from gmtools.models.latent.base import LatentVariableModel
from gmtools.nets import MLP, ConvDecoder, ConvEncoder

LIKELIHOODS = ("bernoulli", "gaussian", "discretised_logistic")


class VAE(LatentVariableModel):
    r"""Variational autoencoder: a latent-variable model with amortised inference.

    .. math::

        z \sim p(z), \quad x \mid z \sim p_\theta(x \mid z), \quad q_\phi(z \mid x) \approx p_\theta(z \mid x)

    The parts are conditional distributions: modules whose ``forward`` returns a Distribution. Any posterior
    of ``gmtools.posteriors`` serves as encoder and any flow as prior.

    Args:
        encoder: :math:`q(z \mid x)`, from data ``(N, ...)`` to a Distribution of batch shape ``(N,)``.
        decoder: :math:`p(x \mid z)`, from latents ``(..., d)`` to a Distribution of batch shape ``(...)``.
        prior: :math:`p(z)`, called without arguments.

    Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014; D. J. Rezende, S. Mohamed,
    D. Wierstra, Stochastic Backpropagation and Approximate Inference in Deep Generative Models, 2014.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> vae = VAE(GaussianHead(MLP(5, 4)), BernoulliHead(MLP(2, 5)), StandardNormal(2))
    >>> vae.log_weights(vae.sample(7), K=3).shape
    torch.Size([3, 7])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module):
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior

    def proposal(self, x: Tensor) -> Distribution:
        """The encoder's distribution q(z | x)."""
        return self.encoder(x)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) + log p(z) for data ``(N, ...)`` and latents ``(K, N, d)``, shape ``(K, N)``."""
        return self.decoder(z).log_prob(x) + self.prior().log_prob(z)

    def reconstruction_and_kl(self, x: Tensor, K: int = 1) -> tuple[Tensor, Tensor]:
        r"""The two terms of the evidence lower bound, with the divergence in closed form.

        .. math:: \mathcal L(x) = \mathbb E_{q(z \mid x)}[\log p(x \mid z)]
                  - \mathrm{KL}(q(z \mid x) \,\|\, p(z))

        Their gradients vary less than those of the log-weights, so training is faster; :math:`\beta`
        times the second makes the :math:`\beta`-VAE.

        Args:
            x: data, shape ``(N, ...)``.
            K: draws of z for the first term.

        Returns:
            both of shape ``(N,)``, in nats.

        Raises:
            NotImplementedError: torch knows no closed form for this encoder and prior; use ``log_weights``.
        """
        check_count("K", K)
        q = self.proposal(x)
        reconstruction = self.decoder(q.rsample((K,))).log_prob(x).mean(0)
        return reconstruction, kl_divergence(q, self.prior())

    def bound(self, x: Tensor, K: int = 1) -> Tensor:
        """The evidence lower bound of data ``(N, ...)``, shape ``(N,)``, by :meth:`reconstruction_and_kl`."""
        reconstruction, kl = self.reconstruction_and_kl(x, K)
        return reconstruction - kl

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n data points."""
        check_count("n", n)
        return self.decoder(self.prior().sample((n,))).sample()

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """The decoder's mean at one draw of the latent for each data point, in the shape of ``x``."""
        return self.decoder(self.proposal(x).sample()).mean


def _head(likelihood: str, event_dims: int, levels: int) -> tuple[int, type | object]:
    """Outputs of the network a variable, and what wraps it."""
    check_choice("likelihood", likelihood, LIKELIHOODS)
    if likelihood == "bernoulli":
        return 1, lambda net: BernoulliHead(net, event_dims)
    if likelihood == "gaussian":
        return 2, lambda net: GaussianHead(net, event_dims)
    return 2, lambda net: DiscretisedLogisticHead(net, levels, event_dims)


def mlp_vae(
    d_x: int,
    d_z: int,
    hidden: tuple[int, ...] = (64, 64),
    likelihood: str = "bernoulli",
    levels: int = 256,
) -> VAE:
    r"""A VAE of multilayer perceptrons, with a diagonal Gaussian encoder and a standard normal prior.

    .. math:: z \sim \mathcal N(0, I), \quad x \mid z \sim p(x \mid f_\theta(z)), \quad
              q(z \mid x) = \mathcal N(\mu_\phi(x), \operatorname{diag} \sigma_\phi(x)^2)

    Args:
        d_x: dimension of the data.
        d_z: dimension of the latent variable.
        hidden: hidden layers of the decoder; the encoder has them in reverse.
        likelihood: ``"bernoulli"``, ``"gaussian"`` or ``"discretised_logistic"``.
        levels: number of values of a variable in [0, 1], for the discretised logistic.

    Returns:
        a :class:`VAE` over data ``(N, d_x)``.

    Raises:
        ValueError: an unknown likelihood or a count below one.

    Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> mlp_vae(64, 2, likelihood="discretised_logistic", levels=17).sample(3).shape
    torch.Size([3, 64])
    """
    check_count("d_z", d_z)
    outputs, head = _head(likelihood, event_dims=1, levels=levels)
    encoder = GaussianHead(MLP(d_x, 2 * d_z, hidden[::-1]))
    return VAE(encoder, head(MLP(d_z, outputs * d_x, hidden)), StandardNormal(d_z))


def conv_vae(
    channels: int,
    size: tuple[int, ...],
    d_z: int,
    widths: tuple[int, ...] = (32, 16),
    likelihood: str = "bernoulli",
    levels: int = 256,
) -> VAE:
    r"""A VAE of convolutional networks, over signals, images or voxels.

    The model is that of :func:`mlp_vae`; ``size`` of length 3 makes it the volumetric VAE, of length 1 one of
    signals.

    Args:
        channels: channels of the data.
        size: spatial size, of length 1, 2 or 3.
        d_z: dimension of the latent variable.
        widths: channels before each doubling of the resolution in the decoder; the encoder has them in
        reverse. likelihood: ``"bernoulli"``, ``"gaussian"`` or ``"discretised_logistic"``.
        levels: number of values of a variable in [0, 1], for the discretised logistic.

    Returns:
        a :class:`VAE` over data ``(N, channels, *size)``.

    Raises:
        ValueError: an unknown likelihood, a count below one, a size with other than 1, 2 or 3 entries.

    Reference: D. J. Rezende and others, Unsupervised Learning of 3D Structure from Images, 2016.
    Chapter: 3-inference/40-richer-vaes.

    >>> conv_vae(1, (8, 8, 8), d_z=4).sample(3).shape
    torch.Size([3, 1, 8, 8, 8])
    """
    check_count("d_z", d_z)
    outputs, head = _head(likelihood, event_dims=1 + len(size), levels=levels)
    encoder = GaussianHead(ConvEncoder(channels, size, 2 * d_z, widths[::-1]))
    return VAE(encoder, head(ConvDecoder(d_z, outputs * channels, size, widths)), StandardNormal(d_z))
