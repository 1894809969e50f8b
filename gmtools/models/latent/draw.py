"""DRAW: an image painted in several steps through a moving window, with recurrent inference."""

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from gmtools.checks import check_count, check_shape
from gmtools.models.heads import GaussianHead
from gmtools.models.latent.attention import filter_bank, read_window, write_window
from gmtools.models.latent.base import UnrolledModel


class Window(nn.Module):
    r"""Where a recurrent state looks: centre, stride, sharpness and intensity of a square of filters.

    .. math:: (\tilde g_x, \tilde g_y, \log \sigma^2, \log \tilde\delta, \log \gamma) = W h, \quad
              g_x = \tfrac{W - 1}{2} + \tfrac{W}{2} \tilde g_x, \quad
              \delta = \frac{\max(H, W) - 1}{P - 1} \tilde \delta

    Args:
        hidden: dimension of the state.
        size: height and width of the image.
        points: number P of filters along each axis.

    Shapes:
        h: ``(N, hidden)``; returns row filters ``(N, P, H)``, column filters ``(N, P, W)``, intensity ``(N,
        1, 1)``.

    Reference: K. Gregor and others, DRAW: A Recurrent Neural Network for Image Generation, 2015.
    Chapter: 3-inference/40-richer-vaes.

    >>> rows, columns, intensity = Window(4, (8, 6), points=3)(torch.zeros(2, 4))
    >>> rows.shape, columns.shape
    (torch.Size([2, 3, 8]), torch.Size([2, 3, 6]))
    """

    def __init__(self, hidden: int, size: tuple[int, int], points: int):
        super().__init__()
        check_count("points", points)
        self.size, self.points = size, points
        self.linear = nn.Linear(hidden, 5)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = self.size
        x, y, log_variance, log_stride, log_intensity = self.linear(h).unbind(-1)
        stride = (max(height, width) - 1) / max(self.points - 1, 1) * log_stride.exp()
        variance = log_variance.exp()
        rows = filter_bank((height - 1 + height * y) / 2, stride, variance, self.points, height)
        columns = filter_bank((width - 1 + width * x) / 2, stride, variance, self.points, width)
        return rows, columns, log_intensity.exp()[:, None, None]


class DRAW(UnrolledModel):
    r"""DRAW: a recurrent variational autoencoder that reads and paints through a window.

    .. math:: z_t \sim p(z_t \mid h_{t-1}), \quad h_t = \operatorname{LSTM}(h_{t-1}, z_t), \quad
              c_t = c_{t-1} + \operatorname{write}(h_t), \quad x \sim \operatorname{Bern}(\sigma(c_T))

    with recurrent inference that sees what is still missing, :math:`\hat x_t = x - \sigma(c_{t-1})`:

    .. math:: e_t = \operatorname{LSTM}(e_{t-1}, [\operatorname{read}(x, \hat x_t, h_{t-1}), h_{t-1}]), \qquad
              z_t \sim q(z_t \mid e_t)

    The paper's prior is :math:`\mathcal N(0, I)` at every step; with ``dependent_prior`` it depends on what
    has been painted, :math:`p(z_t \mid h_{t-1})`.

    Args:
        size: height and width of the images, which have one channel.
        d_z: dimension of the latent of a step.
        steps: number of steps T.
        hidden: dimension of both recurrent states.
        points: number of filters along each axis of the window.
        dependent_prior: let the prior of a step depend on the state of the decoder.

    Shapes:
        x: binary images ``(N, 1, H, W)``; latents ``(K, N, T, d_z)``.

    Reference: K. Gregor and others, DRAW: A Recurrent Neural Network for Image Generation, 2015; K. Gregor
    and others, Towards Conceptual Compression, 2016 (dependent prior).
    Chapter: 3-inference/40-richer-vaes.

    >>> model = DRAW((6, 6), d_z=2, steps=3, hidden=8, points=3)
    >>> x = model.sample(4)
    >>> x.shape, model.log_weights(x, K=2).shape
    (torch.Size([4, 1, 6, 6]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        size: tuple[int, int],
        d_z: int,
        steps: int,
        hidden: int = 64,
        points: int = 5,
        dependent_prior: bool = False,
    ):
        super().__init__()
        check_count("d_z", d_z)
        check_count("steps", steps)
        check_count("hidden", hidden)
        self.size, self.d_z, self.steps, self.hidden = tuple(size), d_z, steps, hidden
        self.reader, self.writer = Window(hidden, self.size, points), Window(hidden, self.size, points)
        self.encoder = nn.LSTMCell(2 * points**2 + hidden, hidden)
        self.posterior = GaussianHead(nn.Linear(hidden, 2 * d_z))
        self.prior = GaussianHead(nn.Linear(hidden, 2 * d_z)) if dependent_prior else None
        self.decoder = nn.LSTMCell(d_z, hidden)
        self.paint = nn.Linear(hidden, points**2)
        self.background = nn.Parameter(torch.zeros(()))

    def _prior(self, h: Tensor) -> Distribution:
        if self.prior is not None:
            return self.prior(h)
        return Independent(Normal(h.new_zeros(h.shape[0], self.d_z), 1.0), 1)

    def _read(self, image: Tensor, canvas: Tensor, h: Tensor) -> Tensor:
        rows, columns, intensity = self.reader(h)
        error = image - canvas.sigmoid()
        glimpses = [intensity * read_window(part, rows, columns) for part in (image, error)]
        return torch.cat([g.flatten(1) for g in glimpses], 1)

    def _write(self, h: Tensor) -> Tensor:
        rows, columns, intensity = self.writer(h)
        window = self.paint(h).unflatten(1, (rows.shape[1], columns.shape[1]))
        return write_window(window, rows, columns) / intensity

    def _start(self, n: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The decoder's first state and the empty canvas of n images."""
        state = self.background.new_zeros(n, self.hidden)
        return (state, state), self.background.expand(n, *self.size)

    def unroll(self, x: Tensor, z: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Run all steps; see :class:`UnrolledModel`."""
        check_shape("x", x, "N", 1, *self.size)
        if z is not None:
            check_shape("z", z, x.shape[0], self.steps, self.d_z)
        image = x[:, 0]
        decoder, canvas = self._start(x.shape[0])
        encoder, log_q, log_p, latents = decoder, 0.0, 0.0, []
        for t in range(self.steps):
            encoder = self.encoder(torch.cat((self._read(image, canvas, decoder[0]), decoder[0]), 1), encoder)
            q, p = self.posterior(encoder[0]), self._prior(decoder[0])
            latents.append(q.rsample() if z is None else z[:, t])
            log_q, log_p = log_q + q.log_prob(latents[-1]), log_p + p.log_prob(latents[-1])
            decoder = self.decoder(latents[-1], decoder)
            canvas = canvas + self._write(decoder[0])
        log_likelihood = Bernoulli(logits=canvas).log_prob(image).sum((1, 2))
        return torch.stack(latents, 1), log_q, log_p + log_likelihood

    @torch.no_grad()
    def canvases(self, n: int) -> Tensor:
        """The probabilities of n images after every step of painting, ``(T, n, 1, H, W)``."""
        check_count("n", n)
        decoder, canvas = self._start(n)
        frames = []
        for _ in range(self.steps):
            decoder = self.decoder(self._prior(decoder[0]).sample(), decoder)
            canvas = canvas + self._write(decoder[0])
            frames.append(canvas.sigmoid())
        return torch.stack(frames)[:, :, None]

    def sample(self, n: int) -> Tensor:
        """Draw n images, ``(n, 1, H, W)``."""
        return torch.bernoulli(self.canvases(n)[-1])
