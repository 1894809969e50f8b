"""The sigmoid belief network: layers of binary latents, with a recognition network."""

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, constraints

from gmtools.checks import check_count, check_shape
from gmtools.models.binary import all_binary
from gmtools.models.latent.base import LatentVariableModel


def _log_bernoulli(value: Tensor, logits: Tensor) -> Tensor:
    return Bernoulli(logits=logits).log_prob(value).sum(-1)


class BernoulliChain(Distribution):
    r"""Layers of binary variables, each a logistic regression on the one before.

    .. math:: q(z_1, \dots, z_L \mid x) = \prod_l \operatorname{Bern}(z_l \mid \sigma(W_l z_{l-1} + b_l)),
              \qquad z_0 = x

    The event is the concatenation of the layers.

    Args:
        x: where the chain starts, shape ``(..., d_0)``.
        maps: the affine maps, from one layer to the next.

    Reference: A. Mnih, K. Gregor, Neural Variational Inference and Learning in Belief Networks, 2014.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> BernoulliChain(torch.zeros(5, 4), [nn.Linear(4, 3), nn.Linear(3, 2)]).sample((7,)).shape
    torch.Size([7, 5, 5])
    """

    arg_constraints: dict = {}
    has_rsample = False

    def __init__(self, x: Tensor, maps: nn.ModuleList, validate_args: bool | None = None):
        self.x, self.maps = x, maps
        self.sizes = [m.out_features for m in maps]
        super().__init__(x.shape[:-1], torch.Size([sum(self.sizes)]), validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.boolean, 1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  torch's own signature
        layers = [self.x.expand(*sample_shape, *self.x.shape)]
        with torch.no_grad():
            for transform in self.maps:
                layers.append(torch.bernoulli(transform(layers[-1]).sigmoid()))
        return torch.cat(layers[1:], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        layers = value.split(self.sizes, -1)
        below = [self.x, *layers[:-1]]
        return sum(_log_bernoulli(z, m(b)) for z, m, b in zip(layers, self.maps, below, strict=True))


class SigmoidBeliefNetwork(LatentVariableModel):
    r"""Sigmoid belief network with L layers of binary latents.

    .. math:: z_L \sim \operatorname{Bern}(\sigma(a)), \qquad
              z_l \mid z_{l+1} \sim \operatorname{Bern}(\sigma(W_l z_{l+1} + b_l)), \qquad
              x \mid z_1 \sim \operatorname{Bern}(\sigma(W_0 z_1 + b_0))

    The proposal is the same kind of network upside down, :math:`q(z \mid x) = \prod_l q(z_l \mid z_{l-1})`.
    Latents are the layers concatenated, bottom first. They are discrete: take the gradient from
    ``gmtools.gradients.vimco`` or another score-function estimator.

    Args:
        d_x: dimension of the data, binary.
        sizes: dimensions of the latent layers from the bottom.

    Reference: R. M. Neal, Connectionist Learning of Belief Networks, 1992; A. Mnih, K. Gregor, Neural
    Variational Inference and Learning in Belief Networks, 2014. Chapter:
    2-models/21-spectrum-latent-variable.

    >>> model = SigmoidBeliefNetwork(6, (3, 2))
    >>> x = model.sample(4)
    >>> model.log_weights(x, K=5).shape, model.log_prob(x).shape
    (torch.Size([5, 4]), torch.Size([4]))
    """

    def __init__(self, d_x: int, sizes: tuple[int, ...]):
        super().__init__()
        check_count("d_x", d_x)
        if not sizes:
            raise ValueError("sizes is empty, expected at least one layer")
        for size in sizes:
            check_count("sizes", size)
        self.d_x, self.sizes = d_x, list(sizes)
        widths = [d_x, *sizes]
        self.top = nn.Parameter(torch.zeros(sizes[-1]))
        self.down = nn.ModuleList(
            nn.Linear(above, below) for below, above in zip(widths[:-1], widths[1:], strict=True)
        )
        self.up = nn.ModuleList(
            nn.Linear(below, above) for below, above in zip(widths[:-1], widths[1:], strict=True)
        )

    def proposal(self, x: Tensor) -> BernoulliChain:
        """The recognition network's q(z | x)."""
        check_shape("x", x, "...", self.d_x)
        return BernoulliChain(x, self.up)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """The log-joint of data ``(N, d_x)`` and latents ``(K, N, sum(sizes))``, shape ``(K, N)``."""
        check_shape("x", x, "...", self.d_x)
        check_shape("z", z, "...", sum(self.sizes))
        layers = z.split(self.sizes, -1)
        below = [x, *layers[:-1]]
        total = _log_bernoulli(layers[-1], self.top)
        return total + sum(_log_bernoulli(b, m(z)) for b, m, z in zip(below, self.down, layers, strict=True))

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-probability of data ``(N, d_x)``, shape ``(N,)``: the sum over all latent states.

        Raises:
            ValueError: more than 16 latents, so more than 65 536 states.
        """
        z = all_binary(sum(self.sizes), like=self.top)
        return self.log_joint(x, z[:, None]).logsumexp(0)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n data points, ``(n, d_x)``."""
        check_count("n", n)
        layer = torch.bernoulli(self.top.sigmoid().expand(n, -1))
        for transform in reversed(self.down):
            layer = torch.bernoulli(transform(layer).sigmoid())
        return layer
