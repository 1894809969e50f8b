"""The semi-supervised variational autoencoder (M2): a class label as a second, sometimes observed, latent."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from gmtools.checks import check_count, check_shape
from gmtools.distributions import rsample_and_log_prob
from gmtools.models.heads import BernoulliHead, GaussianHead, StandardNormal
from gmtools.nets import MLP


class SemiSupervisedVAE(nn.Module):
    r"""Semi-supervised VAE over data with a few labels.

    .. math:: y \sim \operatorname{Cat}(1 / C), \qquad z \sim \mathcal N(0, I), \qquad x \mid y, z \sim p(x
        \mid y, z)

    with :math:`q(y, z \mid x) = q(y \mid x)\, q(z \mid x, y)`. A labelled point has the bound
    :math:`\mathcal L(x, y) = \mathbb E_{q(z \mid x, y)}[\log p(x, y, z) - \log q(z \mid x, y)]`, an
    unlabelled one

    .. math:: \mathcal U(x) = \sum_y q(y \mid x)\, \mathcal L(x, y) + \mathcal H[q(y \mid x)] \le \log p(x),

    the sum over labels exact. Training adds :math:`\alpha \log q(y \mid x)` for labelled points, for
    otherwise they would not teach the classifier.

    Args:
        encoder: :math:`q(z \mid x, y)`, from ``(..., d_x + C)``, data and one-hot label joined.
        decoder: :math:`p(x \mid y, z)`, from ``(..., C + d_z)``, one-hot label and latent joined.
        classifier: network from ``(N, d_x)`` to logits ``(N, C)``.
        prior: :math:`p(z)`, called without arguments.
        classes: number of classes C.

    Reference: D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-supervised Learning with Deep
    Generative Models, 2014. Chapter: 3-inference/40-richer-vaes.

    >>> model = semi_supervised_vae(d_x=6, d_z=2, classes=3)
    >>> x, y = model.sample(5), torch.tensor([0, -1, 2, -1, -1])
    >>> model.bound(x, y).shape, model.classify(x).probs.shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, classifier: nn.Module, prior: nn.Module, classes: int
    ):
        super().__init__()
        check_count("classes", classes, 2)
        self.encoder, self.decoder, self.classifier, self.prior = encoder, decoder, classifier, prior
        self.classes = classes

    def classify(self, x: Tensor) -> Categorical:
        """q(y | x) of data ``(N, d_x)``."""
        check_shape("x", x, "N", "D")
        return Categorical(logits=self.classifier(x))

    def decode(self, y: Tensor, z: Tensor) -> Distribution:
        """p(x | y, z) for integer labels ``(...)`` and latents ``(..., d_z)``; change one, keep the other."""
        return self.decoder(torch.cat((F.one_hot(y, self.classes).to(z), z), -1))

    def log_weights_of_labels(self, x: Tensor, K: int = 1) -> Tensor:
        """log p(x, y, z) - log q(z | x, y) with z drawn for every label, shape ``(K, C, N)``."""
        check_shape("x", x, "N", "D")
        check_count("K", K)
        n = x.shape[0]
        labels = torch.eye(self.classes, dtype=x.dtype, device=x.device)[:, None].expand(-1, n, -1)
        q = self.encoder(torch.cat((x.expand(self.classes, n, -1), labels), -1))
        z, log_q = rsample_and_log_prob(q, (K,))
        likelihood = self.decoder(torch.cat((labels.expand(K, -1, -1, -1), z), -1)).log_prob(x)
        return likelihood + self.prior().log_prob(z) - log_q - math.log(self.classes)

    def log_weights(self, x: Tensor, K: int = 1) -> Tensor:
        """Log-weights with the label summed out, shape ``(K, N)``; their mean weight estimates p(x)."""
        return self.log_weights_of_labels(x, K).logsumexp(1)

    def bound(self, x: Tensor, y: Tensor | None = None, K: int = 1) -> Tensor:
        """The lower bound of every data point, shape ``(N,)``, in nats.

        Args:
            x: data, shape ``(N, d_x)``.
            y: labels, shape ``(N,)``, -1 where there is none; None if there are none at all.
            K: draws of z for each label.

        Returns:
            of log p(x, y) where the label is known, of log p(x) where it is not.
        """
        of_label = self.log_weights_of_labels(x, K).mean(0).T  # (N, C)
        q = self.classify(x)
        unlabelled = (q.probs * of_label).sum(1) + q.entropy()
        if y is None:
            return unlabelled
        y = self._labels(x, y)
        labelled = of_label.gather(1, y.clamp_min(0)[:, None])[:, 0]
        return torch.where(y >= 0, labelled, unlabelled)

    def objective(self, x: Tensor, y: Tensor, alpha: float = 1.0, K: int = 1) -> Tensor:
        """The bound plus ``alpha`` times log q(y | x) where the label is known, shape ``(N,)``, to be
        maximised."""
        y = self._labels(x, y)
        log_q = self.classify(x).logits.gather(1, y.clamp_min(0)[:, None])[:, 0]
        return self.bound(x, y, K) + alpha * torch.where(y >= 0, log_q, torch.zeros_like(log_q))

    def _labels(self, x: Tensor, y: Tensor) -> Tensor:
        """The labels of the data, checked, as int64."""
        check_shape("y", y, x.shape[0])
        if y.is_floating_point():
            raise ValueError(f"y is of {y.dtype}, expected integer labels")
        if not torch.compiler.is_compiling() and bool(((y < -1) | (y >= self.classes)).any()):
            raise ValueError(f"y has values outside -1, ..., {self.classes - 1}")
        return y.long()

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None) -> Tensor:
        """Draw n data points, of labels ``y`` ``(n,)`` or of labels drawn too."""
        check_count("n", n)
        z = self.prior().sample((n,))
        if y is None:
            y = torch.randint(self.classes, (n,), device=z.device)
        check_shape("y", y, n)
        return self.decode(y, z).sample()


def semi_supervised_vae(
    d_x: int, d_z: int, classes: int, hidden: tuple[int, ...] = (64,), likelihood: nn.Module | None = None
) -> SemiSupervisedVAE:
    r"""A :class:`SemiSupervisedVAE` of multilayer perceptrons.

    .. math:: q(z \mid x, y) = \mathcal N(\mu(x, y), \operatorname{diag} \sigma(x, y)^2), \qquad
              q(y \mid x) = \operatorname{Cat}(\operatorname{softmax} f(x))

    Args:
        d_x: dimension of the data.
        d_z: dimension of the continuous latent.
        classes: number of classes C.
        hidden: hidden layers of every network.
        likelihood: None for Bernoulli, or a head from ``(..., C + d_z)``.

    Returns:
        the model.

    Reference: D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-supervised Learning with Deep
    Generative Models, 2014. Chapter: 3-inference/40-richer-vaes.

    >>> semi_supervised_vae(6, 2, 3).log_weights(torch.zeros(4, 6), K=5).shape
    torch.Size([5, 4])
    """
    encoder = GaussianHead(MLP(d_x + classes, 2 * d_z, hidden))
    decoder = likelihood or BernoulliHead(MLP(classes + d_z, d_x, hidden))
    return SemiSupervisedVAE(encoder, decoder, MLP(d_x, classes, hidden), StandardNormal(d_z), classes)
