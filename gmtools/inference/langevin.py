"""Langevin samplers: a gradient step with noise, unadjusted and with a Metropolis test."""

import math

import torch
from torch import Tensor

from gmtools.inference.chains import (
    Chains,
    DualAveraging,
    LogDensity,
    Recorder,
    check_gradient_run,
    metropolis_test,
    value_and_gradient,
)


def ula(log_density: LogDensity, z0: Tensor, steps: int, *, step_size: float, warmup: int = 0) -> Chains:
    r"""Unadjusted Langevin algorithm, C chains at once.

    .. math:: z' = z + h \nabla \log p(z) + \sqrt{2 h} \, \xi, \qquad \xi \sim \mathcal N(0, I)

    The Euler discretisation of a diffusion whose stationary density is p. Without a Metropolis test the
    stationary density is off by :math:`O(h)`: for :math:`\mathcal N(0, \sigma^2)` the variance is
    :math:`\sigma^2 / (1 - h / 2 \sigma^2)`, and the chain diverges for :math:`h > 2 \sigma^2`.

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``, up to a constant; differentiable.
        z0: where the chains start, shape ``(C, D)``; its dtype and device are used throughout.
        steps: number S of steps to keep.
        step_size: :math:`h`.
        warmup: steps taken before the first that is kept.

    Returns:
        :class:`Chains` with samples ``(S, C, D)``; its acceptance is one.

    Raises:
        ValueError: wrong shapes, no steps, a step size that is not positive, a start of density zero or
            without a finite gradient, or chains that are no longer finite at the end. A divergence that has
            not got that far shows in ``r_hat`` and in the samples.

    Reference: Roberts, Tweedie (1996), Exponential convergence of Langevin distributions and their discrete
    approximations. Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> run = ula(lambda z: -0.5 * z.square().sum(-1), torch.zeros(50, 1), 500, step_size=1.0)
    >>> bool((run.samples.var() - 2.0).abs() < 0.1)  # and not 1: the bias of a large step
    True
    """
    value, gradient = check_gradient_run(log_density, z0, steps, warmup, step_size)
    z = z0.detach()
    recorder = Recorder(z, steps, warmup)
    for step in range(warmup + steps):
        z = z + step_size * gradient + math.sqrt(2 * step_size) * torch.randn_like(z)
        value, gradient = value_and_gradient(log_density, z)
        recorder.add(step, z, value, torch.ones_like(value))
    if not bool(z.isfinite().all()):
        raise ValueError(f"step_size is {step_size}, expected a smaller one: the chains have diverged")
    return recorder.chains(step_size)


def mala(
    log_density: LogDensity,
    z0: Tensor,
    steps: int,
    *,
    step_size: float,
    warmup: int = 0,
    target_acceptance: float = 0.574,
) -> Chains:
    r"""Metropolis-adjusted Langevin algorithm, C chains at once.

    .. math:: z' \sim q(\cdot \mid z) = \mathcal N(z + h \nabla \log p(z), 2 h I), \qquad
        \alpha = \min\Big(1, \frac{p(z') \, q(z \mid z')}{p(z) \, q(z' \mid z)}\Big)

    The test removes the bias of :func:`ula`. During the warm-up the step size, one for all chains, is adapted
    by dual averaging.

    Args:
        log_density: maps ``(C, D)`` to ``(C,)``, up to a constant; differentiable.
        z0: where the chains start, shape ``(C, D)``.
        steps: number S of steps to keep.
        step_size: :math:`h`, at the beginning of the warm-up if there is one.
        warmup: steps taken before the first that is kept. Zero keeps the given step size.
        target_acceptance: what the adaptation aims at.

    Returns:
        :class:`Chains` with samples ``(S, C, D)``.

    Raises:
        ValueError: wrong shapes, no steps, a step size that is not positive, a start of density zero or
            without a finite gradient.

    Reference: Roberts, Rosenthal (1998), Optimal scaling of discrete approximations to Langevin diffusions.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> run = mala(lambda z: -0.5 * z.square().sum(-1), torch.zeros(20, 2), 300, step_size=0.1, warmup=200)
    >>> bool((run.samples.var((0, 1)) - 1.0).abs().max() < 0.2)
    True
    """
    value, gradient = check_gradient_run(log_density, z0, steps, warmup, step_size)
    z = z0.detach()
    adaptation = DualAveraging(step_size, target_acceptance)
    recorder = Recorder(z, steps, warmup)
    for step in range(warmup + steps):
        h = adaptation.step_size
        noise = math.sqrt(2 * h) * torch.randn_like(z)
        proposal = z + h * gradient + noise
        proposed, proposed_gradient = value_and_gradient(log_density, proposal)
        back = z - proposal - h * proposed_gradient
        log_q_ratio = (noise.square().sum(-1) - back.square().sum(-1)) / (4 * h)
        accepted, probability = metropolis_test(proposed - value + log_q_ratio)
        z = torch.where(accepted[:, None], proposal, z)
        value = torch.where(accepted, proposed, value)
        gradient = torch.where(accepted[:, None], proposed_gradient, gradient)
        recorder.add(step, z, value, probability)
        if step < warmup:
            adaptation.update(probability.mean().item())
        if step == warmup - 1:
            adaptation.finish()
    return recorder.chains(adaptation.step_size)
