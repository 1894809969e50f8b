"""What every flow is made of: the bijection, composition, inversion, and the distribution they give."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from gmtools.checks import check_count, check_shape
from gmtools.nets.mlp import check_context


class Bijection(nn.Module):
    r"""An invertible map from noise z to data x that knows its log-determinant.

    .. math::

        x = f(z), \qquad \text{ladj} = \log \left| \det \frac{\partial f}{\partial z} \right|

    A subclass writes two methods. Each returns its result and the log-absolute-determinant of the direction
    that was taken, of batch shape, so forward and inverse give opposite numbers:

    - ``forward(z, context=None) -> (x, ladj)``: from noise to data;
    - ``inverse(x, context=None) -> (z, ladj)``: from data to noise.

    Nothing is remembered between calls.

    Args:
        dim: size D of z.
        d_context: size of the context on which the map depends; 0 for none.

    Shapes:
        z, x: ``(..., D)``; context: ``(..., d_context)``; ladj: ``(...)``. The batch dimensions of event and
        context broadcast: K samples for each of N contexts are ``(K, N, D)`` and ``(N, d_context)``.

    Reference: Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), Normalizing flows for
        probabilistic modeling and inference.

    Chapter: ``5-posteriors/55-change-of-variables``

    >>> class Doubling(Bijection):
    ...     def forward(self, z, context=None):
    ...         return 2 * z, z.new_full(z.shape[:-1], self.dim * math.log(2))
    ...     def inverse(self, x, context=None):
    ...         return x / 2, x.new_full(x.shape[:-1], -self.dim * math.log(2))
    >>> import math
    >>> Doubling(3).inverse_bijection(torch.ones(3))
    (tensor([0.5000, 0.5000, 0.5000]), tensor(-2.0794))
    """

    def __init__(self, dim: int, d_context: int = 0):
        super().__init__()
        check_count("dim", dim)
        check_count("d_context", d_context, minimum=0)
        self.dim, self.d_context = dim, d_context

    @property
    def data_dim(self) -> int:
        """Size of x: D, but for an embedding, which maps onto a surface in a larger space."""
        return self.dim

    def forward(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    @property
    def inverse_bijection(self) -> "Bijection":
        """The same map read backwards, with the same parameters: its directions exchange their costs."""
        return Inverse(self)

    def _admit(self, name: str, event: Tensor, context: Tensor | None, dim: int | None = None) -> Tensor:
        """Check the shapes, and expand the event over the batch dimensions that only the context has."""
        check_shape(name, event, "...", dim or self.dim)
        check_context(context, self.d_context)
        if context is None or context.dim() == 1:
            return event
        batch = torch.broadcast_shapes(event.shape[:-1], context.shape[:-1])
        return event.expand(*batch, event.shape[-1])


class Inverse(Bijection):
    """A bijection with its two directions exchanged.

    The inverse of a masked autoregressive flow is the inverse autoregressive flow. Costs are those of the
    given bijection, exchanged.

    Args:
        bijection: the map to read backwards.

    Chapter: ``5-posteriors/55-change-of-variables``

    >>> from gmtools.flows import Affine
    >>> f = Affine(2)
    >>> f.inverse_bijection.inverse_bijection is f
    True
    """

    def __init__(self, bijection: Bijection):
        super().__init__(bijection.data_dim, bijection.d_context)
        self.bijection = bijection

    @property
    def data_dim(self) -> int:
        return self.bijection.dim

    def forward(self, z, context=None):
        return self.bijection.inverse(z, context)

    def inverse(self, x, context=None):
        return self.bijection(x, context)

    @property
    def inverse_bijection(self) -> Bijection:
        return self.bijection


class Compose(Bijection):
    r"""Bijections one after the other, in the order from noise to data.

    .. math::

        x = f_L \circ \dots \circ f_1 (z), \qquad
        \log |\det J| = \sum_{l=1}^{L} \log |\det J_{f_l}(z_{l-1})|

    Either direction costs the sum of its parts in that direction.

    Args:
        bijections: the parts; the size of each fits the next. The context goes to those that take one.

    Raises:
        ValueError: no part, sizes that do not fit, or parts with contexts of different sizes.

    Reference: Rezende, Mohamed (2015), Variational inference with normalizing flows.

    Chapter: ``5-posteriors/56-sequences-of-transformations``

    >>> from gmtools.flows import Permute, Planar
    >>> f = Compose(Planar(2, layers=4), Permute([1, 0]))
    >>> x, ladj = f(torch.randn(5, 2))
    >>> x.shape, ladj.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, *bijections: Bijection):
        check_count("len(bijections)", len(bijections))
        for first, second in zip(bijections[:-1], bijections[1:], strict=True):
            if first.data_dim != second.dim:
                raise ValueError(
                    f"bijections do not fit: {type(first).__name__} gives {first.data_dim} dimensions, "
                    f"{type(second).__name__} takes {second.dim}"
                )
        sizes = {b.d_context for b in bijections if b.d_context}
        if len(sizes) > 1:
            raise ValueError(f"bijections take contexts of sizes {sorted(sizes)}, expected one size")
        super().__init__(bijections[0].dim, d_context=max(sizes, default=0))
        self.bijections = nn.ModuleList(bijections)

    @property
    def data_dim(self) -> int:
        return self.bijections[-1].data_dim

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        return self._run([(b, b.forward) for b in self.bijections], z, context)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context, self.data_dim)
        return self._run([(b, b.inverse) for b in reversed(self.bijections)], x, context)

    @staticmethod
    def _run(steps, event, context):
        total = None
        for bijection, step in steps:
            event, ladj = step(event, context if bijection.d_context else None)
            total = ladj if total is None else total + ladj
        return event, total


