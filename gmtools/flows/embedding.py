"""Densities on surfaces: a chart of a manifold, embedded in a larger space, changes volume by its
Jacobian."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gmtools.checks import check_count, check_positive, check_shape
from gmtools.flows.core import Bijection


def log_volume(embed: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
    r"""How much an embedding stretches volume, :math:`\frac12 \log \det J(u)^\top J(u)`, with J by autograd.

    Args:
        embed: maps one point ``(d,)`` to ``(D,)`` with D >= d, differentiably.
        u: points, shape ``(..., d)``.

    Returns:
        Shape ``(...)``. Costs D backward passes and a Cholesky factorisation, O(d² D + d³), a point.

    Reference: Gemici, Rezende, Mohamed (2016), Normalizing flows on Riemannian manifolds.

    Chapter: ``5-posteriors/59-flows-on-manifolds``

    >>> log_volume(lambda u: torch.cat((3 * u, 4 * u)), torch.zeros(2, 1)).exp()
    tensor([5., 5.])
    """
    flat = u.reshape(-1, u.shape[-1])
    jacobian = torch.func.vmap(torch.func.jacrev(embed))(flat)  # (N, D, d)
    gram = jacobian.mT @ jacobian
    factor = torch.linalg.cholesky(gram)
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1).reshape(u.shape[:-1])


class Embedding(Bijection):
    r"""A chart of a d-dimensional manifold, embedded in D-dimensional space, as the last part of a flow.

    It is a bijection onto its image. With the volume in place of the determinant, a density of the chart's
    coordinates becomes a density with respect to area on the manifold, which integrates to one there:

    .. math::

        x = g(u), \qquad \text{ladj} = \tfrac12 \log \det J^\top J, \qquad
        p(x) = p_u(u) \left( \det J^\top J \right)^{-1/2}

    Args:
        dim: dimension d of the manifold.
        data_dim: dimension D of the space around it.
        embed: g, a function or module from one point ``(d,)`` to ``(D,)``; or override the method.
        chart: its inverse on the manifold, from ``(..., D)`` to ``(..., d)``; or override the method.

    Raises:
        ValueError: ``data_dim`` is below ``dim``, or a shape does not fit.

    Reference: Gemici, Rezende, Mohamed (2016), Normalizing flows on Riemannian manifolds.

    Chapter: ``5-posteriors/59-flows-on-manifolds``

    >>> parabola = Embedding(1, 2, lambda u: torch.cat((u, u**2)), lambda x: x[..., :1])
    >>> x, ladj = parabola(torch.tensor([[0.0], [1.0]]))
    >>> ladj.exp()  # the length sqrt(1 + 4 u²)
    tensor([1.0000, 2.2361])
    """

    def __init__(self, dim: int, data_dim: int, embed=None, chart=None):
        super().__init__(dim)
        check_count("data_dim", data_dim, minimum=dim)
        self._data_dim = data_dim
        self._embed, self._chart = embed, chart  # a module named as a method would hide behind it

    @property
    def data_dim(self) -> int:
        return self._data_dim

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        flat = z.reshape(-1, self.dim)
        x = torch.func.vmap(self.embed)(flat)
        check_shape("embed(z)", x, len(flat), self.data_dim)
        return x.reshape(*z.shape[:-1], self.data_dim), self.log_volume(z)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context, self.data_dim)
        z = self.chart(x)
        check_shape("chart(x)", z, *x.shape[:-1], self.dim)
        return z, -self.log_volume(z)

    def log_volume(self, z: Tensor) -> Tensor:
        return log_volume(self.embed, z)

    def embed(self, z: Tensor) -> Tensor:
        if self._embed is None:
            raise NotImplementedError
        return self._embed(z)

    def chart(self, x: Tensor) -> Tensor:
        if self._chart is None:
            raise NotImplementedError
        return self._chart(x)


class CircleEmbedding(Embedding):
    r"""An angle as a point of the circle of radius r in the plane, :math:`\text{ladj} = \log r`.

    Args:
        radius: r, positive.

    Raises:
        ValueError: a radius that is not positive; to ``inverse``, points off the circle.

    Chapter: ``5-posteriors/59-flows-on-manifolds``

    >>> CircleEmbedding(2.0)(torch.tensor([[math.pi / 2]]))[1].exp()
    tensor([2.])
    """

    def __init__(self, radius: float = 1.0):
        check_positive("radius", radius)
        super().__init__(1, 2)
        self.radius = radius

    def embed(self, z):
        return self.radius * torch.cat((z.cos(), z.sin()), dim=-1)

    def chart(self, x):
        check_on("x", x.norm(dim=-1) / self.radius)
        return torch.atan2(x[..., 1:], x[..., :1])

    def log_volume(self, z):
        return torch.full_like(z[..., 0], math.log(self.radius))


class SphereEmbedding(Embedding):
    r"""Height and longitude :math:`(h, \varphi)` as a point of the sphere of radius r in space.

    .. math::

        x = r \left( \sqrt{1 - h^2} \cos\varphi,\ \sqrt{1 - h^2} \sin\varphi,\ h \right),
        \qquad h \in [-1, 1],\ \varphi \in [-\pi, \pi), \qquad \text{ladj} = 2 \log r

    A cylinder around a sphere has its area, height by height (Archimedes), so the volume is constant: uniform
    coordinates are uniform points.

    Args:
        radius: r, positive.

    Raises:
        ValueError: a radius that is not positive; to ``inverse``, points off the sphere.

    Reference: Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/59-flows-on-manifolds``

    >>> SphereEmbedding()(torch.tensor([1.0, 0.0]))[0]
    tensor([0., 0., 1.])
    """

    def __init__(self, radius: float = 1.0):
        check_positive("radius", radius)
        super().__init__(2, 3)
        self.radius = radius

    def embed(self, z):
        height, longitude = z[..., :1], z[..., 1:]
        squared = 1 - height.square()
        # At a pole the root has no derivative; zero is as good as any, infinity is not.
        around = torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)
        return self.radius * torch.cat((around * longitude.cos(), around * longitude.sin(), height), dim=-1)

    def chart(self, x):
        check_on("x", x.norm(dim=-1) / self.radius)
        at_pole = (x[..., :2] == 0).all(-1)
        longitude = torch.atan2(x[..., 1], torch.where(at_pole, torch.ones_like(x[..., 0]), x[..., 0]))
        return torch.stack(((x[..., 2] / self.radius).clamp(-1, 1), longitude), dim=-1)

    def log_volume(self, z):
        return torch.full_like(z[..., 0], 2 * math.log(self.radius))


class TorusEmbedding(Embedding):
    r"""Two angles as a point of the torus of radii R > r in space.

    .. math::

        x = \left( (R + r \cos\beta) \cos\alpha,\ (R + r \cos\beta) \sin\alpha,\ r \sin\beta \right), \qquad
        \text{ladj} = \log r + \log (R + r \cos\beta)

    Args:
        major: R, from the centre to the middle of the tube.
        minor: r, of the tube, below R.

    Raises:
        ValueError: radii that are not ``major > minor > 0``; to ``inverse``, points off the torus.

    Reference: Gemici, Rezende, Mohamed (2016), Normalizing flows on Riemannian manifolds.

    Chapter: ``5-posteriors/59-flows-on-manifolds``

    >>> TorusEmbedding(2.0, 1.0)(torch.zeros(2))
    (tensor([3., 0., 0.]), tensor(1.0986))
    """

    def __init__(self, major: float = 2.0, minor: float = 1.0):
        check_positive("minor", minor)
        if not major > minor:
            raise ValueError(f"major is {major!r}, expected a number above minor = {minor!r}")
        super().__init__(2, 3)
        self.major, self.minor = major, minor

    def embed(self, z):
        alpha, beta = z[..., :1], z[..., 1:]
        around = self.major + self.minor * beta.cos()
        return torch.cat((around * alpha.cos(), around * alpha.sin(), self.minor * beta.sin()), dim=-1)

    def chart(self, x):
        outwards = x[..., :2].norm(dim=-1) - self.major
        check_on("x", torch.hypot(outwards, x[..., 2]) / self.minor)
        return torch.stack((torch.atan2(x[..., 1], x[..., 0]), torch.atan2(x[..., 2], outwards)), dim=-1)

    def log_volume(self, z):
        return (self.minor * (self.major + self.minor * z[..., 1].cos())).log()


def check_on(name: str, relative_radius: Tensor, tolerance: float = 1e-3) -> None:
    """Raise ValueError unless points lie on the surface, where their relative radius is 1.

    >>> check_on("x", torch.tensor([1.0, 2.0]))
    Traceback (most recent call last):
    ValueError: x lies off the surface by up to 1 radii, expected points on it
    """
    if torch.compiler.is_compiling():
        return
    distance = (relative_radius - 1).abs()
    if not bool((distance <= tolerance).all()):
        raise ValueError(
            f"{name} lies off the surface by up to {distance.max().item():g} radii, expected points on it"
        )
