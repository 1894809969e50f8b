"""The laws that every bijection of Euclidean space obeys, in float64, with random parameters."""

import math

import pytest
import torch
from torch import nn

from gmtools.flows import (
    Affine,
    AffineMap,
    Autoregressive,
    Compose,
    Coupling,
    Elementwise,
    Flow,
    InvertibleLinear,
    Permute,
    Planar,
    Radial,
    Sigmoid,
    SplineMap,
    Sylvester,
    masked_autoregressive_flow,
    neural_spline_flow,
    real_nvp,
    standard_normal,
)

HIDDEN = (12, 12)

# Each entry builds a bijection of D dimensions with a context of C numbers (0 for none).
CONDITIONAL = {
    "elementwise affine": lambda D, C: Elementwise(D, AffineMap(), C, HIDDEN),
    "elementwise spline": lambda D, C: Elementwise(D, SplineMap(4), C, HIDDEN),
    "affine coupling": lambda D, C: Coupling(D, AffineMap(), HIDDEN, d_context=C),
    "affine coupling swapped": lambda D, C: Coupling(D, AffineMap(), HIDDEN, d_context=C, swap=True),
    "spline coupling": lambda D, C: Coupling(D, SplineMap(4), HIDDEN, d_context=C),
    "affine autoregressive": lambda D, C: Autoregressive(D, AffineMap(), HIDDEN, d_context=C),
    "spline autoregressive": lambda D, C: Autoregressive(
        D, SplineMap(4), HIDDEN, d_context=C, order=list(range(D))[::-1]
    ),
    "real nvp": lambda D, C: real_nvp(D, 3, HIDDEN, d_context=C),
    "maf": lambda D, C: masked_autoregressive_flow(D, 3, HIDDEN, d_context=C),
    "iaf": lambda D, C: masked_autoregressive_flow(D, 2, HIDDEN, d_context=C).inverse_bijection,
    "neural spline flow": lambda D, C: neural_spline_flow(D, 2, 4, hidden=HIDDEN, d_context=C),
    "autoregressive spline flow": lambda D, C: neural_spline_flow(
        D, 2, 4, hidden=HIDDEN, d_context=C, autoregressive=True
    ),
    "mixed": lambda D, C: Compose(
        Planar(D, 2), Coupling(D, AffineMap(), HIDDEN, d_context=C), InvertibleLinear(D), Affine(D)
    ),
}
UNCONDITIONAL = {
    "permute": lambda D: Permute(torch.randperm(D)),
    "affine": lambda D: Affine(D),
    "sigmoid": lambda D: Sigmoid(D, -1.0, 3.0),
    "linear": InvertibleLinear,
    "planar": lambda D: Planar(D, 4),
    "radial": lambda D: Radial(D, 4),
    "sylvester": lambda D: Sylvester(D, 2, 2),
    "inverse": lambda D: Planar(D, 2).inverse_bijection,
}
ALONE = {
    **{f"{name}, C=0": (lambda D, make=make: make(D, 0)) for name, make in CONDITIONAL.items()},
    **UNCONDITIONAL,
}
CASES = {
    **ALONE,
    **{f"{name}, C=2": (lambda D, make=make: make(D, 2)) for name, make in CONDITIONAL.items()},
}


def scrambled(bijection: nn.Module, spread: float = 0.6) -> nn.Module:
    """Random parameters: at their beginning most flows are the identity, where laws hold too easily."""
    for parameter in bijection.parameters():
        parameter.data = parameter.data + spread * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return bijection.double()


@pytest.fixture(params=CASES, ids=list(CASES))
def make(request):
    torch.manual_seed(0)
    return lambda D: scrambled(CASES[request.param](D))


def context_for(bijection, *batch):
    return torch.randn(*batch, bijection.d_context, dtype=torch.float64) if bijection.d_context else None


def trainable(bijection):
    return list(bijection.parameters())


