"""Random-walk Metropolis, with a fixed and with an adapted covariance."""

import math

import torch
from torch import Tensor

from gmtools.inference.chains import Chains, LogDensity, Recorder, check_run, metropolis_test


def random_walk_metropolis(
    log_density: LogDensity, z0: Tensor, steps: int, *, step_size: float, warmup: int = 0
) -> Chains:
    r"""Random-walk Metropolis with isotropic Gaussian proposals, C chains at once.

    .. math:: z' = z + \epsilon \xi, \quad \xi \sim \mathcal N(0, I), \qquad
        \alpha = \min\Big(1, \frac{p(z')}{p(z)}\Big)

    For a Gaussian-like target :math:`\epsilon = 2.38 \sigma / \sqrt D` is about best, with a quarter of the
    proposals accepted.

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``, up to a constant.
        z0: where the chains start, shape ``(C, D)``; its dtype and device are used throughout.
        steps: number S of steps to keep.
        step_size: standard deviation :math:`\epsilon` of the proposal.
        warmup: steps taken before the first that is kept.

    Returns:
        :class:`Chains` with samples ``(S, C, D)``.

    Raises:
        ValueError: wrong shapes, no steps, a step size that is not positive, a start of density zero.

    Reference: Metropolis, Rosenbluth, Rosenbluth, Teller, Teller (1953), Equation of state calculations by
    fast computing machines; Roberts, Gelman, Gilks (1997), Weak convergence and optimal scaling of random
    walk Metropolis algorithms. Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> run = random_walk_metropolis(normal.log_prob, torch.zeros(4, 2), 500, step_size=1.5)
    >>> run.samples.shape, bool((run.mean.abs() < 5 * run.standard_error).all())
    (torch.Size([500, 4, 2]), True)
    """
    value = check_run(log_density, z0, steps, warmup, step_size)
    z = z0.detach()
    recorder = Recorder(z, steps, warmup)
    for step in range(warmup + steps):
        z, value, probability = _metropolis_step(log_density, z, value, step_size * torch.randn_like(z))
        recorder.add(step, z, value, probability)
    return recorder.chains(step_size)


def adaptive_metropolis(
    log_density: LogDensity, z0: Tensor, steps: int, *, step_size: float, warmup: int = 0
) -> Chains:
    r"""Adaptive Metropolis: every chain proposes with the covariance of its own past.

    .. math:: z' = z + \mathcal N\Big(0, \frac{2.38^2}{D} \big(\hat\Sigma_t + 10^{-6} \epsilon^2 I\big)\Big),
        \qquad \hat\Sigma_t = \mathrm{cov}(z_0, \dots, z_t)

    During the first :math:`20 D` steps, while :math:`\hat\Sigma_t` says little, the proposal is
    :math:`\mathcal N(0, \epsilon^2 I)`. A chain that adapts is no Markov chain; it still converges to the
    target because the change of :math:`\hat\Sigma_t` dies away like 1/t (so it need not stop after the
    warm-up).

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``, up to a constant.
        z0: where the chains start, shape ``(C, D)``.
        steps: number S of steps to keep.
        step_size: standard deviation :math:`\epsilon` of the first proposals.
        warmup: steps taken before the first that is kept; the chains learn from them too.

    Returns:
        :class:`Chains` with samples ``(S, C, D)``.

    Raises:
        ValueError: wrong shapes, no steps, a step size that is not positive, a start of density zero.

    Reference: Haario, Saksman, Tamminen (2001), An adaptive Metropolis algorithm.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> scale = torch.tensor([1.0, 0.01])
    >>> def narrow(z):
    ...     return -0.5 * (z / scale).square().sum(-1)
    >>> run = adaptive_metropolis(narrow, torch.zeros(4, 2), 1000, step_size=0.05, warmup=1000)
    >>> bool((run.samples.std((0, 1)) / scale - 1).abs().max() < 0.5)
    True
    """
    value = check_run(log_density, z0, steps, warmup, step_size)
    z = z0.detach()
    D = z.shape[1]
    recorder = Recorder(z, steps, warmup)
    mean = z.double()  # float32 would lose the width of a narrow ridge
    scatter = mean.new_zeros(len(z), D, D)
    floor = 1e-6 * step_size**2 * torch.eye(D, dtype=mean.dtype, device=z.device)
    for step in range(warmup + steps):
        move = torch.randn_like(z)
        if step < 20 * D:
            move = step_size * move
        else:
            factor = _cholesky(scatter / step + floor).to(z)
            move = 2.38 / math.sqrt(D) * (factor @ move[..., None])[..., 0]
        z, value, probability = _metropolis_step(log_density, z, value, move)
        recorder.add(step, z, value, probability)
        difference = z - mean  # Welford's recursion for mean and scatter matrix
        mean = mean + difference / (step + 2)
        scatter = scatter + difference[..., :, None] * (z - mean)[..., None, :]
    return recorder.chains(step_size)


def _cholesky(covariance: Tensor) -> Tensor:
    """Cholesky factors ``(C, D, D)``; rounding may have made some of the covariances indefinite."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if bool(failed.any()):
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        rounding = 10 * torch.finfo(covariance.dtype).eps * diagonal.sum(-1) * (failed > 0)
        factor = torch.linalg.cholesky(covariance + rounding[:, None].expand_as(diagonal).diag_embed())
    return factor


def _metropolis_step(
    log_density: LogDensity, z: Tensor, value: Tensor, move: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    proposal = z + move
    with torch.no_grad():
        proposed = log_density(proposal)
    accepted, probability = metropolis_test(proposed - value)
    return (
        torch.where(accepted[:, None], proposal, z),
        torch.where(accepted, proposed, value),
        probability,
    )
