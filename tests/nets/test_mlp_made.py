"""MLP and MADE: shapes, masks, ancestral sampling in one pass' worth of work, bad input."""

import pytest
import torch

from gmtools.nets import MADE, MLP

MADES = {
    "natural": dict(dim=5, outputs_per_dim=2, hidden=(17, 9)),
    "order": dict(dim=5, outputs_per_dim=3, hidden=(16,), order=[3, 0, 4, 1, 2]),
    "context": dict(dim=4, outputs_per_dim=2, hidden=(16, 16), d_context=3),
    "narrow": dict(dim=6, outputs_per_dim=1, hidden=(3, 4), d_context=2, order=[5, 4, 3, 2, 1, 0]),
    "one variable": dict(dim=1, outputs_per_dim=2, hidden=(4,), d_context=2),
    "one variable alone": dict(dim=1, outputs_per_dim=2, hidden=(4,)),
}


@pytest.fixture(params=MADES, ids=list(MADES))
def made(request):
    torch.manual_seed(0)
    return MADE(**MADES[request.param]).double()


def context_for(made, *batch):
    return torch.randn(*batch, made.d_context, dtype=torch.float64) if made.d_context else None


def test_each_conditional_sees_exactly_the_variables_before_it(made):
    torch.manual_seed(1)
    context = context_for(made)
    x = torch.randn(made.dim, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: made(x, context), x)  # (D, P, D)
    depends = (jacobian != 0).any(dim=1)
    order = made.order or list(range(made.dim))
    for place, variable in enumerate(order):
        earlier = set(order[:place])
        seen = set(depends[variable].nonzero().flatten().tolist())
        assert seen <= earlier
        if MADES["narrow"]["dim"] != made.dim:  # three hidden units cannot connect six variables
            assert seen == earlier


def test_every_conditional_sees_the_whole_context(made):
    if not made.d_context:
        return
    x, context = torch.randn(made.dim, dtype=torch.float64), context_for(made)
    jacobian = torch.autograd.functional.jacobian(lambda c: made(x, c), context)
    assert (jacobian != 0).any(dim=1).all()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("batch_shape", [(), (7,), (3, 7)])
def test_sampling_computes_the_parameters_of_a_forward_pass(made, grad, batch_shape):
    torch.manual_seed(2)
    context = context_for(made, *batch_shape[-1:])
    noise = torch.randn(*batch_shape, made.dim, dtype=torch.float64)

    def draw(parameters, i):
        assert parameters.shape == (*batch_shape, made.outputs_per_dim)
        return noise[..., i] * parameters[..., -1].exp() + parameters[..., 0]

    with torch.set_grad_enabled(grad):
        x, parameters = made.sample_with(draw, batch_shape, context)
    assert x.shape == (*batch_shape, made.dim)
    expected = made(x, context)
    assert parameters.shape == expected.shape
    torch.testing.assert_close(parameters, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(x, noise * expected[..., -1].exp() + expected[..., 0], rtol=1e-10, atol=1e-12)


def test_gradients_of_the_draw_are_those_of_the_fixed_point(made):
    """x solves x = draw(made(x)); its gradient must be that of D repeated forward passes."""
    torch.manual_seed(3)
    context, noise = context_for(made, 4), torch.randn(4, made.dim, dtype=torch.float64)

    def repeated():
        x = torch.zeros_like(noise)
        for _ in range(made.dim):
            x = noise + made(x, context)[..., 0].tanh()
        return x

    fast, _ = made.sample_with(lambda p, i: noise[..., i] + p[..., 0].tanh(), (4,), context)
    slow = repeated()
    torch.testing.assert_close(fast, slow)
    weights = list(made.parameters())
    for a, b in zip(
        torch.autograd.grad(fast.square().sum(), weights, allow_unused=True, materialize_grads=True),
        torch.autograd.grad(slow.square().sum(), weights, allow_unused=True, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_sampling_multiplies_no_more_than_one_forward_pass():
    from torch.utils.flop_counter import FlopCounterMode

    made = MADE(dim=16, outputs_per_dim=2, hidden=(64, 64))
    x = torch.randn(32, 16)
    with torch.no_grad(), FlopCounterMode(display=False) as one_pass:
        made(x)
    with torch.no_grad(), FlopCounterMode(display=False) as sampling:
        made.sample_with(lambda p, i: p[..., 0], (32,))
    assert 0 < sampling.get_total_flops() <= one_pass.get_total_flops()


def test_binary_made_is_a_normalised_distribution():
    torch.manual_seed(4)
    made = MADE(dim=6, outputs_per_dim=1, hidden=(20,)).double()
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 6)
    log_p = torch.distributions.Bernoulli(logits=made(x)[..., 0]).log_prob(x).sum(-1)
    torch.testing.assert_close(log_p.logsumexp(0), torch.zeros((), dtype=torch.float64))


def test_state_dict_round_trip(made):
    other = MADE(
        made.dim, made.outputs_per_dim, [len(layer.bias) for layer in made.layers],
        d_context=made.d_context, order=made.order,
    ).double()  # fmt: skip
    other.load_state_dict(made.state_dict())
    x, context = torch.randn(3, made.dim, dtype=torch.float64), context_for(made, 3)
    assert torch.equal(made(x, context), other(x, context))


def test_mlp_broadcasts_one_context_over_samples():
    torch.manual_seed(5)
    net = MLP(3, 2, hidden=(8,), d_context=4).double()
    x = torch.randn(5, 7, 3, dtype=torch.float64)
    context = torch.randn(7, 4, dtype=torch.float64)
    out = net(x, context)
    torch.testing.assert_close(out[2, 4], net(x[2, 4], context[4]))
    assert MLP(3, 2, hidden=())(torch.zeros(3)).shape == (2,)
    assert MLP(0, 2, d_context=4)(torch.zeros(5, 0), torch.zeros(4)).shape == (5, 2)


@pytest.mark.parametrize(
    "net",
    [MLP(3, 2, hidden=(8, 8), d_context=2), MADE(3, 2, hidden=(8, 8), d_context=2)],
    ids=["MLP", "MADE"],
)
def test_a_training_step_compiles_whole(net, compile_whole):
    x, context = torch.randn(6, 3), torch.randn(6, 2)

    def loss(x, context):
        return net(x, context).square().mean()

    compiled = compile_whole(loss)(x, context)
    compiled.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    torch.testing.assert_close(compiled, loss(x, context))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MLP(0, 2), r"d_in \+ d_context is 0"),
        (lambda: MLP(3, 0), "d_out is 0"),
        (lambda: MLP(3, 2)(torch.zeros(5, 4)), r"x has shape \(5, 4\)"),
        (lambda: MLP(3, 2)(torch.zeros(3), torch.zeros(1)), "expected None"),
        (lambda: MLP(3, 2, d_context=2)(torch.zeros(3)), "context is None"),
        (lambda: MLP(3, 2, d_context=2)(torch.zeros(3), torch.zeros(3)), r"context has shape \(3,\)"),
        (lambda: MADE(0, 1), "dim is 0"),
        (lambda: MADE(3, 0), "outputs_per_dim is 0"),
        (lambda: MADE(3, 1, hidden=()), r"len\(hidden\) is 0"),
        (lambda: MADE(3, 1, order=[0, 0, 1]), "expected a permutation"),
        (lambda: MADE(3, 1)(torch.zeros(5, 4)), r"x has shape \(5, 4\)"),
        (lambda: MADE(3, 1, d_context=2).sample_with(lambda p, i: p[..., 0], (5,)), "context is None"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
