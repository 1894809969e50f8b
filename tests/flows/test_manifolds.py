"""Flows on the circle, the torus and the sphere, and densities on embedded surfaces, in float64."""

import math

import pytest
import torch

from gmtools.flows import (
    CircleEmbedding,
    Compose,
    Elementwise,
    Embedding,
    ExponentialMap,
    Flow,
    MobiusMap,
    SphereEmbedding,
    SplineMap,
    TorusEmbedding,
    exponential_map_flow,
    log_volume,
    sphere_flow,
    standard_normal,
    torus_flow,
    uniform_angles,
    uniform_cylinder,
)
from gmtools.flows.spline import wrap

ZERO = torch.zeros((), dtype=torch.float64)
HIDDEN = (12, 12)


def scrambled(bijection, spread=0.5):
    for parameter in bijection.parameters():
        parameter.data = parameter.data + spread * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return bijection.double()


def circular(kind):
    return SplineMap(4, kind="circle") if kind == "spline" else MobiusMap(3)


FLOWS = {
    f"{kind}, {dim} angles, C={C}": (
        lambda kind=kind, dim=dim, C=C: torus_flow(dim, 2, circular(kind), HIDDEN, d_context=C),
        lambda dim=dim: uniform_angles(dim, like=ZERO),
    )
    for kind in ("spline", "mobius")
    for dim in (1, 2, 3)
    for C in (0, 2)
}
FLOWS |= {
    f"sphere, C={C}": (
        lambda C=C: sphere_flow(2, 4, HIDDEN, d_context=C),
        lambda: uniform_cylinder(like=ZERO),
    )
    for C in (0, 2)
}
FLOWS |= {
    f"exponential map, C={C}": (
        lambda C=C: exponential_map_flow(2, 3, C, HIDDEN),
        lambda: uniform_cylinder(like=ZERO),
    )
    for C in (0, 2)
}
EMBEDDINGS = {
    "circle": lambda: CircleEmbedding(1.7),
    "sphere": lambda: SphereEmbedding(1.7),
    "torus": lambda: TorusEmbedding(2.0, 0.7),
}


@pytest.fixture(params=FLOWS, ids=list(FLOWS))
def flow(request):
    torch.manual_seed(0)
    make, base = FLOWS[request.param]
    bijection = scrambled(make())
    context = torch.randn(5, 2, dtype=torch.float64) if bijection.d_context else None
    return Flow(base(), bijection, context)


def same_place(a, b, on_sphere):
    return torch.testing.assert_close(
        a if on_sphere else wrap(a - b), b if on_sphere else 0 * b, rtol=1e-7, atol=1e-7
    )


def test_inverse_undoes_forward_and_scores_agree(flow):
    f = flow.bijection
    on_sphere = f.data_dim != f.dim
    x, log_p = flow.rsample_and_log_prob((20, 5) if flow.context is None else (20,))
    z, _ = f.inverse(x, flow.context)
    again, _ = f(z, flow.context)
    same_place(again, x, on_sphere)
    torch.testing.assert_close(flow.log_prob(x), log_p, rtol=1e-6, atol=1e-7)
    if on_sphere:
        torch.testing.assert_close(x.norm(dim=-1), torch.ones(20, 5, dtype=torch.float64))
    else:
        assert (x.abs() <= math.pi).all()


def test_log_determinant_is_autograds(flow):
    f = flow.bijection
    context = None if flow.context is None else flow.context[0]
    for _ in range(3):
        z = flow.base.sample()[0] if flow.batch_shape and flow.base.batch_shape else flow.base.sample()
        jacobian = torch.autograd.functional.jacobian(lambda z: f(z, context)[0], z)
        expected = 0.5 * torch.linalg.slogdet(jacobian.T @ jacobian).logabsdet
        torch.testing.assert_close(f(z, context)[1], expected, rtol=1e-6, atol=1e-7)


def density_mean_times_area(flow):
    """Quadrature on a uniform grid of angles; on the sphere of longitude and height, which keep area."""
    f = flow.bijection
    context = None if flow.context is None else flow.context[0]
    p = Flow(
        uniform_angles(f.dim, like=ZERO) if f.data_dim == f.dim else uniform_cylinder(like=ZERO), f, context
    )
    n = {1: 2000, 2: 120, 3: 24}[f.dim]
    side = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    grid = torch.cartesian_prod(*[2 * side - 1] * f.dim).reshape(-1, f.dim)
    if f.data_dim == f.dim:
        return p.log_prob(math.pi * grid).exp().mean() * (2 * math.pi) ** f.dim
    cylinder = torch.stack((grid[:, 0], math.pi * grid[:, 1]), dim=-1)
    return p.log_prob(SphereEmbedding()(cylinder)[0]).exp().mean() * 4 * math.pi


