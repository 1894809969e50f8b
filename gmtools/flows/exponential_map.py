"""Flows on spheres of any dimension that push points along the gradient of a potential."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gmtools.checks import check_count
from gmtools.flows.core import Bijection, Compose
from gmtools.flows.elementwise import parameter_net
from gmtools.flows.embedding import SphereEmbedding, check_on

# Power series in s = r², for r <= 1, of cos r, of sin(r) / r, and of the derivative of the latter in s.
COSINE = [(-1) ** k / math.factorial(2 * k) for k in range(10)]
SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
SINC_SLOPE = [k * a for k, a in enumerate(SINC)][1:]


class ExponentialMap(Bijection):
    r"""Every point of the unit sphere walks along a geodesic, as far and where a potential's gradient points.

    .. math::

        x = \exp_z(v) = z \cos \|v\| + v\, \frac{\sin \|v\|}{\|v\|}, \qquad
        v = (I - z z^\top) \sum_k \alpha_k e^{\beta_k (\mu_k^\top z - 1)} \mu_k

    v is the gradient on the sphere of :math:`\sum_k \frac{\alpha_k}{\beta_k} e^{\beta_k (\mu_k^\top z - 1)}`.
    With :math:`\|\mu_k\| = 1`, :math:`\alpha_k, \beta_k > 0` and :math:`\sum_k \alpha_k < 1` the map is a
    bijection. It has no seams and no poles. The log-determinant is with respect to area on the sphere: that
    of the map extended to rays, :math:`z \mapsto \|z\|\, x(z / \|z\|)`, which keeps length along them.

    Forward is a formula; inverse a damped Newton iteration, differentiable. Either costs O(K D² + D³) a point
    (inverse: a step). Begins close to the identity.

    Args:
        dim: dimension D of the space around the sphere, at least 2.
        components: number of centres K.
        d_context: size of the context; 0 makes the parameters of the potential free parameters.
        hidden, activation: the network from the context to changes of those parameters.

    Shapes:
        z, x: ``(..., D)`` of norm one.

    Raises:
        ValueError: a count below its minimum, or points off the sphere.

    Reference: Sei (2013), A Jacobian inequality for gradient maps on the sphere and its application to
        directional statistics; Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori
        and spheres, section 2.3.3.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> f = ExponentialMap(3)
    >>> z = torch.nn.functional.normalize(torch.randn(5, 3), dim=-1)
    >>> x, ladj = f(z)
    >>> torch.allclose(x.norm(dim=-1), torch.ones(5)), torch.allclose(f.inverse(x)[0], z, atol=1e-5)
    (True, True)
    """

    max_steps = 30  # it needs about 10
    largest_total = 0.98  # of the strengths: at 1 the Jacobian may be singular

    def __init__(
        self,
        dim: int,
        components: int = 8,
        d_context: int = 0,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
    ):
        super().__init__(dim, d_context)
        check_count("dim", dim, minimum=2)
        check_count("components", components)
        self.sizes = (components * dim, components, components + 1)
        strengths = torch.cat((torch.zeros(components), torch.tensor([math.log(components) + 3.0])))
        self.free = nn.Parameter(torch.cat((torch.randn(self.sizes[0]), torch.ones(components), strengths)))
        if d_context:
            self.net = parameter_net(d_context, 1, sum(self.sizes), hidden, activation)

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        check_on("z", z.norm(dim=-1))
        x, jacobian = push(z, *self._potential(context))
        return x, torch.linalg.slogdet(jacobian).logabsdet

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        check_on("x", x.norm(dim=-1))
        potential = self._potential(context)
        with torch.no_grad():
            z = self._solve(x, potential)
        moved, jacobian = push(z, *potential)
        z = z - _solve_linear(jacobian.detach(), moved - x)  # a last step, with the gradients of the solution
        return z, -torch.linalg.slogdet(push(z, *potential)[1]).logabsdet

    def _potential(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Centres ``(..., K, D)`` of norm one, rates ``(..., K)`` and strengths ``(..., K)``."""
        parameters = self.free + self.net(context) if self.d_context else self.free
        centres, rates, strengths = parameters.split(self.sizes, dim=-1)
        centres = nn.functional.normalize(centres.unflatten(-1, (-1, self.dim)), dim=-1)
        return centres, nn.functional.softplus(rates), self.largest_total * strengths.softmax(-1)[..., :-1]

    def _solve(self, x: Tensor, potential: tuple[Tensor, ...]) -> Tensor:
        """Newton's method; a step that brings no point nearer to ``x`` is halved."""
        z, damping = x, torch.ones_like(x[..., :1])
        moved, jacobian = push(z, *potential)
        distance = (moved - x).norm(dim=-1, keepdim=True)
        for _ in range(self.max_steps):
            if not torch.compiler.is_compiling() and (distance <= 16 * torch.finfo(x.dtype).eps).all():
                break
            step = damping * _solve_linear(jacobian, moved - x)
            trial = nn.functional.normalize(z - step, dim=-1)
            trial_moved, trial_jacobian = push(trial, *potential)
            trial_distance = (trial_moved - x).norm(dim=-1, keepdim=True)
            nearer = trial_distance < distance
            z, moved = torch.where(nearer, trial, z), torch.where(nearer, trial_moved, moved)
            jacobian = torch.where(nearer[..., None], trial_jacobian, jacobian)
            distance = torch.where(nearer, trial_distance, distance)
            damping = torch.where(nearer, (2 * damping).clamp_max(1), damping / 2)
        return z


