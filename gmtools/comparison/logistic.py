r"""Logistic regression by Newton's method, for many data sets at once."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gmtools.checks import check_count, check_not_nan, check_shape

HALVINGS = 10  # of a Newton step that raises the loss


def logistic_regression(
    features: Tensor, label: Tensor, weight: Tensor | None = None, *, ridge: float = 0.0, iterations: int = 25
) -> Tensor:
    r"""Coefficients of the logistic regression of a label on features, by Newton's method.

    .. math:: \min_\beta\; \sum_n w_n \big[\log(1 + e^{v_n}) - y_n v_n\big] + \tfrac{\lambda}{2} \|\beta\|^2,
              \qquad v_n = \beta^\top \phi(x_n)

    With samples of p labelled 1 and as many of q labelled 0, :math:`v` estimates :math:`\log p/q`.

    Args:
        features: :math:`\phi(x_n)`, shape ``(..., N, P)``; leading dimensions are separate data sets.
        label: 0 or 1, shape ``(..., N)`` or ``(N,)``.
        weight: :math:`w_n \ge 0`, of the label's shape; ones by default.
        ridge: :math:`\lambda \ge 0`. Without it separable data have no solution: the result diverges, until
            the curvature is zero to rounding.
        iterations: Newton steps, each halved while it raises the loss; the error squares at every one.

    Returns:
        Shape ``(..., P)``.

    Raises:
        ValueError: shapes that do not fit, NaNs, labels other than 0 and 1, a negative weight or ridge, or
            without a ridge features that depend on each other or separate the labels.

    Reference: Cox (1958), The regression analysis of binary sequences.

    Chapter: 6-comparison/64-density-ratio-and-classification

    >>> x = torch.tensor([-1.0, 0.0, 0.0, 1.0])
    >>> logistic_regression(torch.stack([torch.ones(4), x], 1), torch.tensor([0, 0, 1, 1]), ridge=1.0)[1]
    tensor(0.6748)
    """
    check_shape("features", features, "...", "N", "P")
    check_shape("label", label, "...", features.shape[-2])
    check_not_nan("features", features)
    check_count("iterations", iterations)
    if not ((label == 0) | (label == 1)).all():
        raise ValueError(f"label has values {label.unique().tolist()}, expected only 0 and 1")
    if not ridge >= 0:
        raise ValueError(f"ridge is {ridge}, expected a number >= 0")
    if weight is not None:
        check_shape("weight", weight, "...", features.shape[-2])
        if not (weight >= 0).all():
            raise ValueError(f"weight has minimum {weight.min():g}, expected no negative or NaN values")
    label = label.to(features)
    weight = torch.ones_like(label) if weight is None else weight.to(features)
    penalty = ridge * torch.eye(features.shape[-1]).to(features)
    beta = features.new_zeros(*features.shape[:-2], features.shape[-1])

    def loss(beta: Tensor) -> Tensor:
        logits = (features @ beta[..., None])[..., 0]
        return (weight * (softplus(logits) - label * logits)).sum(-1) + ridge * beta.square().sum(-1) / 2

    for _ in range(iterations):
        eta = torch.sigmoid((features @ beta[..., None])[..., 0])
        slope = ((weight * (eta - label))[..., None] * features).sum(-2) + ridge * beta
        curvature = features.mT @ ((weight * eta * (1 - eta))[..., None] * features) + penalty
        step = torch.linalg.solve_ex(curvature, slope).result
        if not step.isfinite().all():
            raise ValueError(
                f"features with ridge {ridge:g} depend on each other or separate the labels, "
                "expected a larger ridge (the curvature is singular)"
            )
        now = loss(beta)
        for _ in range(HALVINGS):
            worse = loss(beta - step) > now + 1e-9 * now.abs()
            if not worse.any():
                break
            step = torch.where(worse[..., None], step / 2, step)
        beta = beta - step
    return beta