def test_density_integrates_to_one_on_the_manifold(flow):
    with torch.no_grad():
        tolerance = 2e-2 if flow.bijection.dim == 3 else 3e-3
        assert density_mean_times_area(flow).item() == pytest.approx(1, abs=tolerance)


def test_gradients_are_finite_at_seams_and_poles(flow):
    f = flow.bijection
    context = None if flow.context is None else flow.context[0]
    points = [-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi]
    if f.data_dim == f.dim:
        x = torch.tensor([[a] * f.dim for a in points], dtype=torch.float64)
    else:
        x = torch.cat((torch.eye(3), -torch.eye(3))).double()
    for step, event in ((f.inverse, x), (f.forward, f.inverse(x, context)[0].detach())):
        event = event.clone().requires_grad_()
        out, ladj = step(event, context)
        grads = torch.autograd.grad(
            out.sum() + ladj.sum(), [event, *f.parameters()], allow_unused=True, materialize_grads=True
        )
        assert ladj.isfinite().all() and all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize("name", [n for n in FLOWS if "C=2" in n and ("angles" not in n or "2 angles" in n)])
def test_a_training_step_compiles_whole_and_state_dict_round_trips(name, compile_whole):
    torch.manual_seed(0)
    make, base = FLOWS[name]
    f, g = scrambled(make()), scrambled(make())
    context = torch.randn(4, 2, dtype=torch.float64)

    def loss(bijection):
        return -Flow(base(), bijection, context).rsample_and_log_prob((3,))[1].mean()

    g.load_state_dict(f.state_dict())
    losses = []
    for call in (
        lambda: loss(f),
        lambda: loss(g),
        lambda: compile_whole(loss)(f),
    ):
        torch.manual_seed(1)
        losses.append(call())
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)
    torch.testing.assert_close(losses[0], losses[2])


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_the_strongest_exponential_map_is_still_inverted_and_its_jacobian_autograds(dim):
    """Strengths that add up to almost one, sharp potentials, and no component left idle."""
    torch.manual_seed(0)
    f = ExponentialMap(dim, 4).double()
    f.free.data[f.sizes[0] : -1] = torch.tensor([0.1, 1.0, 8.0, 20.0, 2.0, 3.0, 1.0, 1.0])
    f.free.data[-1] = -6.0
    z = torch.nn.functional.normalize(torch.randn(200, dim, dtype=torch.float64), dim=-1)
    x, ladj = f(z)
    assert (x - z).norm(dim=-1).max() > 0.2
    torch.testing.assert_close(x.norm(dim=-1), torch.ones(200, dtype=torch.float64))
    extended = lambda y: y.norm() * f(y / y.norm())[0]  # noqa: E731
    jacobian = torch.stack([torch.autograd.functional.jacobian(extended, point) for point in z[:5]])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, ladj[:5])
    back, ladj_back = f.inverse(x.detach())
    torch.testing.assert_close((back, ladj_back), (z, -ladj), rtol=1e-6, atol=1e-7)


def test_the_exponential_maps_inverse_has_the_gradients_of_the_solution():
    torch.manual_seed(0)
    f = scrambled(ExponentialMap(3, 2), spread=2.0)
    x = torch.nn.functional.normalize(torch.randn(4, 3, dtype=torch.float64), dim=-1)

    def inverse(free, x):
        x = torch.nn.functional.normalize(x, dim=-1)
        return torch.func.functional_call(f.inverse_bijection, {"bijection.free": free}, x)

    assert torch.autograd.gradcheck(inverse, (f.free.detach().requires_grad_(), x.requires_grad_()))


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_closed_form_volumes_are_those_of_the_jacobian(name):
    torch.manual_seed(0)
    e = EMBEDDINGS[name]()
    z = (2 * torch.rand(4, 7, e.dim, dtype=torch.float64) - 1) * 0.99
    x, ladj = e(z)
    torch.testing.assert_close(ladj, log_volume(e.embed, z))
    by_hand = Embedding(e.dim, e.data_dim, e.embed, e.chart)
    torch.testing.assert_close(by_hand(z), (x, ladj))
    back, ladj_back = e.inverse(x)
    torch.testing.assert_close((back, ladj_back), (z, -ladj))


