"""Attend, infer, repeat: scenes of a variable number of objects, each with a place and a look."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal

from gmtools.checks import check_count, check_positive, check_shape
from gmtools.distributions import rsample_and_log_prob
from gmtools.models.heads import GaussianHead, StandardNormal
from gmtools.models.latent.attention import crop, paste
from gmtools.nets import MLP

SCALE_RANGE = (0.2, 0.9)


class AIR(nn.Module):
    r"""Attend, infer, repeat: a structured prior over scenes.

    .. math:: n \sim p(n) \propto \rho^n,\ n \le T, \qquad z_i^{\text{where}}, z_i^{\text{what}} \sim
        \mathcal N(0, I),
              \qquad x \sim \mathcal N\Big(\sum_{i \le n} \operatorname{paste}(g(z_i^{\text{what}}),
              z_i^{\text{where}}), \sigma^2 I\Big)

    A recurrent network looks at the image and proposes the objects one after the other, first where, then
    what it sees there: :math:`q(z_{1:T} \mid x) = \prod_i q(z_i \mid z_{<i}, x)`. The paper draws the count
    too and needs a score-function gradient. Here the count is summed out,

    .. math:: w = \sum_{n=0}^{T} p(n) \prod_{i \le n} \frac{p(z_i)}{q(z_i \mid z_{<i}, x)}\, p(x \mid
        z_{1:n}), \qquad
              \mathbb E_q[w] = p(x),

    which is exact, lies above the paper's bound for any :math:`q(n \mid x)`, and leaves a pathwise gradient.
    It costs
    nothing: the T canvases are partial sums.

    Args:
        size: height and width of the images, which have one channel.
        objects: greatest number of objects T.
        d_what: dimension of an object's look.
        glimpse: height and width of an object's own picture.
        hidden: width of the networks.
        ratio: :math:`\rho`, the prior ratio of the probabilities of n + 1 and n objects.
        noise: :math:`\sigma`.

    Shapes:
        x: images ``(N, 1, H, W)``.

    Reference: S. M. A. Eslami and others, Attend, Infer, Repeat: Fast Scene Understanding with Generative
    Models, 2016. Chapter: 3-inference/40-richer-vaes.

    >>> model = AIR((8, 8), objects=2, d_what=3, glimpse=(4, 4), hidden=8)
    >>> x = model.sample(5)
    >>> model.log_weights(x, K=4).shape, model.count_posterior(x, K=4).probs.shape
    (torch.Size([4, 5]), torch.Size([5, 3]))
    """

    def __init__(
        self,
        size: tuple[int, int],
        objects: int,
        d_what: int,
        glimpse: tuple[int, int] = (8, 8),
        hidden: int = 64,
        ratio: float = 1.0,
        noise: float = 0.3,
    ):
        super().__init__()
        check_count("objects", objects)
        check_count("d_what", d_what)
        check_positive("ratio", ratio)
        check_positive("noise", noise)
        self.size, self.glimpse = tuple(size), tuple(glimpse)
        self.objects, self.d_what, self.hidden = objects, d_what, hidden
        self.ratio, self.noise = ratio, noise
        pixels, cells = math.prod(size), math.prod(glimpse)
        self.where_prior, self.what_prior = StandardNormal(3), StandardNormal(d_what)
        self.look = MLP(d_what, cells, (hidden,))
        self.features = MLP(pixels, hidden, (hidden,))
        self.recurrence = nn.GRUCell(hidden + 3 + d_what, hidden)
        self.where_posterior = GaussianHead(nn.Linear(hidden, 6))
        self.what_posterior = GaussianHead(MLP(cells, 2 * d_what, (hidden,)))

    def count_prior(self) -> Categorical:
        """p(n) over 0, ..., T."""
        n = torch.arange(self.objects + 1, dtype=torch.float64)
        return Categorical(logits=(n * math.log(self.ratio)).to(self.where_prior.loc))

    def place(self, z_where: Tensor) -> Tensor:
        """Scale and shift ``(..., 3)`` of the latent ``(..., 3)``: scale in (0.2, 0.9), shift in (-1, 1)."""
        low, high = SCALE_RANGE
        scale = low + (high - low) * z_where[..., :1].sigmoid()
        return torch.cat((scale, z_where[..., 1:].tanh()), -1)

    def draw_object(self, z_where: Tensor, z_what: Tensor) -> Tensor:
        """One object ``(M, 3)``, ``(M, d_what)`` in an empty image, ``(M, 1, H, W)``."""
        picture = self.look(z_what).sigmoid().unflatten(1, (1, *self.glimpse))
        return paste(picture, self.place(z_where), self.size)

    def _propose(self, x: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """All T objects, and log p(z_i) - log q(z_i) of each, ``(M, T)``."""
        features, h = self.features(x.flatten(1)), x.new_zeros(x.shape[0], self.hidden)
        objects, ratios = [], []
        previous = x.new_zeros(x.shape[0], 3 + self.d_what)
        for _ in range(self.objects):
            h = self.recurrence(torch.cat((features, previous), 1), h)
            where, log_where = rsample_and_log_prob(self.where_posterior(h))
            seen = crop(x, self.place(where), self.glimpse)
            what, log_what = rsample_and_log_prob(self.what_posterior(seen.flatten(1)))
            prior = self.where_prior().log_prob(where) + self.what_prior().log_prob(what)
            ratios.append(prior - log_where - log_what)
            objects.append((where, what))
            previous = torch.cat((where, what), 1)
        return objects, torch.stack(ratios, 1)

    def _weigh(self, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The terms of the sum over counts for one draw a row, ``(T + 1, M)``, and the objects drawn."""
        objects, ratios = self._propose(x)
        canvas = torch.stack([torch.zeros_like(x), *(self.draw_object(*z) for z in objects)]).cumsum(0)
        likelihood = Independent(Normal(canvas, self.noise), 3).log_prob(x)
        weights = torch.cat((torch.zeros_like(ratios[:, :1]), ratios.cumsum(1)), 1).T
        return likelihood + weights + self.count_prior().logits[:, None], objects

    def log_weights_of_counts(self, x: Tensor, K: int = 1) -> Tensor:
        """The terms of the sum over counts, ``log p(x, n, z) - log q(z | x)``, shape ``(K, T + 1, N)``."""
        check_shape("x", x, "N", 1, *self.size)
        check_count("K", K)
        terms, _ = self._weigh(x.expand(K, *x.shape).flatten(0, 1))
        return terms.unflatten(1, (K, -1)).movedim(1, 0)

    def log_weights(self, x: Tensor, K: int = 1) -> Tensor:
        """Log-weights with the count summed out, shape ``(K, N)``, in nats; the mean weight estimates
        p(x)."""
        return self.log_weights_of_counts(x, K).logsumexp(1)

    def count_posterior(self, x: Tensor, K: int = 1) -> Categorical:
        """The importance-sampling estimate of p(n | x) from K draws: a categorical, probs ``(N, T + 1)``."""
        return Categorical(logits=self.log_weights_of_counts(x, K).logsumexp(0).T)

    @torch.no_grad()
    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One reading of each scene.

        Returns:
            counts: the number of objects of greatest weight, ``(N,)``.
            places: scale and shift of every proposed object, ``(N, T, 3)``; the first ``counts`` are meant.
        """
        check_shape("x", x, "N", 1, *self.size)
        terms, objects = self._weigh(x)
        return terms.argmax(0), torch.stack([self.place(where) for where, _ in objects], 1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n images, ``(n, 1, H, W)``."""
        check_count("n", n)
        counts = self.count_prior().sample((n,))
        canvas = self.where_prior.loc.new_zeros(n, 1, *self.size)
        for i in range(self.objects):
            drawn = self.draw_object(self.where_prior().sample((n,)), self.what_prior().sample((n,)))
            canvas = canvas + drawn * (counts > i)[:, None, None, None]
        return canvas + self.noise * torch.randn_like(canvas)
