"""Rational-quadratic splines: the function, the elementwise map on a line, an interval or a circle, the
flow."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_choice, check_count, check_positive
from gmtools.flows.autoregressive import Autoregressive, autoregressive_stack
from gmtools.flows.core import Compose
from gmtools.flows.coupling import Coupling, alternating_couplings
from gmtools.flows.elementwise import by_dimension


def rational_quadratic(
    value: Tensor, knots_x: Tensor, knots_y: Tensor, slopes: Tensor, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    r"""Monotone rational-quadratic spline through given knots with given slopes, or its inverse.

    In the bin :math:`[x_k, x_{k+1}]` with :math:`t = (x - x_k) / (x_{k+1} - x_k)` and
    :math:`s = (y_{k+1} - y_k) / (x_{k+1} - x_k)`,

    .. math::

        y = y_k + \frac{(y_{k+1} - y_k) \left( s t^2 + d_k t (1 - t) \right)}
                       {s + (d_{k+1} + d_k - 2 s)\, t (1 - t)}, \qquad
        \frac{dy}{dx} = \frac{s^2 \left( d_{k+1} t^2 + 2 s t (1 - t) + d_k (1 - t)^2 \right)}
                             {\left( s + (d_{k+1} + d_k - 2 s)\, t (1 - t) \right)^2}.

    The inverse solves the quadratic equation for t. Either way costs a search among the knots and arithmetic.

    Args:
        value: x (or y with ``inverse``), between the first and the last knot; shape ``(...)``.
        knots_x, knots_y: increasing, shape ``(..., bins + 1)``.
        slopes: derivatives at the knots, positive, shape ``(..., bins + 1)``.
        inverse: map y to x.

    Returns:
        The mapped value and its log-derivative in the direction taken, both of shape ``(...)``.

    Reference: Gregory, Delbourgo (1982), Piecewise rational quadratic interpolation to monotonic data;
    Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> knots = torch.tensor([0.0, 1.0, 3.0])
    >>> y, log_slope = rational_quadratic(torch.tensor([2.0]), knots, 2 * knots, 2 * torch.ones(3))
    >>> y, torch.allclose(log_slope.exp(), torch.tensor(2.0))
    (tensor([4.]), True)
    """
    inner = (knots_y if inverse else knots_x)[..., 1:-1]
    index = (value[..., None] >= inner).sum(-1, keepdim=True)
    ends = torch.cat((index, index + 1), dim=-1)
    batch = ends.shape[:-1]
    x0, x1 = knots_x.expand(*batch, -1).gather(-1, ends).unbind(-1)
    y0, y1 = knots_y.expand(*batch, -1).gather(-1, ends).unbind(-1)
    d0, d1 = slopes.expand(*batch, -1).gather(-1, ends).unbind(-1)

    width, height = x1 - x0, y1 - y0
    s = height / width
    bend = d0 + d1 - 2 * s
    if inverse:
        rise = value - y0
        a = height * (s - d0) + rise * bend
        b = height * d0 - rise * bend
        c = -s * rise
        root = (b.square() - 4 * a * c).clamp_min(torch.finfo(b.dtype).tiny).sqrt()
        t = 2 * c / (-b - root)  # the stable one of the two ways to write this root
    else:
        t = (value - x0) / width
    u = t * (1 - t)
    denominator = s + bend * u
    slope = s.square() * (d1 * t.square() + 2 * s * u + d0 * (1 - t).square()) / denominator.square()
    if inverse:
        return x0 + t * width, -slope.log()
    return y0 + height * (s * t.square() + d0 * u) / denominator, slope.log()


class SplineMap:
    r"""The elementwise map by a rational-quadratic spline, on the whole line, on an interval or on a circle.

    - ``"line"``: a spline on :math:`[-B, B]`, the identity with slope 1 outside;
    - ``"interval"``: a spline of :math:`[-B, B]` onto itself, with free slopes at its ends;
    - ``"circle"``: angles in :math:`[-\pi, \pi)`, equal slopes where the ends meet, then a rotation.

    Widths and heights of the bins are softmaxes, slopes at the knots softpluses, all with a floor: no bin
    vanishes and no knot is flat. Between steep knots the slope still falls, as one over theirs. Zero
    parameters give the identity. Solving for the other direction takes a root, so only one is rational: to
    fit a density, let it be the one from data to noise.

    Args:
        bins: number of bins K.
        bound: B; standardise data into it. Not for a circle.
        kind: ``"line"``, ``"interval"`` or ``"circle"``.
        rational: the direction that is the spline, ``"forward"`` or ``"inverse"``; the other solves for it.

    Shapes:
        z, x, log-derivative: ``(..., D)``; parameters: ``(..., P D)``, where P is ``3 K - 1`` for a line and
        ``3 K + 1`` for an interval or a circle.

    Raises:
        ValueError: fewer than 2 bins, a bound that is not positive, an unknown kind or direction.

    Reference: Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows; Rezende, Papamakarios,
        Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> spline = SplineMap(bins=4)
    >>> x, log_slope = spline.forward(torch.tensor([0.5, 9.0]), torch.randn(2 * spline.n_parameters))
    >>> x[1], log_slope[1]  # beyond the bound
    (tensor(9.), tensor(0.))
    """

    min_size = 1e-3  # of a bin, as a fraction of the whole
    min_slope = 1e-3

    def __init__(self, bins: int = 8, bound: float = 5.0, kind: str = "line", *, rational: str = "forward"):
        check_count("bins", bins, minimum=2)
        check_positive("bound", bound)
        check_choice("kind", kind, ("line", "interval", "circle"))
        check_choice("rational", rational, ("forward", "inverse"))
        self.bins, self.kind, self.rational = bins, kind, rational
        self.bound = math.pi if kind == "circle" else bound
        self.n_parameters = 3 * bins + (-1 if kind == "line" else 1)

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        parameters = by_dimension(parameters, self.n_parameters)
        if self.kind != "circle":
            return self._apply(z, parameters, inverse=False)
        x, ladj = self._apply(wrap(z), parameters[..., :-1], inverse=False)
        return wrap(x + parameters[..., -1]), ladj

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        parameters = by_dimension(parameters, self.n_parameters)
        if self.kind != "circle":
            return self._apply(x, parameters, inverse=True)
        z, ladj = self._apply(wrap(x - parameters[..., -1]), parameters[..., :-1], inverse=True)
        return wrap(z), ladj

    def _apply(self, value: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        bound = self.bound
        widths, heights, slopes = parameters.split(
            (self.bins, self.bins, parameters.shape[-1] - 2 * self.bins), -1
        )
        moved, ladj = rational_quadratic(
            value.clamp(-bound, bound),
            self._knots(widths),
            self._knots(heights),
            self._slopes(slopes),
            inverse=inverse != (self.rational == "inverse"),
        )
        if self.kind != "line":
            return moved, ladj
        inside = value.abs() < bound
        return torch.where(inside, moved, value), torch.where(inside, ladj, 0.0)

    def _knots(self, raw: Tensor) -> Tensor:
        sizes = self.min_size + (1 - self.min_size * self.bins) * raw.softmax(-1)
        inner = self.bound * (2 * sizes[..., :-1].cumsum(-1) - 1)
        ends = torch.full_like(raw[..., :1], self.bound)
        return torch.cat((-ends, inner, ends), dim=-1)

    def _slopes(self, raw: Tensor) -> Tensor:
        slopes = self.min_slope + F.softplus(raw + math.log(math.expm1(1 - self.min_slope)))
        if self.kind == "line":
            return F.pad(slopes, (1, 1), value=1.0)
        return slopes if self.kind == "interval" else torch.cat((slopes, slopes[..., :1]), dim=-1)


def wrap(angle: Tensor) -> Tensor:
    r"""The same angle in :math:`[-\pi, \pi)`.

    >>> wrap(torch.tensor([3 * math.pi / 2]))
    tensor([-1.5708])
    """
    return (angle + math.pi).remainder(2 * math.pi) - math.pi


def neural_spline_flow(
    dim: int,
    layers: int = 5,
    bins: int = 8,
    bound: float = 5.0,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
    d_context: int = 0,
    autoregressive: bool = False,
) -> Compose:
    """Neural spline flow, by couplings (both directions one pass) or autoregressive (drawing in D steps).

    Begins as the identity (up to a permutation). The spline lives in ``[-bound, bound]``: put an ``Affine``
    with the data's mean and scale behind it, or standardise the data. Autoregressive layers, made to score
    data, are rational from data to noise; couplings, from noise to data.

    Args:
        dim: size D; at least 2 for couplings.
        layers: number of layers.
        bins: number of bins of each spline.
        bound: half-width of the region that the splines move.
        hidden, activation: the network of each layer.
        d_context: size of the context; 0 for none.
        autoregressive: masked autoregressive layers instead of couplings.

    Reference: Durkan, Bekasov, Murray, Papamakarios (2019), Neural spline flows.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> x, ladj = neural_spline_flow(2, layers=2, bins=4)(torch.randn(5, 2))
    >>> x.shape, ladj.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """
    spline = SplineMap(bins, bound, rational="inverse" if autoregressive else "forward")
    if autoregressive:
        return autoregressive_stack(
            dim, layers, lambda order: Autoregressive(dim, spline, hidden, activation, d_context, order)
        )
    return alternating_couplings(
        dim, layers, lambda swap: Coupling(dim, spline, hidden, activation, d_context, swap)
    )