@pytest.mark.parametrize("D", [2, 5])
def test_inverse_undoes_forward_and_log_determinants_are_opposite(make, D):
    f = make(D)
    z, context = 2 * torch.randn(40, D, dtype=torch.float64), context_for(f, 40)
    x, ladj = f(z, context)
    back, ladj_back = f.inverse(x, context)
    assert x.shape == z.shape and ladj.shape == ladj_back.shape == (40,)
    torch.testing.assert_close(back, z, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(ladj_back, -ladj, rtol=1e-6, atol=1e-7)
    again, _ = f(back, context)
    torch.testing.assert_close(again, x, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_log_determinant_is_autograds(make, direction):
    f = make(5)
    step = getattr(f, direction)
    for _ in range(3):
        event, context = torch.randn(5, dtype=torch.float64), context_for(f)
        if direction == "inverse":
            event = f(event, context)[0].detach()
        jacobian = torch.autograd.functional.jacobian(lambda e, c=context: step(e, c)[0], event)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(step(event, context)[1], expected, rtol=1e-6, atol=1e-7)


def test_context_and_batch_dimensions_broadcast(make):
    f = make(3)
    z, context = torch.randn(4, 6, 3, dtype=torch.float64), context_for(f, 6)
    x, ladj = f(z, context)
    one, ladj_one = f(z[2, 5], None if context is None else context[5])
    torch.testing.assert_close(x[2, 5], one)
    torch.testing.assert_close(ladj[2, 5], ladj_one)
    if context is not None:  # one point under many contexts
        x, ladj = f(z[0, 0], context)
        assert x.shape == (6, 3) and ladj.shape == (6,)
        torch.testing.assert_close(x[5], f(z[0, 0], context[5])[0])
        z_back, _ = f.inverse(x, context)
        torch.testing.assert_close(z_back, z[0, 0].expand(6, 3), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ALONE)
def test_density_integrates_to_one(name):
    torch.manual_seed(0)
    f = scrambled(ALONE[name](2))
    context = context_for(f)
    base = standard_normal(2, like=torch.zeros((), dtype=torch.float64))
    with torch.no_grad():
        p = Flow(base, f, context)
        draws = p.sample((10_000,))
        reach = (draws.amax(0) - draws.amin(0)) / 4
        low, high = draws.amin(0) - reach, draws.amax(0) + reach
        if isinstance(f, Sigmoid):
            low, high = torch.full_like(low, -1.0), torch.full_like(high, 3.0)
        n = 250
        steps = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        grid = low + (high - low) * torch.cartesian_prod(steps, steps)
        mass = p.log_prob(grid).exp().mean() * (high - low).prod()
    assert mass.item() == pytest.approx(1, abs=2e-3)


def test_drawing_with_density_agrees_with_scoring(make):
    f = make(4)
    base = standard_normal(4, like=torch.zeros((), dtype=torch.float64))
    p = Flow(base, f, context_for(f, 3))
    x, log_p = p.rsample_and_log_prob((5,))
    assert x.shape[0] == 5 and x.shape[-1] == 4 and log_p.shape == x.shape[:-1]
    torch.testing.assert_close(p.log_prob(x), log_p, rtol=1e-6, atol=1e-7)
    torch.manual_seed(7)
    first = p.rsample((5,))
    torch.manual_seed(7)
    torch.testing.assert_close(p.rsample_and_log_prob((5,))[0], first)


def weighted_sum(out, ladj):
    return (out.sin() * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).sum() + ladj.sum()


def test_gradients_reach_every_parameter_and_are_right(make):
    f = make(3)
    weights = trainable(f)
    context = context_for(f, 6)
    z = torch.randn(6, 3, dtype=torch.float64)
    x = f(z, context)[0].detach()

    for step, event in ((f.forward, z), (f.inverse, x)):
        event = event.clone().requires_grad_()

        def value(step=step, event=event):
            return weighted_sum(*step(event, context))

        grads = torch.autograd.grad(value(), [event, *weights], allow_unused=True, materialize_grads=True)
        assert all(g.isfinite().all() for g in grads)
        for tensor, grad in zip([event, *weights], grads, strict=True):
            direction = torch.randn_like(tensor)
            h = 1e-5
            with torch.no_grad():
                tensor += h * direction
                up = value()
                tensor -= 2 * h * direction
                down = value()
                tensor += h * direction
            numeric = (up - down) / (2 * h)
            torch.testing.assert_close((grad * direction).sum(), numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_are_finite_in_single_precision_at_extreme_inputs(make, direction, size):
    f = make(4).float()
    event = size * torch.randn(8, 4)
    if isinstance(f, Sigmoid) and direction == "inverse":
        event = event.clamp(-1.0, 3.0)
    context = context_for(f, 8)
    out, ladj = getattr(f, direction)(event.requires_grad_(), None if context is None else context.float())
    assert out.isfinite().all() and ladj.isfinite().all()
    scale = max(1.0, out.detach().abs().max().item())  # the square of e^13 and more would overflow by itself
    ((out / scale).square().sum() + ladj.sum()).backward()
    assert event.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in f.parameters())


def test_state_dict_round_trip(make):
    f, g = make(3), make(3)
    z, context = torch.randn(6, 3, dtype=torch.float64), context_for(f, 6)
    assert isinstance(f, Sigmoid) or not torch.equal(f(z, context)[0], g(z, context)[0])
    g.load_state_dict(f.state_dict())
    assert torch.equal(f(z, context)[0], g(z, context)[0])


# Tracing is slow, and slower with every layer: each mechanism once, in its smallest size.
SMALL = {"hidden": (4,), "d_context": 2}
COMPILED = {
    "elementwise": lambda: Elementwise(2, AffineMap(), **SMALL),
    "spline": lambda: Elementwise(2, SplineMap(2), **SMALL),
    "coupling": lambda: Coupling(2, AffineMap(), **SMALL),
    "autoregressive": lambda: Autoregressive(2, AffineMap(), **SMALL),
    "autoregressive spline in reverse order": lambda: Autoregressive(2, SplineMap(2), **SMALL, order=[1, 0]),
    "inverse": lambda: Autoregressive(2, AffineMap(), **SMALL).inverse_bijection,
    "stack": lambda: real_nvp(2, 2, **SMALL),
    "composition": lambda: Compose(Planar(2, 1), Coupling(2, AffineMap(), **SMALL), Affine(2)),
    "permute": lambda: Permute([1, 0]),
    "sigmoid": lambda: Sigmoid(2, -1.0, 3.0),
    "linear": lambda: InvertibleLinear(2),
    "radial": lambda: Radial(2, 1),
    "sylvester": lambda: Sylvester(2, 1, 1),
}


@pytest.mark.parametrize("name", COMPILED)
def test_a_training_step_compiles_whole(name, compile_whole):
    """A step that both draws and scores."""
    torch.manual_seed(0)
    f = scrambled(COMPILED[name]())
    context = context_for(f, 5)
    with torch.no_grad():
        x = f(torch.randn(5, 2, dtype=torch.float64), context)[0]

    def loss(x, context):
        p = Flow(standard_normal(2, like=x), f, context)
        draw, log_p = p.rsample_and_log_prob((2,))
        return (log_p + 0.5 * draw.square().sum(-1)).mean() - p.log_prob(x).mean()

    torch.manual_seed(1)
    compiled = compile_whole(loss)(x, context)
    torch.manual_seed(1)
    torch.testing.assert_close(compiled, loss(x, context), rtol=1e-7, atol=1e-8)
    if trainable(f):
        compiled.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in f.parameters())


def test_shapes_that_do_not_fit_are_named(make):
    f = make(3)
    with pytest.raises(ValueError, match=r"has shape \(5, 4\), expected"):
        f(torch.zeros(5, 4, dtype=torch.float64), context_for(f, 5))
    with pytest.raises(ValueError, match=r"has shape \(5, 4\), expected"):
        f.inverse(torch.zeros(5, 4, dtype=torch.float64), context_for(f, 5))
    with pytest.raises(ValueError, match="context"):
        f(torch.zeros(5, 3, dtype=torch.float64), None if f.d_context else torch.zeros(5, 1))


BEGIN_AS_IDENTITY = [name for name in CONDITIONAL if name not in ("real nvp", "neural spline flow", "mixed")]


@pytest.mark.parametrize("name", BEGIN_AS_IDENTITY)
def test_zero_parameters_begin_as_the_identity(name):
    f = CONDITIONAL[name](4, 0).double()
    z = 3 * torch.randn(20, 4, dtype=torch.float64)
    x, ladj = f(z)
    torch.testing.assert_close(x, z)
    torch.testing.assert_close(ladj, torch.zeros(20, dtype=torch.float64), atol=1e-7, rtol=0)


def test_a_flow_of_a_known_map_is_the_known_distribution():
    """exp of a normal is log-normal; sigmoid of a logistic is uniform."""
    torch.manual_seed(0)
    f = Affine(2, shift=torch.tensor([1.0, -1.0]), scale=torch.tensor([0.5, 2.0])).double()
    x = torch.randn(9, 2, dtype=torch.float64)
    known = torch.distributions.Normal(f.shift.detach(), f.log_scale.detach().exp())
    base = standard_normal(2, like=x)
    torch.testing.assert_close(Flow(base, f).log_prob(x), known.log_prob(x).sum(-1))
    u = torch.rand(9, 1, dtype=torch.float64)
    z, ladj = Sigmoid(1).inverse(u)
    logistic = -z - 2 * nn.functional.softplus(-z)
    torch.testing.assert_close(logistic[:, 0] + ladj, torch.zeros(9, dtype=torch.float64))
    assert math.isclose(
        Sigmoid(1, 0.0, 4.0).inverse(torch.tensor([1.0]))[1].item(), -math.log(0.75), rel_tol=1e-6
    )