def push(z: Tensor, centres: Tensor, rates: Tensor, strengths: Tensor) -> tuple[Tensor, Tensor]:
    r"""Where the points of the sphere go, and the Jacobian of the map extended to rays.

    Args:
        z: points of norm one, shape ``(..., D)``.
        centres, rates, strengths: the potential, of shapes ``(..., K, D)``, ``(..., K)`` and ``(..., K)``.

    Returns:
        x: shape ``(..., D)``.
        jacobian: shape ``(..., D, D)``.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> east, north = torch.eye(3)[0], torch.eye(3)[2]
    >>> x, _ = push(east, north[None], torch.ones(1), torch.tensor([0.5]))
    >>> torch.atan2(x[2], x[0])  # it climbed by an angle of 0.5 / e
    tensor(0.1839)
    """
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    pulls = strengths * (rates * ((centres * z[..., None, :]).sum(-1) - 1)).exp()  # (..., K)
    gradient = (pulls[..., None] * centres).sum(-2)
    hessian = centres.mT @ ((pulls * rates)[..., None] * centres)
    radial = (z * gradient).sum(-1, keepdim=True)
    v = gradient - radial * z
    s = v.square().sum(-1, keepdim=True)  # at most 1, for the strengths add up to less
    cosine, sinc, slope = _series(s, COSINE), _series(s, SINC), _series(s, SINC_SLOPE)
    x = cosine * z + sinc * v

    turning = gradient + (hessian @ z[..., None])[..., 0]
    dv = hessian - z[..., None] * turning[..., None, :] - radial[..., None] * identity
    ds = 2 * v[..., None, :] @ dv
    jacobian = (
        cosine[..., None] * identity + sinc[..., None] * dv + (slope * v - sinc / 2 * z)[..., None] * ds
    )
    along = (jacobian @ z[..., None])[..., 0]
    return x, jacobian + (x - along)[..., None] * z[..., None, :]  # on the ray of z: z goes to x


def _series(s: Tensor, coefficients: list[float]) -> Tensor:
    total = torch.full_like(s, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * s + coefficient
    return total


def _solve_linear(matrix: Tensor, vector: Tensor) -> Tensor:
    return torch.linalg.solve(matrix, vector[..., None])[..., 0]


def exponential_map_flow(
    layers: int = 6,
    components: int = 8,
    d_context: int = 0,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> Compose:
    r"""Exponential-map layers on the unit sphere in space, as a flow from the base ``uniform_cylinder()``.

    ``Flow`` gives densities with respect to area on the sphere. Drawing is one pass, scoring given points an
    iteration a layer. Begins close to the uniform distribution.

    Args:
        layers: number of layers.
        components: number of centres of each layer.
        d_context: size of the context; 0 for none.
        hidden, activation: the network of each layer from the context.

    Shapes:
        z: ``(..., 2)``, height in [-1, 1] and longitude in :math:`[-\pi, \pi)`; x: ``(..., 3)``.

    Raises:
        ValueError: a count below 1; to ``inverse``, points off the sphere.

    Reference: Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> from gmtools.flows import Flow, uniform_cylinder
    >>> x, log_p = Flow(uniform_cylinder(), exponential_map_flow()).rsample_and_log_prob((5,))
    >>> x.shape, log_p.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """
    check_count("layers", layers)
    parts = (ExponentialMap(3, components, d_context, hidden, activation) for _ in range(layers))
    return Compose(SphereEmbedding(), *parts)
