"""Laplace's approximation: a Gaussian at the mode, for any differentiable log-joint."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.distributions import MultivariateNormal

from gmtools.checks import check_count, check_float, check_not_nan, check_positive, check_shape

LogDensity = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LaplaceApproximation:
    """What :func:`laplace` found.

    Attributes:
        mode: shape ``(D,)``.
        covariance: inverse Hessian at the mode, shape ``(D, D)``.
        log_evidence: scalar tensor, in nats.
        steps: Newton steps that the mode search took.
    """

    mode: Tensor
    covariance: Tensor
    log_evidence: Tensor
    steps: int

    @property
    def posterior(self) -> MultivariateNormal:
        """The Gaussian as a ``Distribution`` with event shape ``(D,)``."""
        return MultivariateNormal(self.mode, self.covariance)


def laplace(
    log_joint: LogDensity, z0: Tensor, *, max_steps: int = 100, tolerance: float | None = None
) -> LaplaceApproximation:
    r"""Fit a Gaussian at the mode of :math:`p(x, z)` and estimate :math:`\log p(x)` by its integral.

    With :math:`u(z) = -\log p(x, z)`, mode :math:`\mu` and Hessian :math:`H = \nabla^2 u(\mu)`,

    .. math:: p(z \mid x) \approx \mathcal N(\mu, H^{-1}), \qquad
        \log p(x) \approx -u(\mu) + \tfrac12 \log \det (2 \pi H^{-1}).

    Exact where the log-joint is quadratic. The mode is found by Newton's method, damped where the Hessian is
    not positive definite and with a backtracking line search; a step costs one Hessian, D gradients. The
    approximation depends on how :math:`z` is parametrised.

    Args:
        log_joint: maps ``z`` of shape ``(D,)`` to a scalar that autograd can differentiate twice.
        z0: where the search starts, shape ``(D,)``. float64 is worth having here.
        max_steps: limit on Newton steps.
        tolerance: the search ends when the Newton decrement, an estimate in nats of what is left to gain,
            falls below it (and then takes one more full step). Default: square root of the machine epsilon.

    Returns:
        The mode, covariance, log-evidence and Gaussian, without gradients.

    Raises:
        ValueError: ``z0`` is no vector of floating-point numbers or not finite; ``log_joint`` returns no
            scalar, is not finite at ``z0``, has no mode that the search could reach, or has a Hessian there
            that is not positive definite (a saddle, a ridge).

    Reference: MacKay (2003), Information theory, inference, and learning algorithms, chapter 27.
    Chapter: 3-inference/30-laplace-approximation.

    >>> def log_joint(z):  # z ~ N(0, 1), x | z ~ N(z, 0.7), x = 1.3
    ...     prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    ...     return (prior + torch.distributions.Normal(z, 0.7**0.5).log_prob(torch.tensor(1.3))).sum()
    >>> fit = laplace(log_joint, torch.zeros(1, dtype=torch.float64))
    >>> round(fit.log_evidence.item(), 3), round(fit.mode.item(), 3)
    (-1.681, 0.765)
    """
    check_shape("z0", z0, "D")
    check_float("z0", z0)
    check_not_nan("z0", z0)
    check_count("max_steps", max_steps)
    if tolerance is None:
        tolerance = math.sqrt(torch.finfo(z0.dtype).eps)
    check_positive("tolerance", tolerance)
    _check_value("log_joint(z0)", log_joint(z0))

    def energy(z: Tensor) -> Tensor:
        return -log_joint(z)

    mode, steps = _newton(energy, z0.detach().clone(), max_steps, tolerance)
    precision = hessian(energy, mode)
    factor = _cholesky(precision, mode)
    half_log_det_covariance = -factor.diagonal().log().sum()
    log_evidence = -energy(mode).detach() + 0.5 * len(mode) * math.log(2 * math.pi) + half_log_det_covariance
    return LaplaceApproximation(mode, torch.cholesky_inverse(factor), log_evidence, steps)


def _cholesky(precision: Tensor, mode: Tensor) -> Tensor:
    factor, failed = torch.linalg.cholesky_ex(precision)
    unexplained = factor.diagonal().square() / precision.diagonal()  # 1 - R² on the coordinates before
    singular = 10 * len(mode) * torch.finfo(mode.dtype).eps
    if failed or not bool((unexplained > singular).all()):
        finite = bool(precision.isfinite().all())
        smallest = torch.linalg.eigvalsh(precision)[0].item() if finite else math.nan
        raise ValueError(
            f"log_joint has at its stationary point {mode.tolist()} a negative Hessian whose smallest "
            f"eigenvalue is {smallest:.3g}, expected a positive definite one; start elsewhere, or "
            "check that the mode is isolated"
        )
    return factor


def _check_value(name: str, value: Tensor) -> None:
    check_shape(name, value)
    if not value.isfinite():
        raise ValueError(f"{name} is {value.item()}, expected a finite scalar")


def _newton(energy: LogDensity, z: Tensor, max_steps: int, tolerance: float) -> tuple[Tensor, int]:
    decrement = math.inf
    for step in range(1, max_steps + 1):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(energy(z), z)
        z = z.detach()
        direction = -_solve_damped(hessian(energy, z), gradient)
        decrement = -0.5 * float(gradient @ direction)
        if decrement <= tolerance:
            return z + direction, step
        moved = _backtrack(energy, z, direction, slope=-2 * decrement)
        if moved is None:
            break
        z = moved
    raise ValueError(
        f"log_joint: no mode found from z0 in {step} Newton steps; at z = {z.tolist()} the Newton decrement "
        f"is {decrement:.3g}, expected at most {tolerance:.3g}; start nearer, or check that the log-joint is "
        "bounded"
    )


def _solve_damped(curvature: Tensor, gradient: Tensor) -> Tensor:
    """Solve (H + damping I) s = gradient with the least damping that makes it positive definite."""
    identity = torch.eye(len(gradient), dtype=curvature.dtype, device=curvature.device)
    scale = max(float(curvature.abs().amax()), torch.finfo(curvature.dtype).tiny)
    for damping in (0.0, *(10.0**power for power in range(-6, 4))):
        factor, failed = torch.linalg.cholesky_ex(curvature + damping * scale * identity)
        if not failed:
            return torch.cholesky_solve(gradient[:, None], factor)[:, 0]
    return gradient / scale  # not finite: the line search will refuse the step


def _backtrack(energy: LogDensity, z: Tensor, direction: Tensor, slope: float) -> Tensor | None:
    """Halve the step until the energy falls by a fraction of what its slope promises (Armijo's rule)."""
    start = float(energy(z))
    rounding = 10 * torch.finfo(z.dtype).eps * abs(start)
    size = 1.0
    for _ in range(40):
        candidate = (z + size * direction).detach()
        if float(energy(candidate)) <= start + 1e-4 * size * slope + rounding:
            return candidate
        size /= 2
    return None
