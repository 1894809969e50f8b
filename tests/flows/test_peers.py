"""Agreement with zuko, nflows and pyro, given the same parameters."""

import math

import pytest
import torch
import torch.nn.functional as F

from gmtools.flows import AffineMap, Autoregressive, Coupling, SplineMap, rational_quadratic


def scrambled(bijection):
    for parameter in bijection.parameters():
        parameter.data = torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return bijection.double()


@pytest.mark.parametrize("rational", ["forward", "inverse"])
@pytest.mark.parametrize("inverse", [False, True])
def test_rational_quadratic_spline_is_nflows(inverse, rational):
    from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline

    torch.manual_seed(0)
    bins, bound = 6, 3.0
    spline = SplineMap(bins, bound, rational=rational)
    raw = 2 * torch.randn(500, spline.n_parameters, dtype=torch.float64)
    value = 3 * torch.randn(500, dtype=torch.float64)
    widths, heights, slopes = raw.split((bins, bins, bins - 1), dim=-1)
    shift = math.log(math.expm1(1 - spline.min_slope))  # ours begins as the identity
    theirs = unconstrained_rational_quadratic_spline(
        value, widths, heights, slopes + shift, inverse=inverse, tails="linear", tail_bound=bound
    )
    ours, ladj = (spline.inverse if inverse == (rational == "forward") else spline.forward)(
        value[:, None], raw
    )
    torch.testing.assert_close((ours[:, 0], ladj[:, 0]), theirs, rtol=1e-8, atol=1e-9)


def test_rational_quadratic_function_is_zukos():
    from zuko.transforms import MonotonicRQSTransform

    torch.manual_seed(0)
    widths, heights, slopes = torch.randn(500, 19, dtype=torch.float64).split((6, 6, 7), dim=-1)
    theirs = MonotonicRQSTransform(widths, heights, slopes[..., 1:-1], bound=2.0)
    x = 4 * torch.rand(500, dtype=torch.float64) - 2
    knots = theirs.horizontal, theirs.vertical, theirs.derivatives
    y, ladj = rational_quadratic(x, *knots)
    expected_y, expected_ladj = theirs.call_and_ladj(x)
    torch.testing.assert_close(y, expected_y)
    torch.testing.assert_close(ladj, expected_ladj)
    torch.testing.assert_close(rational_quadratic(y, *knots, inverse=True)[0], theirs.inv(y))


def test_affine_coupling_is_pyros():
    """Pyro computes noise from data by x e^s + m, as our inverse does."""
    from pyro.distributions.transforms import AffineCoupling

    torch.manual_seed(0)
    ours = scrambled(Coupling(5, AffineMap(bound=2.5), hidden=(8,)))

    def parameters(kept):
        shift, raw = ours.net(kept).split(3, dim=-1)
        return shift, -2.5 * torch.tanh(raw / 2.5)

    theirs = AffineCoupling(2, parameters)
    x = torch.randn(20, 5, dtype=torch.float64)
    z, ladj = ours.inverse(x)
    expected = theirs(x)
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(ladj, theirs.log_abs_det_jacobian(x, expected))
    torch.testing.assert_close(ours(z)[0], theirs._inverse(expected))


def test_affine_autoregressive_is_pyros():
    """Pyro reads its parameters off the input, as our inverse does; its loop over dimensions is our draw."""
    from pyro.distributions.transforms import AffineAutoregressive

    torch.manual_seed(0)
    ours = scrambled(Autoregressive(4, AffineMap(bound=2.5), hidden=(16,)))

    class Parameters(torch.nn.Module):
        permutation = torch.arange(4)

        def forward(self, x):
            # pyro starts its loop from float32 zeros
            shift, raw = ours.net(x.double()).unbind(-1)
            return shift, -2.5 * torch.tanh(raw / 2.5)

    theirs = AffineAutoregressive(Parameters())
    x = torch.randn(20, 4, dtype=torch.float64)
    z, ladj = ours.inverse(x)
    expected = theirs(x)
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(ladj, theirs.log_abs_det_jacobian(x, expected))
    torch.testing.assert_close(ours(z)[0], theirs._inverse(expected))


def test_planar_layer_is_pyros():
    from pyro.distributions.transforms import Planar as PyroPlanar

    from gmtools.flows import Planar

    torch.manual_seed(0)
    ours = scrambled(Planar(3, layers=1))
    theirs = PyroPlanar(3)
    theirs.bias.data, theirs.w.data = ours.b.data, ours.w.data[0]
    # Pyro adds (softplus(w'u) - 1 - w'u) w / |w|²; undo it, so that both layers have the same direction.
    target = ours.constrained()[1][0]
    product = torch.log(torch.expm1(target + 1))
    w = ours.w.data[0]
    sideways = ours.u.data[0] - (ours.u.data[0] @ w) * w / (w @ w)
    theirs.u.data = (sideways + product * w / (w @ w)).detach()
    assert math.isclose(F.softplus(theirs.u @ w).item() - 1, target.item(), rel_tol=1e-9)
    z = torch.randn(20, 3, dtype=torch.float64)
    x, ladj = ours(z)
    expected = theirs(z)
    torch.testing.assert_close(x, expected)
    torch.testing.assert_close(
        ladj, theirs.log_abs_det_jacobian(z, expected).reshape(20), rtol=1e-6, atol=1e-7
    )


def test_inverse_autoregressive_flow_draws_in_one_pass():
    """Multiplications, counted: IAF draws in one pass; MAF draws with no more of them, in D steps."""
    from torch.utils.flop_counter import FlopCounterMode

    maf = Autoregressive(16, AffineMap(), hidden=(32, 32))
    z = torch.randn(8, 16)

    def flops(call):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            call(z)
        return counter.get_total_flops()

    one_pass = flops(maf.net)
    assert flops(maf.inverse_bijection) == flops(maf.inverse) == one_pass
    assert 0 < flops(maf) <= one_pass