@pytest.mark.parametrize(
    "name, area",
    [("circle", 2 * math.pi * 1.7), ("sphere", 4 * math.pi * 1.7**2), ("torus", 4 * math.pi**2 * 2.0 * 0.7)],
)
def test_a_density_on_a_surface_integrates_to_one_over_its_area(name, area):
    """Quadrature over the surface: density times the area element that autograd gives, summed."""
    torch.manual_seed(0)
    e = EMBEDDINGS[name]()
    inner = scrambled(torus_flow(e.dim, 2, hidden=HIDDEN)) if name != "sphere" else None
    if name == "sphere":
        flow = Flow(uniform_cylinder(like=ZERO), Compose(scrambled(sphere_flow(1, 4, HIDDEN)),
                                                         SphereEmbedding().inverse_bijection, e))  # fmt: skip
    else:
        flow = Flow(uniform_angles(e.dim, like=ZERO), Compose(inner, e))
    n = 4000 if e.dim == 1 else 250
    side = 2 * (torch.arange(n, dtype=torch.float64) + 0.5) / n - 1
    scale = torch.tensor(
        [math.pi] if name == "circle" else [1.0 if name == "sphere" else math.pi, math.pi]
    ).double()
    u = torch.cartesian_prod(*[side] * e.dim).reshape(-1, e.dim) * scale
    element = log_volume(e.embed, u).exp() * (2 * scale / n).prod()
    assert element.sum().item() == pytest.approx(area, rel=1e-3)
    with torch.no_grad():
        assert (flow.log_prob(e(u)[0]).exp() * element).sum().item() == pytest.approx(1, abs=3e-3)


def test_an_embedding_may_be_learned():
    torch.manual_seed(0)
    e = Embedding(2, 3, torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)).double()
    z = torch.randn(4, 7, 2, dtype=torch.float64)
    x, ladj = e(z)
    weight, bias, *_ = e.parameters()
    torch.testing.assert_close(x, z @ weight.T + bias)
    torch.testing.assert_close(ladj, ((weight.T @ weight).logdet() / 2).expand(4, 7))
    assert len(list(e.parameters())) == 4 and e.inverse(x)[0].shape == z.shape


def test_uniform_points_of_the_sphere_have_double_precision():
    p = uniform_cylinder(like=ZERO).log_prob(torch.zeros(2, dtype=torch.float64))
    assert p.item() == pytest.approx(-math.log(4 * math.pi), abs=1e-14)


def test_an_embedded_gaussian_has_its_known_density():
    """A normal on a tilted line in the plane: arc length is the coordinate times the slope's length."""
    line = Embedding(1, 2, lambda u: torch.cat((3 * u, 4 * u)), lambda x: x[..., :1] / 3)
    p = Flow(standard_normal(1, like=ZERO), line)
    x = p.sample((6,))
    along = torch.distributions.Normal(ZERO, 5.0).log_prob(x @ torch.tensor([0.6, 0.8], dtype=torch.float64))
    torch.testing.assert_close(p.log_prob(x), along)


def test_the_circular_density_has_no_seam():
    torch.manual_seed(0)
    for kind in ("spline", "mobius"):
        f = scrambled(Elementwise(1, circular(kind)))
        p = Flow(uniform_angles(1, like=ZERO), f)
        ends = torch.tensor([[-math.pi], [math.pi - 1e-9]], dtype=torch.float64)
        image = f(ends)[0]  # where the spline's seam went
        for points in (ends, wrap(image + torch.tensor([[1e-9], [0.0]]).double())):
            left, right = p.log_prob(points)
            assert left.item() == pytest.approx(right.item(), abs=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MobiusMap(0), "centres is 0"),
        (lambda: SplineMap(kind="sphere"), "kind is 'sphere'"),
        (lambda: SplineMap(rational="both"), "rational is 'both'"),
        (lambda: torus_flow(2, layers=0), "layers is 0"),
        (lambda: sphere_flow(layers=0), "layers is 0"),
        (lambda: exponential_map_flow(layers=0), "layers is 0"),
        (lambda: ExponentialMap(1), "dim is 1"),
        (lambda: ExponentialMap(3, 0), "components is 0"),
        (lambda: ExponentialMap(3)(torch.ones(4, 3)), "off the surface"),
        (lambda: ExponentialMap(3).inverse(torch.ones(4, 3)), "off the surface"),
        (lambda: sphere_flow().inverse(torch.ones(4, 3)), "off the surface"),
        (lambda: sphere_flow().inverse(torch.ones(4, 2)), r"x has shape \(4, 2\)"),
        (lambda: TorusEmbedding(1.0, 2.0), "expected a number above minor"),
        (lambda: CircleEmbedding(-1.0), "radius"),
        (lambda: CircleEmbedding().inverse(torch.full((2,), float("nan"))), "off the surface"),
        (lambda: Embedding(2, 1), "data_dim is 1"),
        (lambda: Embedding(1, 3, lambda u: u.repeat(2))(torch.zeros(4, 1)), r"embed\(z\) has shape \(4, 2\)"),
        (
            lambda: Embedding(1, 2, None, lambda x: x).inverse(torch.ones(4, 2)),
            r"chart\(x\) has shape \(4, 2\)",
        ),
        (lambda: Compose(SphereEmbedding(), torus_flow(2)), "gives 3 dimensions"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
