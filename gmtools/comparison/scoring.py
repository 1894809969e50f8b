r"""Proper scoring rules: for classifiers, with the divergence each measures, and for sampled forecasts.

A rule :math:`S(d, y)` rewards the probability :math:`d` given to :math:`y = 1`. It is proper if the true
probability :math:`\eta` earns most; what it then earns is the convex :math:`G(\eta) = \max_d
\mathbb{E}_{y \sim \eta} S(d, y)`. With samples of p labelled 1, as many of q labelled 0, and
:math:`\eta = p / (p + q)`, the best classifier gains over a coin

.. math:: \int \tfrac{p + q}{2}\, G(\eta)\, dx - G(\tfrac12) = D_G(p, q) \ge 0,

an f-divergence: a generator that minimises what the classifier maximises minimises this one.

=============  ==================================  ==========================================================
rule           :math:`G(\eta)`                     :math:`D_G(p, q)`
=============  ==================================  ==========================================================
log            minus the entropy of :math:`\eta`   Jensen-Shannon divergence, at most log 2
brier          :math:`-\eta (1 - \eta)`            :math:`\tfrac18 \int (p - q)^2 / (p + q)`
boosting       :math:`-2 \sqrt{\eta (1 - \eta)}`   :math:`1 - \int \sqrt{p q}`, half the squared Hellinger
spherical      :math:`\|(\eta, 1 - \eta)\|`        :math:`\tfrac12 \int \sqrt{p^2 + q^2} - 1 / \sqrt 2`
zero_one       :math:`\max(\eta, 1 - \eta)`        half the total variation (proper, but not strictly)
=============  ==================================  ==========================================================
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gmtools.checks import check_choice, check_shape
from gmtools.comparison.kernels import distances


@dataclass(frozen=True)
class ScoringRule:
    """A symmetric proper scoring rule for two classes.

    Attributes:
        name: key in ``SCORING_RULES``.
        reward: the score of logit ``v`` when class 1 happens; ``reward(-v)`` when class 0 happens.
        bayes: ``G(eta)``, the best expected score when class 1 has probability ``eta``.
    """

    name: str
    reward: Callable[[Tensor], Tensor]
    bayes: Callable[[Tensor], Tensor]


SCORING_RULES = {
    r.name: r
    for r in (
        ScoringRule("log", logsigmoid, lambda e: torch.xlogy(e, e) + torch.xlogy(1 - e, 1 - e)),
        ScoringRule("brier", lambda v: -torch.sigmoid(-v).square(), lambda e: -e * (1 - e)),
        ScoringRule("boosting", lambda v: -(-v / 2).exp(), lambda e: -2 * (e * (1 - e)).sqrt()),
        ScoringRule(
            "spherical",
            lambda v: torch.sigmoid(v) / torch.hypot(torch.sigmoid(v), torch.sigmoid(-v)),
            lambda e: torch.hypot(e, 1 - e),
        ),
        ScoringRule("zero_one", lambda v: (v.sign() + 1) / 2, lambda e: torch.maximum(e, 1 - e)),
    )
}


def _get(rule: str) -> ScoringRule:
    check_choice("rule", rule, tuple(SCORING_RULES))
    return SCORING_RULES[rule]


def score(rule: str, logits: Tensor, labels: Tensor) -> Tensor:
    r"""Score of probabilistic predictions of two classes, to be maximised: :math:`S(\sigma(v), y)`.

    Args:
        rule: key of ``SCORING_RULES``.
        logits: :math:`v`, shape ``(N,)``.
        labels: 0 or 1, shape ``(N,)``.

    Returns:
        Shape ``(N,)``; nats for the log score.

    Raises:
        ValueError: an unknown rule, labels other than 0 and 1, or shapes that differ.

    Reference: Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation; Buja,
    Stuetzle & Shen (2005), Loss functions for binary class probability estimation.

    Chapter: 6-comparison/66-unsupervised-as-supervised

    >>> score("brier", torch.zeros(2), torch.tensor([0, 1]))
    tensor([-0.2500, -0.2500])
    """
    check_shape("labels", labels, *logits.shape)
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError(f"labels has values {labels.unique().tolist()}, expected only 0 and 1")
    return _get(rule).reward(torch.where(labels == 1, logits, -logits))


def classification_loss(rule: str, logits_p: Tensor, logits_q: Tensor) -> Tensor:
    r"""Minus the mean score of telling samples of p (label 1) from samples of q (label 0), half and half.

    .. math:: -\tfrac12 \mathbb{E}_p[S(\sigma(v), 1)] - \tfrac12 \mathbb{E}_q[S(\sigma(v), 0)]

    Its minimum over all functions is :math:`-G(\tfrac12) - D_G(p, q)`, reached at :math:`v = \log p/q`.

    Args:
        rule: key of ``SCORING_RULES``.
        logits_p: classifier outputs at samples of p, shape ``(N,)``.
        logits_q: classifier outputs at samples of q, shape ``(M,)``.

    Returns:
        A scalar, to be minimised.

    Raises:
        ValueError: an unknown rule.

    Reference: Reid & Williamson (2011), Information, divergence and risk for binary experiments.

    Chapter: 6-comparison/66-unsupervised-as-supervised

    >>> classification_loss("log", torch.zeros(4), torch.zeros(5))  # log 2: a coin
    tensor(0.6931)
    """
    reward = _get(rule).reward
    return -(reward(logits_p).mean() + reward(-logits_q).mean()) / 2


def score_divergence(rule: str, log_ratio_p: Tensor, log_ratio_q: Tensor) -> Tensor:
    r"""Divergence :math:`D_G(p, q)` that a rule measures, from a known log-ratio.

    .. math:: \tfrac12 \mathbb{E}_p[G(\eta)] + \tfrac12 \mathbb{E}_q[G(\eta)] - G(\tfrac12),
              \qquad \eta = \sigma(\log p/q)

    Args:
        rule: key of ``SCORING_RULES``.
        log_ratio_p: :math:`\log p/q` at samples of p, shape ``(N,)``.
        log_ratio_q: the same at samples of q, shape ``(M,)``.

    Returns:
        A scalar.

    Raises:
        ValueError: an unknown rule.

    Reference: Reid & Williamson (2011), Information, divergence and risk for binary experiments.

    Chapter: 6-comparison/66-unsupervised-as-supervised

    >>> score_divergence("log", torch.zeros(4), torch.zeros(5))
    tensor(0.)
    """
    bayes = _get(rule).bayes
    gain = (bayes(torch.sigmoid(log_ratio_p)).mean() + bayes(torch.sigmoid(log_ratio_q)).mean()) / 2
    return gain - bayes(torch.full_like(gain, 0.5))


def energy_score(draws: Tensor, outcome: Tensor) -> Tensor:
    r"""Energy score of a forecast given by draws, to be minimised; in one dimension the CRPS.

    .. math:: \mathrm{ES}(q, x) = \mathbb{E}\|Y - x\| - \tfrac12 \mathbb{E}\|Y - Y'\|, \qquad Y, Y' \sim q

    Its expectation under p exceeds the least possible by half the energy distance of p and q; in one
    dimension that is the Cramér distance :math:`\int (F_p - F_q)^2`. The estimate is unbiased.

    Args:
        draws: shape ``(K, N, D)``, K of the forecast for each outcome.
        outcome: what happened, shape ``(N, D)``.

    Returns:
        Shape ``(N,)``.

    Raises:
        ValueError: shapes that do not fit, or fewer than two draws.

    Reference: Gneiting & Raftery (2007), Strictly proper scoring rules, prediction, and estimation.

    Chapter: 6-comparison/66-unsupervised-as-supervised

    >>> energy_score(torch.tensor([[[0.0]], [[2.0]]]), torch.tensor([[1.0]]))
    tensor([0.])
    """
    check_shape("outcome", outcome, "N", "D")
    check_shape("draws", draws, "K", *outcome.shape)
    k = len(draws)
    if k < 2:
        raise ValueError(f"draws has shape {tuple(draws.shape)}, expected at least two draws")
    accuracy = (draws - outcome).norm(dim=-1).mean(0)
    pairs = draws.transpose(0, 1)
    spread = distances(pairs, pairs).sum((-2, -1)) / (k * (k - 1))
    return accuracy - spread / 2
