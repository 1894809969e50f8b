r"""Conditional distributions: a network whose outputs are the parameters of a distribution.

A head wraps a network; ``head(context)`` is a ``torch.distributions`` object. The same heads serve as
likelihoods :math:`p(x \mid z)` of decoders and as recognition models :math:`q(z \mid x)` of encoders.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal, constraints

from gmtools.checks import check_count, check_positive, check_shape


class BernoulliHead(nn.Module):
    r"""Independent Bernoulli variables whose logits a network computes.

    .. math:: p(x \mid c) = \prod_d \operatorname{Bern}(x_d \mid \sigma(f_d(c)))

    Args:
        net: module from ``(..., d_context)`` to ``(..., *event)``.
        event_dims: number of event dimensions: 1 for vectors, 3 for images ``(C, H, W)``.

    Shapes:
        context: ``(..., d_context)``; returns a Distribution of event shape ``event``.

    Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> BernoulliHead(nn.Linear(2, 5))(torch.zeros(3, 2)).event_shape
    torch.Size([5])
    """

    def __init__(self, net: nn.Module, event_dims: int = 1):
        super().__init__()
        check_count("event_dims", event_dims)
        self.net, self.event_dims = net, event_dims

    def forward(self, context: Tensor) -> Distribution:
        return _Binary(Bernoulli(logits=self.net(context), validate_args=False), self.event_dims)


class _Binary(Independent):
    """Independent Bernoulli variables that check values, and sum, without large temporaries: on a VAE's step
    those of torch show.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        check_shape("value", value, "...", *self.event_shape)
        if not value.is_floating_point():  # images of truth values or of integers
            value = value.to(self.base_dist.logits)
        if not (torch.compiler.is_compiling() or _is_binary(value)):
            raise ValueError(f"value has shape {tuple(value.shape)} and entries other than 0 and 1")
        logits, value = torch.broadcast_tensors(self.base_dist.logits, value)
        loss = F.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return -loss.flatten(-self.reinterpreted_batch_ndims).sum(-1)


def _is_binary(value: Tensor) -> bool:
    """Whether all entries are 0 or 1, up to rounding: between them, the squares of a row add up to its sum.

    Where a sum would round much, in long rows or half precision, entry by entry.
    """
    if value.numel() == 0:
        return True
    low, high = torch.aminmax(value)
    if not 0 <= low <= high <= 1:
        return False
    if value.shape[-1] > 4096 or value.dtype.itemsize < 4:
        return torch.equal(value * value, value)
    return torch.equal(torch.linalg.vecdot(value, value), value.sum(-1))


def _halves(parameters: Tensor, event_dims: int) -> tuple[Tensor, Tensor]:
    """Locations and raw scales: the halves of a network's outputs along the first event dimension."""
    size = parameters.shape[-event_dims]
    if size % 2:
        raise ValueError(f"net has {size} outputs, expected an even number: locations, then raw scales")
    return parameters.chunk(2, dim=-event_dims)


class GaussianHead(nn.Module):
    r"""Independent Gaussian variables whose means, and scales unless shared, a network computes.

    .. math:: p(x \mid c) = \prod_d \mathcal N(x_d \mid \mu_d(c), \sigma_d(c)^2), \qquad
              \sigma_d(c) = \operatorname{softplus}(f_d(c)) + 10^{-5}

    Args:
        net: module from ``(..., d_context)`` to ``(..., 2 d, ...)``: means, then raw scales, along the first
            event dimension; with a shared scale to the means alone.
        event_dims: number of event dimensions: 1 for vectors, 3 for images ``(C, H, W)``.
        scale: None for scales from the network; a number for one scale shared by all variables, learned from
            there (``head.log_scale.requires_grad_(False)`` keeps it fixed).

    Shapes:
        context: ``(..., d_context)``; returns a Distribution of event shape ``(d, ...)``.

    Raises:
        ValueError: a scale that is not positive, or a network of an odd number of outputs.

    Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> GaussianHead(nn.Linear(2, 6))(torch.zeros(4, 2)).event_shape
    torch.Size([3])
    """

    def __init__(self, net: nn.Module, event_dims: int = 1, scale: float | None = None):
        super().__init__()
        check_count("event_dims", event_dims)
        self.net, self.event_dims, self.log_scale = net, event_dims, None
        if scale is not None:
            check_positive("scale", scale)
            self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())

    def forward(self, context: Tensor) -> Distribution:
        loc, scale = self.net(context), self.log_scale
        if scale is None:
            loc, raw = _halves(loc, self.event_dims)
            scale = F.softplus(raw) + 1e-5
        else:
            scale = scale.exp()
        return Independent(Normal(loc, scale), self.event_dims)


