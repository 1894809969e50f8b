"""Hamiltonian Monte Carlo with dual averaging of the step size."""

import torch
from torch import Tensor

from gmtools.checks import check_count, check_positive
from gmtools.inference.chains import (
    Chains,
    DualAveraging,
    LogDensity,
    Recorder,
    check_gradient_run,
    metropolis_test,
    value_and_gradient,
)


def leapfrog(
    log_density: LogDensity, z: Tensor, momentum: Tensor, gradient: Tensor, step_size: float, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Follow Hamilton's equations by the leapfrog rule: reversible, volume preserving, energy error
    :math:`O(\epsilon^2)`.

    .. math:: r \gets r + \tfrac\epsilon2 \nabla \log p(z), \quad z \gets z + \epsilon r, \quad
        r \gets r + \tfrac\epsilon2 \nabla \log p(z)

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``; differentiable.
        z: positions, shape ``(C, D)``.
        momentum: :math:`r`, shape ``(C, D)``.
        gradient: :math:`\nabla \log p(z)` at ``z``, shape ``(C, D)``.
        step_size: :math:`\epsilon`; negative to go back in time.
        count: number of steps, at least 1.

    Returns:
        Position ``(C, D)``, momentum ``(C, D)``, log-density ``(C,)`` and gradient ``(C, D)`` at the end.

    Raises:
        ValueError: ``count`` is no integer of at least 1.

    Reference: Neal (2011), MCMC using Hamiltonian dynamics, section 2.3.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> z, r = torch.ones(1, 1), torch.zeros(1, 1)  # a quarter turn of the harmonic oscillator
    >>> z, r, _, _ = leapfrog(lambda z: -0.5 * z.square().sum(-1), z, r, -z, torch.pi / 200, 100)
    >>> abs(z.item()) < 1e-3, abs(r.item() + 1) < 1e-3
    (True, True)
    """
    check_count("count", count)
    for _ in range(count):
        momentum = momentum + 0.5 * step_size * gradient
        z = z + step_size * momentum
        value, gradient = value_and_gradient(log_density, z)
        momentum = momentum + 0.5 * step_size * gradient
    return z, momentum, value, gradient


def hmc(
    log_density: LogDensity,
    z0: Tensor,
    steps: int,
    *,
    warmup: int = 500,
    step_size: float = 0.1,
    trajectory: float = 1.5,
    max_leapfrog: int = 100,
    target_acceptance: float = 0.8,
) -> Chains:
    r"""Hamiltonian Monte Carlo, C chains at once.

    .. math:: r \sim \mathcal N(0, I), \quad (z', r') = \mathrm{leapfrog}^L(z, r), \quad
        \alpha = \min\big(1, \exp(\log p(z') - \tfrac12 \|r'\|^2 - \log p(z) + \tfrac12 \|r\|^2)\big)

    The step size :math:`\epsilon`, one for all chains, is adapted by dual averaging during the warm-up, with
    :math:`L \approx \lambda / \epsilon` leapfrog steps for a trajectory of length :math:`\lambda`. Every step
    multiplies :math:`\epsilon` by a number drawn from (0.8, 1.2), so that no period of the motion is ever hit
    exactly. The mass matrix is the identity: rescale coordinates of very different spread.

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``, up to a constant; differentiable.
        z0: where the chains start, shape ``(C, D)``; its dtype and device are used throughout.
        steps: number S of steps to keep.
        warmup: steps that adapt the step size before the first that is kept. Zero keeps the given step size.
        step_size: :math:`\epsilon`, at the beginning of the warm-up if there is one.
        trajectory: :math:`\lambda`, about 1.5 times the standard deviation of the widest direction.
        max_leapfrog: most leapfrog steps in a trajectory.
        target_acceptance: what the adaptation aims at.

    Returns:
        :class:`Chains` with samples ``(S, C, D)``.

    Raises:
        ValueError: wrong shapes, no steps, a step size or trajectory that is not positive, a start of density
            zero or without a finite gradient.

    Reference: Neal (2011), MCMC using Hamiltonian dynamics; Hoffman, Gelman (2014), The No-U-Turn sampler,
    algorithm 5. Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> run = hmc(lambda z: -0.5 * z.square().sum(-1), torch.zeros(4, 10), 300, warmup=200)
    >>> bool((run.r_hat < 1.05).all()), bool(run.ess.min() > 400)
    (True, True)
    """
    value, gradient = check_gradient_run(log_density, z0, steps, warmup, step_size)
    check_positive("trajectory", trajectory)
    check_count("max_leapfrog", max_leapfrog)
    z = z0.detach()
    adaptation = DualAveraging(step_size, target_acceptance)
    recorder = Recorder(z, steps, warmup)
    for step in range(warmup + steps):
        count = max(1, min(max_leapfrog, round(trajectory / adaptation.step_size)))
        jittered = adaptation.step_size * (0.8 + 0.4 * torch.rand(()).item())
        momentum = torch.randn_like(z)
        end, end_momentum, end_value, end_gradient = leapfrog(
            log_density, z, momentum, gradient, jittered, count
        )
        kinetic_difference = 0.5 * (momentum.square() - end_momentum.square()).sum(-1)
        accepted, probability = metropolis_test(end_value - value + kinetic_difference)
        z = torch.where(accepted[:, None], end, z)
        value = torch.where(accepted, end_value, value)
        gradient = torch.where(accepted[:, None], end_gradient, gradient)
        recorder.add(step, z, value, probability)
        if step < warmup:
            adaptation.update(probability.mean().item())
        if step == warmup - 1:
            adaptation.finish()
    return recorder.chains(adaptation.step_size)