class Flow(Distribution):
    r"""The distribution of :math:`x = f(z)`, where z has the base distribution.

    .. math::

        \log p(x \mid c) = \log p_z(z) + \log \left| \det \frac{\partial f^{-1}}{\partial x} \right|,
        \qquad z = f^{-1}(x; c)

    ``rsample_and_log_prob`` runs the bijection forward only, ``log_prob`` runs it backward only; choose the
    bijection whose cheap direction is the one you train with. Building a Flow costs nothing: make one
    wherever you need its density, from parts that live on your device.

    Args:
        base: distribution of z with event shape ``(D,)``.
        bijection: the map f; its parameters stay where they are, with the module.
        context: shape ``(..., d_context)``; its batch dimensions become batch dimensions of the distribution.

    Raises:
        ValueError: the base's event shape or the context does not fit the bijection; a value to score has the
            wrong shape or is NaN.

    Reference: Tabak, Vanden-Eijnden (2010), Density estimation by dual ascent of the log-likelihood; Rezende,
        Mohamed (2015), Variational inference with normalizing flows.

    Chapter: ``5-posteriors/55-change-of-variables``

    >>> from gmtools.flows import real_nvp, standard_normal
    >>> p = Flow(standard_normal(2), real_nvp(2, d_context=3), context=torch.zeros(7, 3))
    >>> x, log_p = p.rsample_and_log_prob((5,))
    >>> x.shape, log_p.shape, torch.allclose(log_p, p.log_prob(x), atol=1e-4)
    (torch.Size([5, 7, 2]), torch.Size([5, 7]), True)
    """

    arg_constraints = {}
    support = constraints.real_vector

    def __init__(
        self, base: Distribution, bijection: Bijection, context: Tensor | None = None, validate_args=None
    ):
        check_context(context, bijection.d_context)
        if tuple(base.event_shape) != (bijection.dim,):
            raise ValueError(f"base has event shape {tuple(base.event_shape)}, expected ({bijection.dim},)")
        batch_shape = base.batch_shape
        if context is not None:
            batch_shape = torch.broadcast_shapes(batch_shape, context.shape[:-1])
        self.base = base if batch_shape == base.batch_shape else base.expand(batch_shape)
        self.bijection, self.context = bijection, context
        super().__init__(batch_shape, torch.Size((bijection.data_dim,)), validate_args=validate_args)

    @property
    def has_rsample(self) -> bool:
        return self.base.has_rsample

    def expand(self, batch_shape, _instance=None):
        return Flow(self.base.expand(batch_shape), self.bijection, self.context, self._validate_args)

    def sample(self, sample_shape=torch.Size()):  # noqa: B008, the signature of torch.distributions
        with torch.no_grad():
            return self.bijection(self.base.sample(sample_shape), self.context)[0]

    def rsample(self, sample_shape=torch.Size()):  # noqa: B008
        return self.bijection(self.base.rsample(sample_shape), self.context)[0]

    def rsample_and_log_prob(self, sample_shape=torch.Size()):  # noqa: B008
        """Draw x and return it with log p(x), in nats: ``sample_shape + batch_shape (+ (D,))``; one pass."""
        z = self.base.rsample(sample_shape)
        x, ladj = self.bijection(z, self.context)
        return x, self.base.log_prob(z) - ladj

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, ladj = self.bijection.inverse(value, self.context)
        return self.base.log_prob(z) + ladj


def standard_normal(dim: int, like: Tensor | None = None) -> Distribution:
    """The base of most flows: independent standard normals, event shape ``(dim,)``.

    Args:
        dim: size D.
        like: a tensor whose device and dtype to take; None for torch's defaults.

    Chapter: ``5-posteriors/55-change-of-variables``

    >>> standard_normal(2).log_prob(torch.zeros(2))
    tensor(-1.8379)
    """
    check_count("dim", dim)
    zeros = torch.zeros(dim) if like is None else like.new_zeros(dim)
    normal = torch.distributions.Normal(zeros, torch.ones_like(zeros))
    return torch.distributions.Independent(normal, 1)
