r"""Losses of generative adversarial networks from logits, and what keeps the critic smooth.

With logits :math:`v = \operatorname{logit} D(x)` the original game is

.. math:: \min_\phi \max_\theta\; \mathbb{E}_{p}[\log D_\theta(x)]
          + \mathbb{E}_{q_\phi}[\log (1 - D_\theta(x))]
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm, spectral_norm

from gmtools.checks import check_choice, check_count, check_shape


@dataclass(frozen=True)
class GanLoss:
    """A pair of losses, each to be minimised by its own player.

    Attributes:
        name: key in ``GAN_LOSSES``.
        discriminator: from logits of real samples ``(N,)`` and of generated ones ``(M,)`` to a scalar.
        generator: from logits of generated samples ``(M,)`` to a scalar.
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _logistic(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return (real - 1).square().mean() / 2 + fake.square().mean() / 2


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


GAN_LOSSES = {
    loss.name: loss
    for loss in (
        GanLoss("saturating", _logistic, lambda fake: -softplus(fake).mean()),
        GanLoss("non_saturating", _logistic, lambda fake: softplus(-fake).mean()),
        GanLoss("least_squares", _least_squares, lambda fake: (fake - 1).square().mean() / 2),
        GanLoss("hinge", _hinge, lambda fake: -fake.mean()),
        GanLoss("wasserstein", lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
    )
}


def gan_loss(name: str) -> GanLoss:
    r"""Look up a pair of losses by name.

    ==============  =======================================  ==============================
    name            discriminator minimises                  generator minimises
    ==============  =======================================  ==============================
    saturating      :math:`-\log D - \log(1 - D)`            :math:`\log(1 - D)` (min-max)
    non_saturating  the same                                 :math:`-\log D`
    least_squares   :math:`\tfrac12 (v-1)^2 + \tfrac12 v^2`  :math:`\tfrac12 (v-1)^2`
    hinge           :math:`(1 - v)_+ + (1 + v)_+`            :math:`-v`
    wasserstein     :math:`-v + v` (for a Lipschitz critic)  :math:`-v`
    ==============  =======================================  ==============================

    In each row of the second column the first term is averaged over real, the second over generated samples.

    Args:
        name: key of ``GAN_LOSSES``.

    Returns:
        A :class:`GanLoss`.

    Raises:
        ValueError: an unknown name.

    Reference: Goodfellow et al. (2014), Generative adversarial nets; Mao et al. (2017), Least squares GANs;
    Lim & Ye (2017), Geometric GAN (hinge); Arjovsky, Chintala & Bottou (2017), Wasserstein GAN.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> gan_loss("saturating").discriminator(torch.zeros(3), torch.zeros(4))  # log 4
    tensor(1.3863)
    """
    check_choice("name", name, tuple(GAN_LOSSES))
    return GAN_LOSSES[name]


def smoothed_discriminator_loss(logits_real: Tensor, logits_fake: Tensor, target: float = 0.9) -> Tensor:
    r"""Logistic discriminator loss with one-sided label smoothing.

    .. math:: -\mathbb{E}_p[a \log D + (1 - a) \log(1 - D)] - \mathbb{E}_q[\log(1 - D)]

    The best discriminator is :math:`a p / (p + q)`: it is never sure that a sample is real.

    Args:
        logits_real: shape ``(N,)``.
        logits_fake: shape ``(M,)``.
        target: :math:`a`, the label of real samples, above 0 and at most 1.

    Returns:
        A scalar, to be minimised.

    Raises:
        ValueError: ``target`` out of range.

    Reference: Salimans et al. (2016), Improved techniques for training GANs.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> smoothed_discriminator_loss(torch.zeros(3), torch.zeros(4))
    tensor(1.3863)
    """
    if not 0 < target <= 1:
        raise ValueError(f"target is {target}, expected a number in (0, 1]")
    real = target * softplus(-logits_real) + (1 - target) * softplus(logits_real)
    return real.mean() + softplus(logits_fake).mean()


def gradient_penalty(critic: nn.Module, x_p: Tensor, x_q: Tensor) -> Tensor:
    r"""Penalty that holds the critic's slope at one between real and generated samples.

    .. math:: \mathbb{E}\big[(\|\nabla_{\hat x} f(\hat x)\| - 1)^2\big], \qquad
              \hat x = u x_p + (1 - u) x_q, \quad u \sim U[0, 1]

    Args:
        critic: maps ``(N, ...)`` to ``(N,)`` or ``(N, 1)``, each output from its own row only.
        x_p: real samples, shape ``(N, ...)``.
        x_q: generated samples, same shape.

    Returns:
        A scalar, differentiable in the critic's parameters; usually added with weight 10.

    Raises:
        ValueError: shapes that differ, or no rows.

    Reference: Gulrajani et al. (2017), Improved training of Wasserstein GANs.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> gradient_penalty(lambda x: 3 * x.sum(1), torch.zeros(4, 1), torch.ones(4, 1))
    tensor(4.)
    """
    check_shape("x_q", x_q, *x_p.shape)
    u = torch.rand(len(x_p), *[1] * (x_p.dim() - 1), dtype=x_p.dtype, device=x_p.device)
    squared = _squared_slope(critic, u * x_p + (1 - u) * x_q)
    return ((squared + 1e-12).sqrt() - 1).square().mean()  # the root has no slope at zero


def r1_penalty(critic: nn.Module, x_p: Tensor) -> Tensor:
    r"""Penalty on the critic's slope at the real samples, :math:`\mathbb{E}_p \|\nabla f\|^2`.

    Args:
        critic: maps ``(N, ...)`` to ``(N,)`` or ``(N, 1)``, each output from its own row only.
        x_p: real samples, shape ``(N, ...)``.

    Returns:
        A scalar, differentiable in the critic's parameters; usually added with weight 5 (gamma = 10).

    Raises:
        ValueError: ``x_p`` has no rows.

    Reference: Mescheder, Geiger & Nowozin (2018), Which training methods for GANs do actually converge?

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> r1_penalty(lambda x: 3 * x.sum(1), torch.zeros(4, 1))
    tensor(9.)
    """
    return _squared_slope(critic, x_p).mean()


def _squared_slope(critic: nn.Module, x: Tensor) -> Tensor:
    """Squared norm of the critic's gradient at every row, shape (N,)."""
    check_count("number of rows of x_p", len(x))
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slope[:, None].flatten(1).square().sum(1)  # also of shape (N,)


def spectral_normalise(module: nn.Module) -> nn.Module:
    r"""Divide the weight of every linear and convolutional layer by its largest singular value.

    .. math:: \bar W = W / \sigma_1(W)

    estimated by one power iteration a training step. With 1-Lipschitz activations the whole network of
    linear layers is then 1-Lipschitz.

    Args:
        module: changed in place; layers whose spectral norm is divided out already stay as they are.

    Returns:
        The same module.

    Raises:
        ValueError: the module has no linear or convolutional layer.

    Reference: Miyato et al. (2018), Spectral normalization for generative adversarial networks.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> layer = spectral_normalise(nn.Linear(3, 2)).eval()
    >>> torch.linalg.matrix_norm(layer.weight, 2) < 1.01
    tensor(True)
    """
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    layers = [m for m in module.modules() if isinstance(m, (nn.Linear, *convolutions, *transposed))]
    if not layers:
        raise ValueError(f"module is a {type(module).__name__} without linear or convolutional layers")
    for layer in layers:
        applied = layer.parametrizations.weight if parametrize.is_parametrized(layer, "weight") else ()
        if not any(isinstance(step, _SpectralNorm) for step in applied):
            spectral_norm(layer)
    return module
