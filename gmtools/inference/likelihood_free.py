r"""Approximate Bayesian computation: inference with a simulator instead of a likelihood.

A simulator maps parameters ``(n, D)`` to summaries ``(n, S)`` of the data it draws with them. All distances
are Euclidean, with every summary divided by its median absolute deviation under the prior.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from gmtools.checks import check_count, check_not_nan, check_shape

Simulator = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ABCSample:
    """Parameters whose simulations came near the observation.

    Attributes:
        z: parameters, shape ``(M, D)``.
        weights: normalised, shape ``(M,)``.
        deviation: of their summaries from the observed ones, in scaled units, shape ``(M, S)``.
        tolerance: largest accepted distance.
        simulations: runs of the simulator that it took.
    """

    z: Tensor
    weights: Tensor
    deviation: Tensor
    tolerance: float
    simulations: int

    @property
    def mean(self) -> Tensor:
        """Posterior mean, shape ``(D,)``."""
        return self.weights @ self.z

    @property
    def variance(self) -> Tensor:
        """Posterior variances, shape ``(D,)``."""
        return self.weights @ (self.z - self.mean).square()

    def regression_adjusted(self) -> "ABCSample":
        r"""Move every draw to where it would be, had its simulation hit the observation.

        .. math:: z_m \gets z_m - B^\top (s_m - s_{\text{obs}}), \qquad
            w_m \gets w_m \big(1 - d_m^2 / \epsilon^2\big)

        with B from a weighted linear regression of z on the summaries. Removes the bias of a wide tolerance
        where the posterior moves linearly with the summaries. Draws at equal distances keep their weights.

        Raises:
            ValueError: fewer than S + 2 draws, too few for S slopes and a constant (the farthest counts for
                nothing).

        Reference: Beaumont, Zhang, Balding (2002), Approximate Bayesian computation in population genetics.
        """
        M, S = self.deviation.shape
        if M < S + 2:
            raise ValueError(f"deviation has shape {(M, S)}, expected at least {S + 2} draws")
        squared = self.deviation.square().sum(1)
        weights = self.weights * (1 - squared / squared.max().clamp(min=torch.finfo(squared.dtype).tiny))
        if not bool(weights.sum() > 0):
            weights = self.weights
        weights = weights / weights.sum()
        design = torch.cat([torch.ones_like(squared)[:, None], self.deviation], 1)
        root = weights.sqrt()[:, None]
        coefficients = torch.linalg.lstsq(root * design, root * self.z).solution
        moved = self.z - self.deviation @ coefficients[1:]
        return ABCSample(moved, weights, self.deviation, self.tolerance, self.simulations)


def rejection_abc(
    prior: Distribution, simulator: Simulator, observed: Tensor, simulations: int, *, accept: float = 0.01
) -> ABCSample:
    r"""Keep the draws from the prior whose simulations come nearest to the observation.

    .. math:: z_m \sim p(z), \quad s_m \sim p(s \mid z_m), \quad \text{kept if } \|s_m - s_{\text{obs}}\| \le
        \epsilon

    Samples :math:`p(z \mid \|s - s_{\text{obs}}\| \le \epsilon)`, the posterior as :math:`\epsilon \to 0`.

    Args:
        prior: distribution with event shape ``(D,)``.
        simulator: maps parameters ``(n, D)`` to summaries ``(n, S)``.
        observed: summaries of the data, shape ``(S,)``.
        simulations: runs of the simulator.
        accept: fraction to keep, in (0, 1]; sets :math:`\epsilon`.

    Returns:
        The accepted parameters, equally weighted.

    Raises:
        ValueError: wrong shapes, a prior without event shape ``(D,)``, NaN, ``accept`` out of range, or a
            summary that does not vary.

    Reference: Pritchard, Seielstad, Perez-Lezaun, Feldman (1999), Population growth of human Y chromosomes;
    Sisson, Fan, Beaumont (2018), Handbook of approximate Bayesian computation.
    Chapter: 2-models/25-choosing-a-learning-principle.

    >>> seed = torch.manual_seed(0)
    >>> prior = torch.distributions.MultivariateNormal(torch.zeros(1), torch.eye(1))
    >>> run = rejection_abc(prior, lambda z: z + torch.randn_like(z), torch.ones(1), 20_000)
    >>> run.z.shape, bool(abs(run.mean - 0.5) < 0.3)
    (torch.Size([200, 1]), True)
    """
    check_count("simulations", simulations)
    if not 0 < accept <= 1:
        raise ValueError(f"accept is {accept!r}, expected a number in (0, 1]")
    _check_prior(prior)
    z = prior.sample((simulations,))
    summaries = _simulate(simulator, z, observed)
    deviation = (summaries - observed) / _scale(summaries)
    distance = deviation.square().sum(1).sqrt()
    kept = distance.topk(max(1, round(accept * simulations)), largest=False).indices
    weights = distance.new_full((len(kept),), 1 / len(kept))
    return ABCSample(z[kept], weights, deviation[kept], distance[kept].max().item(), simulations)


def smc_abc(
    prior: Distribution,
    simulator: Simulator,
    observed: Tensor,
    particles: int,
    *,
    rounds: int = 6,
    max_simulations: int = 1_000_000,
) -> ABCSample:
    r"""Approximate Bayesian computation in rounds of falling tolerance.

    Every round halves the population to its nearest members, sets :math:`\epsilon` to the distance of the
    farthest of them, and draws a new population around it until it is full:

    .. math:: z' \sim \mathcal N(z_m, 2 \hat\Sigma), \qquad
        w' \propto \frac{p(z')}{\sum_m w_m \mathcal N(z' \mid z_m, 2 \hat\Sigma)}

    Args:
        prior: distribution with event shape ``(D,)``; proposals of density zero are rejected unsimulated.
        simulator: maps parameters ``(n, D)`` to summaries ``(n, S)``.
        observed: summaries of the data, shape ``(S,)``.
        particles: size of the population.
        rounds: how often the tolerance falls; every round costs more than the one before.
        max_simulations: give up beyond this many runs of the simulator.

    Returns:
        The last population, weighted.

    Raises:
        ValueError: wrong shapes, a prior without event shape ``(D,)``, NaN, fewer than 2 D + 2 particles, of
            which half must span the space, a summary that does not vary, or too many simulations.

    Reference: Beaumont, Cornuet, Marin, Robert (2009), Adaptive approximate Bayesian computation.
    Chapter: 2-models/25-choosing-a-learning-principle.

    >>> seed = torch.manual_seed(0)
    >>> prior = torch.distributions.MultivariateNormal(torch.zeros(1), 100 * torch.eye(1))
    >>> run = smc_abc(prior, lambda z: z + torch.randn_like(z), torch.ones(1), 200)
    >>> bool(abs(run.mean - 1.0) < 0.5), run.tolerance < 0.1
    (True, True)
    """
    check_count("rounds", rounds)
    _check_prior(prior)
    check_count("particles", particles, minimum=2 * prior.event_shape[0] + 2)
    z = prior.sample((particles,))
    summaries = _simulate(simulator, z, observed)
    scale = _scale(summaries)
    deviation = (summaries - observed) / scale
    weights = deviation.new_full((particles,), 1 / particles)
    simulations = particles
    for _ in range(rounds):
        distance = deviation.square().sum(1).sqrt()
        near = distance.topk(particles // 2, largest=False).indices
        tolerance = distance[near].max()
        z, weights = z[near], weights[near] / weights[near].sum()
        kernel = MultivariateNormal(torch.zeros_like(z[0]), _twice_covariance(z, weights))
        accepted: list[tuple[Tensor, Tensor]] = []
        while sum(len(a) for a, _ in accepted) < particles:
            if simulations >= max_simulations:
                raise ValueError(
                    f"max_simulations is {max_simulations}, expected more, or fewer than {rounds} rounds"
                )
            proposal = z[weights.multinomial(particles, replacement=True)] + kernel.sample((particles,))
            proposal = proposal[_log_prior(prior, proposal).isfinite()]
            deviation = (_simulate(simulator, proposal, observed) - observed) / scale
            simulations += len(proposal)
            hit = deviation.square().sum(1).sqrt() <= tolerance
            accepted.append((proposal[hit], deviation[hit]))
        new_z, deviation = (torch.cat(column)[:particles] for column in zip(*accepted, strict=True))
        log_mixture = (kernel.log_prob(new_z[:, None] - z) + weights.log()).logsumexp(1)
        weights = (_log_prior(prior, new_z) - log_mixture).softmax(0)
        z = new_z
    return ABCSample(z, weights, deviation, tolerance.item(), simulations)


def _check_prior(prior: Distribution) -> None:
    if len(prior.event_shape) != 1 or prior.batch_shape:
        raise ValueError(
            f"prior has batch shape {tuple(prior.batch_shape)} and event shape {tuple(prior.event_shape)}, "
            "expected () and (D,)"
        )


def _simulate(simulator: Simulator, z: Tensor, observed: Tensor) -> Tensor:
    check_shape("observed", observed, "S")
    check_not_nan("observed", observed)
    with torch.no_grad():
        summaries = simulator(z)
    check_shape("simulator(z)", summaries, len(z), len(observed))
    check_not_nan("simulator(z)", summaries)
    return summaries


def _scale(summaries: Tensor) -> Tensor:
    deviation = (summaries - summaries.median(0).values).abs().median(0).values
    if not bool((deviation > 0).all()):
        fixed = (deviation <= 0).nonzero().flatten().tolist()
        raise ValueError(
            f"simulator gives summaries {fixed} that hardly vary under the prior, expected all to vary"
        )
    return deviation


def _log_prior(prior: Distribution, z: Tensor) -> Tensor:
    """The prior's log-density, ``-inf`` outside its support."""
    inside = prior.support.check(z)
    log_density = torch.full_like(z[..., 0], -math.inf)
    if bool(inside.any()):
        log_density[inside] = prior.log_prob(z[inside])
    return log_density


def _twice_covariance(z: Tensor, weights: Tensor) -> Tensor:
    return 2 * torch.atleast_2d(torch.cov(z.T, aweights=weights, correction=0))