class DiscretisedLogisticHead(nn.Module):
    r"""Independent discretised logistic variables: the likelihood of images with ``levels`` grey levels.

    .. math:: p(x \mid c) = \prod_d \operatorname{DiscretisedLogistic}(x_d \mid \mu_d(c), s_d(c)), \qquad
              s_d(c) = \operatorname{softplus}(f_d(c)) + 10^{-3}

    Args:
        net: module from ``(..., d_context)`` to ``(..., 2 d, ...)``: locations, then raw scales.
        levels: number of values of a variable.
        event_dims: number of event dimensions: 1 for vectors, 3 for images ``(C, H, W)``.

    Shapes:
        context: ``(..., d_context)``; returns a Distribution of event shape ``(d, ...)``.

    Raises:
        ValueError: a network of an odd number of outputs.

    Reference: D. P. Kingma and others, Improving Variational Inference with Inverse Autoregressive Flow,
    2016. Chapter: 3-inference/39-variational-autoencoder.

    >>> DiscretisedLogisticHead(nn.Linear(2, 6), levels=17)(torch.zeros(4, 2)).event_shape
    torch.Size([3])
    """

    def __init__(self, net: nn.Module, levels: int, event_dims: int = 1):
        super().__init__()
        check_count("event_dims", event_dims)
        check_count("levels", levels, 2)
        self.net, self.levels, self.event_dims = net, levels, event_dims

    def forward(self, context: Tensor) -> Distribution:
        loc, raw = _halves(self.net(context), self.event_dims)
        scale = F.softplus(raw) + 1e-3
        return Independent(DiscretisedLogistic(loc, scale, self.levels), self.event_dims)


class _Grid(constraints.Constraint):
    """The numbers k / (levels - 1), k = 0, ..., levels - 1."""

    is_discrete = True

    def __init__(self, levels: int):
        self.levels = levels
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        index = value * (self.levels - 1)
        return (value >= 0) & (value <= 1) & ((index - index.round()).abs() < 1e-3)


class DiscretisedLogistic(Distribution):
    r"""A logistic distribution rounded to the grid :math:`k / (L - 1)`, :math:`k = 0, \dots, L - 1`.

    .. math:: P(X = x) = \sigma\left(\frac{x + h - \mu}{s}\right) - \sigma\left(\frac{x - h - \mu}{s}\right),
              \qquad h = \frac{1}{2 (L - 1)}

    The tails outside :math:`[0, 1]` belong to the first and the last value, so the probabilities sum to one.
    The logarithm comes from :math:`\sigma(b) - \sigma(a) = \sigma(b)\,\sigma(-a)\,(1 - e^{a - b})`, which
    neither cancels nor underflows.

    Args:
        loc: location :math:`\mu`, any shape that broadcasts with ``scale``.
        scale: scale :math:`s`, positive.
        levels: number of values :math:`L`.

    Raises:
        ValueError: a scale that is not positive, fewer than two levels, or values off the grid in
        ``log_prob``.

    Reference: D. P. Kingma and others, Improving Variational Inference with Inverse Autoregressive Flow,
    2016. Chapter: 3-inference/39-variational-autoencoder.

    >>> x = torch.tensor([0, 0.5, 1])
    >>> DiscretisedLogistic(torch.tensor(0.2), torch.tensor(0.1), 3).log_prob(x).exp().sum()
    tensor(1.)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Tensor, scale: Tensor, levels: int, validate_args: bool | None = None):
        check_count("levels", levels, 2)
        check_positive("scale", scale)
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.levels = levels
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return _Grid(self.levels)

    @property
    def mean(self) -> Tensor:
        """The mean: the sum of the upper tails, one a boundary between two values."""
        steps = self.levels - 1
        edges = (torch.arange(steps, dtype=self.loc.dtype, device=self.loc.device) + 0.5) / steps
        return torch.sigmoid((self.loc[..., None] - edges) / self.scale[..., None]).mean(-1)

    def expand(self, batch_shape: torch.Size, _instance: None = None) -> "DiscretisedLogistic":
        return DiscretisedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.levels)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        half = 0.5 / (self.levels - 1)
        upper = F.logsigmoid((value + half - self.loc) / self.scale)
        lower = F.logsigmoid((self.loc - value + half) / self.scale)
        inside = upper + lower + torch.log(-torch.expm1(-2 * half / self.scale))
        return torch.where(value < half, upper, torch.where(value > 1 - half, lower, inside))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  torch's own signature
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        u = u.clamp(torch.finfo(u.dtype).tiny, 1 - torch.finfo(u.dtype).eps)
        x = (self.loc + self.scale * torch.logit(u)).detach()
        return (x.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


class StandardNormal(nn.Module):
    r"""The prior :math:`\mathcal N(0, I)`, as a module that follows its model's device and type.

    .. math:: p(z) = \prod_d \mathcal N(z_d \mid 0, 1)

    Args:
        dim: dimension of :math:`z`.

    Shapes:
        context: ignored; returns a Distribution of event shape ``(dim,)``.

    Reference: D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, 2014.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> StandardNormal(3)().event_shape
    torch.Size([3])
    """

    def __init__(self, dim: int):
        super().__init__()
        check_count("dim", dim)
        self.register_buffer("loc", torch.zeros(dim), persistent=False)
        self.register_buffer("scale", torch.ones(dim), persistent=False)

    def forward(self, context: Tensor | None = None) -> Distribution:
        return Independent(Normal(self.loc, self.scale), 1)
