r"""The two steps of learning by comparison: compare model with data, then move the model closer.

.. math:: \text{comparison: } \theta \leftarrow \theta - \eta\, \nabla_\theta\, \ell_{\text{compare}}
          \qquad
          \text{estimation: } \phi \leftarrow \phi - \eta\, \nabla_\phi\, \ell_{\text{estimate}}

Some comparisons have a critic to train (ratio, class probability); others need none (moments, kernels), and
then only the second step is left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gmtools.checks import check_choice, check_count, check_positive, check_shape
from gmtools.comparison.divergences import F_DIVERGENCES, bregman_ratio_loss
from gmtools.comparison.gan import gan_loss, gradient_penalty
from gmtools.comparison.ipm import mmd2, moment_distance
from gmtools.comparison.kernels import Kernel
from gmtools.training import seeded

Loss = Callable[[Tensor, Tensor], Tensor]  # of data x_p and model samples x_q, to be minimised


@dataclass(frozen=True)
class Comparison:
    """How to compare, and what to make of it.

    Attributes:
        estimate: loss of the generator, from data and samples; gradients flow through the samples.
        compare: loss of the critic, from data and samples; None if there is nothing to train.
        critic: the module that ``compare`` trains.
    """

    estimate: Loss
    compare: Loss | None = None
    critic: nn.Module | None = None


def by_moments() -> Comparison:
    """Moment matching: means and covariances.

    Reference: Hansen (1982), Large sample properties of generalized method of moments estimators.

    Chapter: 6-comparison/63-comparison-and-estimation

    >>> by_moments().critic is None
    True
    """
    return Comparison(moment_distance)


def by_mmd(kernel: Kernel) -> Comparison:
    """Maximum mean discrepancy (a generative moment matching network).

    Reference: Li, Swersky & Zemel (2015), Generative moment matching networks; Dziugaite, Roy & Ghahramani
    (2015), Training generative neural networks via maximum mean discrepancy optimization.

    Chapter: 6-comparison/63-comparison-and-estimation

    >>> by_mmd(Kernel("gaussian")).estimate(torch.zeros(3, 2), torch.zeros(3, 2))
    tensor(0.)
    """
    return Comparison(lambda x_p, x_q: mmd2(x_p, x_q, kernel))


def by_ratio(critic: nn.Module, compare: str = "gan", estimate: str = "reverse_kl") -> Comparison:
    r"""Ratio matching: learn :math:`\log r` by a Bregman divergence, minimise an f-divergence with it.

    .. math:: \theta: \min \mathrm{BR}_f(r^\star \,\|\, r_\theta), \qquad
              \phi: \min -\mathbb{E}_{q_\phi}\big[g^*(g'(r_\theta(x)))\big]

    The second loss is the part of :func:`variational_bound` that depends on the samples. At the exact ratio
    its gradient is that of :math:`D_g(p \,\|\, q_\phi)`; that of :math:`\mathbb{E}_{q_\phi}[g(r_\theta)]`
    with :math:`r_\theta` held fixed is not (for "kl" it has the wrong sign).

    Args:
        critic: maps ``(N, D)`` to estimates of :math:`\log p/q`, shape ``(N, 1)``.
        compare: the divergence :math:`f`, key of ``F_DIVERGENCES``.
        estimate: the divergence :math:`g`; "reverse_kl" maximises the estimated :math:`\log p/q`.

    Raises:
        ValueError: an unknown divergence.

    Reference: Mohamed & Lakshminarayanan (2016), Learning in implicit generative models; Uehara et al.
    (2016), Generative adversarial nets from a density ratio estimation perspective.

    Chapter: 6-comparison/63-comparison-and-estimation

    >>> by_ratio(nn.Linear(2, 1)).critic
    Linear(in_features=2, out_features=1, bias=True)
    """
    check_choice("compare", compare, tuple(F_DIVERGENCES))
    check_choice("estimate", estimate, tuple(F_DIVERGENCES))
    return Comparison(
        lambda x_p, x_q: -F_DIVERGENCES[estimate].penalty(critic(x_q)).mean(),
        lambda x_p, x_q: bregman_ratio_loss(compare, critic(x_p), critic(x_q)),
        critic,
    )


def by_classification(critic: nn.Module, loss: str = "non_saturating", penalty: float = 0.0) -> Comparison:
    """Class-probability estimation: a generative adversarial network, or a Wasserstein critic.

    Args:
        critic: maps ``(N, ...)`` to logits ``(N, 1)``.
        loss: key of ``GAN_LOSSES``.
        penalty: weight of the gradient penalty (10 is usual with "wasserstein").

    Raises:
        ValueError: an unknown loss, or a negative penalty.

    Reference: Goodfellow et al. (2014), Generative adversarial nets; Gulrajani et al. (2017), Improved
    training of Wasserstein GANs.

    Chapter: 6-comparison/63-comparison-and-estimation

    >>> by_classification(nn.Linear(2, 1), "wasserstein", penalty=10.0).compare is None
    False
    """
    pair = gan_loss(loss)
    if not penalty >= 0:
        raise ValueError(f"penalty is {penalty}, expected a number >= 0")

    def compare(x_p: Tensor, x_q: Tensor) -> Tensor:
        value = pair.discriminator(critic(x_p), critic(x_q))
        return value + penalty * gradient_penalty(critic, x_p, x_q) if penalty else value

    return Comparison(lambda x_p, x_q: pair.generator(critic(x_q)), compare, critic)


@dataclass
class TwoStepHistory:
    """Losses of both players at every step (``compare`` stays empty without a critic), and the time."""

    compare: list[float] = field(default_factory=list)
    estimate: list[float] = field(default_factory=list)
    seconds: float = 0.0


def two_step(
    generator: nn.Module,
    comparison: Comparison,
    data: Tensor,
    *,
    steps: int = 1000,
    comparison_steps: int = 1,
    batch_size: int = 256,
    lr: float = 1e-3,
    lr_critic: float | None = None,
    betas: tuple[float, float] = (0.5, 0.9),
    seed: int | None = 0,
) -> TwoStepHistory:
    """Train a generator by comparison: critic and generator take turns.

    Args:
        generator: ``generator(n)`` returns ``n`` samples ``(n, ...)``, differentiable in its parameters.
        comparison: from :func:`by_moments`, :func:`by_mmd`, :func:`by_ratio` or :func:`by_classification`, or
            one of your own.
        data: shape ``(N, ...)``.
        steps: updates of the generator.
        comparison_steps: updates of the critic before each of them.
        batch_size: of data and of samples; all the data if there are fewer.
        lr: learning rate of the generator (Adam).
        lr_critic: learning rate of the critic, by default the same.
        betas: of Adam; a game wants less momentum than a minimisation.
        seed: of batches and samples; None continues the caller's random stream.

    Returns:
        A :class:`TwoStepHistory`.

    Raises:
        ValueError: an argument out of range, or samples of another shape than the data.
        FloatingPointError: a loss is not finite; the message names step and player.

    Reference: Mohamed & Lakshminarayanan (2016), Learning in implicit generative models.

    Chapter: 6-comparison/63-comparison-and-estimation

    >>> class Shift(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.mean = nn.Parameter(torch.zeros(2))
    ...     def forward(self, n):
    ...         return self.mean + torch.randn(n, 2)
    >>> model = Shift()
    >>> history = two_step(model, by_moments(), torch.randn(1000, 2) + 3, steps=300, lr=0.05)
    >>> bool((model.mean - 3).abs().max() < 0.3)
    True
    """
    for name, count in (("steps", steps), ("comparison_steps", comparison_steps), ("batch_size", batch_size)):
        check_count(name, count)
    lr_critic = lr if lr_critic is None else lr_critic
    check_positive("lr", lr)
    check_positive("lr_critic", lr_critic)
    n = min(batch_size, len(data))
    critic = comparison.critic
    estimator = torch.optim.Adam(generator.parameters(), lr, betas)
    comparer = critic and torch.optim.Adam(critic.parameters(), lr_critic, betas)
    history, start = TwoStepHistory(), time.perf_counter()
    with seeded(seed):
        check_shape("generator(n)", generator(n), n, *data.shape[1:])
        for step in range(1, steps + 1):
            for _ in range(comparison_steps if critic else 0):
                with torch.no_grad():
                    samples = generator(n)
                loss = comparison.compare(_batch(data, n), samples)
                _step(comparer, loss, f"comparison, step {step}")
            if critic:
                history.compare.append(loss.item())
            loss = comparison.estimate(_batch(data, n), generator(n))
            _step(estimator, loss, f"estimation, step {step}")
            history.estimate.append(loss.item())
    history.seconds = time.perf_counter() - start
    return history


def _batch(data: Tensor, n: int) -> Tensor:
    return data[torch.randint(len(data), (n,), device=data.device)] if n < len(data) else data


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, where: str) -> None:
    if not torch.isfinite(loss):
        raise FloatingPointError(f"loss is {loss.item()} in {where}, expected a finite number")
    own = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=own)  # the other player's parameters get no gradient
    optimizer.step()
