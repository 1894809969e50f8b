r"""Structured posteriors: a Gaussian for each variable given its parents, in an order.

.. math:: q(z) = \prod_{k=1}^D q_k\big(z_k \mid z_{\mathrm{pa}(k)}\big)

The parents must form a graph without cycles. A product of full conditionals,
:math:`\prod_k q_k(z_k \mid \{z_j\}_{j \ne k})`, has cycles and is no density in general.
"""

from collections.abc import Callable, Sequence
from graphlib import CycleError, TopologicalSorter

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, constraints

from gmtools.checks import check_count, check_shape
from gmtools.nets.mlp import MLP, check_context

from .parameters import Parameters, positive

Parents = Sequence[Sequence[int]]


class StructuredDistribution(Distribution):
    r"""Distribution given by its conditionals in an order.

    .. math:: \log q(z) = \sum_k \log q_k(z_k \mid z_{\mathrm{pa}(k)})

    Drawing and scoring both take D steps; ``rsample_and_log_prob`` does both in one go.

    Args:
        order: the indices 0, ..., D - 1, parents before children.
        conditional: ``conditional(k, columns)`` gives the univariate :math:`q_k`; it reads what it needs
            of the list ``columns``, whose j-th entry is :math:`z_j`, shape ``(..., *batch)``, for j before k.
        batch_shape: the batch shape.

    Reference: Saul & Jordan (1996), Exploiting tractable substructures in intractable networks.

    Chapter: 5-posteriors/53-structured-approximations

    >>> walk = lambda k, z: Normal(z[k - 1] if k else torch.tensor(0.0), 1.0)
    >>> StructuredDistribution(range(3), walk).log_prob(torch.zeros(3))
    tensor(-2.7568)
    """

    arg_constraints = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        order: Sequence[int],
        conditional: Callable[[int, list[Tensor]], Distribution],
        batch_shape: tuple[int, ...] = (),
        validate_args: bool | None = None,
    ):
        self.order, self.conditional = tuple(order), conditional
        super().__init__(torch.Size(batch_shape), torch.Size([len(self.order)]), validate_args)

    def rsample_and_log_prob(self, sample_shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Draws ``sample_shape + batch + (D,)`` and their log-density in nats, ``sample_shape + batch``."""
        shape = torch.Size(sample_shape) + self.batch_shape
        columns: list[Tensor] = [torch.empty(0)] * len(self.order)
        log_q = torch.zeros(())
        for k in self.order:
            q = self.conditional(k, columns).expand(shape)
            columns[k] = q.rsample()
            log_q = log_q.to(columns[k]) + q.log_prob(columns[k])
        return torch.stack(columns, dim=-1), log_q

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draws with gradients, shape ``sample_shape + batch + (D,)``."""
        return self.rsample_and_log_prob(sample_shape)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, shape ``sample_shape + batch``."""
        check_shape("value", value, "...", len(self.order))
        columns = list(value.unbind(-1))
        return sum(self.conditional(k, columns).log_prob(columns[k]) for k in self.order)


def chain_parents(dim: int, lag: int) -> list[list[int]]:
    """Parents of a chain in which each variable sees the ``lag`` before it: 0 is mean field, D - 1 is all.

    >>> chain_parents(4, lag=2)
    [[], [0], [0, 1], [1, 2]]
    """
    check_count("dim", dim)
    check_count("lag", lag, minimum=0)
    return [list(range(max(0, k - lag), k)) for k in range(dim)]


class Structured(nn.Module):
    r"""Structured (autoregressive) posterior with Gaussian conditionals.

    .. math:: q_k(z_k \mid z_{\mathrm{pa}(k)}, c)
              = \mathcal{N}\big(z_k \mid \mu_k(z_{\mathrm{pa}(k)}, c), \sigma_k(z_{\mathrm{pa}(k)}, c)^2\big)

    Each conditional has a small network of its own. For many dimensions with all dependencies see the
    inverse autoregressive flow in ``gmtools.flows``, which draws in one pass.

    Args:
        dim: size D of z.
        parents: for each variable the indices of those it depends on; None for all before it. With
            none at all this is mean field.
        d_context: size of the context; 0 for none.
        hidden: hidden layers of each network; ``()`` makes means linear.

    Shapes:
        ``forward(context=None)``: a `StructuredDistribution` of batch shape ``()``, or that of a context
        ``(..., d_context)``, and event shape ``(D,)``.

    Raises:
        ValueError: dim < 1, parents that are out of range or form a cycle, or a context that is missing,
            unexpected or of another size.

    Reference: Hoffman & Blei (2015), Structured stochastic variational inference.

    Chapter: 5-posteriors/53-structured-approximations

    >>> Structured(3, parents=chain_parents(3, lag=1))().rsample((5,)).shape
    torch.Size([5, 3])
    >>> Structured(2, parents=[[1], [0]])
    Traceback (most recent call last):
    ValueError: parents [[1], [0]] form a cycle through [0, 1, 0]: such conditionals define no density
    """

    def __init__(
        self,
        dim: int,
        parents: Parents | None = None,
        d_context: int = 0,
        hidden: Sequence[int] = (32,),
    ):
        super().__init__()
        check_count("dim", dim)
        self.d_context = d_context
        self.parents = [list(p) for p in (chain_parents(dim, dim - 1) if parents is None else parents)]
        self.order = _order(dim, self.parents)
        self.conditionals = nn.ModuleList(
            MLP(len(p), 2, hidden, d_context=d_context)
            if p
            else Parameters(torch.zeros(2), d_context, hidden)
            for p in self.parents
        )

    def forward(self, context: Tensor | None = None) -> StructuredDistribution:
        check_context(context, self.d_context)

        def conditional(k: int, columns: list[Tensor]) -> Normal:
            net, seen = self.conditionals[k], [columns[j] for j in self.parents[k]]
            raw = net(torch.stack(seen, dim=-1), context) if seen else net(context)
            return Normal(raw[..., 0], positive(raw[..., 1]))

        return StructuredDistribution(self.order, conditional, () if context is None else context.shape[:-1])


def _order(dim: int, parents: list[list[int]]) -> list[int]:
    """An order with parents before children."""
    if len(parents) != dim:
        raise ValueError(f"parents has {len(parents)} entries, expected one for each of {dim} variables")
    if any(j not in range(dim) for p in parents for j in p):
        raise ValueError(f"parents is {parents}, expected indices from 0 to {dim - 1}")
    try:
        return list(TopologicalSorter(dict(enumerate(parents))).static_order())
    except CycleError as error:
        raise ValueError(
            f"parents {parents} form a cycle through {error.args[1]}: such conditionals define no density"
        ) from None
